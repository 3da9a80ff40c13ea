"""What is better asked of nf_tables itself than of libnftables: the generation, counts, elements. Reads only.

libnftables needs some 40 µs for an element, here one costs 5; a gateway's map of sources may hold 150,000. And when the
kernel refuses to list something, libnftables lists the rest and says nothing of it (seen with nft 1.0.6), which must
not be taken for what the table holds. Messages and attributes: linux/netfilter/nf_tables.h.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from applier import elements
from applier.elements import Elements
from applier.errors import KernelError
from applier.nfnetlink import NESTED, PROTOCOL, attribute, attributes
from bundle.names import TABLE_NAME

_SUBSYSTEM: Final = 10 << 8  # NFNL_SUBSYS_NFTABLES
_GET_CHAIN: Final = 4
_GET_RULE: Final = 7
_GET_SET: Final = 10
_GET_SET_ELEMENT: Final = 13
_GET_GENERATION: Final = 16
_NEW_GENERATION: Final = _SUBSYSTEM | 15
_REQUEST: Final = 0x1
_DUMP: Final = 0x300
_DUMP_INTERRUPTED: Final = 0x10
_TRIES: Final = 5
_ERROR: Final = 2
_DONE: Final = 3
_INET: Final = 1  # NFPROTO_INET
_LIST: Final = 3  # NFTA_SET_ELEM_LIST_ELEMENTS
_LARGEST_DATAGRAM: Final = 1 << 17
_RECEIVE_BUFFER: Final = 4 << 20

_HEADER: Final = struct.Struct("=IHHII")
_FAMILY: Final = struct.pack("=BBH", _INET, 0, 0)


class Netfilter:
    """A socket to nf_tables of the network namespace in which it is made."""

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, PROTOCOL)
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
                for number, value in attributes(body, 4):
                    if number == 1:  # NFTA_GEN_ID
                        return int.from_bytes(value, "big")
        raise KernelError("nf_tables does not tell its generation")

    def dump_elements(self, name: str, spec: str) -> Elements:
        """Returns the elements of a set or map in our table.

        Args:
            name: Its name.
            spec: Its type and flags, as in `bundle.ruleset.Set`.

        Raises:
            KernelError: It cannot be read.
            OddElementError: It holds what `applier.elements` does not understand.
        """
        return elements.read(spec, self._lists(_set(name), _DUMP))

    def find_element(self, name: str, spec: str, address: str) -> str | None:
        """Returns the verdict of one address in a map from single addresses; None if it is not there.

        Raises:
            KernelError: The map cannot be read.
            OddElementError: The element is not understood.
        """
        key = attribute(NESTED | elements.KEY, attribute(1, ip_address(address).packed))
        wanted = attribute(NESTED | _LIST, attribute(NESTED | 1, key))
        try:
            return elements.read(spec, tuple(self._lists(_set(name) + wanted, 0))).get(address)
        except KernelError as error:
            if _is_absence(error):
                return None
            raise

    def count(self) -> tuple[int, int, int]:
        """Returns how many chains, rules and sets our table has.

        Raises:
            KernelError: The kernel does not tell.
        """
        return self._count(_GET_CHAIN), self._count(_GET_RULE), self._count(_GET_SET)

    def _count(self, kind: int) -> int:
        name = f"{TABLE_NAME}\0".encode()
        try:
            return sum((1, name) in attributes(body, 4) for _, body in self._ask(kind, attribute(1, name), _DUMP))
        except KernelError as error:
            if _is_absence(error):
                return 0
            raise

    def _lists(self, body: bytes, flags: int) -> Iterator[bytes]:
        for _, message in self._ask(_GET_SET_ELEMENT, body, flags):
            yield from (value for number, value in attributes(message, 4) if number == _LIST)

    def _ask(self, kind: int, body: bytes, flags: int) -> list[tuple[int, bytes]]:
        """Sends a request and returns the answers' types and bodies; a dump that changed under way starts again."""
        for _ in range(_TRIES):
            found = self._ask_once(kind, body, flags)
            if found is not None:
                return found
        raise KernelError(f"the ruleset changed while it was read, {_TRIES} times")

    def _ask_once(self, kind: int, body: bytes, flags: int) -> list[tuple[int, bytes]] | None:
        """Returns all answers, None if they are not of one state; leaves nothing behind in the socket."""
        found: list[tuple[int, bytes]] = []
        steady = True
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
                        steady = steady and not own_flags & _DUMP_INTERRUPTED
                        if answer in (_ERROR, _DONE):
                            _raise_error(data, at + 16)
                            return found if steady else None
                        found.append((answer, data[at + 16 : at + length]))
                        if not flags & _DUMP:
                            return found
                    at += (length + 3) & ~3
        except OSError as error:
            raise KernelError(f"nf_tables cannot be read: {error.strerror}") from error


def _raise_error(data: bytes, at: int) -> None:
    (code,) = struct.unpack_from("=i", data, at)
    if code:
        raise OSError(-code, os.strerror(-code))


def _is_absence(error: KernelError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENOENT


def _set(name: str) -> bytes:
    return attribute(1, f"{TABLE_NAME}\0".encode()) + attribute(2, f"{name}\0".encode())
