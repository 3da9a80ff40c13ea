"""Frozen values of the lab: what is to be built, as text that `ip` takes and as JSON that the state directory keeps."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Masquerade = Literal["none", "nft", "iptables-nft", "iptables-legacy"]
MASQUERADES: tuple[Masquerade, ...] = get_args(Masquerade)

OUTSIDE = "outside"
"""How commands call the namespace that plays the rest of the world."""

PORT = 8080
"""Port on which outside, and whatever a request goes to inside the lab, answers with the address it saw."""


_SHOWN = 10


class LabError(Exception):
    """The lab cannot do what was asked; the message is one sentence that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a cluster is built; a namespace costs the kernel about a megabyte."""

    nodes: int = 64
    workloads: int = 128


@dataclass(frozen=True, slots=True)
class Link:
    """An interface of a node or of outside, and the port at its other end in the hub.

    Attributes:
        name: Interface name inside the namespace.
        port: Interface name in the hub.
        bridge: The hub's bridge that is the network.
        addresses: With their prefix lengths.
    """

    name: str
    port: str
    bridge: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """A default route; `via` is None where the destination itself is the neighbour."""

    everything: str
    via: str | None
    device: str


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where the pods of another node are reached."""

    node: str
    version: int
    address: str


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node.

    Attributes:
        name: As in the cluster.
        namespace: Network namespace.
        links: In the order of its NodeNetworkState.
        defaults: The first of a family is preferred.
        next_hops: One a reachable other node and family.
        entrances: Addresses by which outside reaches its pods: on the link of the default route, else InternalIP.
    """

    name: str
    namespace: str
    links: tuple[Link, ...]
    defaults: tuple[DefaultRoute, ...]
    next_hops: tuple[NextHop, ...]
    entrances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkloadPlan:
    """One workload.

    Attributes:
        key: `NAMESPACE/NAME`.
        kind: Pod or VirtualMachine.
        namespace: Network namespace.
        node: Name of its node.
        veth: Name of the node's end of its link.
        mac: Link-layer address of its `eth0`.
        node_mac: Link-layer address of the node's end.
        addresses: Without prefix lengths.
    """

    key: str
    kind: Literal["Pod", "VirtualMachine"]
    namespace: str
    node: str
    veth: str
    mac: str
    node_mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OnLink:
    """A prefix that outside reaches without a router."""

    prefix: str
    device: str


@dataclass(frozen=True, slots=True)
class OutsidePlan:
    """The rest of the world: a leg in each network, every other address its own.

    Attributes:
        namespace: Network namespace.
        links: One a network.
        on_link: Node networks, and virtual IPs that lie in none.
        unreachable: Addresses of workloads: a source that leaked is seen and never answered.
    """

    namespace: str
    links: tuple[Link, ...]
    on_link: tuple[OnLink, ...]
    unreachable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabPlan:
    """Everything there is to build.

    Attributes:
        name: The lab's name.
        hub: Namespace that holds the bridges.
        bridges: Their names.
        outside: The rest of the world.
        nodes: By name.
        workloads: By key.
        pod_ranges: What the CNI-like masquerade takes for pods.
        inside_ranges: Destinations that it leaves alone.
        notes: What of the cluster is not built, or not as it is, for the user to read.
    """

    name: str
    hub: str
    bridges: tuple[str, ...]
    outside: OutsidePlan
    nodes: tuple[NodePlan, ...]
    workloads: tuple[WorkloadPlan, ...]
    pod_ranges: tuple[str, ...]
    inside_ranges: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Every network namespace of the lab."""
        return (
            self.hub,
            self.outside.namespace,
            *(node.namespace for node in self.nodes),
            *(workload.namespace for workload in self.workloads),
        )

    def node(self, name: str) -> NodePlan:
        """Returns a node.

        Raises:
            LabError: There is none of that name.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(f"no node {name!r} in the lab; nodes: {_some(node.name for node in self.nodes)}")

    def workload(self, key: str) -> WorkloadPlan:
        """Returns a workload.

        Raises:
            LabError: There is none of that key.
        """
        for workload in self.workloads:
            if workload.key == key:
                return workload
        known = _some(workload.key for workload in self.workloads)
        raise LabError(f"no workload {key!r} in the lab; workloads: {known}")

    def namespace_of(self, who: str) -> str:
        """Returns the namespace of `outside`, a workload's `NAMESPACE/NAME` or a node's name.

        Raises:
            LabError: There is nothing of that name.
        """
        if who == OUTSIDE:
            return self.outside.namespace
        return self.workload(who).namespace if "/" in who else self.node(who).namespace


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - _SHOWN
    return ", ".join(listed[:_SHOWN]) + (f" and {more} more" if more > 0 else "") or "none"
