"""Balance: how masters are spread over nodes when earlier masters count (semantics.md §8, `balanced`).

In: the suitable nodes of each gateway and who was master. Out: who is master, and the fewest moves to the best balance.
Pure, and a function of names alone: gateways are taken in order of name, nodes in a gateway's order of preference.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

Orders = Mapping[str, tuple[str, ...]]
"""Gateway to its suitable nodes in order of preference; gateways without any are in none of the results."""

_Way = tuple[int, str]
"""A move from one node to another: what it costs, and the gateway that moves."""


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
            masters[name] = min(order, key=loads.__getitem__)  # the first of equals, which is the preferred one
            loads[masters[name]] += 1
    return dict(sorted(masters.items()))


def rebalance(orders: Orders, masters: Mapping[str, str], serving: Collection[str]) -> tuple[Move, ...]:
    """Finds the fewest moves to the best balance.

    The best balance is where no node could be relieved by moving masters along any chain of suitable nodes: it has the
    least sum of squares of the loads, and with it the least highest load, as an optimal semi-matching has.

    Args:
        orders: Suitable nodes.
        masters: Master of each gateway that has a suitable node.
        serving: Gateways that already serve, so that a move cuts connections; the others may be placed for nothing.
    """
    placement = _Placement(orders, masters, serving)
    # From the top: if all nodes at or under a level counted alike, the fewest moves would be known, at first none at
    # all. With the next level below it, masters just above that are what costs too much: they go by the cheapest chains
    # of moves there are, one after the other, and so the moves stay the fewest (successive shortest paths). A node that
    # finds no chain never will, since all that it leads to is as full as itself.
    for level in range(max(placement.loads.values(), default=0) - 1, 0, -1):
        while placement.relieve(level):
            pass
    return tuple(Move(name, masters[name], node) for name, node in placement.masters.items() if masters[name] != node)


class _Placement:
    """Who is master where, and by which moves that could change.

    Attributes:
        masters: The master of each gateway, by name.
        loads: How many gateways a node is master of.
    """

    def __init__(self, orders: Orders, masters: Mapping[str, str], serving: Collection[str]) -> None:
        self.masters = dict(sorted(masters.items()))
        self.loads = _loads(orders, masters)
        self._orders = orders
        self._homes = {name: node for name, node in masters.items() if name in serving}
        # From node to node the possible moves as a heap; one of a gateway that has left the node counts no more.
        self._ways: dict[str, dict[str, list[_Way]]] = {node: {} for node in self.loads}
        for name, node in self.masters.items():
            self._put(name, node)

    def relieve(self, level: int) -> bool:
        """Takes one master off a node that has `level` and one, if a chain of moves leads to a node with less."""
        came: dict[str, tuple[str, str]] = {}
        end = self._search(level, came)
        if end is None:
            return False
        self.loads[end] += 1
        while end in came:
            name, node = came[end]
            self.masters[name] = end
            self._put(name, end)
            end = node
        self.loads[end] -= 1
        return True

    def _search(self, level: int, came: dict[str, tuple[str, str]]) -> str | None:
        """Searches for the cheapest chain of moves, in the order of cost as Dijkstra does.

        Args:
            level: Chains begin at nodes that have one master more and end at nodes that have less.
            came: Is told by which gateway's move, and from where, each node is reached.

        Returns:
            The end of the chain, the least loaded of equals; None if there is none.
        """
        costs = {node: 0 for node, load in self.loads.items() if load == level + 1}
        queue = [(0, node) for node in costs]
        best: tuple[int, int, str] | None = None
        while queue:
            so_far, node = heappop(queue)
            # A move back home costs less than nothing, yet no way from any node to an end does: at first no move costs
            # less than nothing, and going by a cheapest way leaves none that is cheaper.
            if best is not None and so_far >= best[0]:
                break
            for target, (step, name) in self._moves_from(node) if so_far == costs[node] else ():
                cost = so_far + step
                if cost < costs.get(target, cost + 1):
                    costs[target] = cost
                    came[target] = (name, node)
                    heappush(queue, (cost, target))
                    if self.loads[target] < level:
                        best = min(best or (cost, level, target), (cost, self.loads[target], target))
        return best[2] if best is not None else None

    def _moves_from(self, node: str) -> Iterator[tuple[str, _Way]]:
        """Yields each node to which a master of `node` could move, with the cheapest such move."""
        for target, ways in self._ways[node].items():
            while ways and self.masters[ways[0][1]] != node:
                heappop(ways)
            if ways:
                yield target, ways[0]

    def _put(self, name: str, node: str) -> None:
        """Notes where a gateway could move from the node that is its master now."""
        home = self._homes.get(name)
        ways = self._ways[node]
        for target in self._orders[name]:
            if target != node:
                # A move from home costs one, a move back brings it in again; another, or of who serves nobody, nothing.
                heappush(ways.setdefault(target, []), ((target != home) - (node != home), name))


def _loads(orders: Orders, masters: Mapping[str, str]) -> dict[str, int]:
    loads = dict.fromkeys(sorted({node for order in orders.values() for node in order}), 0)
    for node in masters.values():
        loads[node] += 1
    return loads
