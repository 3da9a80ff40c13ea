"""The cluster as the snapshot tells it: nodes, their interfaces, workloads, ranges.

In: loaded objects and the configuration. Out: typed values; faults go to the findings. Part of the validate stage.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from pydantic import BaseModel

from compiler.diagnostics import Place
from compiler.findings import Findings, listed
from compiler.inputs import kubernetes
from compiler.inputs.base import Condition
from compiler.load import Loaded, Object, texts_at
from compiler.model import (
    Address,
    AgentPod,
    Config,
    DefaultRoute,
    Family,
    Interface,
    InterfaceAddress,
    Labels,
    Network,
    Node,
    NodeNetwork,
    Workload,
)
from compiler.ranges import collapse
from compiler.shape import shape
from compiler.text import TextError, check_interface, check_name, parse_address, parse_network, readable_addresses

_M = TypeVar("_M", bound=BaseModel)

LAUNCHER_LABEL: Final = "vm.kubevirt.internal.virtualization.deckhouse.io/name"
PRIORITY_LABEL: Final = "network.deckhouse.io/pod-common-ip-priority"
_MAIN_TABLE: Final = 254
_NOT_RUNNING: Final = ("Stopped", "Pending")
_EVERYWHERE: Final = {"0.0.0.0/0": Family.IPV4, "::/0": Family.IPV6}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the cluster consists of; fields as in `Cluster`, and `own_ranges`: pods, machines, services."""

    nodes: Mapping[str, Node]
    workloads: tuple[Workload, ...]
    agents: tuple[AgentPod, ...]
    namespaces: Mapping[str, Labels]
    contested: tuple[tuple[Workload, ...], ...]
    lost_addresses: tuple[Address, ...]
    workload_ranges: tuple[Network, ...]
    own_ranges: tuple[Network, ...]
    cluster_ranges: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class _Pod:
    """A pod that counts; `vm` names the virtual machine that it runs, empty if none."""

    workload: Workload
    vm: str
    priority: str


def read_snapshot(loaded: Loaded, config: Config, findings: Findings) -> Snapshot:
    """Reads all of Kubernetes' own kinds."""
    networks = {
        item.name: network
        for item, read in _each(loaded, "NodeNetworkState", kubernetes.NodeNetworkState, findings)
        if (network := _network(item, read, findings)) is not None
    }
    nodes = {
        item.name: _node(item, read, networks.get(item.name), findings)
        for item, read in _each(loaded, "Node", kubernetes.Node, findings)
    }
    pods = []
    agents = []
    for item, read in _each(loaded, "Pod", kubernetes.Pod, findings):
        if _is_agent(read, config):
            ready = _condition(read.status.conditions) == "True"
            deleting = read.metadata.deletion_timestamp is not None
            agents.append(AgentPod(read.spec.node_name, ready, deleting))
        if (pod := _pod(item, read, findings)) is not None:
            pods.append(pod)
    machines = _each(loaded, "VirtualMachine", kubernetes.VirtualMachine, findings)
    workloads = _merge(pods, machines, findings)
    namespaces = {
        item.name: read.metadata.labels for item, read in _each(loaded, "Namespace", kubernetes.Namespace, findings)
    }
    workload_ranges, own_ranges = _ranges(loaded, nodes, config, findings)
    known = {*nodes, *(item.name for item in loaded.left_out if item.kind == "Node")}
    _check_nodes(workloads, known, findings)
    return Snapshot(
        nodes=nodes,
        workloads=workloads,
        agents=tuple(agents),
        namespaces=namespaces,
        contested=_check_addresses(workloads, loaded, findings),
        lost_addresses=_lost_addresses(loaded),
        workload_ranges=workload_ranges,
        own_ranges=own_ranges,
        cluster_ranges=collapse((*own_ranges, *config.extra_cidrs)),
    )


def _each(loaded: Loaded, kind: str, model: type[_M], findings: Findings) -> list[tuple[Object, _M]]:
    result = []
    for item in loaded.of(kind):
        read, faults = shape(model, item)
        findings.add(*faults)
        findings.check(item.place.at("metadata", "name"), check_name, item.name)
        if item.namespace:
            findings.check(item.place.at("metadata", "namespace"), check_name, item.namespace)
        if read is not None:
            result.append((item, read))
    return result


def _condition(conditions: Iterable[Condition], kind: str = "Ready") -> str:
    return next((condition.status for condition in conditions if condition.type == kind), "Unknown")


def _node(item: Object, read: kubernetes.Node, network: NodeNetwork | None, findings: Findings) -> Node:
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
        ready=_condition(read.status.conditions) == "True",
        cordoned=read.spec.unschedulable,
        deleting=read.metadata.deletion_timestamp is not None,
        internal_ips=_by_family(internal),
        addresses=(*internal, *external),
        pod_cidrs=findings.ranges(cidrs),
        network=network,
        place=place,
    )


def _by_family(addresses: Iterable[Address]) -> dict[Family, Address]:
    result: dict[Family, Address] = {}
    for address in addresses:
        result.setdefault(Family(address.version), address)
    return dict(sorted(result.items()))


def _network(item: Object, read: kubernetes.NodeNetworkState, findings: Findings) -> NodeNetwork | None:
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


def _is_agent(read: kubernetes.Pod, config: Config) -> bool:
    labels = read.metadata.labels
    return (read.metadata.namespace or "default") == config.agent_namespace and all(
        labels.get(key) == value for key, value in config.agent_labels
    )


def _pod(item: Object, read: kubernetes.Pod, findings: Findings) -> _Pod | None:
    if read.spec.host_network or read.status.phase in ("Succeeded", "Failed") or not read.spec.node_name:
        return None
    place = item.place.at("status")
    texts = [(entry.ip, place.at("podIPs", index, "ip")) for index, entry in enumerate(read.status.pod_ips)]
    if not texts and read.status.pod_ip:
        texts = [(read.status.pod_ip, place.at("podIP"))]
    addresses = _by_family(findings.addresses(texts))
    if not addresses:
        return None
    findings.check(item.place.at("spec", "nodeName"), check_name, read.spec.node_name)
    workload = Workload(
        kind="Pod",
        namespace=item.namespace,
        name=item.name,
        node=read.spec.node_name,
        labels=read.metadata.labels,
        service_account=read.spec.service_account_name,
        addresses=addresses,
        place=item.place,
    )
    labels = read.metadata.labels
    return _Pod(workload, labels.get(LAUNCHER_LABEL, ""), labels.get(PRIORITY_LABEL, ""))


def _merge(
    pods: list[_Pod], machines: list[tuple[Object, kubernetes.VirtualMachine]], findings: Findings
) -> tuple[Workload, ...]:
    """Makes a virtual machine and its pods one workload, and of two pods in live migration one."""
    launchers: dict[tuple[str, str], list[_Pod]] = {}
    workloads = []
    for pod in pods:
        if pod.vm:
            launchers.setdefault((pod.workload.namespace, pod.vm), []).append(pod)
        else:
            workloads.append(pod.workload)
    for item, read in machines:
        own = launchers.get((item.namespace, item.name), [])
        machine = _machine(item, read, own, findings)
        if machine is not None:
            workloads.append(machine)
        # Where the machine's status lags behind, a pod with an address that it does not tell stands for itself, as all
        # do where there is no machine at all: traffic from that address is real.
        taken = set(machine.addresses.values()) if machine is not None else set()
        launchers[item.namespace, item.name] = [
            pod
            for pod in own
            if taken.isdisjoint(pod.workload.addresses.values()) and read.status.phase not in _NOT_RUNNING
        ]
    for group in launchers.values():
        workloads.extend(_migrating(group))
    return tuple(sorted(workloads, key=lambda workload: (workload.namespace, workload.name, workload.kind)))


def _machine(item: Object, read: kubernetes.VirtualMachine, pods: list[_Pod], findings: Findings) -> Workload | None:
    status = read.status
    if not status.ip_address or not status.node_name or status.phase in _NOT_RUNNING:
        return None
    findings.check(item.place.at("status", "nodeName"), check_name, status.node_name)
    address = findings.check(item.place.at("status", "ipAddress"), parse_address, status.ip_address)
    if address is None:
        return None
    # The VM tells one address only; the other family is the one that its pod carries beside it, that on the same node
    # where there are two.
    carriers = sorted(
        (pod.workload for pod in pods if address in pod.workload.addresses.values()),
        key=lambda pod: (pod.node != status.node_name, pod.name),
    )
    beside = carriers[0].addresses if carriers else {}
    kind: Literal["VirtualMachine"] = "VirtualMachine"
    addresses = dict(sorted({**beside, Family(address.version): address}.items()))
    labels = read.metadata.labels
    return Workload(kind, item.namespace, item.name, status.node_name, labels, "", addresses, item.place)


def _migrating(pods: list[_Pod]) -> list[Workload]:
    """Of pods of one virtual machine that share an address, keeps the one whose priority label is lower."""

    def order(pod: _Pod) -> tuple[int, str]:
        digits = pod.priority.isascii() and pod.priority.isdigit()
        return (int(pod.priority) if digits else -1, pod.workload.name)

    kept: list[Workload] = []
    for pod in sorted(pods, key=order):
        taken = {address for workload in kept for address in workload.addresses.values()}
        if taken.isdisjoint(pod.workload.addresses.values()):
            kept.append(pod.workload)
    return kept


def _check_addresses(
    workloads: tuple[Workload, ...], loaded: Loaded, findings: Findings
) -> tuple[tuple[Workload, ...], ...]:
    """Tells which workloads have an address of another; returns the groups of those that do."""
    holders: dict[Address, Workload] = {}
    groups: dict[int, list[Workload]] = {}
    clashes = []
    for workload in workloads:
        for address in workload.addresses.values():
            first = holders.setdefault(address, workload)
            if first is not workload:
                own, other = (groups.get(id(item), [item]) for item in (workload, first))
                if own is not other:
                    other.extend(own)
                    groups.update({id(item): other for item in other})
                clashes.append((workload, address, first))
    objects = {item.place: item for item in loaded.objects} if clashes else {}
    for workload, address, first in clashes:
        message = (
            f"{workload.kind} {workload.key} has the address {address} of {first.kind} {first.key}; "
            "take a new snapshot, or remove the stale one"
        )
        findings.error("EG304", _address_place(objects[workload.place], address), message, first.place)
    return tuple(tuple(group) for group in {id(group): group for group in groups.values()}.values())


def _address_place(item: Object, address: Address) -> Place:
    """Finds where a workload's object gives an address, which the workload itself does not keep."""
    status, place = item.data["status"], item.place.at("status")
    if item.kind == "VirtualMachine":
        return place.at("ipAddress")
    for index, entry in enumerate(status.get("podIPs") or ()):
        if entry.get("ip") and parse_address(entry["ip"]) == address:
            return place.at("podIPs", index, "ip")
    return place.at("podIP")


def _check_nodes(workloads: tuple[Workload, ...], nodes: Collection[str], findings: Findings) -> None:
    missing: dict[str, list[Workload]] = {}
    for workload in workloads:
        if workload.node not in nodes:
            missing.setdefault(workload.node, []).append(workload)
    for name, group in sorted(missing.items()):
        first = group[0]
        more = f" and {len(group) - 1} more" if len(group) > 1 else ""
        message = (
            f"{first.kind} {first.key}{more} runs on node {name}, which is not in the input, so no rules are made for "
            "it; add the node"
        )
        part = "status" if first.kind == "VirtualMachine" else "spec"
        findings.warning("EG312", first.place.at(part, "nodeName"), message)


def _ranges(
    loaded: Loaded, nodes: Mapping[str, Node], config: Config, findings: Findings
) -> tuple[tuple[Network, ...], tuple[Network, ...]]:
    pods = {network for node in nodes.values() for network in node.pod_cidrs} | {*config.pod_cidrs}
    pods.update(_lost_ranges(loaded, "Node", "podCIDR", "podCIDRs"))
    machines = _lost_ranges(loaded, "ModuleConfig", "virtualMachineCIDRs")
    for item, module in _each(loaded, "ModuleConfig", kubernetes.ModuleConfig, findings):
        place = item.place.at("spec", "settings", "virtualMachineCIDRs")
        machines.update(findings.ranges(listed(module.spec.settings.virtual_machine_cidrs, place)))
    services = {*config.service_cidrs} | _lost_ranges(loaded, "ServiceCIDR", "cidrs")
    for item, service in _each(loaded, "ServiceCIDR", kubernetes.ServiceCIDR, findings):
        services.update(findings.ranges(listed(service.spec.cidrs, item.place.at("spec", "cidrs"))))
    if nodes and not pods:
        place = next(iter(nodes.values())).place.at("spec", "podCIDRs")
        message = (
            "no pod range is known, so traffic between pods may match a policy; give the nodes' spec.podCIDRs or set "
            "spec.clusterRanges.podCIDRs in an EgressCompilerConfig"
        )
        findings.warning("EG310", place, message)
    own = {*pods, *machines, *services}
    whole = [network for network in collapse({*own, *config.extra_cidrs}) if network.prefixlen == 0]
    if whole and not any(network.prefixlen == 0 for network in (*own, *config.extra_cidrs)):
        item = next(item for kind in ("ServiceCIDR", "ModuleConfig", "Node") for item in loaded.of(kind))
        message = (
            f"the ranges of the cluster are {whole[0]} together: nothing would ever be redirected; write what it has"
        )
        findings.error("EG216", item.place, message)
    return collapse({*pods, *machines}), collapse(own)


def _lost_ranges(loaded: Loaded, kind: str, *keys: str) -> set[Network]:
    """Returns the ranges that can be read in objects that are left out: their traffic stays inside the cluster."""
    found = set()
    for item in loaded.left_out:
        for text in texts_at(item.data, keys) if item.kind == kind else ():
            try:
                network, _ = parse_network(text)
            except TextError:
                continue
            if network.prefixlen:
                found.add(network)
    return found


def _lost_addresses(loaded: Loaded) -> tuple[Address, ...]:
    """Returns the addresses that can be read of nodes that are left out, by themselves or with their interfaces."""
    kinds = {"Node": "address", "NodeNetworkState": "ip"}
    lost = {item.name for item in loaded.left_out if item.kind in kinds}
    objects = (item for item in (*loaded.objects, *loaded.left_out) if item.kind in kinds and item.name in lost)
    texts = (text for item in objects for text in texts_at(item.data.get("status"), (kinds[item.kind],)))
    return readable_addresses(texts)
