"""What machines on a link say of an address, with the kernel's own time of when; on the outside's side of a lab."""

import ctypes
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from pyroute2 import IPRoute

from applier.netns import entered

_ALL_PROTOCOLS = 3
_TIMESTAMP = 35  # SO_TIMESTAMPNS
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER
_ARP, _IPV6 = 0x0806, 0x86DD
_SOLICITATION, _ADVERTISEMENT = 135, 136
_ICMPV6 = 58
_OUTGOING = 4
_LOAD_2, _LOAD_1, _IS, _RETURN = 0x28, 0x30, 0x15, 0x06  # of classic BPF
_CLAIMS_ONLY = (
    (_LOAD_2, 0, 0, 12),
    (_IS, 5, 0, _ARP),
    (_IS, 0, 5, _IPV6),
    (_LOAD_1, 0, 0, 20),
    (_IS, 0, 3, _ICMPV6),
    (_LOAD_1, 0, 0, 54),
    (_IS, 0, 1, _ADVERTISEMENT),
    (_RETURN, 0, 0, 256),
    (_RETURN, 0, 0, 0),
)
"""Code, steps to go on if it is so, steps if not, operand: lets ARP and neighbour advertisements through."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A frame that says "this address is mine".

    Attributes:
        time: Of its arrival, by the kernel's clock, on the scale of `time.time`.
        address: The address.
        mac: Who says so.
    """

    time: float
    address: str
    mac: str


@dataclass(slots=True)
class Listener:
    """Hears claims on one link, from when it is made."""

    link: socket.socket
    claims: list[Claim] = field(default_factory=list)

    def take(self, seconds: float = 0.0) -> list[Claim]:
        """Returns all claims so far, and those of the next seconds."""
        end = time.monotonic() + seconds
        while True:
            self.link.settimeout(max(0.0, end - time.monotonic()))
            try:
                data, extras, _, place = self.link.recvmsg(256, 256)
            except (TimeoutError, BlockingIOError):
                return self.claims
            claim = _claim(data)
            if claim is not None and place[2] != _OUTGOING:
                second, nanosecond = struct.unpack("=qq", next(body for _, kind, body in extras if kind == _TIMESTAMP))
                self.claims.append(Claim(second + nanosecond / 1e9, *claim))


@contextmanager
def listening(netns: str, device: str) -> Iterator[Listener]:
    """Hears claims on the link of a device."""
    with entered(netns):
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
    with link:
        link.bind((device, _ALL_PROTOCOLS))
        link.setsockopt(socket.SOL_SOCKET, _TIMESTAMP, 1)
        # Nobody reads while an apply runs: other packets must not fill the queue.
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _CLAIMS_ONLY))
        link.setsockopt(
            socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("@HP", len(_CLAIMS_ONLY), ctypes.addressof(code))
        )
        yield Listener(link)


def ask(link: socket.socket, address: str, own: str) -> None:
    """Asks the whole link who has an address, for the device to which the socket is bound and its own address."""
    mac = link.getsockname()[4]
    target, sender = ip_address(address), ip_address(own)
    if target.version == 4:
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + sender.packed + bytes(6) + target.packed
        link.send(b"\xff" * 6 + mac + struct.pack("!H", _ARP) + body)
        return
    group = IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + target.packed[-3:])
    head = struct.pack("!IHBB", 0x60000000, 32, _ICMPV6, 255) + sender.packed + group.packed
    message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + target.packed + bytes((1, 1)) + mac
    pseudo = sender.packed + group.packed + struct.pack("!II", len(message), _ICMPV6)
    total = sum(struct.unpack(f"!{len(pseudo + message) // 2}H", pseudo + message))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    message = message[:2] + struct.pack("!H", ~total & 0xFFFF) + message[4:]
    link.send(b"\x33\x33" + group.packed[-4:] + mac + struct.pack("!H", _IPV6) + head + message)


def _claim(frame: bytes) -> tuple[str, str] | None:
    kind = int.from_bytes(frame[12:14])
    if kind == _ARP:
        # A gratuitous request is a claim too; another's question is not, and a probe has no sender.
        operation, sender, target = frame[21], frame[28:32], frame[38:42]
        if operation == 2 or sender == target:
            return socket.inet_ntoa(sender), frame[22:28].hex(":")
    elif kind == _IPV6 and frame[20] == _ICMPV6 and frame[54] == _ADVERTISEMENT:
        return str(IPv6Address(frame[62:78])), frame[80:86].hex(":")
    return None


def bound_at(netns: str, address: str) -> tuple[float, float]:
    """Returns when the kernel made an address, as bounds on the scale of `time.time`.

    The kernel notes it in hundredths of a second of a clock of its own. What that clock shows is seen from addresses
    that are made now.
    """
    with entered(netns):
        ip = IPRoute()
    with ip:
        made = _created(ip, address)
        low, high = -float("inf"), float("inf")
        for _ in range(20):
            before = time.time()
            ip.addr("add", index=1, address="127.0.0.99", prefixlen=32)
            after = time.time()
            mark = _created(ip, "127.0.0.99")
            ip.addr("del", index=1, address="127.0.0.99", prefixlen=32)
            # The mark is from between both, and cut off to a hundredth.
            low, high = max(low, before - mark - 0.01), min(high, after - mark)
            time.sleep(0.003)
    return made + low, made + high + 0.01


def _created(ip: IPRoute, address: str) -> float:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for message in ip.get_addr(family=family):
        attributes = dict(message["attrs"])
        if attributes.get("IFA_LOCAL", attributes.get("IFA_ADDRESS")) == address:
            return float(attributes["IFA_CACHEINFO"]["cstamp"]) / 100
    raise AssertionError(f"{address} is not there")
