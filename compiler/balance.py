"""Balance: how masters are spread over nodes when earlier masters count (semantics.md §8, `balanced`).

In: the suitable nodes of each gateway and who was master. Out: who is master, and the fewest moves to the best balance.
Pure, and a function of names alone: gateways are taken in order of name, nodes in a gateway's order of preference.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

Orders = Mapping[str, tuple[str, ...]]
"""Gateway to its suitable nodes in order of preference; gateways without any are in none of the results."""

_Step = tuple[str, str]
"""A gateway, and the node that becomes its master."""


@dataclass(frozen=True, slots=True, order=True)
class Move:
    """A gateway whose master moves, which cuts the connections through it."""

    gateway: str
    source: str
    target: str


def assign(orders: Orders, previous: Mapping[str, str]) -> dict[str, str]:
    """Keeps each earlier master that is still suitable, and gives the rest to the node with the fewest masters.

    Args:
        orders: Suitable nodes.
        previous: Gateway to its earlier master.
    """
    masters = {name: previous[name] for name, order in orders.items() if previous.get(name) in order}
    loads = _loads(orders, masters)
    for name, order in sorted(orders.items()):
        if order and name not in masters:
            masters[name] = min(order, key=lambda node: (loads[node], order.index(node)))
            loads[masters[name]] += 1
    return dict(sorted(masters.items()))


def rebalance(orders: Orders, masters: Mapping[str, str], serving: Collection[str]) -> tuple[Move, ...]:
    """Finds the fewest moves to the best balance.

    The best balance is where no node could be relieved by moving masters along any chain of suitable nodes: it has the
    least sum of squares of the loads, and with it the least highest load. Augmenting paths lead to it, as to optimal
    semi-matchings. What they moved needlessly is then taken back: in the graph of single moves, masters are best and
    had by the fewest moves if and only if there is no cycle of negative cost.

    Args:
        orders: Suitable nodes.
        masters: Master of each gateway that has a suitable node.
        serving: Gateways that already serve, so that a move cuts connections; the others may be placed for nothing.
    """
    placed = dict(sorted(masters.items()))
    while path := _relief(orders, placed):
        placed.update(path)
    while cycle := _saving(orders, placed, {name: masters[name] for name in masters if name in serving}):
        placed.update(cycle)
    return tuple(Move(name, masters[name], node) for name, node in placed.items() if masters[name] != node)


def _loads(orders: Orders, masters: Mapping[str, str]) -> dict[str, int]:
    loads = dict.fromkeys(sorted({node for order in orders.values() for node in order}), 0)
    for node in masters.values():
        loads[node] += 1
    return loads


def _held(masters: Mapping[str, str]) -> dict[str, list[str]]:
    held: dict[str, list[str]] = {}
    for name, node in masters.items():
        held.setdefault(node, []).append(name)
    return held


def _relief(orders: Orders, masters: Mapping[str, str]) -> list[_Step]:
    """Finds a shortest chain of moves from a node, the most loaded first, to one with two masters less or fewer."""
    loads, held = _loads(orders, masters), _held(masters)
    tried: set[str] = set()
    for start in sorted(held, key=lambda node: (-loads[node], node)):
        if start in tried:  # it was reached from a node with as many or more, which reached none with few
            continue
        came: dict[str, tuple[str, str]] = {start: ("", "")}
        queue = [start]
        for node in queue:
            if loads[node] <= loads[start] - 2:
                return _chain(node, came)
            for name in held.get(node, ()):
                for target in orders[name]:
                    if target not in came:
                        came[target] = (name, node)
                        queue.append(target)
        tried.update(queue)
    return []


def _chain(end: str, came: Mapping[str, tuple[str, str]]) -> list[_Step]:
    steps = []
    name, node = came[end]
    while name:
        steps.append((name, end))
        end = node
        name, node = came[end]
    return steps


def _saving(orders: Orders, masters: Mapping[str, str], homes: Mapping[str, str]) -> list[_Step]:
    """Finds a cycle of moves that leaves the balance as good and brings masters back (Bellman and Ford).

    An edge is a move from node to node, at +1 when it takes a master from home and -1 when it brings it back. The empty
    name is where loads go to and come from, so that a cycle through it is a chain of moves between two other nodes; its
    edges cost what the sum of squares grows by, and so much that no number of moves makes up for it.
    """
    loads = _loads(orders, masters)
    dear = 2 * len(masters) + 2
    edges: dict[_Step, tuple[int, str]] = {}
    for name, node in masters.items():
        home = homes.get(name)
        for target in orders[name]:
            cost = (target != home) - (node != home)
            if target != node:
                edges[node, target] = min(edges.get((node, target), (cost, name)), (cost, name))
    for node, load in loads.items():
        edges[node, ""] = ((2 * load + 1) * dear, "")
        if load:
            edges["", node] = ((1 - 2 * load) * dear, "")
    return _negative_cycle(edges)


def _negative_cycle(edges: Mapping[_Step, tuple[int, str]]) -> list[_Step]:
    """Returns the moves of one cycle of negative cost, nothing if there is none."""
    cost = dict.fromkeys((node for edge in edges for node in edge), 0)
    came: dict[str, tuple[str, str]] = {}
    better = True
    while better:
        better = False
        for (node, target), (price, name) in edges.items():
            if cost[node] + price < cost[target]:
                cost[target] = cost[node] + price
                came[target] = (name, node)
                better = True
        # A node that owes its cost to itself has a cycle of negative cost, long before costs have fallen for as many
        # rounds as there are nodes, which is when Bellman and Ford would look.
        if cycle := _cycle(came):
            return cycle
    return []


def _cycle(came: Mapping[str, tuple[str, str]]) -> list[_Step]:
    seen: set[str] = set()
    for start in came:
        trail: list[str] = []
        node = start
        while node in came and node not in seen:
            seen.add(node)
            trail.append(node)
            node = came[node][1]
        if node in trail:
            return [(came[item][0], item) for item in trail[trail.index(node) :] if came[item][0]]
    return []
