"""Rendezvous election: the vectors of the specification, and what must hold for any names."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.elect import preference

VECTORS = [
    ("egg-dev", ("frontend-3", "frontend-2", "frontend-1")),
    ("egg-prod", ("frontend-1", "frontend-3", "frontend-2")),
    ("egress-gw", ("node-1", "node-2", "node-3")),
    ("egress-gw-1", ("node-2", "node-3", "node-1")),
    ("egress-gw-2", ("node-2", "node-1", "node-3")),
]

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", min_size=1, max_size=20)
NODES = st.lists(NAMES, min_size=1, max_size=12, unique=True)
FEW = settings(max_examples=100, deadline=None, derandomize=True)


@pytest.mark.parametrize(("gateway", "expected"), VECTORS)
def test_order_is_that_of_the_published_vectors(gateway: str, expected: tuple[str, ...]) -> None:
    order = preference(gateway, sorted(expected))

    assert expected == order


@FEW
@given(gateway=NAMES, nodes=NODES)
def test_order_is_a_permutation_of_the_nodes(gateway: str, nodes: list[str]) -> None:
    order = preference(gateway, nodes)

    assert sorted(nodes) == sorted(order)


@FEW
@given(gateway=NAMES, nodes=NODES, data=st.data())
def test_order_does_not_depend_on_the_order_of_the_nodes(gateway: str, nodes: list[str], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(nodes))

    assert preference(gateway, nodes) == preference(gateway, shuffled)


@FEW
@given(gateway=NAMES, nodes=NODES)
def test_a_node_that_leaves_changes_nothing_among_the_others(gateway: str, nodes: list[str]) -> None:
    order = preference(gateway, nodes)

    for gone in order:
        rest = tuple(name for name in order if name != gone)
        assert rest == preference(gateway, rest)


@FEW
@given(gateway=NAMES, nodes=NODES, new=NAMES)
def test_a_new_node_takes_over_only_as_the_first_of_all(gateway: str, nodes: list[str], new: str) -> None:
    before = preference(gateway, nodes)
    after = preference(gateway, {*nodes, new})

    assert after[0] in (before[0], new)


def test_no_nodes_have_no_order() -> None:
    assert preference("egress-gw", ()) == ()
