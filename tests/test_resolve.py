"""What the compiler warns of where entries of policies meet each other, and the ranges of the cluster."""

import json
from collections.abc import Sequence

import pytest
from builders import Obj, cluster, gateway, pod, policy

from compiler.pipeline import compile_cluster, understand

NET = "203.0.113.0/24"
INSIDE = "10.111.11.0/24"
SIX = {"podSelector": {"matchLabels": {"app": "six"}}}


def warnings(*objects: Obj) -> list[tuple[str, str]]:
    """Codes and messages for a cluster that has a pod with IPv6 only beside the usual one with both families."""
    items = cluster(pod("a-six", "worker-1", labels={"app": "six"}, ips=["fd00:111:0:11::6"]), *objects)
    reading = understand({"input.json": json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode()})
    assert reading.cluster is not None, reading.findings
    return [(finding.code, finding.message) for finding in compile_cluster(reading.cluster).findings]


def test_a_conflict_names_a_workload_that_has_an_address_of_the_family() -> None:
    told = dict(warnings(gateway(), policy("a", to=[NET]), policy("b", to=["0.0.0.0/1"], excluded=[NET])))

    assert "Pod default/backend" in told["EG307"]
    assert "Pod default/backend" in told["EG308"]


@pytest.mark.parametrize("to", [[NET], [NET, INSIDE]])
def test_entries_of_a_family_that_no_selected_workload_has_are_not_compared(to: Sequence[str]) -> None:
    rules = [policy(name, to=to, selectors=[SIX]) for name in ("a", "b")]

    assert warnings(gateway(), *rules) == []


def test_equal_cidrs_of_two_policies_are_a_conflict_only_where_they_want_different_things() -> None:
    other = policy("b", to=["0.0.0.0/1"], excluded=[NET])

    agreeing = warnings(gateway(), policy("a", excluded=[NET]), other)
    different = warnings(gateway(), policy("a", to=[NET]), other)

    assert [code for code, _ in agreeing if code == "EG307"] == []
    assert [NET in message for code, message in different if code == "EG307"] == [True]


@pytest.mark.parametrize("field", ["to", "excluded"])
def test_an_entry_wholly_inside_the_cluster_decides_nothing(field: str) -> None:
    rule = policy(to=["0.0.0.0/0", INSIDE]) if field == "to" else policy(excluded=[INSIDE])

    assert [(code, INSIDE in message) for code, message in warnings(gateway(), rule)] == [("EG308", True)]


def test_an_entry_partly_outside_the_cluster_decides() -> None:
    assert warnings(gateway(), policy(to=["10.0.0.0/8"])) == []


def test_no_source_address_is_missed_for_destinations_inside_the_cluster() -> None:
    six = gateway("six", vip="2001:db8:18::241")

    assert [code for code, _ in warnings(six, policy(gateway_name="six", to=[INSIDE, "2001:db8::/32"]))] == ["EG308"]
    assert [code for code, _ in warnings(six, policy(gateway_name="six", to=[NET]))] == ["EG401"]
