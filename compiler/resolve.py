"""Resolve: which policies select a workload, what they decide, and which nodes are suitable for a gateway.

In: a cluster. Out: classes of workloads with their decisions, and the suitability of each gateway's member nodes with
the reasons. What is odd about them says `review`. Does not choose masters and knows nothing of rules.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compiler.intervals import longest_prefix_intervals
from compiler.model import Cluster, Family, Network, Policy, Selector, Workload
from compiler.ranges import never_redirected
from compiler.selectors import admits, workload_labels
from compiler.suitability import Suitability, judge


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
    """Workloads selected by the same policies, the routing table of those, and what it decides for each family.

    Attributes:
        policies: In order of precedence.
        table: Of all their entries.
        decisions: Without gap from the lowest address to the highest.
        workloads: Sorted as in the cluster.
        contested: Names of workloads that have an address of each other, empty as a rule. Nobody knows whose packets
            come from it, so what is decided for any of them is dropped, and the decisions are those of all of them.
    """

    policies: tuple[Policy, ...]
    table: Mapping[Network, Entry]
    decisions: Mapping[Family, tuple[Decision, ...]]
    workloads: tuple[Workload, ...]
    contested: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """What makes the class itself: the names of its policies in order of precedence, and who is in the contest."""
        return (*self.names, *self.contested)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its policies in order of precedence."""
        return _names(self.policies)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The result of the stage.

    Attributes:
        classes: Sorted by key; workloads that no policy selects are in none.
        suitability: Gateway name to name of a member node, in order, to verdict.
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
    contested = {id(workload) for group in cluster.contested for workload in group}
    classes = [
        _class(policies, clear)
        for policies, workloads in selected.items()
        if (clear := [workload for workload in workloads if id(workload) not in contested])
    ]
    of_workload = {id(workload): policies for policies, workloads in selected.items() for workload in workloads}
    for group in cluster.contested:
        classes.extend(_contest([(workload, of_workload.get(id(workload), ())) for workload in group]))
    classes.sort(key=lambda item: item.key)
    return Resolved(tuple(classes), judge(cluster), never_redirected(cluster), unused)


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


def _contest(group: list[tuple[Workload, tuple[Policy, ...]]]) -> list[WorkloadClass]:
    """Makes the classes of workloads that have an address of each other: what is decided for one is so for all."""
    contested = tuple(sorted(f"{workload.kind} {workload.key}" for workload, _ in group))
    by_policies: dict[tuple[Policy, ...], list[Workload]] = {}
    for workload, policies in group:
        by_policies.setdefault(policies, []).append(workload)
    if set(by_policies) == {()}:
        return []  # no policy selects any of them
    tables = [_decisions(_table(policies)) for policies in by_policies]
    decisions = {family: _any_gateway([table[family] for table in tables], family) for family in Family}
    return [
        WorkloadClass(policies, _table(policies), decisions, tuple(workloads), contested)
        for policies, workloads in by_policies.items()
    ]


def _any_gateway(tables: list[tuple[Decision, ...]], family: Family) -> tuple[Decision, ...]:
    """Lays decisions over each other: in each interval one that names a gateway, if there is any."""
    lows = sorted({item.low for table in tables for item in table})
    highs = [*(low - 1 for low in lows[1:]), (1 << family.bits) - 1]
    result = []
    for low, high in zip(lows, highs, strict=True):
        found = [table[bisect_right(table, low, key=lambda item: item.low) - 1] for table in tables]
        chosen = next((item for item in found if item.gateway is not None), found[0])
        result.append(Decision(low, high, chosen.entry))
    return tuple(result)
