"""Sets of addresses as intervals of numbers, both ends included."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address, ip_network

Bounds = tuple[int, int]


@lru_cache(maxsize=1 << 16)
def bounds(text: str) -> Bounds:
    """Reads an address, a prefix or `low-high` as nft prints them.

    Raises:
        ValueError: It is none of them.
    """
    low, dash, high = text.partition("-")
    if dash:
        return int(ip_address(low)), int(ip_address(high))
    network = ip_network(text)
    return int(network.network_address), int(network.broadcast_address)


def difference(wanted: Iterable[Bounds], found: Iterable[Bounds]) -> tuple[list[Bounds], list[Bounds]]:
    """Returns what only `wanted` covers and what only `found` covers, as disjoint intervals in ascending order."""
    edges: dict[int, list[int]] = {}
    for index, intervals in enumerate((wanted, found)):
        for low, high in intervals:
            edges.setdefault(low, [0, 0])[index] += 1
            edges.setdefault(high + 1, [0, 0])[index] -= 1
    missing: list[Bounds] = []
    surplus: list[Bounds] = []
    depth = [0, 0]
    position = 0
    for edge, (first, second) in sorted(edges.items()):
        if bool(depth[0]) != bool(depth[1]):
            (missing if depth[0] else surplus).append((position, edge - 1))
        depth = [depth[0] + first, depth[1] + second]
        position = edge
    return _joined(missing), _joined(surplus)


def _joined(intervals: Iterable[Bounds]) -> list[Bounds]:
    result: list[Bounds] = []
    for low, high in intervals:
        if result and result[-1][1] + 1 == low:
            result[-1] = (result[-1][0], high)
        else:
            result.append((low, high))
    return result
