"""Ethernet frames of ARP and of neighbour discovery: made, and read. Pure."""

import struct
from ipaddress import IPv4Address, IPv6Address

ARP = 0x0806
"""Ethernet type of ARP."""

IPV6 = 0x86DD
"""Ethernet type of IPv6."""

HOP_LIMIT = 255
"""Of neighbour discovery; a message with any other has crossed a router and is refused (RFC 4861, 7.1)."""

ICMPV6 = 58
NEIGHBOUR_SOLICITATION = 135
NEIGHBOUR_ADVERTISEMENT = 136

_REQUEST = 1
_REPLY = 2
_BROADCAST = b"\xff" * 6
_NOBODY = bytes(6)
_ALL_NODES = IPv6Address("ff02::1")
_ROUTER = 0x80000000
_OVERRIDE = 0x20000000
_SOURCE_LINK_ADDRESS = 1  # option of a solicitation
_TARGET_LINK_ADDRESS = 2  # option of an advertisement
_ETHERNET_HEADER = 14
_IPV6_HEADER = 40
_ARP_HEAD = struct.pack("!HHBB", 1, 0x0800, 6, 4)  # Ethernet and IPv4, with the lengths of their addresses


def gratuitous_arp(address: IPv4Address, mac: bytes) -> tuple[bytes, ...]:
    """Returns what tells a link that `address` is at `mac`.

    RFC 5227 asks for requests; some switches and stacks learn from replies only.
    """
    own = address.packed
    return (
        _arp(_REQUEST, mac, (mac, own), (_NOBODY, own)),
        _arp(_REPLY, mac, (mac, own), (_BROADCAST, own)),
    )


def arp_request(address: IPv4Address, mac: bytes, source: IPv4Address | None) -> bytes:
    """Returns the question who has `address`, from `source`; without one it is the probe of RFC 5227."""
    sender = source.packed if source else bytes(4)
    return _arp(_REQUEST, mac, (mac, sender), (_NOBODY, address.packed))


def unsolicited_advertisement(address: IPv6Address, mac: bytes, *, router: bool) -> bytes:
    """Returns what tells a link that `address` is at `mac`."""
    flags = _OVERRIDE | (_ROUTER if router else 0)
    option = bytes((_TARGET_LINK_ADDRESS, 1)) + mac
    return _discovery(NEIGHBOUR_ADVERTISEMENT, flags, (address, option), mac, (address, _ALL_NODES))


def solicitation(address: IPv6Address, mac: bytes, source: IPv6Address | None) -> bytes:
    """Returns the question who has `address`, from `source`; without one it is that of duplicate address detection."""
    group = IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + address.packed[13:])
    option = bytes((_SOURCE_LINK_ADDRESS, 1)) + mac if source else b""
    return _discovery(NEIGHBOUR_SOLICITATION, 0, (address, option), mac, (source or IPv6Address("::"), group))


def holder(frame: bytes) -> tuple[IPv4Address | IPv6Address, bytes] | None:
    """Returns the address that the sender of a frame says it has, and its MAC; None if the frame does not say so."""
    kind = frame[12:_ETHERNET_HEADER]
    if kind == struct.pack("!H", ARP):
        return _arp_holder(frame)
    return _discovery_holder(frame) if kind == struct.pack("!H", IPV6) else None


def _arp_holder(frame: bytes) -> tuple[IPv4Address, bytes] | None:
    body = frame[_ETHERNET_HEADER:]
    if len(body) < len(_ARP_HEAD) + 22 or not body.startswith(_ARP_HEAD):  # operation and two pairs of addresses
        return None
    address = IPv4Address(body[14:18])
    return None if address.is_unspecified else (address, body[8:14])


def _discovery_holder(frame: bytes) -> tuple[IPv6Address, bytes] | None:
    header = frame[_ETHERNET_HEADER : _ETHERNET_HEADER + _IPV6_HEADER]
    message = frame[_ETHERNET_HEADER + _IPV6_HEADER :]
    if len(message) < 24 or header[6:8] != bytes((ICMPV6, HOP_LIMIT)) or message[0] != NEIGHBOUR_ADVERTISEMENT:  # noqa: PLR2004  # up to the options
        return None
    options = message[24:32]
    mac = options[2:] if options[:2] == bytes((_TARGET_LINK_ADDRESS, 1)) and len(options) == 8 else frame[6:12]  # noqa: PLR2004  # one option
    return IPv6Address(message[8:24]), mac


def _arp(operation: int, mac: bytes, sender: tuple[bytes, bytes], target: tuple[bytes, bytes]) -> bytes:
    head = _BROADCAST + mac + struct.pack("!H", ARP) + _ARP_HEAD + struct.pack("!H", operation)
    return head + b"".join((*sender, *target))


def _discovery(
    kind: int, flags: int, about: tuple[IPv6Address, bytes], mac: bytes, way: tuple[IPv6Address, IPv6Address]
) -> bytes:
    """Returns a message of neighbour discovery about an address, with an option, from and to the ends of `way`."""
    target, option = about
    addresses = way[0].packed + way[1].packed

    def message(checksum: int) -> bytes:
        return struct.pack("!BBHI", kind, 0, checksum, flags) + target.packed + option

    body = message(0)
    pseudo = addresses + struct.pack("!II", len(body), ICMPV6)
    header = struct.pack("!IHBB", 0x60000000, len(body), ICMPV6, HOP_LIMIT)
    ethernet = b"\x33\x33" + way[1].packed[12:] + mac + struct.pack("!H", IPV6)
    return ethernet + header + addresses + message(_checksum(pseudo + body))


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
