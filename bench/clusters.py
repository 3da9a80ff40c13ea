"""Clusters of any size as one JSON text, the same for the same numbers; the address plan has room for 5,000 nodes."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

Obj = dict[str, Any]

_NODES = IPv4Address("172.16.0.0")
_OUTSIDE = IPv4Address("198.18.0.0")
_VIRTUAL = IPv4Address("198.19.0.0")
_PODS = IPv4Network("10.64.0.0/10")


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is of everything; a gateway is served by three of the gateway nodes."""

    nodes: int
    workloads: int
    policies: int
    gateways: int
    gateway_nodes: int


def make_cluster(size: Size, seed: int = 0) -> str:
    """Returns a cluster with its gateways and policies as a `kind: List`."""
    items = list(_objects(size, random.Random(seed)))  # noqa: S311  # a sample, not a secret
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def changed_cluster(text: str) -> str:
    """Returns a cluster of `make_cluster` after a change that every node's files and many workloads notice.

    Two masters are cordoned, three virtual IPs become others, one policy in ten excludes a range more, and services get
    another range.
    """
    document: Obj = json.loads(text)
    virtual = [item for item in document["items"] if "virtualIPAddress" in item.get("spec", {}).get("sourceIP", {})]
    for number, item in enumerate(virtual[:3], 1):
        item["spec"]["sourceIP"]["virtualIPAddress"]["ip"] = str(_VIRTUAL + 0x10000 - number)
    for item in document["items"]:
        if item["kind"] == "EgressGatewayPolicy" and item["metadata"]["name"].endswith("0"):
            item["spec"]["excludedCIDRs"].append("200.1.0.0/16")
        if item["kind"] == "Node" and item["metadata"]["name"] in {"node-00000", "node-00001"}:
            item["spec"]["unschedulable"] = True
    services = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", **_meta("more")}
    document["items"].append({**services, "spec": {"cidrs": ["10.10.0.0/16"]}})
    return json.dumps(document)


def _objects(size: Size, choose: random.Random) -> Iterator[Obj]:
    apps = max(size.policies, 1)
    groups = max(size.gateway_nodes // 3, 1)
    for number in range(size.nodes):
        group = number % groups if number < size.gateway_nodes else None
        yield from _node(number, group)
    for number in range(size.gateways):
        yield _gateway(number, number % groups)
    for number in range(size.policies):
        yield _policy(number, choose.randrange(size.gateways), choose)
    for number in range(size.workloads):
        # A few apps have most of the pods, as clusters have it.
        app = min(int(choose.paretovariate(0.6)) - 1, apps - 1)
        yield _pod(number, number % size.nodes, number // size.nodes, app)


def _meta(name: str, **more: object) -> Obj:
    return {"metadata": {"name": name, **more}}


def _node(number: int, group: int | None) -> Iterator[Obj]:
    name = f"node-{number:05}"
    labels = {} if group is None else {f"egress/group-{group}": ""}
    own, outside = _NODES + 1 + number, _OUTSIDE + 1 + number
    pods = next(iter(_PODS.subnets(new_prefix=24)))
    cidr = f"{pods.network_address + 256 * number}/24"
    yield {
        "apiVersion": "v1",
        "kind": "Node",
        **_meta(name, labels=labels),
        "spec": {"podCIDRs": [cidr]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": str(own)}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "Pod",
        **_meta(f"agent-{number:05}", namespace="d8-cni-cilium", labels={"app": "agent"}),
        "spec": {"nodeName": name, "hostNetwork": True},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    interfaces = [_interface("eth0", f"{own}", 12)]
    routes = []
    if group is not None:
        interfaces.append(_interface("eth1", f"{outside}", 15))
        routes.append({"destination": "0.0.0.0/0", "next-hop-interface": "eth1", "table-id": 254})
    yield {
        "apiVersion": "nmstate.io/v1beta1",
        "kind": "NodeNetworkState",
        **_meta(name),
        "status": {"currentState": {"interfaces": interfaces, "routes": {"running": routes}}},
    }


def _interface(name: str, address: str, length: int) -> Obj:
    ipv4 = {"enabled": True, "address": [{"ip": address, "prefix-length": length}]}
    return {"name": name, "type": "ethernet", "state": "up", "ipv4": ipv4, "ipv6": {"enabled": False}}


def _gateway(number: int, group: int) -> Obj:
    source: Obj = {
        "mode": "PrimaryIPFromEgressGatewayNodeInterface",
        "primaryIPFromEgressGatewayNodeInterface": {"interfaceName": "eth1"},
    }
    if number % 2:
        source = {"mode": "VirtualIPAddress", "virtualIPAddress": {"ip": str(_VIRTUAL + 1 + number)}}
    return {
        "apiVersion": "network.deckhouse.io/v1alpha1",
        "kind": "EgressGateway",
        **_meta(f"gateway-{number:04}"),
        "spec": {"nodeSelector": {f"egress/group-{group}": ""}, "sourceIP": source},
    }


def _policy(number: int, gateway: int, choose: random.Random) -> Obj:
    return {
        "apiVersion": "network.deckhouse.io/v1alpha1",
        "kind": "EgressGatewayPolicy",
        **_meta(f"policy-{number:05}", creationTimestamp="2026-01-01T00:00:00Z"),
        "spec": {
            "egressGatewayName": f"gateway-{gateway:04}",
            "destinationCIDRs": [*(_cidr(choose) for _ in range(choose.randrange(4))), "0.0.0.0/0"],
            "excludedCIDRs": [_cidr(choose) for _ in range(choose.randrange(2))],
            "selectors": [{"podSelector": {"matchLabels": {"app": f"app-{number}"}}}],
        },
    }


def _cidr(choose: random.Random) -> str:
    length = choose.randrange(9, 29)
    number = choose.randrange(1 << 31, 7 << 29)
    return str(IPv4Network((number >> 32 - length << 32 - length, length)))


def _pod(number: int, node: int, index: int, app: int) -> Obj:
    address = _PODS.network_address + 256 * node + 2 + index
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        **_meta(f"pod-{number:06}", namespace=f"team-{app % 50}", labels={"app": f"app-{app}", "pod": str(number % 7)}),
        "spec": {"nodeName": f"node-{node:05}", "serviceAccountName": "default"},
        "status": {"phase": "Running", "podIPs": [{"ip": str(address)}]},
    }
