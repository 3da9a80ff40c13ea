"""What libnftables does not offer, asked of nf_tables itself: the generation, a large map, events. Reads only.

libnftables reads every element of a table to list a part of it, and needs some 40 µs for each. A gateway's map of
sources may hold 150,000; here one costs 3 µs. Messages and attributes: linux/netfilter/nf_tables.h.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from typing import Final

from applier.errors import KernelError
from bundle.names import TABLE_NAME

_NETLINK_NETFILTER: Final = 12
_SUBSYSTEM: Final = 10 << 8  # NFNL_SUBSYS_NFTABLES
_GET_SET_ELEMENT: Final = 13
_GET_GENERATION: Final = 16
_NEW_GENERATION: Final = _SUBSYSTEM | 15
_REQUEST: Final = 0x1
_DUMP: Final = 0x300
_DUMP_INTERRUPTED: Final = 0x10
_ERROR: Final = 2
_DONE: Final = 3
_INET: Final = 1  # NFPROTO_INET
_ELEMENTS: Final = 3  # NFTA_SET_ELEM_LIST_ELEMENTS
_GROUP_NFTABLES: Final = 7
_ADD_MEMBERSHIP: Final = 1
_SOL_NETLINK: Final = 270
_LARGEST_DATAGRAM: Final = 1 << 17
_RECEIVE_BUFFER: Final = 4 << 20
_NESTED: Final = 0x8000
_TYPE_MASK: Final = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_VERDICTS: Final = {-1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return", 0: "drop", 1: "accept"}

_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_FAMILY: Final = struct.pack("=BBH", _INET, 0, 0)


class Netfilter:
    """A socket to nf_tables of the network namespace in which it is made."""

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        except OSError as error:
            raise KernelError(f"no netlink socket: {error.strerror}") from None
        self._sequence = 0

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def generation(self) -> int:
        """Returns the number of the ruleset's generation, which every transaction of anybody raises.

        Raises:
            KernelError: The kernel does not tell.
        """
        for kind, body in self._ask(_GET_GENERATION, b"", 0):
            if kind == _NEW_GENERATION:
                for number, value in _attributes(body, 4):
                    if number == 1:  # NFTA_GEN_ID
                        return int.from_bytes(value, "big")
        raise KernelError("nf_tables does not tell its generation")

    def dump_map(self, name: str) -> dict[str, str | None] | None:
        """Returns the elements of a map from single addresses to verdicts, as nft prints them.

        Args:
            name: Of a map in our table, of type `ipv4_addr : verdict` or `ipv6_addr : verdict`.

        Returns:
            None if there is an element that is more than an address and a verdict, such as one with a timeout.

        Raises:
            KernelError: The map cannot be read.
        """
        found: dict[str, str | None] = {}
        body = _attribute(1, f"{TABLE_NAME}\0".encode()) + _attribute(2, f"{name}\0".encode())
        verdicts: dict[bytes, str | None] = {}
        for _, message in self._ask(_GET_SET_ELEMENT, body, _DUMP):
            for number, value in _attributes(message, 4):
                if number == _ELEMENTS and not _read_elements(value, verdicts, found):
                    return None
        return found

    def find_in_map(self, name: str, address: str) -> str | None:
        """Returns the verdict of one address in such a map as `dump_map` takes; None if it is not there.

        Raises:
            KernelError: The map cannot be read, or the element is more than an address and a verdict.
        """
        key = ip_address(address).packed
        element = _attribute(_NESTED | 1, _attribute(_NESTED | 1, _attribute(1, key)))
        body = _attribute(1, f"{TABLE_NAME}\0".encode()) + _attribute(2, f"{name}\0".encode())
        found: dict[str, str | None] = {}
        try:
            messages = tuple(self._ask(_GET_SET_ELEMENT, body + _attribute(_NESTED | _ELEMENTS, element), 0))
        except KernelError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENOENT:
                return None
            raise
        for _, message in messages:
            for number, value in _attributes(message, 4):
                if number == _ELEMENTS and not _read_elements(value, {}, found):
                    raise KernelError(f"map {name} holds something odd for {address}")
        return found.get(address)

    def _ask(self, kind: int, body: bytes, flags: int) -> Iterator[tuple[int, bytes]]:
        """Sends a request and returns the answers' types and bodies; a dump that changed under way starts again."""
        self._sequence += 1
        message = _FAMILY + body
        header = _HEADER.pack(16 + len(message), _SUBSYSTEM | kind, _REQUEST | flags, self._sequence, 0)
        try:
            self._socket.send(header + message)
            while True:
                data = self._socket.recv(_LARGEST_DATAGRAM)
                at = 0
                while at < len(data):
                    length, answer, own_flags, sequence, _ = _HEADER.unpack_from(data, at)
                    if sequence == self._sequence:
                        if own_flags & _DUMP_INTERRUPTED:
                            raise KernelError("the ruleset changed while it was read; try again")
                        if answer in (_ERROR, _DONE):
                            _raise_error(data, at + 16)
                            return
                        yield answer, data[at + 16 : at + length]
                        if not flags & _DUMP:
                            return
                    at += (length + 3) & ~3
        except OSError as error:
            raise KernelError(f"nf_tables cannot be read: {error.strerror}") from error


def open_events() -> socket.socket:
    """Returns a socket that becomes readable when anybody's transaction changes the ruleset of this namespace.

    Raises:
        KernelError: It cannot be opened.
    """
    try:
        events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        events.bind((0, 0))
        events.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_NFTABLES)
        events.setblocking(False)  # noqa: FBT003  # the socket's own way
    except OSError as error:
        raise KernelError(f"nf_tables does not tell of changes: {error.strerror}") from None
    return events


def concerns_our_table(data: bytes) -> bool:
    """Tells whether a datagram of events names our table; a kernel that says nothing of it is taken to mean it."""
    at = 0
    while at + 20 <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        if kind != _NEW_GENERATION:
            names = [value for number, value in _attributes(data[at + 16 : at + length], 4) if number == 1]
            if f"{TABLE_NAME}\0".encode() in names:
                return True
        at += max((length + 3) & ~3, 16)
    return False


def _raise_error(data: bytes, at: int) -> None:
    (code,) = struct.unpack_from("=i", data, at)
    if code:
        raise OSError(-code, os.strerror(-code))


def _attribute(number: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return _ATTRIBUTE.pack(length, number) + value + bytes(-length % 4)


def _attributes(data: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    while at + 4 <= len(data):
        length, number = _ATTRIBUTE.unpack_from(data, at)
        if length < 4:  # noqa: PLR2004  # an attribute's own header
            return
        yield number & _TYPE_MASK, data[at + 4 : at + length]
        at += (length + 3) & ~3


def _read_elements(data: bytes, verdicts: dict[bytes, str | None], found: dict[str, str | None]) -> bool:
    """Reads a list of elements: each a key that is one address, and a verdict, and nothing else."""
    unpack = _ATTRIBUTE.unpack_from
    at, end = 0, len(data)
    while at < end:
        length, _ = unpack(data, at)
        key_length, key_number = unpack(data, at + 4)
        value_length, value_number = unpack(data, at + 4 + key_length)
        # NFTA_SET_ELEM_KEY holding NFTA_DATA_VALUE, then NFTA_SET_ELEM_DATA; address lengths fill whole words.
        if key_number & _TYPE_MASK != 1 or value_number & _TYPE_MASK != 2 or 4 + key_length + value_length != length:  # noqa: PLR2004
            return False
        key = data[at + 12 : at + 4 + key_length]
        value = data[at + 8 + key_length : at + length]
        if value not in verdicts:
            verdicts[value] = _verdict(value)
        verdict = verdicts[value]
        if verdict is None:
            return False
        if len(key) == 4:  # noqa: PLR2004  # an IPv4 address
            found["%d.%d.%d.%d" % tuple(key)] = verdict  # noqa: UP031  # four times as quick as IPv4Address
        else:
            found[str(IPv6Address(key))] = verdict
        at += (length + 3) & ~3
    return True


def _verdict(data: bytes) -> str | None:
    attributes = dict(_attributes(data))
    parts = dict(_attributes(attributes.get(2, b"")))  # NFTA_DATA_VERDICT
    if 1 not in parts:
        return None
    word = _VERDICTS.get(int.from_bytes(parts[1], "big", signed=True))
    chain = parts.get(2, b"").rstrip(b"\0").decode()
    return f"{word} {chain}" if word and chain else word
