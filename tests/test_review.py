"""Warnings about a resolved cluster that take more than one look."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from builders import Obj, cluster, dump, gateway, outcome, policy


@pytest.mark.parametrize(
    ("policies", "dead"),
    [
        # The exclusion of the older one hides the destination of the newer.
        (
            (
                policy("older", to=["0.0.0.0/0"], excluded=["203.0.113.0/24"], created="2024-01-01T00:00:00Z"),
                policy("newer", to=["203.0.113.0/24"], created="2024-06-01T00:00:00Z"),
            ),
            {("newer", "203.0.113.0/24")},
        ),
        ((policy("one", to=["203.0.113.0/24"], excluded=["203.0.113.0/24"]),), {("one", "destinationCIDRs")}),
        ((policy("one", to=["198.51.100.0/24"], excluded=["203.0.113.0/24"]),), {("one", "excludedCIDRs")}),
    ],
    ids=["of-two", "of-one", "of-nothing"],
)
def test_an_exclusion_is_dead_only_where_nothing_changes_without_it(
    tmp_path: Path, policies: Sequence[Obj], dead: set[tuple[str, str]]
) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*cluster(gateway(), *policies)), encoding="utf-8")

    found = [finding for finding in outcome(path)[1] if finding.code == "EG308"]

    assert len(found) == len(dead)
    for name, part in dead:
        assert any(
            f"EgressGatewayPolicy {name} " in f.message and part in f"{f.place.field} {f.message}" for f in found
        )


def test_the_same_value_twice_is_no_conflict(tmp_path: Path) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*cluster(gateway(), policy("a"), policy("b"))), encoding="utf-8")

    assert {"EG307", "EG308"} & {finding.code for finding in outcome(path)[1]} == {"EG308"}
