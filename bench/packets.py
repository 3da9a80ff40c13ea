"""Packets as fast as one core can send them, by sendmmsg(2) on a packet socket, and what became of them.

A frame is built once, and a call sends many. On virtual links a packet goes all its way, through every node, before the
next one is sent: nothing waits in a queue, and nothing is lost in one.
"""

import ctypes
import itertools
import os
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address
from pathlib import Path

_SOL_PACKET = 263
_PACKET_QDISC_BYPASS = 20
_SO_TIMESTAMPNS = 35
_ETH_P_IP = 0x0800

_SLOT = 64  # bytes; a frame has 60, as short as Ethernet allows
_FRAME = 60
_DESTINATION_OFFSET = 36  # of the destination port in the frame
_FIRST_PORT = 1024
_LAST_PORT = 65535
_DNS = 53
_BATCH = 64
_PATIENCE = 10.0  # seconds for one packet
_SLICES = 50
_SLICE = 0.002  # seconds, of which most pass without another program in between

Clock = Callable[[], float]
"""Gives seconds from any start."""

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
    udp = struct.pack("!HHHH", port, _DNS, size - 20, 0)
    return (hardware + struct.pack("!H", _ETH_P_IP) + head + udp).ljust(_FRAME, b"\0")


def reply(packet: bytes) -> bytes:
    """Returns the answer to a packet: hardware addresses, addresses and ports change places."""
    return (
        packet[6:12] + packet[:6] + packet[12:26] + packet[30:34] + packet[26:30] + packet[36:38] + packet[34:36]
    ) + packet[38:]


class Sender:
    """Sends frames again and again on a device of the network namespace in which it was made.

    Attributes:
        sent: Packets so far.
    """

    sent = 0

    def __init__(self, device: str, frames: Sequence[bytes]) -> None:
        self._socket = packet_socket(device)
        self._count = len(frames)
        self._next = 0
        self._buffer = bytearray(b"".join(item.ljust(_SLOT, b"\0") for item in frames))
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))
        self._iovecs = (_Iovec * self._count)(
            *(_Iovec(start + _SLOT * number, _FRAME) for number in range(self._count))
        )
        self._messages = (_Message * self._count)()
        for message, iovec in zip(self._messages, self._iovecs, strict=True):
            message.iovec, message.iovec_length = ctypes.addressof(iovec), 1
        self._port = itertools.cycle(range(_FIRST_PORT, _LAST_PORT + 1))

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def measure(self, seconds: float, clock: Clock, *, new: bool = False) -> float:
        """Sends for about this long; returns how long it took with all that came of it.

        Args:
            seconds: Passed by one batch at most.
            clock: By which the seconds are told.
            new: Whether each packet opens a connection; otherwise it belongs to one of as many as there are frames.

        Raises:
            OSError: The device takes none.
        """
        if new:
            self._next = 0
            self._renew()
        start = clock()
        while True:
            self.sent += self._send()
            if new and self._next == 0:
                self._renew()
            took = clock() - start
            if took >= seconds:
                return took

    def _send(self) -> int:
        count = min(_BATCH, self._count - self._next)
        address = ctypes.addressof(self._messages) + self._next * ctypes.sizeof(_Message)
        sent: int = _libc.sendmmsg(self._socket.fileno(), ctypes.c_void_p(address), count, 0)
        if sent < 0:
            raise OSError(ctypes.get_errno(), f"cannot send: {os.strerror(ctypes.get_errno())}")
        self._next = (self._next + sent) % self._count
        return sent

    def _renew(self) -> None:
        """Gives all frames another destination port: every flow is new then."""
        high, low = divmod(next(self._port), 256)
        self._buffer[_DESTINATION_OFFSET::_SLOT] = bytes((high,)) * self._count
        self._buffer[_DESTINATION_OFFSET + 1 :: _SLOT] = bytes((low,)) * self._count


def find_clock(sender: Sender) -> Clock:
    """Returns the clock by which the work of forwarding is told best.

    A virtual link hands a packet over on the sender's core, and most kernels count the time of that as the sender's
    processor time, in which other programs' work has no part. A kernel with `IRQ_TIME_ACCOUNTING` does not, as a slice
    shows in which nothing else ran: then it is the time on the wall.
    """
    for _ in range(_SLICES):
        switches, wall, own = _switches(), time.perf_counter(), time.thread_time()
        sender.measure(_SLICE, time.perf_counter)
        wall, own = time.perf_counter() - wall, time.thread_time() - own
        if _switches() == switches and own < wall / 2:
            return time.perf_counter
    return time.thread_time


def _switches() -> int:
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_nvcsw + usage.ru_nivcsw


class Meter:
    """Counts what a device of the network namespace in which it was made has received."""

    def __init__(self, device: str) -> None:
        self._statistics = Path("/proc/thread-self/net/dev").open("rb", buffering=0)  # noqa: SIM115  # stays open
        self._device = device.encode() + b":"

    def close(self) -> None:
        """Closes the file."""
        self._statistics.close()

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


def establish(near: socket.socket, far: socket.socket, frames: Iterable[bytes]) -> list[bytes]:
    """Sends each frame once, answers it from the far end and returns the packets as they arrived there.

    Raises:
        LostPacketError: One did not arrive.
    """
    far.settimeout(_PATIENCE)
    arrived = []
    for item in frames:
        near.send(item)
        try:
            packet = far.recv(2048)
        except TimeoutError:
            raise _lost(item) from None
        far.send(reply(packet))
        arrived.append(packet)
    return arrived


def measure_round_trips(near: socket.socket, far: socket.socket, frames: Iterable[bytes], pause: float) -> list[float]:
    """Sends one frame at a time and its answer back; returns the microseconds that both were under way.

    That is from just before the system call to the kernel's own time stamp at the other end, there and back: the time
    of the program that answers is not in it.
    """
    for end in (near, far):
        end.settimeout(_PATIENCE)
        end.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    took = []
    for item in frames:
        time.sleep(pause)
        there, packet = _way(near, far, item)
        back, _ = _way(far, near, reply(packet))
        took.append((there + back) / 1000)
    return took


def _way(sender: socket.socket, receiver: socket.socket, packet: bytes) -> tuple[int, bytes]:
    start = time.time_ns()
    sender.send(packet)
    try:
        arrived, ancillary, _, _ = receiver.recvmsg(2048, 64)
    except TimeoutError:
        raise _lost(packet) from None
    seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2])
    return seconds * 1_000_000_000 + nanoseconds - start, arrived


def _lost(packet: bytes) -> LostPacketError:
    return LostPacketError(
        f"the packet from {IPv4Address(packet[26:30])} to {IPv4Address(packet[30:34])} did not arrive"
    )
