"""Connection tracking entries to order, put into the kernel by netlink, for measurements and tests."""

import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from struct import pack

_NETLINK_NETFILTER = 12
_NEW = 1 << 8  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW
_CREATE = 0x1 | 0x4 | 0x400 | 0x200  # NLM_F_REQUEST, ACK, CREATE, EXCL
_NESTED = 0x8000
_SECONDS = 3600
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """A UDP entry: who opened it, who answers, whom the answers are addressed to; its mark and its zone."""

    source: str
    port: int
    destination: str
    reply_destination: str
    mark: int = 0
    zone: int = 0


def insert(entries: Iterable[Entry]) -> None:
    """Puts entries into the network namespace of the caller.

    Raises:
        OSError: The kernel refuses one.
    """
    left = iter(entries)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as link:
        while batch := tuple(islice(left, _BATCH)):
            link.send(b"".join(map(_message, batch)))
            answered = 0
            while answered < len(batch):
                data = link.recv(1 << 16)
                while data:
                    size = int.from_bytes(data[:4], "little")
                    code = -int.from_bytes(data[16:20], "little", signed=True)
                    if code:
                        raise OSError(code, f"entry refused: {errno.errorcode[code]} {os.strerror(code)}")
                    answered += 1
                    data = data[size + 3 & ~3 :]


def _message(entry: Entry) -> bytes:
    family = socket.AF_INET6 if ":" in entry.source else socket.AF_INET
    body = (
        _tuple(1, family, entry.source, entry.destination, entry.port, 53)
        + _tuple(2, family, entry.destination, entry.reply_destination, 53, entry.port)
        + _attribute(7, pack("!I", _SECONDS))
        + _attribute(8, pack("!I", entry.mark))
        + (_attribute(18, pack("!H", entry.zone)) if entry.zone else b"")
    )
    return pack("=IHHIIBBH", 20 + len(body), _NEW, _CREATE, 0, 0, family, 0, 0) + body


def _tuple(kind: int, family: int, source: str, destination: str, source_port: int, destination_port: int) -> bytes:  # noqa: PLR0913, PLR0917  # the parts of one
    first = 3 if family == socket.AF_INET6 else 1
    addresses = _attribute(first, socket.inet_pton(family, source))
    addresses += _attribute(first + 1, socket.inet_pton(family, destination))
    ports = _attribute(1, bytes((socket.IPPROTO_UDP,)))
    ports += _attribute(2, pack("!H", source_port)) + _attribute(3, pack("!H", destination_port))
    return _attribute(kind | _NESTED, _attribute(1 | _NESTED, addresses) + _attribute(2 | _NESTED, ports))


def _attribute(kind: int, value: bytes) -> bytes:
    return pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
