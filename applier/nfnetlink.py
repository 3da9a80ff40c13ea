"""What all messages to netfilter's subsystems have in common: attributes, by type, length and value. Pure.

Layout: linux/netlink.h, linux/netfilter/nfnetlink.h.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final

PROTOCOL: Final = 12  # NETLINK_NETFILTER
NESTED: Final = 0x8000  # NLA_F_NESTED
TYPE_MASK: Final = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
ATTRIBUTE: Final = Struct("=HH")


def attribute(number: int, value: bytes) -> bytes:
    """Returns an attribute, filled up to whole words."""
    length = ATTRIBUTE.size + len(value)
    return ATTRIBUTE.pack(length, number) + value + bytes(-length % 4)


def attributes(data: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yields the attributes in `data` from an offset on, as (type, value)."""
    while at + ATTRIBUTE.size <= len(data):
        length, number = ATTRIBUTE.unpack_from(data, at)
        if length < ATTRIBUTE.size:
            return
        yield number & TYPE_MASK, data[at + ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
