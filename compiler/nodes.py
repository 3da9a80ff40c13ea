"""Nodes as the snapshot tells of them: what a Node says, and what the NodeNetworkState of the same name does.

In: loaded objects. Out: typed values; faults go to the findings. Each object is read by itself.
"""

from typing import Final

from compiler.diagnostics import Place
from compiler.findings import Findings, listed
from compiler.inputs import kubernetes
from compiler.load import Object
from compiler.model import DefaultRoute, Family, Interface, InterfaceAddress, Node, NodeNetwork, by_family
from compiler.shape import read_as
from compiler.text import TextError, check_interface, parse_address

_MAIN_TABLE: Final = 254
_EVERYWHERE: Final = {"0.0.0.0/0": Family.IPV4, "::/0": Family.IPV6}


def read_node(item: Object, network: NodeNetwork | None, findings: Findings) -> Node | None:
    """Reads a Node.

    Args:
        item: The object.
        network: What its NodeNetworkState says, None where there is none.
        findings: Get what is wrong with it.

    Returns:
        The node, None where the object has not the shape of one.
    """
    read = read_as(kubernetes.Node, item, findings)
    if read is None:
        return None
    place = item.place
    texts = [
        (entry.type, entry.address, place.at("status", "addresses", index, "address"))
        for index, entry in enumerate(read.status.addresses)
    ]
    internal = findings.addresses((text, at) for kind, text, at in texts if kind == "InternalIP")
    external = findings.addresses((text, at) for kind, text, at in texts if kind == "ExternalIP")
    cidrs = list(listed(read.spec.pod_cidrs, place.at("spec", "podCIDRs")))
    if not cidrs and read.spec.pod_cidr:
        cidrs = [(read.spec.pod_cidr, place.at("spec", "podCIDR"))]
    return Node(
        name=item.name,
        labels=read.metadata.labels,
        ready=next((entry.status for entry in read.status.conditions if entry.type == "Ready"), None) == "True",
        cordoned=read.spec.unschedulable,
        deleting=read.metadata.deletion_timestamp is not None,
        internal_ips=by_family(internal),
        addresses=(*internal, *external),
        pod_cidrs=findings.ranges(cidrs),
        network=network,
        place=place,
    )


def read_network(item: Object, findings: Findings) -> NodeNetwork | None:
    """Reads a NodeNetworkState; None where the object has not the shape of one."""
    read = read_as(kubernetes.NodeNetworkState, item, findings)
    if read is None:
        return None
    place = item.place.at("status", "currentState")
    interfaces: dict[str, Interface] = {}
    for index, entry in enumerate(read.status.current_state.interfaces):
        at = place.at("interfaces", index)
        # An OVS bridge is no kernel interface, and one that is down can hold no working address.
        if entry.type == "ovs-bridge" or entry.state in ("absent", "down"):
            continue
        try:
            check_interface(entry.name)
        except TextError:
            continue  # OVS patch ports and the like: no gateway can name it
        if entry.name in interfaces:
            message = (
                f"node {item.name} lists interface {entry.name} twice, and the last one counts; leave out one of them"
            )
            findings.warning("EG311", at.at("name"), message)
        interfaces[entry.name] = Interface(entry.name, _interface_addresses(entry, at, findings))
    routes = read.status.current_state.routes.running
    defaults = []
    for index, route in enumerate(routes or ()):
        family = _EVERYWHERE.get(route.destination)
        if family is None or route.table_id not in (0, _MAIN_TABLE) or not route.next_hop_interface:
            continue
        gateway = None
        if route.next_hop_address not in ("", "0.0.0.0", "::"):  # noqa: S104  # nmstate's word for "no gateway"
            at = place.at("routes", "running", index, "next-hop-address")
            gateway = findings.check(at, parse_address, route.next_hop_address)
        defaults.append((max(route.metric, 0), DefaultRoute(family, route.next_hop_interface, gateway)))
    by_metric = sorted(defaults, key=lambda item: item[0])
    return NodeNetwork(tuple(interfaces.values()), tuple(route for _, route in by_metric), routes is not None)


def _interface_addresses(
    entry: kubernetes.NmstateInterface, place: Place, findings: Findings
) -> tuple[InterfaceAddress, ...]:
    result = []
    for label, family in (("ipv4", entry.ipv4), ("ipv6", entry.ipv6)):
        if not family.enabled:
            continue
        for index, item in enumerate(family.address):
            at = place.at(label, "address", index)
            address = findings.check(at.at("ip"), parse_address, item.ip)
            if address is None:
                continue
            if not 0 <= item.prefix_length <= address.max_prefixlen:
                message = f"{item.prefix_length} is out of range; write 0 to {address.max_prefixlen}"
                findings.error("EG215", at.at("prefix-length"), message)
                continue
            result.append(InterfaceAddress(address, item.prefix_length))
    return tuple(result)
