"""Elect: one master a gateway, and the order in which others would take over (semantics.md §8).

In: resolved suitability. Out: an election a gateway. Pure: a function of names alone.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compiler.model import Gateway
from compiler.suitability import Suitability


@dataclass(frozen=True, slots=True)
class Election:
    """The suitable nodes of a gateway in order of preference: the first is master, the rest stand by."""

    gateway: Gateway
    order: tuple[str, ...]

    @property
    def master(self) -> str | None:
        """Name of the active node, None when no node is suitable."""
        return self.order[0] if self.order else None


def preference(gateway: str, nodes: Iterable[str]) -> tuple[str, ...]:
    """Orders nodes by rendezvous hashing: ascending SHA-256 of `<gateway name>#<node name>`, as Deckhouse does."""
    return tuple(sorted(nodes, key=lambda node: hashlib.sha256(f"{gateway}#{node}".encode()).digest()))


def elect(
    gateways: Mapping[str, Gateway], suitability: Mapping[str, Mapping[str, Suitability]]
) -> Mapping[str, Election]:
    """Elects independently for each gateway; one without a suitable node has no master."""
    return {
        name: Election(gateway, preference(name, (node for node, found in suitability[name].items() if found.suitable)))
        for name, gateway in sorted(gateways.items())
    }
