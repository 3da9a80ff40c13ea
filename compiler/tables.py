"""What sets of policies decide, as one routing table each (semantics.md §5).

In: policies in order of precedence. Out: for each destination the entry that decides it. A set of policies has one
table, whoever is selected by it, and a policy's CIDR is one entry, whatever table it stands in.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from compiler.diagnostics import Place
from compiler.intervals import longest_prefix_intervals
from compiler.model import Family, Network, Policy

Prefix = tuple[int, int, int]
"""A prefix as numbers: IP version, lowest and highest address."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One CIDR of a policy: a destination of its gateway, or excluded; there is one object of it.

    Attributes:
        policy: The policy.
        prefix: The CIDR.
        numbers: The same as numbers.
        excluded: Whether what goes there is left alone.
        place: Where it is written.
        gateway: The gateway that takes the packet, None when it goes its ordinary way.
    """

    policy: Policy
    prefix: Network
    numbers: Prefix
    excluded: bool
    place: Place
    gateway: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """Destinations `low` to `high` and the entry that decides them, None where no entry does."""

    low: int
    high: int
    entry: Entry | None

    @property
    def gateway(self) -> str | None:
        """The gateway that takes the packet, None when it goes its ordinary way."""
        return self.entry.gateway if self.entry else None


@dataclass(frozen=True, slots=True, eq=False)
class RoutingTable:
    """What some policies decide together; there is one object of it.

    Attributes:
        policies: In order of precedence.
        names: Their names.
        gateways: Those that they name, sorted.
        entries: Of those policies, in that order, the exclusions of each first.
        deciding: Which entry decides for a prefix.
        decisions: For each family, without gap from the lowest address to the highest.
        taking: For each family the gateways that take any packet, sorted.
    """

    policies: tuple[Policy, ...]
    names: tuple[str, ...]
    gateways: tuple[str, ...]
    entries: tuple[Entry, ...]
    deciding: Mapping[Prefix, Entry]
    decisions: Mapping[Family, tuple[Decision, ...]]
    taking: Mapping[Family, tuple[str, ...]]


class Tables:
    """The routing tables of a cluster's policies, each made once."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Entry, ...]] = {}
        self._tables: dict[tuple[str, ...], RoutingTable] = {}

    def of(self, policies: tuple[Policy, ...]) -> RoutingTable:
        """Returns the table of policies, which are in order of precedence."""
        names = tuple(policy.name for policy in policies)
        if names not in self._tables:
            self._tables[names] = self._make(policies, names)
        return self._tables[names]

    def _make(self, policies: tuple[Policy, ...], names: tuple[str, ...]) -> RoutingTable:
        entries = tuple(entry for policy in policies for entry in self._of(policy))
        # Between equal prefixes precedence decides, inside a policy the exclusion.
        deciding: dict[Prefix, Entry] = {}
        for entry in entries:
            deciding.setdefault(entry.numbers, entry)
        gateways = tuple(sorted({policy.gateway for policy in policies}))
        decisions = _decide(deciding)
        return RoutingTable(policies, names, gateways, entries, deciding, decisions, _taking(decisions))

    def _of(self, policy: Policy) -> tuple[Entry, ...]:
        if policy.name not in self._entries:
            self._entries[policy.name] = tuple(_entries(policy))
        return self._entries[policy.name]


def _entries(policy: Policy) -> Iterator[Entry]:
    for written, excluded in ((policy.excluded, True), (policy.destinations, False)):
        for prefix, place in written.items():
            numbers = (prefix.version, int(prefix.network_address), int(prefix.broadcast_address))
            yield Entry(policy, prefix, numbers, excluded, place, None if excluded else policy.gateway)


def _decide(deciding: Mapping[Prefix, Entry]) -> dict[Family, tuple[Decision, ...]]:
    result = {}
    for family in Family:
        spans = [(low, high, entry) for (version, low, high), entry in deciding.items() if version == family]
        result[family] = tuple(Decision(*item) for item in longest_prefix_intervals(spans, family))
    return result


def overlaid(tables: Sequence[RoutingTable]) -> tuple[RoutingTable, ...]:
    """Returns tables that all decide alike: in each interval what one that names a gateway decides, if there is any."""
    decisions = {family: _any_gateway([table.decisions[family] for table in tables], family) for family in Family}
    return tuple(replace(table, decisions=decisions, taking=_taking(decisions)) for table in tables)


def _taking(decisions: Mapping[Family, Iterable[Decision]]) -> dict[Family, tuple[str, ...]]:
    return {
        family: tuple(sorted({item.gateway for item in found if item.gateway is not None}))
        for family, found in decisions.items()
    }


def _any_gateway(tables: Sequence[tuple[Decision, ...]], family: Family) -> tuple[Decision, ...]:
    lows = sorted({item.low for table in tables for item in table})
    highs = [*(low - 1 for low in lows[1:]), (1 << family.bits) - 1]
    result = []
    for low, high in zip(lows, highs, strict=True):
        found = [table[bisect_right(table, low, key=lambda item: item.low) - 1] for table in tables]
        chosen = next((item for item in found if item.gateway is not None), found[0])
        result.append(Decision(low, high, chosen.entry))
    return tuple(result)
