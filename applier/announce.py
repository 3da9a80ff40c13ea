"""Tells the neighbours on a link which machine holds an address now, so that they need not wait for their caches."""

import socket
from ipaddress import IPv4Address, IPv6Address

from applier.frames import gratuitous_arp, unsolicited_advertisement

_ETHERNET = 1  # ARPHRD_ETHER; other links have no addresses to learn
_REPEAT = 3  # a lost frame would leave a neighbour with the old machine until its cache ages


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
        if address.version == 4:  # noqa: PLR2004  # IPv4
            frames = gratuitous_arp(address, mac)
        else:
            frames = (unsolicited_advertisement(address, mac, router=router),)
        for _ in range(_REPEAT):
            for frame in frames:
                link.send(frame)
