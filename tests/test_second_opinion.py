"""Compiler and reference agree on whole clusters; and the comparison goes red when the compiler decides otherwise.

`make proof` does the same on many more clusters.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeAlias

import pytest
import second_opinion
from builders import Obj
from clusters import clusters
from hypothesis import HealthCheck, Phase, given, settings
from second_opinion import Disagreement, compare

import compiler.tables
from bundle.model import Gateways
from compiler.account import Account
from compiler.intervals import Span, longest_prefix_intervals
from compiler.model import Cluster, Family
from compiler.pipeline import Compiled, compile_cluster
from compiler.tables import Entry

Mutant: TypeAlias = Callable[[Cluster], Cluster]

COMMON = {
    *("egress", "bypass", "drop", "refused"),
    *("SelectorMismatch", "NotReady", "Cordoned", "AgentNotReady", "InterfaceMissing", "AddressMissing"),
    *("EG305", "EG306", "EG307", "EG308", "EG312", "EG402", "EG404", "EG405"),
}
"""What a few hundred generated clusters must have shown, else the generator has gone blind; `proof` asks for more."""


def check(examples: int) -> Counter[str]:
    """Compares on so many clusters, always the same ones, and tells what was seen."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(clusters())
    def agree(objects: list[Obj]) -> None:
        seen.update(compare(objects))

    agree()
    return seen


def test_the_emitted_files_do_what_the_reference_says() -> None:
    seen = check(250)

    assert COMMON - set(seen) == set()


# Mutants: each changes one decision of the compiler, and the comparison must see it.


def newest_policy_first(cluster: Cluster) -> Cluster:
    return replace(cluster, policies=tuple(reversed(cluster.policies)))


def destination_beats_exclusion(cluster: Cluster) -> Cluster:
    return replace(
        cluster,
        policies=tuple(
            replace(policy, excluded={own: place for own, place in policy.excluded.items() if own not in taken})
            for policy in cluster.policies
            for taken in [set(policy.destinations)]
        ),
    )


def one_range_forgotten(cluster: Cluster) -> Cluster:
    return replace(cluster, cluster_ranges=cluster.cluster_ranges[1:])


def cordoned_nodes_serve(cluster: Cluster) -> Cluster:
    return replace(cluster, nodes={name: replace(node, cordoned=False) for name, node in cluster.nodes.items()})


def next_hop_is_another_node(cluster: Cluster) -> Cluster:
    nodes = list(cluster.nodes.values())
    turned = [*nodes[1:], *nodes[:1]]
    pairs = zip(nodes, turned, strict=True)
    return replace(cluster, nodes={node.name: replace(node, internal_ips=other.internal_ips) for node, other in pairs})


def namespaces_have_no_labels(cluster: Cluster) -> Cluster:
    return replace(cluster, namespaces={})


@pytest.mark.parametrize(
    "mutant",
    [
        newest_policy_first,
        destination_beats_exclusion,
        one_range_forgotten,
        cordoned_nodes_serve,
        next_hop_is_another_node,
        namespaces_have_no_labels,
    ],
)
def test_another_decision_is_seen(monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    monkeypatch.setattr(second_opinion, "compile_cluster", lambda cluster: compile_cluster(mutant(cluster)))

    with pytest.raises(Disagreement):
        check(100)


def test_another_order_of_standbys_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def turned(cluster: Cluster) -> Compiled:
        compiled = compile_cluster(cluster)
        return replace(compiled, account=compiled.account and _with_standbys_turned(compiled.account))

    monkeypatch.setattr(second_opinion, "compile_cluster", turned)

    with pytest.raises(Disagreement, match="about gateways"):
        check(100)


def _with_standbys_turned(account: Account) -> Account:
    gateways = (replace(item, standby_node_names=item.standby_node_names[::-1]) for item in account.gateways.gateways)
    return replace(account, gateways=Gateways(tuple(gateways)))


def test_an_interval_that_is_one_address_short_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(prefixes: Iterable[Span[Entry]], family: Family) -> tuple[Span[Entry | None], ...]:
        first, *rest = longest_prefix_intervals(prefixes, family)
        low, high, entry = first
        if not rest or low == high:
            return (first, *rest)
        return ((low, high - 1, entry), (high, *rest[0][1:]), *rest[1:])

    monkeypatch.setattr(compiler.tables, "longest_prefix_intervals", short)

    with pytest.raises(Disagreement):
        check(100)
