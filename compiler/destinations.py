"""Sets of destinations in words: exact ranges, and a shorter way to say them where the cluster's own do not matter."""

from collections.abc import Iterable, Mapping, Sequence

from bundle.ruleset import format_range
from compiler.model import Family

Range = tuple[int, int]
"""Addresses from low to high as numbers, both included."""


def range_text(low: int, high: int, family: Family) -> str:
    """Returns one range: an address, a prefix where it is one, else `low-high`."""
    make = type(family.everything.network_address)
    return format_range(make(low), make(high))


def range_texts(ranges: Iterable[Range], family: Family) -> tuple[str, ...]:
    """Returns ranges as `range_text` says each."""
    return tuple(range_text(low, high, family) for low, high in ranges)


def without_cluster(ranges: Iterable[Range], in_cluster: Sequence[Range], family: Family) -> tuple[Range, ...]:
    """Returns fewer and plainer ranges that are the same outside the cluster, and inside it whatever is plainest.

    No policy decides about a destination inside the cluster, so that it does not matter on which side one stands:
    `0.0.0.0/0` is easier to read than all that the cluster leaves of it.

    Args:
        ranges: Sorted and apart.
        in_cluster: Destinations that are never redirected, sorted and apart.
        family: Of both.
    """
    gaps = _joined(in_cluster)
    joined: list[Range] = []
    index = 0
    for low, high in ranges:
        while index < len(gaps) and gaps[index][1] < low - 1:
            index += 1
        # What is between two ranges is left out if all of it is the cluster's.
        if joined and index < len(gaps) and gaps[index][0] <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    starts = {end + 1: start for start, end in gaps}
    ends = {start - 1: end for start, end in gaps}
    return tuple(_widened(item, starts, ends, (1 << family.bits) - 1) for item in joined)


def _joined(ranges: Iterable[Range]) -> list[Range]:
    result: list[Range] = []
    for low, high in ranges:
        if result and result[-1][1] + 1 == low:
            result[-1] = (result[-1][0], high)
        else:
            result.append((low, high))
    return result


def _widened(item: Range, starts: Mapping[int, int], ends: Mapping[int, int], last: int) -> Range:
    """Takes in what lies next to a range and is the cluster's, to reach the end of all addresses or a whole prefix."""
    low, high = item
    first, final = starts.get(low, low), ends.get(high, high)
    low, high = (0 if first == 0 else low), (last if final == last else high)
    choices = ((low, high), (first, final), (first, high), (low, final))
    return next((choice for choice in choices if is_prefix(choice)), (low, high))


def common(these: Sequence[Range], those: Sequence[Range]) -> tuple[Range, ...]:
    """Returns what lies in both of two lists of ranges, each sorted and apart."""
    result = []
    index = 0
    for low, high in these:
        while index < len(those) and those[index][1] < low:
            index += 1
        at = index
        while at < len(those) and those[at][0] <= high:
            result.append((max(low, those[at][0]), min(high, those[at][1])))
            at += 1
    return tuple(result)


def is_prefix(item: Range) -> bool:
    """Tells whether a range is one address or a whole prefix."""
    low, high = item
    size = high - low + 1
    return not (size & (size - 1) or low % size)
