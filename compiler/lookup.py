"""Sets and maps of a ruleset, indexed so that a key is found as the kernel finds it. Pure.

Knows just the types of sets that our templates write.
"""

import itertools
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from bundle.ruleset import Set, parse_classid


class TableError(Exception):
    """The elements of a set are not what its type says, or overlap; the message names one."""


@dataclass(frozen=True, slots=True)
class Table:
    """A set or map, indexed: exact leading parts of the key to ascending ranges of its last part."""

    lows: Mapping[tuple[object, ...], tuple[int, ...]]
    rows: Mapping[tuple[object, ...], tuple[tuple[int, str, str | None], ...]]

    def find(self, key: tuple[object, ...], last: int) -> tuple[str, str | None] | None:
        """Returns the element that holds a key, as text and its value; None if there is none."""
        lows = self.lows.get(key)
        if lows is None:
            return None
        index = bisect_right(lows, last) - 1
        if index < 0:
            return None
        high, text, value = self.rows[key][index]
        return (text, value) if last <= high else None


def index(item: Set) -> Table:
    """Reads a set's elements: the last part of the key is an address, a range, a number or an interface name.

    Raises:
        TableError: They are not of its type, or overlap.
    """
    rows: dict[tuple[object, ...], list[tuple[int, int, str, str | None]]] = {}
    keys, _, data = item.spec.split(";")[0].removeprefix("type ").partition(" : ")
    types = keys.split(" . ")
    for text, value in item.elements.items():
        parts = text.split(" . ")
        if len(parts) != len(types):
            raise TableError(f"element {text} of {item.name} does not fit its type")
        try:
            exact: list[object] = [_number(part, kind) for part, kind in zip(parts[:-1], types, strict=False)]
            if data == "classid":
                parse_classid(value or "")
            if types[-1] == "ifname":
                exact.append(parts[-1].strip('"'))
                low, high = 0, 0
            else:
                low, high = _bounds(parts[-1], types[-1])
        except ValueError:
            raise TableError(f"element {text} of {item.name} does not fit its type") from None
        shown = f"{text} : {value}" if value is not None else text
        rows.setdefault(tuple(exact), []).append((low, high, f"{item.name} {{ {shown} }}", value))
    ordered = {key: sorted(values) for key, values in rows.items()}
    for values in ordered.values():
        for (_, high, first, _), (low, _, second, _) in itertools.pairwise(values):
            if low <= high:
                raise TableError(f"elements overlap: {first} and {second}")
    return Table(
        lows={key: tuple(row[0] for row in values) for key, values in ordered.items()},
        rows={key: tuple(row[1:] for row in values) for key, values in ordered.items()},
    )


def _number(text: str, kind: str) -> int:
    return parse_classid(text) if kind == "classid" else int(text, 16)


def _bounds(text: str, kind: str) -> tuple[int, int]:
    if kind in {"mark", "classid"}:
        return _number(text, kind), _number(text, kind)
    low, dash, high = text.partition("-")
    if dash:
        return int(ip_address(low)), int(ip_address(high))
    network = ip_network(text)
    return int(network.network_address), int(network.broadcast_address)
