"""Strays: what a workload of another node may have as its address, for a node that cannot tell by the interface.

In: pod ranges and addresses with the node of each. Out: an answer a node, found in the time that its own ranges and
addresses take, since most of it is the same for all nodes.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, summarize_address_range

from compiler.intervals import merge
from compiler.model import Address, Family, Network, Node, Workload

_Span = tuple[int, int]
"""The first and the last of some addresses, as numbers."""


class Strays:
    """Answers for one node after the other; what is the same for all is worked out once."""

    def __init__(
        self, nodes: Mapping[str, Node], selected: Iterable[Workload], own: Mapping[str, Iterable[Address]]
    ) -> None:
        """Indexes a cluster.

        Args:
            nodes: By name; their pod ranges count.
            selected: Workloads that any policy selects; their addresses count.
            own: By node, the addresses of all its workloads, selected or not: what the node itself sends must pass.
        """
        selected = tuple(selected)
        self._own = own
        self._families = tuple(_Covered(family, _ranges(nodes, selected, family)) for family in Family)

    def of(self, node: str) -> tuple[Network, ...]:
        """Returns the fewest prefixes that hold what is of other nodes and no address of this one's, sorted."""
        own = tuple(self._own.get(node, ()))
        return tuple(network for covered in self._families for network in covered.by_others(node, own))


class _Covered:
    """Addresses of one family that are of any node, and those that are of one node alone."""

    def __init__(self, family: Family, ranges: Iterable[tuple[int, int, str]]) -> None:
        self._family = family
        parts = tuple(_parts(ranges))
        self._stretches = [(low, high) for low, high, _ in merge((low, high, None) for low, high, _ in parts)]
        self._lows = [low for low, _ in self._stretches]
        self._alone: dict[str, list[_Span]] = {}
        for low, high, node in parts:
            if node is not None:
                self._alone.setdefault(node, []).append((low, high))
        self._prefixes: list[Network] = []
        self._starts = [0]  # where the prefixes of each stretch begin
        for stretch in self._stretches:
            self._prefixes += _prefixes(stretch, family)
            self._starts.append(len(self._prefixes))

    def by_others(self, node: str, own: Iterable[Address]) -> Iterator[Network]:
        """Yields prefixes that hold all but what is of the node alone and the addresses given, in order."""
        numbers = (int(address) for address in own if address.version == self._family)
        gone: dict[int, list[_Span]] = {}
        for span in sorted((*self._alone.get(node, ()), *((number, number) for number in numbers))):
            place = bisect_right(self._lows, span[0]) - 1
            if place >= 0 and span[0] <= self._stretches[place][1]:
                gone.setdefault(place, []).append(span)
        start = 0
        for place, spans in gone.items():
            yield from self._prefixes[start : self._starts[place]]
            for rest in _without(self._stretches[place], spans):
                yield from _prefixes(rest, self._family)
            start = self._starts[place + 1]
        yield from self._prefixes[start:]


def _ranges(nodes: Mapping[str, Node], selected: Iterable[Workload], family: Family) -> Iterator[tuple[int, int, str]]:
    """Yields what is of any node: the first and the last address of each range, and the node."""
    spans = {name: [_span(item) for item in node.pod_cidrs if item.version == family] for name, node in nodes.items()}
    for name, found in spans.items():
        yield from ((low, high, name) for low, high in found)
    for workload in selected:
        if family in workload.addresses:
            number = int(workload.addresses[family])
            # Most are in a range of their own node and change nothing.
            if not any(low <= number <= high for low, high in spans.get(workload.node, ())):
                yield number, number, workload.node


def _parts(ranges: Iterable[tuple[int, int, str]]) -> Iterator[tuple[int, int, str | None]]:
    """Divides what any range covers where ranges begin and end, in order; names the node where it is one's alone."""
    changes: dict[int, list[tuple[str, int]]] = {}
    for low, high, node in ranges:
        changes.setdefault(low, []).append((node, 1))
        changes.setdefault(high + 1, []).append((node, -1))
    covering: dict[str, int] = {}
    start = 0
    for position, steps in sorted(changes.items()):
        if covering:
            yield start, position - 1, next(iter(covering)) if len(covering) == 1 else None
        for node, step in steps:
            covering[node] = covering.get(node, 0) + step
            if covering[node] == 0:
                del covering[node]
        start = position


def _span(network: Network) -> _Span:
    return int(network.network_address), int(network.broadcast_address)


def _without(stretch: _Span, spans: Iterable[_Span]) -> Iterator[_Span]:
    """Yields what is left of a stretch without some spans of it, which are sorted."""
    low, high = stretch
    for first, last in spans:
        if low < first:
            yield low, first - 1
        low = max(low, last + 1)
    if low <= high:
        yield low, high


def _prefixes(span: _Span, family: Family) -> Iterator[Network]:
    if family is Family.IPV4:
        return summarize_address_range(IPv4Address(span[0]), IPv4Address(span[1]))
    return summarize_address_range(IPv6Address(span[0]), IPv6Address(span[1]))
