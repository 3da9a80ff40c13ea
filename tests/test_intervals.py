"""Prefixes to intervals, against a search through all prefixes."""

import itertools
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.intervals import Span, enclosing, longest_prefix_intervals, merge
from compiler.model import Family, Network

FEW = settings(max_examples=150, deadline=None, derandomize=True)
EDGES = {
    Family.IPV4: [0, 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1],
    Family.IPV6: [0, 1, 2**127 - 1, 2**127, 2**128 - 2, 2**128 - 1],
}


@st.composite
def networks(draw: st.DrawFn, family: Family) -> Network:
    """Prefixes that often nest, touch or are equal: near the edges of the space or near one another."""
    top = (1 << family.bits) - 1
    near = draw(st.sampled_from([*EDGES[family], 10 << (family.bits - 8)]))
    address = (near + draw(st.integers(-64, 64))) & top
    length = draw(st.one_of(st.integers(0, family.bits), st.integers(family.bits - 7, family.bits)))
    make = IPv4Address if family is Family.IPV4 else IPv6Address
    return ip_network((make(address), length), strict=False)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Family, list[Network]]:
    family = draw(st.sampled_from(Family))
    return family, draw(st.lists(networks(family), max_size=12))


def longest(prefixes: list[Network], address: int) -> Network | None:
    best: Network | None = None
    for prefix in prefixes:
        inside = int(prefix.network_address) <= address <= int(prefix.broadcast_address)
        if inside and (best is None or prefix.prefixlen > best.prefixlen):
            best = prefix
    return best


def holder(intervals: Iterable[Span[Network | None]], address: int) -> Network | None:
    found = [prefix for low, high, prefix in intervals if low <= address <= high]
    assert len(found) == 1, (address, found)
    return found[0]


def numbers(prefix: Network) -> tuple[int, int, int]:
    return prefix.version, int(prefix.network_address), int(prefix.broadcast_address)


def spans(prefixes: Iterable[Network]) -> list[Span[Network]]:
    return [(*numbers(prefix)[1:], prefix) for prefix in dict.fromkeys(prefixes)]


@FEW
@given(table=tables())
def test_intervals_partition_the_whole_space(table: tuple[Family, list[Network]]) -> None:
    family, prefixes = table

    intervals = longest_prefix_intervals(spans(prefixes), family)

    position = 0
    for low, high, _ in intervals:
        assert (low, low <= high) == (position, True)
        position = high + 1
    assert position == 1 << family.bits


@FEW
@given(table=tables())
def test_each_address_is_decided_by_its_longest_prefix(table: tuple[Family, list[Network]]) -> None:
    family, prefixes = table

    intervals = longest_prefix_intervals(spans(prefixes), family)

    bounds = {int(edge) for item in prefixes for edge in (item.network_address, item.broadcast_address)}
    bounds.update(edge for low, high, _ in intervals for edge in (low, high))
    for address in sorted({edge + step for edge in bounds for step in (-1, 0, 1)}):
        if 0 <= address < 1 << family.bits:
            assert longest(prefixes, address) == holder(intervals, address)


@FEW
@given(table=tables(), data=st.data())
def test_order_does_not_matter(table: tuple[Family, list[Network]], data: st.DataObject) -> None:
    family, prefixes = table
    shuffled = data.draw(st.permutations(prefixes))

    assert longest_prefix_intervals(spans(prefixes), family) == longest_prefix_intervals(spans(shuffled), family)


@FEW
@given(table=tables())
def test_enclosing_is_the_longest_shorter_prefix(table: tuple[Family, list[Network]]) -> None:
    _, prefixes = table
    values = {numbers(prefix): str(prefix) for prefix in prefixes}

    for prefix in prefixes:
        shorter = [item for item in prefixes if item.prefixlen < prefix.prefixlen]
        expected = longest(shorter, int(prefix.network_address))
        assert enclosing(values, numbers(prefix)) == (str(expected) if expected else None)


def test_enclosing_does_not_look_at_the_prefix_itself_or_below() -> None:
    values = {numbers(ip_network(text)): text for text in ("10.0.0.0/8", "10.1.0.0/16")}

    assert enclosing(values, numbers(ip_network("10.0.0.0/8"))) is None


def test_no_prefix_decides_nothing() -> None:
    assert longest_prefix_intervals((), Family.IPV4) == ((0, 2**32 - 1, None),)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ([], ()),
        ([(0, 4, "a"), (5, 9, "a")], ((0, 9, "a"),)),
        ([(0, 4, "a"), (6, 9, "a")], ((0, 4, "a"), (6, 9, "a"))),
        ([(0, 4, "a"), (5, 9, "b")], ((0, 4, "a"), (5, 9, "b"))),
        ([(0, 0, "a"), (1, 1, "a"), (2, 2, "a"), (3, 3, "b")], ((0, 2, "a"), (3, 3, "b"))),
    ],
)
def test_merge_joins_neighbours_of_one_value(
    given_: list[tuple[int, int, str]], expected: tuple[tuple[int, int, str], ...]
) -> None:
    assert expected == merge(given_)


@FEW
@given(table=tables())
def test_merge_changes_no_address(table: tuple[Family, list[Network]]) -> None:
    family, prefixes = table
    intervals = longest_prefix_intervals(spans(prefixes), family)
    coarse = [(low, high, prefix is None) for low, high, prefix in intervals]

    merged = merge(coarse)

    assert all(first[2] != second[2] for first, second in itertools.pairwise(merged))
    for low, high, value in coarse:
        assert any(first <= low and high <= last and value == kept for first, last, kept in merged)
