"""What the kernel tells of changes in a network namespace: enough to look again, not what has changed."""

import errno
import select
import socket
import struct
from collections.abc import Iterable
from typing import Final

from applier import nfnetlink
from applier.errors import KernelError
from bundle.names import PROTOCOL, TABLE_NAME

_LARGEST: Final = 1 << 17
_ADD_MEMBERSHIP: Final = 1
_SOL_NETLINK: Final = 270
_GROUPS: Final = {
    "link": 1,  # RTNLGRP_LINK: with an interface that goes down, IPv4 routes go without a word
    "address": 5,  # RTNLGRP_IPV4_IFADDR
    "route": 7,
    "rule": 8,
    "address6": 9,
    "route6": 11,
    "rule6": 19,
    "netconf": 24,  # forwarding and rp_filter
    "netconf6": 25,
}
_NFTABLES: Final = 7  # NFNLGRP_NFTABLES
_NEW_GENERATION: Final = 10 << 8 | 15  # NFT_MSG_NEWGEN
_ROUTES: Final = (24, 25)  # RTM_NEWROUTE, RTM_DELROUTE
_HEADER: Final = struct.Struct("=IHHII")
_PROTOCOL_AT: Final = 16 + 5  # rtm_protocol
_TABLE_AT: Final = 16 + 4  # rtm_table
_TABLE_ELSEWHERE: Final = 252  # RT_TABLE_COMPAT: in an attribute
_MOST: Final = 1000  # datagrams at a time: who floods us must not keep us from our work


class Events:
    """Sockets that hear of changes in the network namespace in which this object is made."""

    def __init__(self) -> None:
        self._nftables = _listen(nfnetlink.PROTOCOL, (_NFTABLES,))
        try:
            self._routing = _listen(socket.NETLINK_ROUTE, _GROUPS.values())
        except KernelError:
            self._nftables.close()
            raise

    def close(self) -> None:
        """Closes the sockets."""
        self._nftables.close()
        self._routing.close()

    def wait(self, seconds: float) -> bool:
        """Waits until something was heard that may concern us, at most so long; returns whether it was."""
        ready, _, _ = select.select((self._nftables, self._routing), (), (), seconds)
        # Both are emptied, whatever the first says.
        heard = [self._drain(events) for events in ready]
        return any(heard)

    def _drain(self, events: socket.socket) -> bool:
        concerns = False
        for _ in range(_MOST):
            try:
                data = events.recv(_LARGEST)
            except BlockingIOError:
                return concerns
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise KernelError(f"the kernel does not tell of changes: {error.strerror}") from None
                concerns = True  # there was more than fits, so nobody knows what
                continue
            concerns |= _concerns_our_table(data) if events is self._nftables else _concerns_our_routes(data)
        return True


def _listen(protocol: int, groups: Iterable[int]) -> socket.socket:
    try:
        events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        events.bind((0, 0))
        for group in groups:
            events.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        events.setblocking(False)  # noqa: FBT003  # the socket's own way
    except OSError as error:
        raise KernelError(f"the kernel does not tell of changes: {error.strerror}") from None
    return events


def _concerns_our_table(data: bytes) -> bool:
    """Tells whether a datagram of events names our table."""
    at = 0
    while at + 20 <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        own = (1, f"{TABLE_NAME}\0".encode())
        if kind != _NEW_GENERATION and own in nfnetlink.attributes(data[at + 16 : at + length], 4):
            return True
        at += max((length + 3) & ~3, 16)
    return False


def _concerns_our_routes(data: bytes) -> bool:
    """Tells whether there is more than routes of others in it, of which a node may see many."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        # Our tables have numbers that do not fit the header, and a route of others in them is in our way.
        if kind not in _ROUTES or data[at + _PROTOCOL_AT] == PROTOCOL or data[at + _TABLE_AT] == _TABLE_ELSEWHERE:
            return True
        at += max((length + 3) & ~3, _HEADER.size)
    return False
