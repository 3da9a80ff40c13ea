"""Routing-table semantics at compile time: nested prefixes to disjoint intervals (semantics.md §5).

The kernel then needs no priorities among intervals: a destination lies in exactly one.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from compiler.model import Family

_T = TypeVar("_T")


Span = tuple[int, int, _T]
"""Addresses from the first number to the second, both included, and what they stand for."""


def longest_prefix_intervals(prefixes: Iterable[Span[_T]], family: Family) -> tuple[Span[_T | None], ...]:
    """Divides the whole address space of a family by the longest prefix that holds each address.

    Args:
        prefixes: Prefixes of that family, each once and in any order, as spans with what each stands for.
        family: Address family.

    Returns:
        Spans in ascending order, without gap or overlap, from the lowest address to the highest, each with what the
        prefix that decides it stands for; None where no prefix does.
    """
    result: list[Span[_T | None]] = []
    open_: list[tuple[int, _T | None]] = [((1 << family.bits) - 1, None)]  # those that hold the point of the sweep
    position = 0
    # Of two that begin at one address, the shorter prefix is the longer span.
    for low, high, value in sorted(prefixes, key=lambda item: (item[0], -item[1])):
        while open_[-1][0] < low:
            end, inner = open_.pop()
            if position <= end:
                result.append((position, end, inner))
                position = end + 1
        if position < low:
            result.append((position, low - 1, open_[-1][1]))
            position = low
        open_.append((high, value))
    while open_:
        end, inner = open_.pop()
        if position <= end:
            result.append((position, end, inner))
            position = end + 1
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


def enclosing(prefixes: Mapping[tuple[int, int, int], _T], prefix: tuple[int, int, int]) -> _T | None:
    """Returns the value of the longest of `prefixes` that holds `prefix` and is not itself.

    Args:
        prefixes: By family, lowest and highest address.
        prefix: The same of one prefix.
    """
    family, low, high = prefix
    size = high - low + 1
    while size < 1 << Family(family).bits:
        size *= 2
        low -= low % size
        found = prefixes.get((family, low, low + size - 1))
        if found is not None:
            return found
    return None
