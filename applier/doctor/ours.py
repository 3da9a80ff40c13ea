"""Which numbers are ours on a node: those of its part of a bundle, or the defaults. Pure."""

from dataclasses import dataclass

from bundle.directory import NodePart
from bundle.names import MARK_MASK, REPLY_PRIORITY, RULE_PRIORITY, TABLE_BASE, bound_bit

_TABLES = range(TABLE_BASE, TABLE_BASE + 256)


@dataclass(frozen=True, slots=True)
class Ours:
    """Numbers of ours.

    Attributes:
        mask: Our bits of the packet mark.
        marks: Marks that the plan uses; empty if that is not known.
        first: The priority of our first `ip rule`.
        priorities: The priorities of all.
        tables: Routing tables that the plan uses; empty if that is not known.
        reserved: Routing tables that another plan may use.
    """

    mask: int = MARK_MASK
    marks: frozenset[int] = frozenset()
    first: int = RULE_PRIORITY
    priorities: frozenset[int] = frozenset({RULE_PRIORITY, REPLY_PRIORITY})
    tables: frozenset[int] = frozenset()
    reserved: range = _TABLES

    @property
    def connection_bit(self) -> int:
        """Returns our bit of the connection mark: the lowest of the mask."""
        return bound_bit(self.mask)

    def may_match(self, fwmark: int, fwmask: int) -> bool:
        """Returns whether a comparison by others can hold for a packet with a mark of ours."""
        common = fwmask & self.mask
        if self.marks:
            return any(mark & common == fwmark & common for mark in self.marks)
        return fwmark & common != 0 or common != self.mask  # some mark that is not 0


def ours(part: NodePart | None) -> Ours:
    """Returns the numbers of a node's part of a bundle; the defaults without one, and where it does not tell."""
    if part is None or not part.routing.rules:
        return Ours()
    rules = part.routing.rules
    tables = frozenset(rule.table for rule in rules) | {route.table for route in part.routing.routes}
    return Ours(
        mask=int(rules[0].fwmask, 16),
        marks=frozenset(int(rule.fwmark, 16) for rule in rules) | _translated(part),
        first=min(rule.priority for rule in rules),
        priorities=frozenset({rule.priority for rule in rules} | {rule.priority for rule in part.routing.reply_rules}),
        tables=tables,
        reserved=_TABLES if all(table in _TABLES for table in tables) else range(0),
    )


def _translated(part: NodePart) -> frozenset[int]:
    translation = part.ruleset.sets.get("translation")
    return frozenset(int(mark, 16) for mark in translation.elements) if translation else frozenset()
