"""Balanced election: what is kept, where new masters go, and that a rebalance is the best one by the fewest moves."""

import itertools
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.balance import Move, assign, rebalance
from compiler.elect import preference

MANY = settings(max_examples=150, deadline=None, derandomize=True)
NODES = ("node-1", "node-2", "node-3", "node-4")


@dataclass(frozen=True)
class Case:
    """Suitable nodes of each gateway, and who was master, be it suitable still or gone."""

    orders: Mapping[str, tuple[str, ...]]
    previous: Mapping[str, str]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    names = [f"gateway-{index}" for index in range(draw(st.integers(1, 6)))]
    suitable = {name: draw(st.sets(st.sampled_from(NODES))) for name in names}
    orders = {name: preference(name, nodes) for name, nodes in suitable.items()}
    old = st.sampled_from((*NODES, "node-gone"))
    return Case(orders, draw(st.dictionaries(st.sampled_from([*names, "gateway-gone"]), old)))


def spread(masters: Mapping[str, str]) -> int:
    return sum(count * count for count in Counter(masters.values()).values())


def moved(masters: Mapping[str, str], moves: Collection[Move]) -> dict[str, str]:
    return {**masters, **{move.gateway: move.target for move in moves}}


def best(case: Case, masters: Mapping[str, str], serving: Collection[str]) -> tuple[int, int]:
    """By trying all: the least sum of squares, and the fewest moves of gateways that serve by which it can be had."""
    choices = [[(name, node) for node in case.orders[name]] for name in masters]
    return min(
        (spread(dict(chosen)), sum(name in serving and masters[name] != node for name, node in chosen))
        for chosen in itertools.product(*choices)
    )


@MANY
@given(case=cases())
def test_a_master_that_is_still_suitable_stays(case: Case) -> None:
    masters = assign(case.orders, case.previous)

    for name, node in case.previous.items():
        if node in case.orders.get(name, ()):
            assert masters[name] == node


@MANY
@given(case=cases())
def test_every_gateway_with_a_suitable_node_has_a_suitable_master(case: Case) -> None:
    masters = assign(case.orders, case.previous)

    assert set(masters) == {name for name, order in case.orders.items() if order}
    assert all(node in case.orders[name] for name, node in masters.items())


@MANY
@given(case=cases())
def test_a_new_master_goes_to_the_node_with_the_fewest_then_by_preference(case: Case) -> None:
    masters = assign(case.orders, case.previous)

    kept = {name for name, node in masters.items() if case.previous.get(name) == node}
    loads = Counter(masters[name] for name in kept)
    for name in sorted(set(masters) - kept):
        fewest = min(loads[node] for node in case.orders[name])
        assert masters[name] == next(node for node in case.orders[name] if loads[node] == fewest)
        loads[masters[name]] += 1


@MANY
@given(case=cases(), data=st.data())
def test_order_of_the_inputs_does_not_matter(case: Case, data: st.DataObject) -> None:
    names = data.draw(st.permutations(list(case.orders)))
    shuffled = {name: case.orders[name] for name in names}
    previous = dict(data.draw(st.permutations(list(case.previous.items()))))

    masters = assign(case.orders, case.previous)

    assert masters == assign(shuffled, previous)
    again = {name: masters[name] for name in names if name in masters}
    assert rebalance(case.orders, masters, masters) == rebalance(shuffled, again, again)


@MANY
@given(case=cases(), all_serve=st.booleans())
def test_a_rebalance_is_the_best_one_by_the_fewest_moves(case: Case, all_serve: bool) -> None:
    masters = assign(case.orders, case.previous)
    serving = set(masters) if all_serve else set(masters) & set(case.previous)

    moves = rebalance(case.orders, masters, serving)

    after = moved(masters, moves)
    assert all(node in case.orders[name] for name, node in after.items())
    assert best(case, masters, serving) == (spread(after), sum(move.gateway in serving for move in moves))


@st.composite
def crowds(draw: st.DrawFn) -> Case:
    """More than can be tried in all ways: few nodes for each gateway, of which the first are preferred by many."""
    nodes = [f"node-{index:02}" for index in range(draw(st.integers(2, 15)))]
    some = st.lists(st.sampled_from(nodes), min_size=1, max_size=4, unique=True).map(tuple)
    orders = {f"gateway-{index:02}": draw(some) for index in range(draw(st.integers(2, 50)))}
    return Case(orders, {name: draw(st.sampled_from((min(order), *order))) for name, order in orders.items()})


def a_cycle_would_save(case: Case, masters: Mapping[str, str], homes: Mapping[str, str]) -> bool:
    """By Bellman and Ford, over single moves; a placement is best just when no cycle of them costs less than nothing.

    Loads go to and come from the empty name, at the growth of the sum of squares, dearer than any number of moves.
    """
    edges: dict[tuple[str, str], int] = {}
    for name, node in masters.items():
        for target in case.orders[name]:
            cost = (target != homes.get(name)) - (node != homes.get(name))
            edges[node, target] = min(edges.get((node, target), cost), cost)
    loads = Counter(masters.values())
    for node in {node for order in case.orders.values() for node in order}:
        edges[node, ""] = (2 * loads[node] + 1) * 1000
        if loads[node]:
            edges["", node] = (1 - 2 * loads[node]) * 1000
    cost_to = dict.fromkeys((node for edge in edges for node in edge), 0)
    for _ in cost_to:
        for (node, target), cost in edges.items():
            cost_to[target] = min(cost_to[target], cost_to[node] + cost)
    return any(cost_to[node] + cost < cost_to[target] for (node, target), cost in edges.items())


@MANY
@given(case=crowds(), data=st.data())
def test_no_cycle_of_moves_is_left_that_would_save_any(case: Case, data: st.DataObject) -> None:
    masters = assign(case.orders, case.previous)
    serving = data.draw(st.sets(st.sampled_from(sorted(masters))))

    after = moved(masters, rebalance(case.orders, masters, serving))

    assert not a_cycle_would_save(case, after, {name: masters[name] for name in serving})


@MANY
@given(case=cases())
def test_a_second_rebalance_moves_nothing(case: Case) -> None:
    masters = assign(case.orders, case.previous)
    after = moved(masters, rebalance(case.orders, masters, masters))

    assert rebalance(case.orders, after, after) == ()


def test_a_chain_relieves_a_node_whose_masters_fit_only_its_neighbour() -> None:
    orders = {"a": ("node-1",), "b": ("node-1", "node-2"), "c": ("node-1",), "d": ("node-2", "node-3")}
    masters = {"a": "node-1", "b": "node-1", "c": "node-1", "d": "node-2"}

    moves = rebalance(orders, masters, masters)

    assert moves == (Move("b", "node-1", "node-2"), Move("d", "node-2", "node-3"))


def test_a_gateway_that_does_not_serve_yet_makes_way() -> None:
    orders = {"new": ("node-1", "node-2"), "old": ("node-1", "node-2")}
    masters = {"new": "node-1", "old": "node-1"}

    assert rebalance(orders, masters, {"old"}) == (Move("new", "node-1", "node-2"),)


def test_a_thousand_gateways_on_one_node_are_spread_at_once() -> None:
    nodes = tuple(f"node-{index}" for index in range(20))
    orders = {f"gateway-{index}": preference(f"gateway-{index}", nodes) for index in range(1000)}
    masters = dict.fromkeys(orders, "node-0")

    moves = rebalance(orders, masters, masters)

    assert len(moves) == 950
    assert set(Counter(moved(masters, moves).values()).values()) == {50}
