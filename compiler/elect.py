"""Elect: one master a gateway, and the order in which others would take over (semantics.md §8).

In: resolved suitability. Out: an election a gateway, and findings. Pure: a function of names alone.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compiler.diagnostics import Diagnostic
from compiler.findings import Findings
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
) -> tuple[Mapping[str, Election], tuple[Diagnostic, ...]]:
    """Elects independently for each gateway; one without a suitable node is a warning, and its traffic is dropped."""
    findings = Findings()
    elections = {}
    for name, gateway in sorted(gateways.items()):
        verdicts = suitability[name]
        elections[name] = Election(gateway, preference(name, (n for n, v in verdicts.items() if v.suitable)))
        if elections[name].master is None:
            members = {n: v for n, v in verdicts.items() if v.reasons != ("SelectorMismatch",)}
            shown = "; ".join(f"{n}: {', '.join(v.reasons)}" for n, v in list(members.items())[:5])
            why = shown or "no node has the labels of spec.nodeSelector"
            message = f"EgressGateway {name} has no suitable node, so its traffic is dropped ({why})"
            findings.warning("EG306", gateway.place.at("spec", "nodeSelector"), message)
    return elections, findings.done()
