"""Claims: what each node has to do, worked out from the account that a bundle gives of itself.

In: the account's values. Out: `Claims`, which answers for one node at a time. Follows semantics.md by the plainest way
there is; takes nothing from the stages that are to be verified.
"""

from collections.abc import Iterable, Iterator, Mapping
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
    PolicyReport,
    WorkloadReport,
    Workloads,
)
from bundle.ruleset import format_range
from compiler.model import Address, Family, Mode, Network
from compiler.naming import chain_name
from compiler.ranges import collapse
from compiler.verify.failure import Example

RETURN: Final = "return"
NO_GATEWAY: Final = "goto drop_no_gateway"
NO_SOURCE: Final = "goto drop_no_source"
NO_NEXT_HOP: Final = "goto drop_no_next_hop"
STRAY: Final = "goto drop_stray"

Key = tuple[str, ...]
"""Names of the policies that select a workload, in order of precedence."""

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
        self.gateways = {item.name: item for item in gateways.gateways}
        self.policies = {item.name: item for item in policies.policies}
        self.mask = int(cluster.mark_mask, 16)
        self.classes: dict[Key, list[WorkloadReport]] = {}
        self._local: dict[str, dict[Key, list[WorkloadReport]]] = {}
        for workload in workloads.workloads:
            if workload.policies:
                self.classes.setdefault(workload.policies, []).append(workload)
                self._local.setdefault(workload.node, {}).setdefault(workload.policies, []).append(workload)
        self._served: dict[str, dict[str, Served]] = {}
        for gateway in gateways.gateways:
            for node, source in gateway.sources.items():
                master = gateway.active_node_name == node
                self._served.setdefault(node, {})[gateway.name] = Served(gateway, source, master)
        self.never_redirected = {
            family: tuple(n for n in map(ip_network, cluster.never_redirected) if n.version == family)
            for family in Family
        }
        self._decisions: dict[tuple[Key, Family], tuple[tuple[int, int, str | None], ...]] = {}
        self._spans: dict[tuple[Key, Family, tuple[str, ...]], tuple[Span, ...]] = {}
        self._texts: dict[tuple[Span, ...], dict[str, str]] = {}

    def node(self, name: str) -> ClusterNode:
        """Returns what is known of a node."""
        return self.cluster.nodes[name]

    def local(self, node: str) -> Mapping[Key, list[WorkloadReport]]:
        """Returns the selected workloads on a node, by class."""
        return self._local.get(node, {})

    def served(self, node: str) -> Mapping[str, Served]:
        """Returns the gateways that a node is suitable for."""
        return self._served.get(node, {})

    def remote(self, node: str) -> dict[Key, list[WorkloadReport]]:
        """Returns the workloads of other nodes whose policies name a gateway that this node may have to serve."""
        served = self.served(node)
        concerned = {
            key: [workload for workload in members if workload.node != node]
            for key, members in self.classes.items()
            if served and any(self.policies[name].gateway in served for name in key)
        }
        return {key: members for key, members in concerned.items() if members}

    def next_hop_nodes(self, node: str) -> list[str]:
        """Returns the masters that packets of a node's workloads may be sent to."""
        gateways = {self.policies[name].gateway for key in self.local(node) for name in key}
        masters = {self.gateways[name].active_node_name for name in gateways}
        return sorted(master for master in masters if master is not None and master != node)

    def next_hop(self, node: str, master: str, family: Family) -> str | None:
        """Returns the InternalIP of a master to which a node can hand a packet on their link, None if there is none."""
        here, there = self.link(node, family), self.link(master, family)
        if here is None or there is None:
            return None
        if here.subnet is not None and ip_address(there.address) not in ip_network(here.subnet):
            return None
        return there.address

    def link(self, node: str, family: Family) -> NodeLink | None:
        """Returns a node's link to other nodes."""
        return self.node(node).ipv4 if family is Family.IPV4 else self.node(node).ipv6

    def interfaces(self, node: str) -> dict[Family, str]:
        """Returns the interfaces with a node's InternalIPs, as far as they are known."""
        links = {family: self.link(node, family) for family in Family}
        return {family: link.interface for family, link in links.items() if link and link.interface is not None}

    def decisions(self, key: Key, family: Family) -> tuple[tuple[int, int, str | None], ...]:
        """Returns which gateway takes which destinations of a class, None where packets go their ordinary way.

        The longest prefix that holds a destination decides; of equal ones that of the policy of higher precedence, and
        inside of a policy the exclusion (semantics.md §5).
        """
        if (key, family) not in self._decisions:
            table: dict[tuple[int, int], str | None] = {}
            for name in key:
                for network, gateway in _entries(self.policies[name]):
                    if network.version == family:
                        table.setdefault((network.prefixlen, int(network.network_address)), gateway)
            self._decisions[key, family] = tuple(_decide(table, family))
        return self._decisions[key, family]

    def spans(self, node: str, key: Key, family: Family, *, local: bool) -> tuple[Span, ...]:
        """Returns the verdicts of a node on the destinations of a class, neighbours of one verdict joined."""
        decisions = self.decisions(key, family)
        verdicts = tuple(self._verdict(node, gateway, family, local=local) for _, _, gateway in decisions)
        found = self._spans.get((key, family, verdicts))
        if found is None:
            joined: list[Span] = []
            for (low, high, _), verdict in zip(decisions, verdicts, strict=True):
                if joined and joined[-1][2] == verdict:
                    joined[-1] = (joined[-1][0], high, verdict)
                else:
                    joined.append((low, high, verdict))
            found = self._spans[key, family, verdicts] = tuple(joined)
        return found

    def texts(self, spans: tuple[Span, ...], family: Family) -> dict[str, str]:
        """Returns spans as nft prints them: range to verdict."""
        if spans not in self._texts:
            make = type(family.everything.network_address)
            self._texts[spans] = {format_range(make(low), make(high)): verdict for low, high, verdict in spans}
        return self._texts[spans]

    def _verdict(self, node: str, gateway: str | None, family: Family, *, local: bool) -> str:
        if gateway is None:
            # Another node's packet has no business to leave by this one unless a gateway of ours takes it.
            return RETURN if local else STRAY
        master = self.gateways[gateway].active_node_name
        if local and master is None:
            return NO_GATEWAY
        if local and master is not None and master != node:
            there = self.served(master)[gateway]
            if not there.has_source(family):
                return NO_SOURCE
            reached = self.next_hop(node, master, family) is not None
            return f"goto {chain_name('to', master)}" if reached else NO_NEXT_HOP
        here = self.served(node).get(gateway)
        if here is None:
            return STRAY
        return f"goto {chain_name('gateway', gateway)}" if here.has_source(family) else NO_SOURCE

    def count(self) -> int:
        """Returns how many classes of (workload, destination) there are on all nodes."""
        total = 0
        for node in self.cluster.nodes:
            for local, classes in ((True, self.local(node)), (False, self.remote(node))):
                for key, members in classes.items():
                    families = {Family(ip_address(a).version) for workload in members for a in workload.addresses}
                    total += sum(len(self.spans(node, key, family, local=local)) for family in families)
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
        return _texts((*map(ip_network, cidrs), *(_network(v, a) for v, a, owner in self.selected if owner != node)))

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
        for key, members in (self.local(node) if local else self.remote(node)).items():
            for workload in members:
                for address in map(ip_address, workload.addresses):
                    for low, high, found in self.spans(node, key, Family(address.version), local=local):
                        if found == verdict:
                            return self.show(workload, address, low, high)
        return None

    def show(self, workload: WorkloadReport, source: Address, low: int, high: int) -> Example:
        """Returns a packet of a workload to a destination from low to high, outside of the cluster if there is one."""
        family = Family(source.version)
        make = type(family.everything.network_address)
        candidates = [low, *(int(n.broadcast_address) + 1 for n in self.never_redirected[family])]
        outside = (make(n) for n in candidates if low <= n <= high and not self.is_cluster(make(n)))
        destination = next(outside, make(low))
        name = f"{workload.namespace}/{workload.name}"
        return Example(name, workload.node, source, destination, self._fate(workload, destination))

    def _fate(self, workload: WorkloadReport, destination: Address) -> str:
        if self.is_cluster(destination):
            return "go its ordinary way: the destination is inside the cluster"
        family = Family(destination.version)
        spans = self.decisions(workload.policies, family)
        gateway = next(found for low, high, found in spans if low <= int(destination) <= high)
        if gateway is None:
            return "go its ordinary way"
        verdict = self._verdict(workload.node, gateway, family, local=True)
        report = self.gateways[gateway]
        if verdict in (NO_GATEWAY, NO_SOURCE, NO_NEXT_HOP) or report.active_node_name is None:
            return f"be dropped ({verdict.removeprefix('goto ')})"
        source = report.sources[report.active_node_name]
        address = source.ipv4 if family is Family.IPV4 else source.ipv6
        shown = address or f"the address of {source.interface}"
        return f"leave by gateway {gateway}, node {report.active_node_name}, with source {shown}"


def _entries(policy: PolicyReport) -> Iterator[tuple[Network, str | None]]:
    yield from ((ip_network(text), None) for text in policy.excluded_cidrs)
    yield from ((ip_network(text), policy.gateway) for text in policy.destination_cidrs)


def _decide(table: Mapping[tuple[int, int], str | None], family: Family) -> Iterable[tuple[int, int, str | None]]:
    lengths = sorted({length for length, _ in table}, reverse=True)
    edges = {0}
    for length, number in table:
        edges.update((number, number + (1 << family.bits - length)))
    starts = sorted(edges - {1 << family.bits})
    ends = [*(start - 1 for start in starts[1:]), (1 << family.bits) - 1]
    for low, high in zip(starts, ends, strict=True):
        # Between two edges all destinations lie in the same prefixes.
        prefixes = ((length, low >> family.bits - length << family.bits - length) for length in lengths)
        yield low, high, next((table[prefix] for prefix in prefixes if prefix in table), None)


def _texts(networks: Iterable[Network]) -> Ranges:
    found: dict[Family, set[str]] = {family: set() for family in Family}
    for network in collapse(networks):
        found[Family(network.version)].add(format_range(network.network_address, network.broadcast_address))
    return {family: frozenset(texts) for family, texts in found.items()}


def _network(version: int, number: int) -> Network:
    make = type(Family(version).everything.network_address)
    return ip_network(make(number))
