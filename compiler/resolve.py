"""Resolve: which policies select a workload, what they decide, and which nodes are suitable for a gateway.

In: a cluster. Out: classes of workloads with their decisions, and the suitability of each gateway's member nodes with
the reasons. What is odd about them says `review`. Does not choose masters and knows nothing of rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler.matching import Matching
from compiler.model import Cluster, Network, Policy, Selector, Workload
from compiler.ranges import never_redirected
from compiler.suitability import Suitability, judge
from compiler.tables import RoutingTable, Tables, overlaid


@dataclass(frozen=True, slots=True)
class WorkloadClass:
    """Workloads selected by the same policies.

    Attributes:
        table: What those policies decide.
        workloads: Sorted as in the cluster.
        contested: Names of workloads that have an address of each other, empty as a rule. Nobody knows whose packets
            come from it, so what is decided for any of them is dropped, and the decisions are those of all of them.
    """

    table: RoutingTable
    workloads: tuple[Workload, ...]
    contested: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """What makes the class itself: the names of its policies in order of precedence, and who is in the contest."""
        return (*self.table.names, *self.contested)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The result of the stage.

    Attributes:
        classes: Sorted by key; workloads that no policy selects are in none.
        suitability: Gateway name to member node to verdict.
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
    classes = classify(cluster, matching, Tables())
    unused = (entry for policy in cluster.policies for entry in policy.selectors if entry not in matching.used)
    return Resolved(classes, judge(cluster), never_redirected(cluster), tuple(unused))


def classify(cluster: Cluster, matching: Matching, tables: Tables) -> tuple[WorkloadClass, ...]:
    """Groups the workloads that policies select into classes, sorted by key."""
    selected: dict[RoutingTable, list[Workload]] = {}
    contested = {id(workload) for group in cluster.contested for workload in group}
    for workload in cluster.workloads:
        policies = matching.policies_of(workload)
        if policies and id(workload) not in contested:
            selected.setdefault(tables.of(policies), []).append(workload)
    classes = [WorkloadClass(table, tuple(workloads)) for table, workloads in selected.items()]
    for group in cluster.contested:
        classes.extend(_contest([(workload, matching.policies_of(workload)) for workload in group], tables))
    return tuple(sorted(classes, key=lambda item: item.key))


def _contest(group: Sequence[tuple[Workload, tuple[Policy, ...]]], tables: Tables) -> list[WorkloadClass]:
    """Makes the classes of workloads that have an address of each other: what is decided for one is so for all."""
    contested = tuple(sorted(f"{workload.kind} {workload.key}" for workload, _ in group))
    by_policies: dict[tuple[Policy, ...], list[Workload]] = {}
    for workload, policies in group:
        by_policies.setdefault(policies, []).append(workload)
    if set(by_policies) == {()}:
        return []  # no policy selects any of them
    made = overlaid([tables.of(policies) for policies in by_policies])
    return [
        WorkloadClass(table, tuple(workloads), contested)
        for table, workloads in zip(made, by_policies.values(), strict=True)
    ]
