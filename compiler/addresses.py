"""Addresses as text, as `str` gives it; a bundle of a large cluster has half a million of them."""

from ipaddress import IPv4Address
from struct import unpack
from typing import Final

from compiler.model import Address

_GROUPS: Final = ":" + "{:x}:" * 8
_ZEROS: Final = tuple(":" + "0:" * count for count in range(8, 1, -1))
_MAPPED: Final = 0xFFFF


def address_text(address: Address) -> str:
    """Returns what `str` does, for IPv6 in less than half of the time (RFC 5952)."""
    # Versions of Python differ in how they write IPv4 addresses in IPv6.
    if isinstance(address, IPv4Address) or address.scope_id is not None or int(address) >> 32 == _MAPPED:
        return str(address)
    text = _GROUPS.format(*unpack("!8H", address.packed))
    for zeros in _ZEROS:
        if zeros in text:
            before, _, after = text.partition(zeros)
            return f"{before[1:]}::{after[:-1]}"
    return text[1:-1]
