"""The cluster of the forwarding benchmark: policies, workloads and the flows to measure, as values and as a snapshot.

The peers' rules are written from the same values, so that every shape decides the same packets by the same policies.
"""

import json
import random
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

NODES: Final = 100
"""In the cluster: the source node, the gateway nodes, others."""

ON_ONE_NODE: Final = 110
"""Workloads, as many as a kubelet takes by default."""

SOURCE: Final = "source"
POD_RANGE: Final = IPv4Network("10.0.0.0/8")
NODE_RANGE: Final = IPv4Network("172.16.0.0/16")
OUTSIDE_RANGE: Final = IPv4Network("198.18.0.0/16")
ROUTER: Final = OUTSIDE_RANGE[-2]
"""Next hop of gateway nodes to the outside."""

_GATEWAYS_OF_A_NODE = 10
_LARGEST_SELECTION = 4  # policies of one workload
_CIDRS = 3  # of one policy
_OUTSIDE = IPv4Network("32.0.0.0/3")  # of which the destinations are parts

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy: the workloads of some apps, to some destinations, leave by a gateway of one gateway node."""

    number: int
    gateway_node: int
    gateway: str
    apps: tuple[int, ...]
    destinations: tuple[IPv4Network, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """One pod. `node` counts the nodes from 0, the source node."""

    address: IPv4Address
    node: int
    app: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Addresses of packets, and the gateway node to which policies send them; ports are the generator's."""

    source: IPv4Address
    destination: IPv4Address
    gateway_node: int | None


@dataclass(frozen=True)
class Mix:
    """A cluster in which every workload is selected by 1 to 4 policies.

    Attributes:
        policies: By number.
        workloads: All of them, at least one for each policy.
        gateway_nodes: How many there are; the first one is measured.
    """

    policies: tuple[Policy, ...]
    workloads: tuple[Workload, ...]
    gateway_nodes: int

    @cached_property
    def selecting(self) -> dict[int, tuple[Policy, ...]]:
        """The policies of each app."""
        found: dict[int, list[Policy]] = {workload.app: [] for workload in self.workloads}
        for policy in self.policies:
            for app in policy.apps:
                found.setdefault(app, []).append(policy)
        return {app: tuple(policies) for app, policies in found.items()}

    @cached_property
    def selected(self) -> dict[int, tuple[IPv4Address, ...]]:
        """The addresses of the workloads that each policy selects."""
        found: dict[int, list[IPv4Address]] = {policy.number: [] for policy in self.policies}
        for workload in self.workloads:
            for policy in self.selecting[workload.app]:
                found[policy.number].append(workload.address)
        return {number: tuple(addresses) for number, addresses in found.items()}

    def local(self) -> list[Workload]:
        """Returns the workloads of the source node."""
        return [workload for workload in self.workloads if workload.node == 0]

    def served(self) -> list[Workload]:
        """Returns the workloads that the measured gateway node serves: all of them if there is no policy."""
        return [
            workload
            for workload in self.workloads
            if all(policy.gateway_node == 0 for policy in self.selecting[workload.app])
        ]

    def flows(self, workloads: list[Workload], count: int, seed: int = 0) -> list[Flow]:
        """Draws flows: each workload, each of its policies and each range of these as often as any other.

        So are the positions in rules that are walked in the policies' order.
        """
        choose = random.Random(seed)  # noqa: S311  # a sample, not a secret
        flows = []
        order = choose.sample(workloads, len(workloads))
        for number in range(count):
            workload = order[number % len(order)]
            policies = self.selecting[workload.app]
            network = choose.choice(choose.choice(policies).destinations) if policies else _OUTSIDE
            destination = network[choose.randrange(network.num_addresses)]
            flows.append(Flow(workload.address, destination, policies[0].gateway_node if policies else None))
        choose.shuffle(flows)
        return flows

    def snapshot(self) -> str:
        """Returns the cluster, its gateways and policies as a `kind: List`."""
        items = [item for number in range(NODES) for item in _node(number, self.gateway_nodes)]
        nodes = {policy.gateway: policy.gateway_node for policy in self.policies} or {"gateway-0-0": 0}
        items += [_gateway(name, node) for name, node in sorted(nodes.items())]
        items += [_policy(policy) for policy in self.policies]
        items += [_pod(number, workload) for number, workload in enumerate(self.workloads)]
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def make_mix(policies: int, *, concentrated: bool = False, gateway_nodes: int = 3, seed: int = 0) -> Mix:
    """Makes a cluster.

    Args:
        policies: How many.
        concentrated: Whether each policy selects a workload of the source node and names a gateway of the measured
            gateway node, so that both hold all of them. Otherwise the source node has as many workloads as a kubelet
            takes and the rest is spread over the other nodes, and the gateways over the gateway nodes.
        gateway_nodes: How many nodes serve gateways.
        seed: Of everything that is drawn.
    """
    choose = random.Random(seed)  # noqa: S311  # a sample, not a secret
    gateway_nodes = 1 if concentrated else gateway_nodes
    more: list[list[int]] = [[] for _ in range(policies)]
    for app in range(policies):
        # Only policies of the app's own gateway node, so that one look at an app tells where its packets go.
        others = range(app % gateway_nodes, policies, gateway_nodes)
        extra = choose.randrange(min(_LARGEST_SELECTION, len(others)))
        for other in choose.sample([number for number in _few(others, choose) if number != app], extra):
            more[other].append(app)
    made = tuple(
        Policy(
            number,
            number % gateway_nodes,
            f"gateway-{number % gateway_nodes}-{number // gateway_nodes % _GATEWAYS_OF_A_NODE}",
            (number, *more[number]),
            tuple(dict.fromkeys(_cidr(choose) for _ in range(_CIDRS))),
        )
        for number in range(policies)
    )
    return Mix(made, tuple(_workloads(policies, concentrated, choose)), gateway_nodes)


def _few(numbers: range, choose: random.Random) -> list[int]:
    return choose.sample(numbers, min(2 * _LARGEST_SELECTION, len(numbers)))


def _workloads(apps: int, concentrated: bool, choose: random.Random) -> list[Workload]:
    if concentrated:
        return [Workload(_pod_address(0, index), 0, index) for index in range(max(apps, 1))]
    shuffled = choose.sample(range(apps), apps) or [0]
    here = [shuffled[index % len(shuffled)] for index in range(ON_ONE_NODE)]
    placed = [(0, app) for app in here]
    elsewhere = sorted(set(range(apps)) - set(here))
    first = 1 + NODES // 2  # behind all gateway nodes
    placed += [(first + index % (NODES - first), app) for index, app in enumerate(elsewhere)]
    counts = [0] * NODES
    workloads = []
    for node, app in placed:
        workloads.append(Workload(_pod_address(node, counts[node]), node, app))
        counts[node] += 1
    return workloads


def node_name(number: int, gateway_nodes: int) -> str:
    """Returns the name of a node; the gateway nodes come after the source node."""
    if number == 0:
        return SOURCE
    return gateway_name(number - 1) if number <= gateway_nodes else f"node-{number:02}"


def gateway_name(number: int) -> str:
    """Returns the name of a gateway node; the first one, 0, is measured."""
    return f"gateway-node-{number}"


def node_address(number: int) -> IPv4Address:
    """Returns the internal address of a node; a gateway node's number is one more than as a gateway node."""
    return NODE_RANGE[number + 1]


def outside_address(gateway_node: int) -> IPv4Address:
    """Returns the source address of a gateway node's gateways."""
    return OUTSIDE_RANGE[gateway_node + 1]


def _pod_address(node: int, index: int) -> IPv4Address:
    return POD_RANGE[(node << 16) + 2 + index]


def _cidr(choose: random.Random) -> IPv4Network:
    """Returns a part of the outside, from a few addresses to a large provider's; many overlap."""
    length = choose.randrange(10, 29)
    address = int(_OUTSIDE[choose.randrange(_OUTSIDE.num_addresses)])
    return IPv4Network((address >> 32 - length << 32 - length, length))


def _meta(name: str, **more: object) -> Obj:
    return {"metadata": {"name": name, **more}}


def _node(number: int, gateway_nodes: int) -> list[Obj]:
    name = node_name(number, gateway_nodes)
    gateway = number - 1 if 0 < number <= gateway_nodes else None
    interfaces = [_interface("eth0", f"{node_address(number)}", NODE_RANGE.prefixlen)]
    routes = []
    if gateway is not None:
        interfaces.append(_interface("eth1", f"{outside_address(gateway)}", OUTSIDE_RANGE.prefixlen))
        hop: Obj = {"next-hop-interface": "eth1", "next-hop-address": str(ROUTER)}
        routes.append({"destination": "0.0.0.0/0", "table-id": 254, **hop})
    state = {"interfaces": interfaces, "routes": {"running": routes}}
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            **_meta(name, labels={} if gateway is None else {"egress": name}),
            "spec": {"podCIDRs": [f"{POD_RANGE[number << 16]}/16"]},
            "status": {
                "addresses": [{"type": "InternalIP", "address": str(node_address(number))}],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            **_meta(f"agent-{number:02}", namespace="d8-cni-cilium", labels={"app": "agent"}),
            "spec": {"nodeName": name, "hostNetwork": True},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        },
        {
            "apiVersion": "nmstate.io/v1beta1",
            "kind": "NodeNetworkState",
            **_meta(name),
            "status": {"currentState": state},
        },
    ]


def _interface(name: str, address: str, length: int) -> Obj:
    ipv4 = {"enabled": True, "address": [{"ip": address, "prefix-length": length}]}
    return {"name": name, "type": "ethernet", "state": "up", "ipv4": ipv4, "ipv6": {"enabled": False}}


def _gateway(name: str, gateway_node: int) -> Obj:
    source = {
        "mode": "PrimaryIPFromEgressGatewayNodeInterface",
        "primaryIPFromEgressGatewayNodeInterface": {"interfaceName": "eth1"},
    }
    return {
        "apiVersion": "network.deckhouse.io/v1alpha1",
        "kind": "EgressGateway",
        **_meta(name),
        "spec": {"nodeSelector": {"egress": gateway_name(gateway_node)}, "sourceIP": source},
    }


def _policy(policy: Policy) -> Obj:
    return {
        "apiVersion": "network.deckhouse.io/v1alpha1",
        "kind": "EgressGatewayPolicy",
        **_meta(f"policy-{policy.number:05}", creationTimestamp="2026-01-01T00:00:00Z"),
        "spec": {
            "egressGatewayName": policy.gateway,
            "destinationCIDRs": [str(network) for network in policy.destinations],
            "selectors": [{"podSelector": {"matchLabels": {"app": f"app-{app}"}}} for app in policy.apps],
        },
    }


def _pod(number: int, workload: Workload) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        **_meta(f"pod-{number:05}", namespace="apps", labels={"app": f"app-{workload.app}"}),
        "spec": {"nodeName": SOURCE if workload.node == 0 else f"node-{workload.node:02}"},
        "status": {"phase": "Running", "podIPs": [{"ip": str(workload.address)}]},
    }
