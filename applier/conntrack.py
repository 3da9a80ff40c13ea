"""The kernel's connection tracking by netlink: list, delete exactly these, delete all with a bit. Needs CAP_NET_ADMIN.

A gateway may have half a million entries, for which pyroute2's reader of attributes takes a minute and this one takes
seconds; so it reads just what is needed, from where the kernel writes it.
"""

import errno
import os
import socket
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from struct import Struct

from applier.connections import Connection
from applier.errors import KernelError
from applier.nfnetlink import ATTRIBUTE, NESTED, PROTOCOL, TYPE_MASK, attribute

# linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nfnetlink_conntrack.h
_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
_NEW = 1 << 8 | 0  # IPCTNL_MSG_CT_NEW, in which the kernel answers
_DELETE = 1 << 8 | 2
_ERROR = 2
_DONE = 3
_REQUEST = 0x1
_ACK = 0x4
_DUMP = 0x300
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_ORIGINAL = 1  # CTA_TUPLE_ORIG, CTA_FILTER_ORIG_FLAGS
_REPLY = 2  # CTA_TUPLE_REPLY, CTA_FILTER_REPLY_FLAGS
_IP = 1  # CTA_TUPLE_IP
_MARK = 8  # CTA_MARK
_ID = 12  # CTA_ID
_ZONE = 18  # CTA_ZONE
_MARK_MASK = 21  # CTA_MARK_MASK
_FILTER = 25  # CTA_FILTER
_SOURCE = 1  # of the flags of a filter: the source address

_HEADER = Struct("=IHHIIBBH")  # nlmsghdr, nfgenmsg
_MESSAGE = Struct("=IHHIIi")  # nlmsghdr, and the error number of an answer
_NUMBER = Struct("!I")
_SHORT = Struct("!H")
_NATIVE = Struct("=I")
# A tuple: its header, CTA_TUPLE_IP, in it CTA_IP_V4_SRC and CTA_IP_V4_DST or those of IPv6; and CTA_TUPLE_PROTO.
_TUPLES: dict[int, tuple[Struct, tuple[int, int]]] = {
    socket.AF_INET: (Struct("=HHHHHH4sHH4sHH"), (1, 2)),
    socket.AF_INET6: (Struct("=HHHHHH16sHH16sHH"), (3, 4)),
}

_BUFFER = 1 << 16  # the kernel fills at most 32 KiB
_BATCH = 64  # deletions at a time: a refusal of each must find room in the socket's receive buffer
_TRIES = 3
_LOADED = Path("/proc/sys/net/netfilter/nf_conntrack_count")


def list_connections(sources: Iterable[str] | None = None) -> Iterator[Connection]:
    """Yields the entries of the network namespace in which the first one is asked for; one may come twice.

    Args:
        sources: Addresses that opened them; None for all. The kernel walks through its whole table for each IPv4
            address, as it does for all together, so this is for some dozens.

    Raises:
        KernelError: They cannot be listed.
    """
    if sources is None:
        yield from _listed(_request(_GET, _REQUEST | _DUMP, 0, b""))
        return
    asked = frozenset(sources)
    # Linux 6.18 lists just the others when it is asked for an IPv6 source; before 5.8 it lists all of the family.
    requests = [_only_from(source) for source in sorted(asked) if ":" not in source]
    if len(requests) < len(asked):
        requests.append(_request(_GET, _REQUEST | _DUMP, 0, b"", socket.AF_INET6))
    for request in requests:
        yield from (entry for entry in _listed(request) if entry.source in asked)


def delete_connections(connections: Iterable[Connection]) -> int:
    """Deletes exactly these entries, as they come; returns how many were still there.

    Raises:
        KernelError: One is refused; those behind it may not have been tried.
    """
    deleted, refused = 0, 0
    entries = iter(connections)
    with _opened("delete connections") as link:
        while batch := tuple(islice(entries, _BATCH)):
            # Only the last is answered if all goes well.
            flags = [_REQUEST] * (len(batch) - 1) + [_REQUEST | _ACK]
            link.send(
                b"".join(
                    _request(_DELETE, flag, number, entry.identity, _family(entry))
                    for number, (flag, entry) in enumerate(zip(flags, batch, strict=True))
                )
            )
            errors = [code for code in _answers(link, len(batch) - 1) if code]
            deleted += len(batch) - len(errors)
            refused += errors.count(errno.EBUSY)
            for code in errors:
                if code not in (errno.ENOENT, errno.EBUSY):
                    raise KernelError(f"delete connections: {os.strerror(code)}")
    if refused:
        raise KernelError(
            f"delete connections: {refused} are in a flowtable, which passes them by all rules; remove it"
        )
    return deleted


def delete_bound_connections(bit: int) -> None:
    """Deletes all entries that have this bit in their mark; with bit 0 none.

    Raises:
        KernelError: They cannot be deleted.
    """
    if not bit:
        return
    number = _NUMBER.pack(bit)
    with _opened("delete connections") as link:
        link.send(_request(_DELETE, _REQUEST | _ACK, 0, attribute(_MARK, number) + attribute(_MARK_MASK, number)))
        for code in _answers(link, 0):
            if code:
                raise KernelError(f"delete connections: {os.strerror(code)}")


@contextmanager
def _opened(what: str) -> Iterator[socket.socket]:
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, PROTOCOL) as link:
            yield link
    except OSError as error:
        raise KernelError(f"{what}: {error.strerror}") from None


def _request(kind: int, flags: int, number: int, attributes: bytes, family: int = socket.AF_UNSPEC) -> bytes:
    return _HEADER.pack(_HEADER.size + len(attributes), kind, flags, number, 0, family, 0, 0) + attributes


def _only_from(source: str) -> bytes:
    """Asks for what an IPv4 address opened."""
    address = attribute(_IP | NESTED, attribute(1, socket.inet_aton(source)))
    flags = attribute(_ORIGINAL, _NATIVE.pack(_SOURCE)) + attribute(_REPLY, _NATIVE.pack(0))
    attributes = attribute(_ORIGINAL | NESTED, address) + attribute(_FILTER | NESTED, flags)
    return _request(_GET, _REQUEST | _DUMP, 0, attributes, socket.AF_INET)


def _family(connection: Connection) -> int:
    return socket.AF_INET6 if ":" in connection.source else socket.AF_INET


def _received(link: socket.socket) -> bytes:
    data, _, flags, _ = link.recvmsg(_BUFFER)
    if flags & socket.MSG_TRUNC:
        raise KernelError(f"connection tracking answers with more than {_BUFFER} bytes at once")
    return data


def _answers(link: socket.socket, last: int) -> Iterator[int]:
    """Yields the error of each answered request, 0 for none, up to the request of that number."""
    number = -1
    while number != last:
        data, at = _received(link), 0
        while at < len(data):
            size, kind, _, number, _, code = _MESSAGE.unpack_from(data, at)
            if kind == _ERROR:
                yield -code
            at += size + 3 & ~3


def _listed(request: bytes) -> Iterator[Connection]:
    with _opened("list connections") as link:
        for _ in range(_TRIES):
            link.send(request)
            if (yield from _dumped(link)):
                return
    raise KernelError(f"list connections: the list changed while it was read, {_TRIES} times")


def _dumped(link: socket.socket) -> Generator[Connection, None, bool]:
    """Yields what the kernel lists; returns whether the list stayed the same meanwhile."""
    steady = True
    while True:
        data, at = _received(link), 0
        while at < len(data):
            size, kind, flags, _, _, code = _MESSAGE.unpack_from(data, at)
            steady = steady and not flags & _INTERRUPTED
            if kind == _NEW:
                yield _connection(data, at + _HEADER.size, at + size)
            elif kind == _DONE and code == 0:
                return steady
            elif kind in (_ERROR, _DONE):
                if code == -errno.EINVAL and not _LOADED.exists():
                    return True  # no connection tracking, so there are none
                raise KernelError(f"list connections: {os.strerror(-code)}")
            at += size + 3 & ~3


def _connection(data: bytes, at: int, end: int) -> Connection:
    """Reads the attributes of one entry, of which the kernel writes the two tuples first."""
    family = data[at - 4]
    source, _, zone, size = _tuple(data, at, family, _ORIGINAL)
    identity = data[at : at + size]
    at += size
    destination, reply_destination, _, size = _tuple(data, at, family, _REPLY)
    at += size
    mark = 0
    while at < end:
        size, kind = ATTRIBUTE.unpack_from(data, at)
        kind &= TYPE_MASK
        if kind == _MARK:
            (mark,) = _NUMBER.unpack_from(data, at + 4)
        elif kind == _ZONE:
            (zone,) = _SHORT.unpack_from(data, at + 4)
            identity += data[at : at + 8]
        elif kind == _ID:
            identity += data[at : at + 8]
        at += size + 3 & ~3
    return Connection(
        socket.inet_ntop(family, source),
        socket.inet_ntop(family, destination),
        socket.inet_ntop(family, reply_destination),
        mark,
        zone,
        identity,
    )


def _tuple(data: bytes, at: int, family: int, expected: int) -> tuple[bytes, bytes, int, int]:
    """Reads a tuple; returns source, destination, its own zone and its size."""
    form, kinds = _TUPLES[family]
    size, kind, ip_size, ip, _, source_kind, source, _, destination_kind, destination, proto_size, _ = form.unpack_from(
        data, at
    )
    if (kind & TYPE_MASK, ip & TYPE_MASK, source_kind, destination_kind) != (expected, _IP, *kinds):
        raise KernelError("list connections: the kernel writes an entry in an order that is not known")
    # A zone of one direction only stands behind addresses and ports.
    has_zone = size > 4 + ip_size + (proto_size + 3 & ~3)  # with the tuple's own header
    zone = _SHORT.unpack_from(data, at + size - 4)[0] if has_zone else 0
    return source, destination, zone, size
