"""The rest of the world, as one process: answers with the address it saw and writes down every packet that arrives.

Runs as `python outside.py DIRECTORY` in outside's namespace, with the standard library alone. TCP and UDP port 8080:
HTTP gets an HTTP answer, anything else the bare address. `seen.log` has a line for each packet; `outside.sock` takes
`flush` and `clear` and answers with the number of packets that were lost.
"""

import contextlib
import os
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import IO

PORT = 8080
_ALL = 0x0003
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_OTHERHOST, _OUTGOING = 3, 4
_SOL_PACKET, _STATISTICS = 263, 6
_IP_PKTINFO = 8
_RECEIVE_BUFFER = 64 << 20
_LINES = 1_000_000
"""The log lies in memory; past this, packets are counted and not written."""

_PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
_MLD, _NDP = (130, 131, 132, 143), (133, 134, 135, 136, 137)


class Server:
    """Sockets, the log and the loop."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._log: IO[str] = open("seen.log", "w", encoding="ascii")  # noqa: SIM115, PTH123  # open as long as we run
        self._lines = 0
        self._lost = 0
        self._packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))
        self._packets.settimeout(0)
        try:
            self._packets.setsockopt(socket.SOL_SOCKET, 33, _RECEIVE_BUFFER)  # SO_RCVBUFFORCE, for root
        except PermissionError:
            self._packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def run(self) -> None:
        """Serves until killed; says `ready` on standard output once it can."""
        self._watch(self._packets, self._drain)
        for family, everything in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104  # AnyIP
            tcp = self._bound(family, socket.SOCK_STREAM, everything)
            tcp.listen(1024)
            self._watch(tcp, lambda tcp=tcp: self._accept(tcp, self._answer))  # type: ignore[misc]
            udp = self._bound(family, socket.SOCK_DGRAM, everything)
            if family == socket.AF_INET:
                udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            else:
                udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            self._watch(udp, lambda udp=udp: self._datagram(udp))  # type: ignore[misc]
        control = socket.socket(socket.AF_UNIX)
        control.bind("outside.sock")
        control.listen(16)
        control.settimeout(0)
        self._watch(control, lambda: self._accept(control, self._control))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            for key, _ in self._selector.select():
                key.data()

    @staticmethod
    def _bound(family: int, kind: int, address: str) -> socket.socket:
        sock = socket.socket(family, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, PORT))
        sock.settimeout(0)
        return sock

    def _watch(self, sock: socket.socket, handle: Callable[[], None]) -> None:
        self._selector.register(sock, selectors.EVENT_READ, handle)

    def _close(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        sock.close()

    def _accept(self, listener: socket.socket, handle: Callable[[socket.socket], None]) -> None:
        with contextlib.suppress(OSError):  # gone again before we looked
            sock, _ = listener.accept()
            sock.settimeout(0)
            self._watch(sock, lambda: handle(sock))

    def _answer(self, sock: socket.socket) -> None:
        # One answer for each thing said, for as long as the client stays: a long connection shows a failover.
        try:
            asked = sock.recv(65536)
            if not asked:
                self._close(sock)
                return
            body = f"{sock.getpeername()[0]}\n"
            if asked.startswith((b"GET ", b"HEAD ")):
                head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
                only_head = asked.startswith(b"HEAD ")
                sock.sendall(f"{head}Connection: close\r\n\r\n{'' if only_head else body}".encode())
                self._close(sock)
            else:
                sock.sendall(body.encode())
        except OSError:
            self._close(sock)

    @staticmethod
    def _datagram(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                _, ancillary, _, peer = sock.recvmsg(65536, 256)
                reply = []
                for level, kind, data in ancillary:
                    # Answer from the address that was asked; the interface is for routing to find.
                    if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                        _, _, asked = struct.unpack("=I4s4s", data[:12])
                        reply = [(level, kind, struct.pack("=I4s4s", 0, asked, b"\0\0\0\0"))]
                    elif level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
                        reply = [(level, kind, struct.pack("=16sI", data[:16], 0))]
                sock.sendmsg([f"{peer[0]}\n".encode()], reply, 0, peer)

    def _control(self, sock: socket.socket) -> None:
        # What had arrived before the question is in the socket's queue: it is read to the end before the answer.
        with contextlib.suppress(OSError):
            command = sock.recv(64).strip()
            self._drain()
            if command == b"clear":
                self._log.seek(0)
                self._log.truncate()
                self._lines = self._lost = 0
            self._log.flush()
            sock.sendall(f"{self._lost}\n".encode())
        self._close(sock)

    def _drain(self) -> None:
        while True:
            try:
                packet, (interface, ethertype, kind, *_) = self._packets.recvfrom(256)
            except BlockingIOError:
                break
            except OSError:
                continue  # an interface went down
            if kind in (_OTHERHOST, _OUTGOING) or interface == "lo":
                continue
            if self._lines >= _LINES:
                self._lost += 1
                continue
            self._lines += 1
            source, destination, protocol, ports = describe(ethertype, packet)
            fields = (f"{time.time():.6f}", interface, f"{ethertype:04x}", source, destination, protocol, *ports)
            self._log.write("\t".join(map(str, fields)) + "\n")
        statistics = self._packets.getsockopt(_SOL_PACKET, _STATISTICS, 8)
        self._lost += int(struct.unpack("=II", statistics)[1])


def describe(ethertype: int, packet: bytes) -> tuple[str, str, str, tuple[int, int]]:
    """Returns source, destination, protocol and both ports (0 where there are none) of a packet without its frame."""
    try:
        if ethertype == _IPV4:
            offset = (packet[0] & 15) * 4
            first = struct.unpack_from("!H", packet, 6)[0] & 0x1FFF == 0
            source, destination = packet[12:16], packet[16:20]
            return _address(source), _address(destination), *_transport(packet, offset, packet[9], first)
        if ethertype == _IPV6:
            following, offset, first = packet[6], 40, True
            while following in (0, 43, 44, 60):  # hop-by-hop, routing, fragment, destination options
                if following == 44:  # noqa: PLR2004
                    first = struct.unpack_from("!H", packet, offset + 2)[0] & 0xFFF8 == 0
                    following, offset = packet[offset], offset + 8
                else:
                    following, offset = packet[offset], offset + 8 * (packet[offset + 1] + 1)
            return _address(packet[8:24]), _address(packet[24:40]), *_transport(packet, offset, following, first)
        if ethertype == _ARP:
            return _address(packet[14:18]), _address(packet[24:28]), "arp", (0, 0)
    except (IndexError, struct.error, ValueError):
        return "-", "-", "short", (0, 0)
    return "-", "-", f"{ethertype:04x}", (0, 0)


def _address(data: bytes) -> str:
    return str(ip_address(data))


def _transport(packet: bytes, offset: int, number: int, first: bool) -> tuple[str, tuple[int, int]]:
    name = _PROTOCOLS.get(number, str(number))
    if name in ("tcp", "udp", "sctp") and first and len(packet) >= offset + 4:
        source, destination = struct.unpack_from("!HH", packet, offset)
        return name, (source, destination)
    if name == "icmpv6" and first and len(packet) > offset:
        kind = packet[offset]
        return "mld" if kind in _MLD else "ndp" if kind in _NDP else name, (0, 0)
    return name, (0, 0)


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    Server().run()
