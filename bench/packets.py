"""Packets as fast as one core can send them, by sendmmsg(2) on a packet socket, and what became of them.

A frame is built once, and a call sends many. On virtual links a packet goes all its way, through every node, before the
next one is sent: nothing waits in a queue, and nothing is lost in one.
"""

import ctypes
import itertools
import os
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

_SOL_PACKET = 263
_PACKET_QDISC_BYPASS = 20
_SO_TIMESTAMPNS = 35
_ETH_P_IP = 0x0800

_SLOT = 64  # bytes; a frame has 60, as short as Ethernet allows
_FRAME = 60
_SOURCE_PORT = 34  # offset in the frame
_FIRST_PORT = 1024
_LAST_PORT = 65535
_DESTINATION_PORT = 53
_BATCH = 64
_PATIENCE = 10.0

_libc = ctypes.CDLL(None, use_errno=True)


class LostPacketError(Exception):
    """A packet that was to be forwarded did not arrive; the message says which."""


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iovec", ctypes.c_void_p),
        ("iovec_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_int),  # the end of struct msghdr
        ("sent", ctypes.c_uint),
        ("more_padding", ctypes.c_uint),
    )


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, and the processor time that it and all that came of it took.

    Without receive packet steering, a virtual link hands a packet over on the sender's core and in the sender's time.
    """

    packets: int
    seconds: float


def frame(hardware: bytes, source: IPv4Address, destination: IPv4Address, port: int) -> bytes:
    """Returns a UDP packet of 60 bytes as it is on the wire, without a UDP checksum, so that ports may change.

    Args:
        hardware: Destination and source on the link.
        source: Address.
        destination: Address.
        port: Source port.
    """
    size = _FRAME - 14
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 0, 0x4000, 64, 17, 0, source.packed, destination.packed)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    head = head[:10] + struct.pack("!H", checksum) + head[12:]
    udp = struct.pack("!HHHH", port, _DESTINATION_PORT, size - 20, 0)
    return (hardware + struct.pack("!H", _ETH_P_IP) + head + udp).ljust(_FRAME, b"\0")


def reply(packet: bytes) -> bytes:
    """Returns the answer to a packet: hardware addresses, addresses and ports change places."""
    return (
        packet[6:12] + packet[:6] + packet[12:26] + packet[30:34] + packet[26:30] + packet[36:38] + packet[34:36]
    ) + packet[38:]


class Sender:
    """Sends frames again and again on a device of the network namespace in which it was made."""

    def __init__(self, device: str, frames: Sequence[bytes]) -> None:
        self._socket = packet_socket(device)
        self._count = len(frames)
        self._next = 0
        self._buffer = bytearray(b"".join(item.ljust(_SLOT, b"\0") for item in frames))
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))
        self._iovecs = (_Iovec * self._count)(*((start + _SLOT * number, _FRAME) for number in range(self._count)))
        self._messages = (_Message * self._count)()
        for message, iovec in zip(self._messages, self._iovecs, strict=True):
            message.iovec, message.iovec_length = ctypes.addressof(iovec), 1
        self._port = itertools.cycle(range(_FIRST_PORT, _LAST_PORT + 1))

    def measure(self, seconds: float, *, new: bool = False) -> Sent:
        """Sends for about this long.

        Args:
            seconds: Of processor time, passed by one batch at most.
            new: Whether each packet opens a connection; otherwise it belongs to one of as many as there are frames.

        Raises:
            OSError: The device takes none.
        """
        packets, start = 0, time.thread_time()
        while True:
            packets += self._send()
            if new and self._next == 0:
                self._renew()
            took = time.thread_time() - start
            if took >= seconds:
                return Sent(packets, took)

    def _send(self) -> int:
        count = min(_BATCH, self._count - self._next)
        address = ctypes.addressof(self._messages) + self._next * ctypes.sizeof(_Message)
        sent: int = _libc.sendmmsg(self._socket.fileno(), ctypes.c_void_p(address), count, 0)
        if sent < 0:
            raise OSError(ctypes.get_errno(), f"cannot send: {os.strerror(ctypes.get_errno())}")
        self._next = (self._next + sent) % self._count
        return sent

    def _renew(self) -> None:
        """Gives all frames another source port: every flow is new then."""
        high, low = divmod(next(self._port), 256)
        self._buffer[_SOURCE_PORT::_SLOT] = bytes((high,)) * self._count
        self._buffer[_SOURCE_PORT + 1 :: _SLOT] = bytes((low,)) * self._count


class Meter:
    """Counts what a device of the network namespace in which it was made has received."""

    def __init__(self, device: str) -> None:
        self._statistics = Path("/proc/thread-self/net/dev").open("rb", buffering=0)  # noqa: SIM115  # stays open
        self._device = device.encode() + b":"

    def packets(self) -> int:
        """Returns how many so far."""
        self._statistics.seek(0)
        text = b"".join(iter(lambda: self._statistics.read(1 << 16), b""))
        return int(text.split(self._device, 1)[1].split(None, 2)[1])


def packet_socket(device: str, protocol: int = 0) -> socket.socket:
    """Opens a packet socket on a device of the current network namespace; protocol 0 receives nothing."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
    opened.bind((device, protocol))
    opened.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
    return opened


def establish(sender: socket.socket, far: socket.socket, frames: Iterable[bytes]) -> list[bytes]:
    """Sends each frame once, answers it from the far end and returns the packets as they arrived there.

    Raises:
        LostPacketError: One did not arrive.
    """
    far.settimeout(_PATIENCE)
    arrived = []
    for item in frames:
        sender.send(item)
        try:
            packet = far.recv(2048)
        except TimeoutError:
            addresses = f"{IPv4Address(item[26:30])} to {IPv4Address(item[30:34])}"
            raise LostPacketError(f"the packet from {addresses} did not arrive") from None
        far.send(reply(packet))
        arrived.append(packet)
    return arrived


def measure_latency(sender: socket.socket, far: socket.socket, frames: Iterable[bytes], pause: float) -> list[float]:
    """Sends one frame at a time and returns the microseconds that each took.

    The time is from just before the system call to the kernel's own time stamp at the far end.
    """
    far.settimeout(_PATIENCE)
    far.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    took = []
    for item in frames:
        time.sleep(pause)
        start = time.time_ns()
        sender.send(item)
        _, ancillary, _, _ = far.recvmsg(2048, 64)
        seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2])
        took.append((seconds * 1_000_000_000 + nanoseconds - start) / 1000)
    return took


BYTES: Final = _FRAME + 4
"""Of a packet on a real wire, with the checksum of its frame."""
