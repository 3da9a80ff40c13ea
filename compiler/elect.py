"""Elect: one master a gateway, and the order in which others would take over (semantics.md §8).

In: resolved suitability and, for `balanced`, who was master before. Out: an election a gateway. Pure: a
function of names alone.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from compiler.balance import Move, assign, rebalance
from compiler.model import Algorithm, Gateway
from compiler.suitability import Suitability


@dataclass(frozen=True, slots=True)
class Election:
    """The suitable nodes of a gateway: the first is master, the rest stand by in order of preference."""

    gateway: Gateway
    order: tuple[str, ...]

    @property
    def master(self) -> str | None:
        """Name of the active node, None when no node is suitable."""
        return self.order[0] if self.order else None


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is known of an earlier bundle, for `balanced`.

    Attributes:
        masters: Gateway to its master; empty when there is no earlier bundle.
        rebalance: Whether masters are moved for the sake of balance.
    """

    masters: Mapping[str, str]
    rebalance: bool = False


NOTHING_EARLIER: Final = Earlier({})


@dataclass(frozen=True, slots=True)
class Elected:
    """The result of the stage.

    Attributes:
        elections: By name of the gateway.
        moves: Masters that were moved for the sake of balance, or that would be if it had been asked for.
    """

    elections: Mapping[str, Election]
    moves: tuple[Move, ...]


def preference(gateway: str, nodes: Iterable[str]) -> tuple[str, ...]:
    """Orders nodes by rendezvous hashing: ascending SHA-256 of `<gateway name>#<node name>`, as Deckhouse does."""
    return tuple(sorted(nodes, key=lambda node: hashlib.sha256(f"{gateway}#{node}".encode()).digest()))


def masters_of(
    orders: Mapping[str, tuple[str, ...]], algorithm: Algorithm, previous: Mapping[str, str]
) -> dict[str, str]:
    """Chooses the masters, of gateways that have a suitable node.

    Args:
        orders: Gateway to its suitable nodes in order of preference.
        algorithm: As for `elect`.
        previous: Gateway to its earlier master, for `balanced`.
    """
    if algorithm == "balanced":
        return assign(orders, previous)
    return {name: order[0] for name, order in orders.items() if order}


def elect(
    gateways: Mapping[str, Gateway],
    suitability: Mapping[str, Mapping[str, Suitability]],
    algorithm: Algorithm,
    earlier: Earlier,
) -> Elected:
    """Elects the master of each gateway; one without a suitable node has none.

    Args:
        gateways: By name.
        suitability: Gateway name to name of a member node to verdict.
        algorithm: `rendezvous` elects independently for each gateway; `balanced` looks at all, and at what was.
        earlier: For `balanced`.
    """
    orders = {
        name: preference(name, (node for node, verdict in suitability[name].items() if verdict.suitable))
        for name in sorted(gateways)
    }
    moves: tuple[Move, ...] = ()
    masters = masters_of(orders, algorithm, earlier.masters)
    if algorithm == "balanced":
        # A gateway that had no master there before serves nobody yet, save for whoever runs a rebalance next.
        kept = {name for name, master in masters.items() if earlier.masters.get(name) == master}
        moves = rebalance(orders, masters, kept if earlier.rebalance else masters)
        if earlier.rebalance:
            masters |= {move.gateway: move.target for move in moves}
            moves = tuple(move for move in moves if move.gateway in kept)
        orders = {name: _first(masters.get(name), order) for name, order in orders.items()}
    return Elected({name: Election(gateways[name], order) for name, order in orders.items()}, moves)


def _first(master: str | None, order: tuple[str, ...]) -> tuple[str, ...]:
    return order if master is None else (master, *(node for node in order if node != master))
