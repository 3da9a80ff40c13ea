"""Resolve: which policies select a workload, what they decide, and which nodes are suitable for a gateway.

In: a cluster. Out: classes of workloads with their decisions, and the suitability of every node with the reasons. What
is odd about them says `review`. Does not choose masters and knows nothing of rules.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from compiler.diagnostics import Place
from compiler.intervals import longest_prefix_intervals
from compiler.matching import Matching
from compiler.model import Cluster, Family, Network, Policy, Selector, Workload
from compiler.ranges import never_redirected
from compiler.suitability import Suitability, judge

Prefix = tuple[int, int, int]
"""A prefix as numbers: IP version, lowest and highest address."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One CIDR of a policy: a destination of its gateway, or excluded; there is one object of it.

    Attributes:
        policy: The policy.
        prefix: The CIDR.
        numbers: The same as numbers.
        excluded: Whether what goes there is left alone.
        place: Where it is written.
    """

    policy: Policy
    prefix: Network
    numbers: Prefix
    excluded: bool
    place: Place

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
        entries: Of those policies, in that order, the exclusions of each first.
        table: Which entry decides for a prefix.
        decisions: Without gap from the lowest address to the highest.
        workloads: Sorted as in the cluster.
        contested: Names of workloads that have an address of each other, empty as a rule. Nobody knows whose packets
            come from it, so what is decided for any of them is dropped, and the decisions are those of all of them.
    """

    policies: tuple[Policy, ...]
    entries: tuple[Entry, ...]
    table: Mapping[Prefix, Entry]
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
    matching = Matching(cluster.policies, cluster.namespaces, cluster.workloads)
    selected: dict[tuple[str, ...], tuple[tuple[Policy, ...], list[Workload]]] = {}
    contested = {id(workload) for group in cluster.contested for workload in group}
    for workload in cluster.workloads:
        policies = matching.policies_of(workload)
        if policies and id(workload) not in contested:
            selected.setdefault(_names(policies), (policies, []))[1].append(workload)
    tables = Tables()
    classes = [tables.make_class(policies, workloads) for policies, workloads in selected.values()]
    for group in cluster.contested:
        classes.extend(_contest([(workload, matching.policies_of(workload)) for workload in group], tables))
    classes.sort(key=lambda item: item.key)
    unused = (entry for policy in cluster.policies for entry in policy.selectors if entry not in matching.used)
    suitability = {gateway.name: judge(gateway, cluster) for gateway in cluster.gateways.values()}
    return Resolved(tuple(classes), suitability, never_redirected(cluster), tuple(unused))


def _names(policies: Iterable[Policy]) -> tuple[str, ...]:
    return tuple(policy.name for policy in policies)


class Tables:
    """Routing tables of policies, whose entries are made once."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Entry, ...]] = {}

    def make_class(self, policies: tuple[Policy, ...], workloads: Iterable[Workload]) -> WorkloadClass:
        """Makes the class of workloads that these policies select."""
        entries, table = self.table(policies)
        return WorkloadClass(policies, entries, table, decide(table), tuple(workloads))

    def table(self, policies: Iterable[Policy]) -> tuple[tuple[Entry, ...], dict[Prefix, Entry]]:
        """Returns all entries, and those that decide.

        Between equal prefixes precedence decides, inside a policy the exclusion.
        """
        entries = tuple(entry for policy in policies for entry in self._of(policy))
        table: dict[Prefix, Entry] = {}
        for entry in entries:
            table.setdefault(entry.numbers, entry)
        return entries, table

    def _of(self, policy: Policy) -> tuple[Entry, ...]:
        if policy.name not in self._entries:
            self._entries[policy.name] = tuple(_entries(policy))
        return self._entries[policy.name]


def _entries(policy: Policy) -> Iterator[Entry]:
    for written, excluded in ((policy.excluded, True), (policy.destinations, False)):
        for prefix, place in written.items():
            numbers = (prefix.version, int(prefix.network_address), int(prefix.broadcast_address))
            yield Entry(policy, prefix, numbers, excluded, place)


def decide(table: Mapping[Prefix, Entry]) -> dict[Family, tuple[Decision, ...]]:
    """Divides the destinations of each family by the entry that decides them."""
    result = {}
    for family in Family:
        spans = [(low, high, entry) for (version, low, high), entry in table.items() if version == family]
        result[family] = tuple(Decision(*item) for item in longest_prefix_intervals(spans, family))
    return result


def _contest(group: Sequence[tuple[Workload, tuple[Policy, ...]]], tables: Tables) -> list[WorkloadClass]:
    """Makes the classes of workloads that have an address of each other: what is decided for one is so for all."""
    contested = tuple(sorted(f"{workload.kind} {workload.key}" for workload, _ in group))
    by_policies: dict[tuple[Policy, ...], list[Workload]] = {}
    for workload, policies in group:
        by_policies.setdefault(policies, []).append(workload)
    if set(by_policies) == {()}:
        return []  # no policy selects any of them
    made = {policies: tables.table(policies) for policies in by_policies}
    decided = [decide(table) for _, table in made.values()]
    decisions = {family: _any_gateway([table[family] for table in decided], family) for family in Family}
    return [
        WorkloadClass(policies, *made[policies], decisions, tuple(workloads), contested)
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
