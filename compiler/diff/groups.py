"""Groups: nodes with like changes together, so that 4,950 of them are one thing to read.

Like are changes that differ only in what is a node's own: which of its workloads are concerned, and which numbers it
gave to marks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from compiler.diff.change import Change, Kind, NodeChange, State

_OWN: Final[frozenset[Kind]] = frozenset({"source", "mark", "reply-rule", "internal-ip"})
"""Kinds of changes of which each node has its own."""


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes with like changes.

    Attributes:
        state: Of all of them.
        changes: That all of them have, in the order of `KINDS`.
        nodes: Each with the changes that are its own, in order of name.
    """

    state: State
    changes: tuple[Change, ...]
    nodes: tuple[tuple[str, tuple[Change, ...]], ...]


Pattern = tuple[Kind, str, str, str | None, str | None]
"""A change without what is the node's own in it: kind, place, subject, before and after."""


def group(changes: Iterable[NodeChange]) -> tuple[Group, ...]:
    """Returns the groups, that with the most nodes first and of like size in order of the first node."""
    found: dict[tuple[State, tuple[Change, ...], frozenset[Pattern]], list[tuple[str, tuple[Change, ...]]]] = {}
    for item in changes:
        shared = tuple(change for change in item.changes if change.kind not in _OWN)
        own = tuple(change for change in item.changes if change.kind in _OWN)
        found.setdefault((item.state, shared, frozenset(map(pattern, own))), []).append((item.node, own))
    groups = [Group(state, shared, tuple(nodes)) for (state, shared, _), nodes in found.items()]
    return tuple(sorted(groups, key=lambda item: (-len(item.nodes), item.nodes[0][0])))


def pattern(change: Change) -> Pattern:
    """Returns what is left of a change without that which is the node's own."""
    if change.kind == "mark":
        return (change.kind, change.place, change.subject, change.before and "a number", change.after and "a number")
    return (change.kind, change.place, "", change.before, change.after)
