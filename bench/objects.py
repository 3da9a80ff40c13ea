"""Objects of a made cluster as the API server gives them, and the address plan.

nodes     10.128.0.0/16    fd00:10:128::/64     eth0, the same link for all
pods      10.64.0.0/10     fd00:10:64::/48      a /24 and a /64 for each node
outside   198.18.0.0/15    2001:db8:18::/64     eth1 of gateway nodes, and the virtual IPs
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any, Final

from bench.inventory import App, Gateway, suffix

Obj = dict[str, Any]
CANARY: Final = 20
"""Of so many pods of a Deployment the last is a canary, with a label and a template of its own."""

_NODES: Final = int(IPv4Address("10.128.0.0"))
_PODS: Final = int(IPv4Address("10.64.0.0"))
_OUTSIDE: Final = int(IPv4Address("198.18.0.0"))
_VIRTUAL: Final = int(IPv4Address("198.19.0.0"))
_GROUP: Final = "egress.example.com/group"
_READY: Final = [{"type": "Ready", "status": "True"}]


def node(number: int, group: int | None) -> Iterator[Obj]:
    """Returns a Node with its agent pod and its NodeNetworkState; `group` is that of a gateway node."""
    name = _node_name(number)
    ipv4, ipv6 = f"{IPv4Address(_NODES + 1 + number)}", f"fd00:10:128::{number + 1:x}"
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    yield {
        "apiVersion": "v1",
        "kind": "Node",
        **_meta(name, labels=labels if group is None else {**labels, _GROUP: str(group)}),
        "spec": {"podCIDRs": [f"{IPv4Address(_PODS + 256 * number)}/24", f"fd00:10:64:{number:x}::/64"]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": ipv4},
                {"type": "InternalIP", "address": ipv6},
                {"type": "Hostname", "address": name},
            ],
            "conditions": _READY,
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "Pod",
        **_meta(f"agent-{suffix(number)}", namespace="d8-cni-cilium", labels={"app": "agent"}),
        "spec": {"nodeName": name, "hostNetwork": True, "serviceAccountName": "agent"},
        "status": {"phase": "Running", "podIPs": [{"ip": ipv4}, {"ip": ipv6}], "conditions": _READY},
    }
    interfaces = [_interface("eth0", (ipv4, 16), (ipv6, 64))]
    routes = [_route("0.0.0.0/0", "10.128.255.254", "eth0"), _route("::/0", "fd00:10:128::ffff", "eth0")]
    if group is not None:
        outside = (f"{IPv4Address(_OUTSIDE + 1 + number)}", 15), (f"2001:db8:18::{number + 1:x}", 64)
        interfaces.append(_interface("eth1", *outside))
        routes = [_route("0.0.0.0/0", "198.18.255.254", "eth1"), _route("::/0", "2001:db8:18::ffff", "eth1")]
    state = {"interfaces": interfaces, "routes": {"running": routes}}
    yield {
        "apiVersion": "nmstate.io/v1beta1",
        "kind": "NodeNetworkState",
        **_meta(name),
        "status": {"currentState": state},
    }


def namespace(name: str, labels: Mapping[str, str]) -> Obj:
    """Returns a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", **_meta(name, labels=dict(labels))}


def service_cidr(name: str, *cidrs: str) -> Obj:
    """Returns a ServiceCIDR."""
    head = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", **_meta(name)}
    return {**head, "spec": {"cidrs": list(cidrs)}}


def gateway(item: Gateway) -> Obj:
    """Returns an EgressGateway."""
    if item.mode == "primary":
        source: Obj = {
            "mode": "PrimaryIPFromEgressGatewayNodeInterface",
            "primaryIPFromEgressGatewayNodeInterface": {"interfaceName": "eth1"},
        }
    else:
        ipv4, ipv6 = f"{IPv4Address(_VIRTUAL + 1 + item.number)}", f"2001:db8:18::1:{item.number + 1:x}"
        virtual: Obj = {"ip": ipv4 if item.mode == "virtual4" else ipv6}
        if item.named_interface:
            virtual["interfaces"] = ["eth1"]
        source = {"mode": "VirtualIPAddress", "virtualIPAddress": virtual}
    return {
        "apiVersion": "network.deckhouse.io/v1alpha1",
        "kind": "EgressGateway",
        **_meta(item.name),
        "spec": {"nodeSelector": {_GROUP: str(item.group)}, "sourceIP": source},
    }


def spare_virtual_ip(number: int) -> str:
    """Returns a virtual IP that no gateway of a made cluster has."""
    return str(IPv4Address(_VIRTUAL + 0x10000 - 2 - number))


def pod(app: App, index: int, number: int, place: int) -> Obj:
    """Returns a pod of an app.

    Args:
        app: The app.
        index: Which of its pods.
        number: The node.
        place: Which of the node's pods, from 1.
    """
    labels = {"app": app.name, "tier": app.tier}
    if app.kind == "StatefulSet":
        name = f"{app.name}-{index}"
        labels["apps.kubernetes.io/pod-index"] = str(index)
        labels["statefulset.kubernetes.io/pod-name"] = name
    else:
        template = app.template
        if index % CANARY == CANARY - 1:
            template = template[::-1]
            labels["track"] = "canary"
        name = f"{app.name}-{template}-{suffix(index)}"
        labels["pod-template-hash"] = template
    ips = [{"ip": f"{IPv4Address(_PODS + 256 * number + 1 + place)}"}]
    if app.dual:
        ips.append({"ip": f"fd00:10:64:{number:x}::{place + 1:x}"})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        **_meta(name, namespace=f"team-{app.team:03}", labels=labels),
        "spec": {"nodeName": _node_name(number), "serviceAccountName": app.account},
        "status": {"phase": "Running", "podIPs": ips},
    }


def _node_name(number: int) -> str:
    return f"node-{number:05}"


def _meta(name: str, **more: object) -> Obj:
    return {"metadata": {"name": name, **more}}


def _interface(name: str, ipv4: tuple[str, int], ipv6: tuple[str, int]) -> Obj:
    families = {
        family: {"enabled": True, "address": [{"ip": address, "prefix-length": length}]}
        for family, (address, length) in (("ipv4", ipv4), ("ipv6", ipv6))
    }
    return {"name": name, "type": "ethernet", "state": "up", **families}


def _route(destination: str, router: str, interface: str) -> Obj:
    return {
        "destination": destination,
        "next-hop-address": router,
        "next-hop-interface": interface,
        "table-id": 254,
    }
