"""Claims: what each node has to do, worked out from the account that a bundle gives of itself.

In: the account's values. Out: `Claims`, which answers for one node at a time. Follows semantics.md by the plainest way
there is; takes nothing from the stages that are to be verified.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Final

from bundle.model import (
    Cluster,
    ClusterNode,
    GatewayReport,
    Gateways,
    NodeLink,
    NodeSource,
    Policies,
    WorkloadReport,
    Workloads,
)
from bundle.ruleset import format_range
from compiler.model import Address, Family, Mode, Network
from compiler.naming import chain_name, class_ids
from compiler.ranges import collapse, without
from compiler.verify.decisions import Class, Decider, Decisions, classes_of
from compiler.verify.failure import Example

RETURN: Final = "return"
NO_GATEWAY: Final = "goto drop_no_gateway"
NO_SOURCE: Final = "goto drop_no_source"
NO_NEXT_HOP: Final = "goto drop_no_next_hop"
STRAY: Final = "goto drop_stray"
CONTESTED: Final = "goto drop_contested"

_DROPS: Final = (NO_GATEWAY, NO_SOURCE, NO_NEXT_HOP, STRAY, CONTESTED)

Ranges = Mapping[Family, frozenset[str]]
"""Addresses of each family as nft prints them."""

Span = tuple[int, int, str]
"""Destinations from low to high as numbers, and the verdict on them in nft's words."""


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway on a node that is suitable for it."""

    report: GatewayReport
    source: NodeSource
    master: bool

    @property
    def armed(self) -> bool:
        """Whether the node translates now: a standby only to an address that is the gateway's wherever it is."""
        return self.master or self.report.mode == Mode.VIRTUAL.value

    @property
    def addresses(self) -> dict[Family, str]:
        """The source addresses that are known."""
        found = {Family.IPV4: self.source.ipv4, Family.IPV6: self.source.ipv6}
        return {family: address for family, address in found.items() if address is not None}

    def has_source(self, family: Family) -> bool:
        """Whether packets of a family can get a source address."""
        return self.source.masquerade or family in self.addresses


class Claims:
    """The account of a bundle, indexed."""

    def __init__(self, gateways: Gateways, policies: Policies, workloads: Workloads, cluster: Cluster) -> None:
        self.cluster = cluster
        self.mask = int(cluster.mark_mask, 16)
        self.classes = classes_of(workloads)
        self._decider = Decider(policies)
        self._local: dict[str, dict[Class, list[WorkloadReport]]] = {}
        for item, members in self.classes.items():
            for workload in members:
                self._local.setdefault(workload.node, {}).setdefault(item, []).append(workload)
        self._own: dict[str, list[Address]] = {}
        for workload in workloads.workloads:
            self._own.setdefault(workload.node, []).extend(map(ip_address, workload.addresses))
        self._take(gateways)
        self.never_redirected = {
            family: tuple(n for n in map(ip_network, cluster.never_redirected) if n.version == family)
            for family in Family
        }
        scopes = ("local", "remote")
        self._numbers = class_ids((scope, *_key(item)) for item in self.classes for scope in scopes)
        self._spans: dict[tuple[Class, Family, tuple[str, ...]], tuple[Span, ...]] = {}
        self._texts: dict[tuple[Span, ...], dict[str, str]] = {}

    def _take(self, gateways: Gateways) -> None:
        self._link_addresses = {item.name: item.link_addresses for item in gateways.gateways}
        self._masters = {item.name: item.active_node_name for item in gateways.gateways}
        self._suitable: dict[str, dict[str, Served]] = {}
        for gateway in gateways.gateways:
            for node, source in gateway.sources.items():
                master = gateway.active_node_name == node
                self._suitable.setdefault(node, {})[gateway.name] = Served(gateway, source, master)

    def under(self, gateways: Gateways) -> "Claims":
        """Returns the claims on the same workloads and policies with gateways of the same names served otherwise."""
        other = object.__new__(Claims)
        other.__dict__.update(self.__dict__)
        other._take(gateways)
        return other

    def master(self, gateway: str) -> str | None:
        """Returns the master of a gateway, None if it has none."""
        return self._masters.get(gateway)

    def node(self, name: str) -> ClusterNode:
        """Returns what is known of a node."""
        return self.cluster.nodes[name]

    def local(self, node: str) -> Mapping[Class, list[WorkloadReport]]:
        """Returns the workloads on a node that any policy decides for, by class."""
        return self._local.get(node, {})

    def number(self, item: Class, *, local: bool) -> int:
        """Returns the number of a class in the maps of its own node, or of others."""
        return self._numbers["local" if local else "remote", *_key(item)]

    def served(self, node: str) -> Mapping[str, Served]:
        """Returns the gateways that a node may have to serve."""
        return {} if self._has_too_few_marks(node) else self._suitable.get(node, {})

    def remote(self, node: str) -> dict[Class, list[WorkloadReport]]:
        """Returns the workloads of other nodes whose policies name a gateway that this node may have to serve."""
        served = self.served(node)
        concerned = {
            item: [workload for workload in members if workload.node != node]
            for item, members in self.classes.items()
            if served and not served.keys().isdisjoint(self.gateways(item))
        }
        return {item: members for item, members in concerned.items() if members}

    def next_hop_nodes(self, node: str) -> list[str]:
        """Returns the masters that packets of a node's workloads may be sent to."""
        return [] if self._has_too_few_marks(node) else self._masters_elsewhere(node)

    def _masters_elsewhere(self, node: str) -> list[str]:
        gateways = {name for item in self.local(node) for name in self.gateways(item)}
        masters = {self._masters.get(name) for name in gateways}
        return sorted(master for master in masters if master is not None and master != node)

    def _has_too_few_marks(self, node: str) -> bool:
        """Whether a node marks nothing, and drops instead, since the mask has too few numbers (EG406)."""
        needed = len(self._masters_elsewhere(node)) + len(self._suitable.get(node, {}))
        return needed > self.mask >> (self.mask & -self.mask).bit_length() - 1

    def next_hop(self, node: str, master: str, family: Family) -> str | None:
        """Returns the InternalIP of a master to which a node can hand a packet on their link, None if there is none."""
        here, there = self.link(node, family), self.link(master, family)
        if here is None or there is None:
            return None
        if here.subnet is not None and ip_address(there.address) not in ip_network(here.subnet):
            return None
        return there.address

    def peers(self, gateway: str, node: str) -> tuple[str, ...]:
        """Returns the addresses under which the other member nodes of a gateway are known, in order."""
        others = (texts for name, texts in self._link_addresses[gateway].items() if name != node)
        return tuple(map(str, sorted({ip_address(text) for texts in others for text in texts}, key=int)))

    def link(self, node: str, family: Family) -> NodeLink | None:
        """Returns a node's link to other nodes."""
        return self.node(node).ipv4 if family is Family.IPV4 else self.node(node).ipv6

    def interfaces(self, node: str) -> dict[Family, str]:
        """Returns the interfaces with a node's InternalIPs, as far as they are known."""
        links = {family: self.link(node, family) for family in Family}
        return {family: link.interface for family, link in links.items() if link and link.interface is not None}

    def decisions(self, item: Class, family: Family) -> Decisions:
        """Returns which gateway takes which destinations of a class."""
        return self._decider.decide(item, family)

    def gateways(self, item: Class) -> set[str]:
        """Returns the gateways that the policies of a class name."""
        return self._decider.gateways(item)

    def spans(self, node: str, item: Class, family: Family, *, local: bool) -> tuple[Span, ...]:
        """Returns the verdicts of a node on the destinations of a class, neighbours of one verdict joined."""
        decisions = self.decisions(item, family)
        verdicts = tuple(self.verdict(node, item, gateway, family, local=local) for _, _, gateway in decisions)
        found = self._spans.get((item, family, verdicts))
        if found is None:
            joined: list[Span] = []
            for (low, high, _), verdict in zip(decisions, verdicts, strict=True):
                if joined and joined[-1][2] == verdict:
                    joined[-1] = (joined[-1][0], high, verdict)
                else:
                    joined.append((low, high, verdict))
            found = self._spans[item, family, verdicts] = tuple(joined)
        return found

    def texts(self, spans: tuple[Span, ...], family: Family) -> dict[str, str]:
        """Returns spans as nft prints them: range to verdict."""
        if spans not in self._texts:
            make = type(family.everything.network_address)
            self._texts[spans] = {format_range(make(low), make(high)): verdict for low, high, verdict in spans}
        return self._texts[spans]

    def verdict(self, node: str, item: Class, gateway: str | None, family: Family, *, local: bool) -> str:
        """Returns what a node does with a packet of a class that a gateway takes, in nft's words.

        Args:
            node: Where the packet is.
            item: Its class.
            gateway: None where it goes its ordinary way.
            family: Address family.
            local: Whether the node is the workload's own.
        """
        if gateway is None:
            # Another node's packet has no business to leave by this one unless a gateway of ours takes it.
            return RETURN if local else STRAY
        if item.contest:
            return CONTESTED
        if not local or (self._masters.get(gateway) == node and gateway in self.served(node)):
            here = self.served(node).get(gateway)
            if here is None:
                return STRAY
            return f"goto {chain_name('gateway', gateway)}" if here.has_source(family) else NO_SOURCE
        return self._verdict_away(node, self._masters.get(gateway), gateway, family)

    def _verdict_away(self, node: str, master: str | None, gateway: str, family: Family) -> str:
        if master is None:
            return NO_GATEWAY
        if not self._suitable[master][gateway].has_source(family):
            return NO_SOURCE
        reached = master in self.next_hop_nodes(node) and self.next_hop(node, master, family) is not None
        return f"goto {chain_name('to', master)}" if reached else NO_NEXT_HOP

    def count(self) -> int:
        """Returns how many classes of (workload, destination) there are on all nodes."""
        total = 0
        for node in self.cluster.nodes:
            for local, classes in ((True, self.local(node)), (False, self.remote(node))):
                for item, members in classes.items():
                    families = {Family(ip_address(a).version) for workload in members for a in workload.addresses}
                    total += sum(len(self.spans(node, item, family, local=local)) for family in families)
        return total

    def is_cluster(self, address: Address) -> bool:
        """Whether a destination is never redirected."""
        return any(address in network for network in self.never_redirected[Family(address.version)])

    @cached_property
    def selected(self) -> tuple[tuple[int, int, str], ...]:
        """Every address of a selected workload as (family, number, node), sorted."""
        return tuple(
            sorted(
                (address.version, int(address), workload.node)
                for members in self.classes.values()
                for workload in members
                for address in map(ip_address, workload.addresses)
            )
        )

    def strays(self, node: str) -> Ranges:
        """Returns the addresses that a node must not let out untranslated when they come from another node."""
        if self.interfaces(node):
            return self._all_strays
        # It cannot tell other nodes' packets by their interface, so its own workloads are left out.
        cidrs = (n for name, other in self.cluster.nodes.items() if name != node for n in other.pod_cidrs)
        others = (_network(version, number) for version, number, owner in self.selected if owner != node)
        return _texts(without(collapse((*map(ip_network, cidrs), *others)), self._own.get(node, ())))

    @cached_property
    def _all_strays(self) -> Ranges:
        ranges = map(ip_network, self.cluster.workload_ranges)
        return _texts((*ranges, *(_network(version, number) for version, number, _ in self.selected)))

    @cached_property
    def never_redirected_texts(self) -> Ranges:
        """Destinations that are never redirected, as nft prints them."""
        return _texts(network for networks in self.never_redirected.values() for network in networks)

    def reply_networks(self, node: str) -> tuple[Network, ...]:
        """Returns the ranges of a node's workloads for which it must answer reverse path filtering.

        Only where packets are sent to other nodes, and the node has no way of its own to those who reply.
        """
        if not self.next_hop_nodes(node) or Family.IPV4 not in self.interfaces(node) or self.node(node).default_route:
            return ()
        ranges = [n for n in map(ip_network, self.cluster.workload_ranges) if isinstance(n, IPv4Network)]
        found: set[Network] = set()
        for members in self.local(node).values():
            for workload in members:
                for address in map(ip_address, workload.addresses):
                    if isinstance(address, IPv4Address) and not any(address in network for network in found):
                        found.add(next((network for network in ranges if address in network), ip_network(address)))
        return collapse(found)

    def example(self, node: str, verdict: str, *, local: bool = True) -> Example | None:
        """Returns a packet on which the verdict of a node is this one, outside of the cluster if there is one."""
        for item, members in (self.local(node) if local else self.remote(node)).items():
            for workload in members:
                for address in map(ip_address, workload.addresses):
                    for low, high, found in self.spans(node, item, Family(address.version), local=local):
                        if found == verdict:
                            return self.show(item, workload, address, low, high)
        return None

    def show(self, item: Class, workload: WorkloadReport, source: Address, low: int, high: int) -> Example:
        """Returns a packet of a workload to a destination from low to high, outside of the cluster if there is one."""
        family = Family(source.version)
        make = type(family.everything.network_address)
        candidates = [low, *(int(n.broadcast_address) + 1 for n in self.never_redirected[family])]
        outside = (make(n) for n in candidates if low <= n <= high and not self.is_cluster(make(n)))
        destination = next(outside, make(low))
        name = f"{workload.namespace}/{workload.name}"
        return Example(name, workload.node, source, destination, self._fate(item, workload.node, destination))

    def _fate(self, item: Class, node: str, destination: Address) -> str:
        if self.is_cluster(destination):
            return "go its ordinary way: the destination is inside the cluster"
        if node not in self.cluster.nodes:
            return "be decided by nobody: its node has no part in the bundle"
        family = Family(destination.version)
        decisions = self.decisions(item, family)
        gateway = next(found for low, high, found in decisions if low <= int(destination) <= high)
        if gateway is None:
            return "go its ordinary way"
        verdict = self.verdict(node, item, gateway, family, local=True)
        master = self._masters.get(gateway)
        if verdict in _DROPS or master is None or gateway not in self.served(master):
            return "be dropped" + (f" ({verdict.removeprefix('goto ')})" if verdict in _DROPS else "")
        served = self.served(master)[gateway]
        source = served.addresses.get(family) or f"the address of {served.source.interface}"
        return f"leave by gateway {gateway}, node {master}, with source {source}"


def _key(item: Class) -> tuple[str, ...]:
    return (*item.policies, *item.rivals)


def _texts(networks: Iterable[Network]) -> Ranges:
    found: dict[Family, set[str]] = {family: set() for family in Family}
    for network in collapse(networks):
        found[Family(network.version)].add(format_range(network.network_address, network.broadcast_address))
    return {family: frozenset(texts) for family, texts in found.items()}


def _network(version: int, number: int) -> Network:
    make = type(Family(version).everything.network_address)
    return ip_network(make(number))
