"""Whether anything was written to the kernel: by the kernel's own notices, and by every system call of a process.

The kernel tells of what changed, which costs nothing and so is asked after every apply. It does not tell of a write
that changes nothing, such as a setting that gets the value it has; a trace of the process does.
"""

import errno
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from applier.netns import entered

_NETLINK_NETFILTER = 12
_SOL_NETLINK = 270
_ADD_MEMBERSHIP = 1
_NFTABLES = 7  # NFNLGRP_NFTABLES
_LINK, _IPV4_ADDRESS, _IPV4_ROUTE, _IPV4_RULE = 1, 5, 7, 8  # RTNLGRP_*
_IPV6_ADDRESS, _IPV6_ROUTE, _IPV6_RULE, _IPV4_SETTING, _IPV6_SETTING = 9, 11, 19, 24, 25
_GROUPS = (
    (_NETLINK_NETFILTER, (_NFTABLES,)),
    (
        socket.NETLINK_ROUTE,
        (
            *(_LINK, _IPV4_ADDRESS, _IPV4_ROUTE, _IPV4_RULE, _IPV6_ADDRESS, _IPV6_ROUTE, _IPV6_RULE),
            *(_IPV4_SETTING, _IPV6_SETTING),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Notices:
    """What the kernel of a network namespace tells of changes to nftables, links, addresses, routes and rules."""

    sockets: tuple[socket.socket, ...]

    def take(self) -> list[int]:
        """Returns the netlink types of all notices since the last call."""
        return [kind for each in self.sockets for kind in _drain(each)]


@contextmanager
def notices(netns: str) -> Iterator[Notices]:
    """Listens for as long as the body lasts."""
    with entered(netns):
        sockets = tuple(_listen(protocol, groups) for protocol, groups in _GROUPS)
    try:
        yield Notices(sockets)
    finally:
        for each in sockets:
            each.close()


def _listen(protocol: int, groups: tuple[int, ...]) -> socket.socket:
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    link.bind((0, 0))
    for group in groups:
        link.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
    return link


def _drain(link: socket.socket) -> Iterator[int]:
    while True:
        try:
            data = link.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            yield -1  # there were more than the socket holds
            continue
        while data:
            length, kind = struct.unpack_from("=IH", data)
            yield kind
            data = data[(length + 3) & ~3 :]


TRACE = (
    *("strace", "--follow-forks", "--quiet=all", "--seccomp-bpf", "--const-print-style=raw", "--decode-fds=path"),
    *("--no-abbrev", "--string-limit=32", "--trace=sendto,sendmsg,sendmmsg,write,writev,pwrite64,pwritev,pwritev2"),
)
"""Traces all by which a process can write to netlink, to /proc/sys and to the wire; `-o FILE COMMAND` is to follow."""

_CALL = re.compile(r"\d+ +(\w+)\(\d+<([^>]*)>, (.*)")
_KIND = re.compile(r"nlmsg_type=(0x[0-9a-f]+|\d+)")
_NFT_READS = frozenset({1, 4, 7, 10, 13, 16, 19, 23})  # NFT_MSG_GET*: table, chain, rule, set, element, gen, obj, …
_CONNTRACK_READS = frozenset({1})  # IPCTNL_MSG_CT_GET
_READS = {10: _NFT_READS, 1: _CONNTRACK_READS}  # by NFNL_SUBSYS_*


def traced_writes(log: str) -> dict[str, list[str]]:
    """Reads what `TRACE` wrote down.

    Returns:
        What was written to the kernel or the wire, by what the process itself last wrote to /dev/null.
    """
    parts: dict[str, list[str]] = {}
    part: list[str] = []
    for line in log.splitlines():
        call = _CALL.match(line)
        if call is None:
            continue
        name, where, what = call.groups()
        if where.startswith("/dev/null"):
            part = parts.setdefault(what.split('"')[1], [])
        elif name.startswith("send"):
            kinds = [int(kind, 0) for kind in _KIND.findall(what)]
            if not kinds or not all(map(_reads, kinds)):
                part.append(line)
        elif where.startswith(("/proc/", "/sys/")):
            part.append(line)
    return parts


def _reads(kind: int) -> bool:
    subsystem, message = kind >> 8, kind & 0xFF
    if subsystem == 0:
        return message % 4 == 2  # RTM_NEW*, RTM_DEL*, RTM_GET*, RTM_SET*, again and again
    return message in _READS.get(subsystem, ())
