"""Asks links who has an address, and teaches nobody anything wrong by it: all at once, in an eighth of a second.

An address that is to be bound here is asked for in the form of duplicate address detection (RFC 5227, RFC 4862): no
neighbour learns anything of it, and whoever has the address answers, whatever its routes say of us. An address of a
machine that is known to be there is asked for as any neighbour asks: a machine that is just starting would take the
other form for a second machine with its address, and give it up.
"""

import ctypes
import errno
import selectors
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from fcntl import ioctl
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final, Literal

from applier.frames import ARP, ICMPV6, IPV6, NEIGHBOUR_ADVERTISEMENT, arp_request, holder, solicitation

Target = tuple[IPv4Address | IPv6Address, str]
"""An address, and the interface on whose link it is asked for."""

Fault = Literal["absent", "down", "not-ethernet", "not-allowed"]
"""Why nobody could be asked: no such interface; it is down or has no carrier; its link has no neighbours with Ethernet
addresses, as a tunnel or `lo`; we lack CAP_NET_RAW."""

TIMEOUT: Final = 0.12
"""Seconds that are enough on a link whose machines are awake; the question goes out three times in them."""

_SENDS = 3  # a lost frame would look like an address that nobody has
_ETHERNET = 1  # ARPHRD_ETHER
_GET_FLAGS = 0x8913  # SIOCGIFFLAGS
_GET_MAC = 0x8927  # SIOCGIFHWADDR
_GET_ADDRESS = 0x8915  # SIOCGIFADDR
_LINK_SCOPE = 0x20
_NOT_TO_ASK_FROM = 0x68  # IFA_F_TENTATIVE, IFA_F_DEPRECATED, IFA_F_DADFAILED
_UP = 0x1
_RUNNING = 0x40
_NO_ARP = 0x80
_LONGEST_FRAME = 2048
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER, which Python's socket module lacks
_GONE = frozenset({errno.ENETDOWN, errno.ENXIO, errno.ENODEV})


@dataclass(frozen=True, slots=True)
class Answer:
    """Who has an address.

    Attributes:
        macs: Machines that say so, as `02:00:00:00:00:01`; ourselves never.
        fault: Why nobody could be asked; None if somebody could.
    """

    macs: frozenset[str] = frozenset()
    fault: Fault | None = None


def probe(
    targets: Iterable[Target], timeout: float = TIMEOUT, *, neighbours: Iterable[Target] = (), early: bool = False
) -> Mapping[Target, Answer]:
    """Asks for all addresses at once and collects who answers.

    Args:
        targets: Addresses that nobody should have, with the interfaces on whose links to ask.
        timeout: Seconds to listen, in which each question is sent three times.
        neighbours: The same for addresses that machines are known to have, to learn their MACs.
        early: Whether to return as soon as every question has an answer; a second machine that has an address too
            would be missed then.

    Returns:
        Every target and neighbour with its answer.

    Raises:
        OSError: The kernel does not let us listen, for a reason that is none of `Fault`.
    """
    answers: dict[Target, Answer] = {}
    with ExitStack() as stack:
        links: dict[tuple[str, int], _Link | Fault] = {}
        known = dict.fromkeys(neighbours)
        for address, device in dict.fromkeys((*targets, *known)):
            place = (device, address.version)
            if place not in links:
                links[place] = _open(stack, *place)
            link = links[place]
            if isinstance(link, _Link):
                link.heard[address] = set()
                link.known.update({address} if (address, device) in known else ())
            else:
                answers[address, device] = Answer(fault=link)
        open_links = tuple(link for link in links.values() if isinstance(link, _Link))
        if open_links:
            _ask(open_links, timeout, early=early)
    for link in open_links:
        answers.update(link.answers())
    return answers


@dataclass(slots=True)
class _Link:
    """A socket on one interface for one family, and what was heard on it."""

    device: str
    socket: socket.socket
    mac: bytes
    own: frozenset[bytes]
    source: IPv4Address | IPv6Address | None
    heard: dict[IPv4Address | IPv6Address, set[str]] = field(default_factory=dict)
    known: set[IPv4Address | IPv6Address] = field(default_factory=set)
    fault: Fault | None = None

    def send(self) -> None:
        for address in self.heard:
            try:
                self.socket.send(self._question(address))
            except OSError as error:
                if error.errno in _GONE:
                    self.fault = "down"
                elif error.errno != errno.ENOBUFS:  # a full queue, which the next sending may find emptier
                    raise

    def _question(self, address: IPv4Address | IPv6Address) -> bytes:
        # With the address as its own source it would be an announcement that we have it.
        source = self.source if address in self.known and address != self.source else None
        if isinstance(address, IPv4Address):
            return arp_request(address, self.mac, source if isinstance(source, IPv4Address) else None)
        return solicitation(address, self.mac, source if isinstance(source, IPv6Address) else None)

    def receive(self) -> None:
        for frame in self._frames():
            found = holder(frame)
            if found and found[0] in self.heard and found[1] not in self.own:
                self.heard[found[0]].add(found[1].hex(":"))

    def _frames(self) -> Iterator[bytes]:
        while True:
            try:
                yield self.socket.recv(_LONGEST_FRAME)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                self.fault = "down"
                return

    def answers(self) -> Iterator[tuple[Target, Answer]]:
        for address, macs in self.heard.items():
            # An answer counts, also on a link that went down after it.
            yield (address, self.device), Answer(frozenset(macs), None if macs else self.fault)


def _ask(links: tuple[_Link, ...], timeout: float, *, early: bool) -> None:
    start = time.monotonic()
    sends = [start + timeout * number / _SENDS for number in range(_SENDS)]
    end = start + timeout
    with selectors.DefaultSelector() as selector:
        for link in links:
            selector.register(link.socket, selectors.EVENT_READ, link)
        while (now := time.monotonic()) < end:
            if sends and now >= sends[0]:
                sends.pop(0)
                for link in links:
                    link.send()
            for key, _ in selector.select(max(0.0, (sends[0] if sends else end) - time.monotonic())):
                key.data.receive()
            if early and all(link.fault or all(link.heard.values()) for link in links):
                return


def _open(stack: ExitStack, device: str, version: int) -> _Link | Fault:
    """Opens a link for listening, or says why that is of no use."""
    try:
        # Protocol 0: nothing comes in before it is bound, so nothing slips by the filter.
        link = stack.enter_context(closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)))
    except PermissionError:
        return "not-allowed"
    try:
        flags = _flags(link, device)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return "absent"
        raise
    if not (flags & _UP and flags & _RUNNING):
        return "down"
    link.settimeout(0)
    if version == 6:  # noqa: PLR2004  # IPv6
        _hear_advertisements_only(link)
    link.bind((device, ARP if version == 4 else IPV6))  # noqa: PLR2004  # IPv4
    _, _, _, kind, mac = link.getsockname()
    if kind != _ETHERNET or flags & _NO_ARP:
        return "not-ethernet"
    source = _own_ipv4(link, device) if version == 4 else _own_ipv6(device)  # noqa: PLR2004  # IPv4
    return _Link(device, link, mac, frozenset(_own_macs(link)), source)


def _flags(link: socket.socket, device: str) -> int:
    request = struct.pack("16sH22x", device.encode()[:15], 0)
    flags: int = struct.unpack_from("16xH", ioctl(link, _GET_FLAGS, request))[0]
    return flags


def _own_ipv4(link: socket.socket, device: str) -> IPv4Address | None:
    try:
        reply = ioctl(link, _GET_ADDRESS, struct.pack("16sH22x", device.encode()[:15], socket.AF_INET))
    except OSError:  # it has none
        return None
    return IPv4Address(reply[20:24])


def _own_ipv6(device: str) -> IPv6Address | None:
    """Returns an address of ours to ask from, the link-local one if there is one."""
    try:
        lines = Path("/proc/thread-self/net/if_inet6").read_text("ascii").splitlines()
    except OSError:  # IPv6 is turned off
        return None
    found = []
    for address, _, _, scope, flags, name in map(str.split, lines):
        if name == device and not int(flags, 16) & _NOT_TO_ASK_FROM:
            found.append((int(scope, 16) != _LINK_SCOPE, IPv6Address(bytes.fromhex(address))))
    return min(found)[1] if found else None


def _own_macs(link: socket.socket) -> Iterator[bytes]:
    # Another interface of ours on the same link answers too, for whatever address this machine has.
    for _, name in socket.if_nameindex():
        try:
            reply = ioctl(link, _GET_MAC, struct.pack("16s24x", name.encode()))
        except OSError:  # gone since it was listed
            continue
        yield reply[18:24]


def _hear_advertisements_only(link: socket.socket) -> None:
    """Lets the kernel drop all other IPv6 packets; a busy node's would push an answer out of the socket's buffer."""
    program = (
        (0x30, 0, 0, 20),  # load the byte "next header"
        (0x15, 0, 3, ICMPV6),
        (0x30, 0, 0, 54),  # load the ICMPv6 type
        (0x15, 0, 1, NEIGHBOUR_ADVERTISEMENT),
        (0x06, 0, 0, _LONGEST_FRAME),  # take it
        (0x06, 0, 0, 0),  # drop it
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    link.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code)))
