"""Routing-table semantics at compile time: nested prefixes to disjoint intervals (semantics.md §5).

The kernel then needs no priorities among intervals: a destination lies in exactly one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from compiler.model import Family, Network

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Interval:
    """Addresses `low` to `high`, both included, as numbers; `prefix` decides them, None where no prefix does."""

    low: int
    high: int
    prefix: Network | None


@dataclass(frozen=True, slots=True)
class _Open:
    """A prefix that holds the point where the sweep stands."""

    prefix: Network
    end: int


def longest_prefix_intervals(prefixes: Iterable[Network], family: Family) -> tuple[Interval, ...]:
    """Divides the whole address space of a family by the longest prefix that holds each address.

    Args:
        prefixes: Prefixes of that family, in any order; repetitions are one.
        family: Address family.

    Returns:
        Intervals in ascending order, without gap or overlap, from the lowest address to the highest.
    """
    result: list[Interval] = []
    stack: list[_Open] = []
    position = 0

    def advance(end: int) -> None:
        nonlocal position
        if position <= end:
            result.append(Interval(position, end, stack[-1].prefix if stack else None))
            position = end + 1

    for prefix in sorted(set(prefixes), key=lambda item: (int(item.network_address), item.prefixlen)):
        start = int(prefix.network_address)
        while stack and stack[-1].end < start:
            advance(stack[-1].end)
            stack.pop()
        advance(start - 1)
        stack.append(_Open(prefix, int(prefix.broadcast_address)))
    while stack:
        advance(stack[-1].end)
        stack.pop()
    advance((1 << family.bits) - 1)
    return tuple(result)


def merge(intervals: Iterable[tuple[int, int, _T]]) -> tuple[tuple[int, int, _T], ...]:
    """Joins neighbouring intervals that have the same value."""
    result: list[tuple[int, int, _T]] = []
    for low, high, value in intervals:
        if result and result[-1][2] == value and result[-1][1] + 1 == low:
            result[-1] = (result[-1][0], high, value)
        else:
            result.append((low, high, value))
    return tuple(result)


def enclosing(prefixes: Mapping[Network, _T], prefix: Network) -> _T | None:
    """Returns the value of the longest of `prefixes` that holds `prefix` and is not itself."""
    for length in range(prefix.prefixlen - 1, -1, -1):
        found = prefixes.get(prefix.supernet(new_prefix=length))
        if found is not None:
            return found
    return None
