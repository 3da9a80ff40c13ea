"""Tells the neighbours on a link which machine holds an address now, so that they need not wait for their caches."""

import socket
import struct
import time
from ipaddress import IPv4Address, IPv6Address

_ETHERNET = 1  # ARPHRD_ETHER; other links have no addresses to learn
_ARP = 0x0806
_IPV6 = 0x86DD
_ICMPV6 = 58
_NEIGHBOUR_ADVERTISEMENT = 136
_BROADCAST = b"\xff" * 6
_ALL_NODES = IPv6Address("ff02::1")
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_ROUTER = 0x80000000
_OVERRIDE = 0x20000000
_REPEAT = 3  # a lost frame would leave a neighbour with the old machine until its cache ages
_PAUSE = 0.02  # seconds


def announce(address: IPv4Address | IPv6Address, device: str, *, router: bool) -> None:
    """Sends gratuitous ARP or unsolicited neighbour advertisements for `address`, a few times.

    Args:
        address: Held by this machine.
        device: Interface on which to send; one without Ethernet addresses is left alone.
        router: What an IPv6 neighbour is told of us: without it, it would drop us from its list of routers.

    Raises:
        OSError: The frame could not be sent.
    """
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind((device, 0))
        _, _, _, kind, mac = link.getsockname()
        if kind != _ETHERNET:
            return
        frames = _arp(address, mac) if address.version == 4 else (_advertisement(address, mac, router=router),)  # noqa: PLR2004  # IPv4
        for _ in range(_REPEAT):
            for frame in frames:
                link.send(frame)
            time.sleep(_PAUSE)


def _arp(address: IPv4Address, mac: bytes) -> tuple[bytes, ...]:
    # RFC 5227 asks for requests; some switches and stacks learn from replies only.
    return tuple(
        _BROADCAST
        + mac
        + struct.pack("!HHHBBH", _ARP, 1, 0x0800, 6, 4, operation)
        + mac
        + address.packed
        + target
        + address.packed
        for operation, target in ((1, bytes(6)), (2, _BROADCAST))
    )


def _advertisement(address: IPv6Address, mac: bytes, *, router: bool) -> bytes:
    flags = _OVERRIDE | (_ROUTER if router else 0)
    option = bytes((2, 1)) + mac  # target link-layer address

    def message(checksum: int) -> bytes:
        head = struct.pack("!BBHI", _NEIGHBOUR_ADVERTISEMENT, 0, checksum, flags)
        return head + address.packed + option

    body = message(0)
    pseudo = address.packed + _ALL_NODES.packed + struct.pack("!II", len(body), _ICMPV6)
    header = struct.pack("!IHBB", 0x60000000, len(body), _ICMPV6, 255)  # neighbours refuse any other hop limit
    addresses = address.packed + _ALL_NODES.packed
    return _ALL_NODES_MAC + mac + struct.pack("!H", _IPV6) + header + addresses + message(_checksum(pseudo + body))


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
