"""Packets through a lab: a request from somewhere to somewhere, and what outside saw of it."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab import namespace, state
from lab.build import entering
from lab.model import LabError
from lab.state import LabState

Protocol = Literal["tcp", "udp"]

CHATTER = frozenset({"arp", "ndp", "mld", "igmp"})
"""Protocols by which neighbours find each other; no workload's traffic."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that arrived outside.

    Attributes:
        time: Seconds since the epoch.
        interface: Outside's leg, `net0` and so on.
        ethertype: As a number: 0x0800, 0x86dd, 0x0806.
        source: Address in canonical form.
        destination: Address in canonical form.
        protocol: `tcp`, `udp`, `icmp`, `arp` and so on, or the number.
        source_port: 0 where there is none.
        destination_port: 0 where there is none.
    """

    time: float
    interface: str
    ethertype: int
    source: str
    destination: str
    protocol: str
    source_port: int
    destination_port: int


@dataclass(frozen=True, slots=True)
class Inbound:
    """How a connection from outside to a workload went.

    Attributes:
        seen: The source address that the workload saw; None when nothing came in.
        answered: Whether the answer came back from the address that was asked.
    """

    seen: str | None
    answered: bool


@dataclass(frozen=True, slots=True)
class Question:
    """Whom to ask for the address that the other side sees, and how long to wait.

    Attributes:
        to: Address in canonical form.
        port: Port.
        protocol: TCP (as HTTP) or UDP.
        timeout: Seconds for all of it.
    """

    to: str
    port: int
    protocol: Protocol
    timeout: float

    def socket(self) -> socket.socket:
        """Opens a socket of the right kind."""
        family = socket.AF_INET6 if ":" in self.to else socket.AF_INET
        return socket.socket(family, socket.SOCK_STREAM if self.protocol == "tcp" else socket.SOCK_DGRAM)


def ask(question: Question, source: str | None = None) -> str | None:
    """Asks from the namespace that this process is in.

    Args:
        question: What to ask.
        source: Address to ask from; None leaves it to the kernel.

    Returns:
        The address, or None when no answer came.
    """
    deadline = time.monotonic() + question.timeout
    tcp, to = question.protocol == "tcp", question.to
    data = b""
    with contextlib.suppress(OSError), question.socket() as sock:
        sock.settimeout(question.timeout)
        if source is not None:
            sock.bind((source, 0))
        sock.connect((to, question.port))
        host = f"[{to}]" if ":" in to else to
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() if tcp else b"who am I\n")
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            chunk = sock.recv(65536)
            data += chunk
            if not chunk or not tcp:
                break
    return data.decode(errors="replace").rpartition("\r\n\r\n")[2].strip() or None


@contextlib.contextmanager
def answering(lab: LabState, network: str, question: Question) -> Iterator[namespace.Child[str | None]]:
    """Answers a question once, in a namespace of the lab that has its address, for as long as the block lasts.

    Yields:
        The child that answers; its result is the source address, or None when nobody asked.

    Raises:
        LabError: The port is taken there.
    """
    reading, writing = os.pipe()

    def serve() -> str | None:
        os.close(reading)
        with _listening(question) as sock:
            os.write(writing, b"!")
            os.close(writing)
            return _serve_one(sock, question)

    child = namespace.start(entering(lab, serve, network))
    os.close(writing)
    ready = os.read(reading, 1)
    os.close(reading)
    try:
        if not ready:
            child.result()
        yield child
    finally:
        child.stop()


def _listening(question: Question) -> socket.socket:
    sock = question.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((question.to, question.port))
    except OSError as error:
        sock.close()
        where = f"{question.to} port {question.port}"
        raise LabError(f"cannot listen on {where}: {error.strerror}; choose another port with --port") from None
    sock.settimeout(question.timeout)
    if question.protocol == "tcp":
        sock.listen(8)
    return sock


def _serve_one(sock: socket.socket, question: Question) -> str | None:
    with contextlib.suppress(OSError):
        if question.protocol == "udp":
            _, peer = sock.recvfrom(65536)
            sock.sendto(f"{peer[0]}\n".encode(), peer)
            return str(peer[0])
        connection, peer = sock.accept()
        with connection:
            connection.settimeout(question.timeout)
            with contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(f"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{peer[0]}\n".encode())
            return str(peer[0])
    return None


def control(lab: LabState, command: Literal["flush", "clear"]) -> int:
    """Makes outside's server write down all that has arrived, or forget it.

    Returns:
        The number of packets that were lost.

    Raises:
        LabError: The server is gone.
    """
    # A socket's path is at most 107 bytes long; by way of its directory it always fits.
    directory = os.open(state.directory(lab.plan.name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(f"/proc/self/fd/{directory}/{state.SOCKET}")
            sock.sendall(f"{command}\n".encode())
            return int(sock.recv(64))
    except (OSError, ValueError):
        raise LabError(f"outside's server of lab {lab.plan.name!r} is gone; take the lab down and up again") from None
    finally:
        os.close(directory)


def read_log(path: Path) -> Iterator[Packet]:
    """Reads outside's log."""
    for line in path.read_text(encoding="ascii").splitlines():
        moment, interface, ethertype, source, destination, protocol, *ports = line.split("\t")
        yield Packet(
            float(moment), interface, int(ethertype, 16), source, destination, protocol, int(ports[0]), int(ports[1])
        )
