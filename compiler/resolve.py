"""Resolve: which policies select a workload, what they decide, and which nodes are suitable for a gateway.

In: a cluster. Out: classes of workloads with their decisions, and the suitability of every node with the reasons. What
is odd about them says `review`. Does not choose masters and knows nothing of rules.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from compiler.intervals import longest_prefix_intervals
from compiler.model import Address, Cluster, Family, Network, Node, Policy, Selector, Workload
from compiler.selectors import admits, workload_labels
from compiler.snapshot import collapse
from compiler.suitability import Suitability, is_global, judge

# Loopback, link-local, multicast, broadcast (semantics.md §6).
_NEVER_REDIRECTED: Final = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::1/128",
        "fe80::/10",
        "ff00::/8",
    )
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One CIDR of a policy: a destination of its gateway, or excluded."""

    policy: Policy
    prefix: Network
    excluded: bool

    @property
    def gateway(self) -> str | None:
        """The gateway that takes the packet, None when it goes its ordinary way."""
        return None if self.excluded else self.policy.gateway


@dataclass(frozen=True, slots=True)
class Decision:
    """Destinations `low` to `high` and the entry that decides them, None where no entry does."""

    low: int
    high: int
    entry: Entry | None

    @property
    def gateway(self) -> str | None:
        """The gateway that takes the packet, None when it goes its ordinary way."""
        return self.entry.gateway if self.entry else None


@dataclass(frozen=True, slots=True)
class WorkloadClass:
    """Workloads selected by the same policies, the routing table of those, and what it decides for each family."""

    policies: tuple[Policy, ...]
    table: Mapping[Network, Entry]
    decisions: Mapping[Family, tuple[Decision, ...]]
    workloads: tuple[Workload, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """What makes the class itself: the names of its policies in order of precedence."""
        return tuple(policy.name for policy in self.policies)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The result of the stage.

    Attributes:
        classes: Sorted by key; workloads that no policy selects are in none.
        suitability: Gateway name to node name to verdict.
        redirected_never: Destinations that no policy decides about (semantics.md §6), sorted and apart from each other.
        unused: Entries of `spec.selectors` that select no workload, in order of policy and list.
    """

    classes: tuple[WorkloadClass, ...]
    suitability: Mapping[str, Mapping[str, Suitability]]
    redirected_never: tuple[Network, ...]
    unused: tuple[Selector, ...]


def resolve(cluster: Cluster) -> Resolved:
    """Resolves selectors and suitability."""
    selected, unused = _select(cluster)
    classes = tuple(
        _class(policies, workloads)
        for policies, workloads in sorted(selected.items(), key=lambda item: _names(item[0]))
    )
    suitability = {gateway.name: judge(gateway, cluster) for gateway in cluster.gateways.values()}
    return Resolved(classes, suitability, _redirected_never(cluster), unused)


def _redirected_never(cluster: Cluster) -> tuple[Network, ...]:
    # While a virtual IP is bound, a snapshot shows it on a node; the plan must not depend on that.
    virtual_ips = {gateway.virtual_ip for gateway in cluster.gateways.values()}
    node_addresses = {
        ip_network(address)
        for node in cluster.nodes.values()
        for address in (*node.addresses, *_interface_addresses(node))
        if address not in virtual_ips and is_global(address)
    }
    return collapse((*_NEVER_REDIRECTED, *cluster.cluster_ranges, *node_addresses))


def _interface_addresses(node: Node) -> Iterable[Address]:
    interfaces = node.network.interfaces if node.network else ()
    return (entry.address for interface in interfaces for entry in interface.addresses)


def _names(policies: Iterable[Policy]) -> tuple[str, ...]:
    return tuple(policy.name for policy in policies)


def _select(cluster: Cluster) -> tuple[dict[tuple[Policy, ...], list[Workload]], tuple[Selector, ...]]:
    """Groups workloads by the policies that select them; equal label sets are matched once.

    Returns:
        The groups, and the selector entries that select no workload, in order of policy and list.
    """
    known: dict[object, tuple[Policy, ...]] = {}
    result: dict[tuple[str, ...], tuple[tuple[Policy, ...], list[Workload]]] = {}
    used: set[Selector] = set()
    for workload in cluster.workloads:
        signature = _signature(workload)
        if signature not in known:
            namespace_labels = cluster.namespaces.get(workload.namespace, {})
            labels = workload_labels(workload, namespace_labels)
            policies = []
            for policy in cluster.policies:
                first = next((entry for entry in policy.selectors if admits(entry, labels, namespace_labels)), None)
                if first is not None:
                    used.add(first)
                    policies.append(policy)
            known[signature] = tuple(policies)
        if found := known[signature]:
            result.setdefault(_names(found), (found, []))[1].append(workload)
    # A later entry of a list was not asked about what an earlier one selects.
    unused = (
        entry
        for policy in cluster.policies
        for index, entry in enumerate(policy.selectors)
        if entry not in used and (index == 0 or not _selects_any(entry, cluster))
    )
    return dict(result.values()), tuple(unused)


def _signature(workload: Workload) -> tuple[object, ...]:
    """What selectors see of a workload."""
    return (workload.namespace, workload.service_account, frozenset(workload.labels.items()))


def _selects_any(entry: Selector, cluster: Cluster) -> bool:
    for workload in cluster.workloads:
        namespace_labels = cluster.namespaces.get(workload.namespace, {})
        if admits(entry, workload_labels(workload, namespace_labels), namespace_labels):
            return True
    return False


def _class(policies: tuple[Policy, ...], workloads: Iterable[Workload]) -> WorkloadClass:
    table = _table(policies)
    return WorkloadClass(policies, table, _decisions(table), tuple(workloads))


def _table(policies: Iterable[Policy]) -> dict[Network, Entry]:
    """One routing table of all entries; between equal prefixes precedence decides, inside a policy the exclusion."""
    table: dict[Network, Entry] = {}
    for policy in policies:
        for prefix in policy.excluded:
            table.setdefault(prefix, Entry(policy, prefix, excluded=True))
        for prefix in policy.destinations:
            table.setdefault(prefix, Entry(policy, prefix, excluded=False))
    return table


def _decisions(table: Mapping[Network, Entry]) -> dict[Family, tuple[Decision, ...]]:
    result = {}
    for family in Family:
        prefixes = [prefix for prefix in table if prefix.version == family]
        intervals = longest_prefix_intervals(prefixes, family)
        result[family] = tuple(
            Decision(item.low, item.high, table[item.prefix] if item.prefix else None) for item in intervals
        )
    return result
