"""Elements of a set or map as nf_tables tells them, to the text that nft would print. Pure.

Only what our sets hold is understood: addresses, marks, classids, interface names, ranges of them, verdicts. An element
that has more, such as a comment or a timeout, is somebody's own, and for it libnftables is asked. Messages:
linux/netfilter/nf_tables.h; how intervals are told: nft_set_rbtree.c (starts and ends) and nft_set_pipapo.c (a key and
its end).
"""

import sys
from collections.abc import Callable, Iterable
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from operator import itemgetter
from typing import Final, Literal

from applier.nfnetlink import ATTRIBUTE, TYPE_MASK, attributes
from bundle.ruleset import format_classid, format_range

Elements = dict[str, str | None]
"""Key to verdict or classid, None in a set; all in the normal form of `bundle.ruleset`."""

KEY: Final = 1  # NFTA_SET_ELEM_KEY
_DATA: Final = 2
_FLAGS: Final = 3
_USERDATA: Final = 6
_KEY_END: Final = 10
_OF_INTERVALS: Final = frozenset({KEY, _DATA, _FLAGS, _USERDATA})
_INTERVAL_END: Final = 1  # NFT_SET_ELEM_INTERVAL_END
_OPEN: Final = bytes((1, 4, 1, 0, 0, 0))  # nft's own note on an interval that reaches to the last address
_VERDICTS: Final = {-1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return", 0: "drop", 1: "accept"}
_ADDRESSES: Final[dict[str, type[IPv4Address | IPv6Address]]] = {"ipv4_addr": IPv4Address, "ipv6_addr": IPv6Address}
_LENGTHS: Final = {"ipv4_addr": 4, "ipv6_addr": 16, "mark": 4, "ifname": 16, "classid": 4}


class OddElementError(Exception):
    """An element is more than this module understands."""


def read(spec: str, lists: Iterable[bytes]) -> Elements:
    """Reads lists of elements.

    Args:
        spec: Type and flags of the set, as in `bundle.ruleset.Set`.
        lists: Values of `NFTA_SET_ELEM_LIST_ELEMENTS`, in any number.

    Raises:
        OddElementError: The type or an element is none of those that our sets have.
    """
    kind, _, flags = spec.partition("; ")
    keys, _, value = kind.removeprefix("type ").partition(" : ")
    parts = keys.split(" . ")
    known = value in ("", "verdict", "classid") and flags in ("", "flags interval")
    if not known or not set(parts) <= _LENGTHS.keys():
        raise OddElementError(spec)
    if flags and len(parts) == 1:
        if parts[0] not in _ADDRESSES or value == "classid":
            raise OddElementError(spec)
        return _intervals(parts[0], lists)
    found: Elements = {}
    value_of = cache(_classid if value == "classid" else _verdict)
    # A mark or classid is a number of the machine, which nft turns round where ranges have to be in order.
    text = _v4 if parts == ["ipv4_addr"] else _text(parts, "big" if flags else sys.byteorder)
    for data in lists:
        _plain(data, text, value_of, found)
    return found


def _plain(data: bytes, text: Callable[[bytes, bytes], str], value_of: Callable[[bytes], str], found: Elements) -> None:
    """Reads elements that have a key, perhaps its end, and perhaps a value; there may be 150,000 of them."""
    unpack = ATTRIBUTE.unpack_from
    at, size = 0, len(data)
    while at < size:
        length, _ = unpack(data, at)
        place, end = at + 4, at + length
        key, last = b"", b""
        value: str | None = None
        while place < end:
            attribute, number = unpack(data, place)
            number &= TYPE_MASK
            if number == KEY:
                key = data[place + 8 : place + attribute]
            elif number == _DATA:
                value = value_of(data[place + 4 : place + attribute])
            elif number == _KEY_END:
                last = data[place + 8 : place + attribute]
            else:
                raise OddElementError(f"attribute {number}")
            place += (attribute + 3) & ~3
        if not key:
            raise OddElementError("an element for all that no other has")
        found[text(key, last)] = value
        at += (length + 3) & ~3


def _v4(key: bytes, _: bytes) -> str:
    return "%d.%d.%d.%d" % tuple(key)  # noqa: UP031  # four times as quick as IPv4Address


def _text(parts: list[str], order: Literal["big", "little"]) -> Callable[[bytes, bytes], str]:
    def text(key: bytes, last: bytes) -> str:
        found = []
        at = 0
        for part in parts:
            length = _LENGTHS[part]
            low, high = key[at : at + length], last[at : at + length] or key[at : at + length]
            found.append(_item(part, low, high, order))
            at += (length + 3) & ~3
        return " . ".join(found)

    return text


def _item(kind: str, low: bytes, high: bytes, order: Literal["big", "little"]) -> str:
    if kind == "ifname":
        return f'"{low.rstrip(bytes(1)).decode(errors="backslashreplace")}"'
    if kind == "mark":
        return f"0x{int.from_bytes(low, order):08x}"
    if kind == "classid":
        return format_classid(int.from_bytes(low, order))
    return format_range(ip_address(low), ip_address(high))


def _intervals(kind: str, lists: Iterable[bytes]) -> Elements:
    """Reads intervals that are told by their starts and, as elements of their own, what comes after their ends."""
    edges: list[tuple[int, bool, str | None]] = []
    value_of = cache(_verdict)
    for data in lists:
        for _, element in attributes(data):
            found = dict(attributes(element))
            if KEY not in found or not found.keys() <= _OF_INTERVALS or found.get(_USERDATA, _OPEN) != _OPEN:
                raise OddElementError(f"attributes {sorted(found)}")
            opens = not int.from_bytes(found.get(_FLAGS, b""), "big") & _INTERVAL_END
            value = value_of(found[_DATA]) if _DATA in found else None
            edges.append((int.from_bytes(dict(attributes(found[KEY]))[1], "big"), opens, value))
    address = _ADDRESSES[kind]
    largest = (1 << 8 * _LENGTHS[kind]) - 1
    elements: Elements = {}
    start: tuple[int, str | None] | None = None
    for key, opens, value in sorted(edges, key=itemgetter(0, 1)):  # an end before a start at the same place
        if start is not None:
            elements[format_range(address(start[0]), address(key - 1))] = start[1]
        start = (key, value) if opens else None
    if start is not None:
        elements[format_range(address(start[0]), address(largest))] = start[1]
    return elements


def _classid(data: bytes) -> str:
    value = dict(attributes(data)).get(1, b"")  # NFTA_DATA_VALUE
    if len(value) != _LENGTHS["classid"]:
        raise OddElementError("no classid")
    return format_classid(int.from_bytes(value, sys.byteorder))


def _verdict(data: bytes) -> str:
    parts = dict(attributes(dict(attributes(data)).get(2, b"")))  # NFTA_DATA_VERDICT
    word = _VERDICTS.get(int.from_bytes(parts.get(1, b"\xff"), "big", signed=True))
    if 1 not in parts or word is None:
        raise OddElementError("no verdict")
    chain = parts.get(2, b"").rstrip(b"\0").decode(errors="backslashreplace")
    return f"{word} {chain}" if chain else word
