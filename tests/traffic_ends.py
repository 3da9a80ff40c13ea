"""The two ends of the traffic tests as processes of their own: what sends, and the outside that misses nothing.

Runs as `traffic_ends.py ROLE JSON` in a network namespace. Says `ready`, works until standard input ends, then prints
what it counted as JSON. Datagrams carry the flow's number and their own; a flow is what the test calls one.
"""

import json
import select
import socket
import struct
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any

BODY = struct.Struct("!IQ")
DATAGRAMS, STREAMS = 9000, 9001
_STEADY_PORTS, _FRESH_PORTS = 500, 1024
_ALL_PROTOCOLS = 3
_OUTGOING, _OTHERHOST = 4, 3
_SOL_PACKET, _STATISTICS = 263, 6
_RECEIVE_BUFFER_FORCE = 33
_RECEIVE_BUFFER = 128 << 20
_TICK = 0.002
_PATIENCE = 30.0
_UNDER_WAY = 0.5
"""Seconds in which the last packets arrive, once nobody sends."""


def ended() -> bool:
    """Tells whether standard input has ended."""
    return bool(select.select([0], [], [], 0)[0])


def family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def steady(flows: list[tuple[int, str, str]], rate: int) -> dict[str, Any]:
    """Sends on one socket a flow, `rate` datagrams a second each; flows are number, source, destination."""
    sockets = []
    for number, source, destination in flows:
        sock = socket.socket(family(source), socket.SOCK_DGRAM)
        sock.bind((source, _STEADY_PORTS + number))
        sock.connect((destination, DATAGRAMS))
        sockets.append((number, sock))
    sent = 0
    start = time.monotonic()
    while not ended():
        time.sleep(_TICK)
        due = int((time.monotonic() - start) * rate)
        # A sender that was not scheduled for a while does not send in a burst all that it missed: queues are finite.
        for _ in range(min(due - sent, 4)):
            for number, sock in sockets:
                sock.send(BODY.pack(number, sent))
            sent += 1
    return {"sent": {number: sent for number, _ in sockets}}


def fresh(flows: list[tuple[int, str, str]], rate: int) -> dict[str, Any]:
    """Sends every datagram from another port, `rate` a second in all."""
    count: Counter[int] = Counter()
    sent = 0
    start = time.monotonic()
    while not ended():
        time.sleep(_TICK)
        due = int((time.monotonic() - start) * rate)
        for _ in range(min(due - sent, 10)):
            number, source, destination = flows[sent % len(flows)]
            with socket.socket(family(source), socket.SOCK_DGRAM) as sock:
                sock.bind((source, _FRESH_PORTS + (sent // len(flows)) % 64000))
                sock.sendto(BODY.pack(number, count[number]), (destination, DATAGRAMS))
            count[number] += 1
            sent += 1
    return {"sent": dict(count)}


def talk(flows: list[tuple[int, str, str]], rate: int) -> dict[str, Any]:
    """Sends on one TCP connection a flow, and waits for each answer; says what ended a connection."""
    sockets = [
        (number, socket.create_connection((destination, STREAMS), _PATIENCE, (source, 0)))
        for number, source, destination in flows
    ]
    sent: Counter[int] = Counter()
    broken: dict[int, str] = {}
    while not ended():
        time.sleep(1 / rate)
        for number, sock in sockets:
            if number in broken:
                continue
            try:
                sock.sendall(BODY.pack(number, sent[number]))
                if sock.recv(BODY.size, socket.MSG_WAITALL) != BODY.pack(number, sent[number]):
                    broken[number] = "another answer"
            except OSError as error:
                broken[number] = str(error)
            sent[number] += 1
    return {"sent": dict(sent), "broken": broken}


def watch(addresses: list[str]) -> dict[str, Any]:
    """Answers TCP, and sees every packet to the addresses: by flow and source address the numbers that came."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PROTOCOLS))
    for option in (socket.SO_RCVBUF, _RECEIVE_BUFFER_FORCE):
        with suppress(PermissionError):  # the second is root's, not that of a user namespace
            packets.setsockopt(socket.SOL_SOCKET, option, _RECEIVE_BUFFER)
    packets.settimeout(0)
    listeners, sinks = [], []
    peers: list[socket.socket] = []
    for address in addresses:
        sink = socket.socket(family(address), socket.SOCK_DGRAM)  # somebody is at home: no ICMP errors
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sink.bind((address, DATAGRAMS))
        sinks.append(sink)
        listeners.append(socket.create_server((address, STREAMS), family=family(address)))
    wanted = {socket.inet_pton(family(address), address) for address in addresses}
    seen: dict[tuple[int, bytes], bytearray] = {}
    others: Counter[bytes] = Counter()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    stopping = 0.0
    while not stopping or time.monotonic() < stopping:
        for ready in select.select([packets, *listeners, *peers], [], [], 0.05)[0]:
            if ready is packets:
                _drain(packets, wanted, seen, others)
            elif ready in listeners:
                peers.append(ready.accept()[0])
            elif not _answer(ready):
                peers.remove(ready)
        if not stopping and ended():
            stopping = time.monotonic() + _UNDER_WAY
    _drain(packets, wanted, seen, others)
    came: dict[int, dict[str, tuple[int, int]]] = {}
    for (number, source), marks in seen.items():
        came.setdefault(number, {})[_text(source)] = (marks.count(1), sum(marks))
    lost = struct.unpack("=II", packets.getsockopt(_SOL_PACKET, _STATISTICS, 8))[1]
    return {"came": came, "others": {_text(source): count for source, count in others.items()}, "lost": lost}


def _text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def _answer(peer: socket.socket) -> bool:
    try:
        data = peer.recv(4096)
        peer.sendall(data)
    except OSError:
        return False
    return bool(data)


def _drain(
    packets: socket.socket, wanted: set[bytes], seen: dict[tuple[int, bytes], bytearray], others: Counter[bytes]
) -> None:
    with suppress(BlockingIOError):
        while True:
            data, (_, ethertype, kind, _, _) = packets.recvfrom(128)
            if kind in (_OUTGOING, _OTHERHOST):
                continue
            if ethertype == 0x0800:
                source, destination, protocol, body = data[12:16], data[16:20], data[9], data[(data[0] & 15) * 4 :]
            elif ethertype == 0x86DD:
                source, destination, protocol, body = data[8:24], data[24:40], data[6], data[40:]
            else:
                continue
            if destination not in wanted:
                continue
            if protocol != socket.IPPROTO_UDP:
                others[source] += 1
                continue
            number, count = BODY.unpack_from(body, 8)
            marks = seen.setdefault((number, source), bytearray())
            if len(marks) <= count:
                marks.extend(bytes(count + 1024 - len(marks)))
            marks[count] += 1


def main(role: str, arguments: str) -> None:
    """Runs one role until standard input ends."""
    given = json.loads(arguments)
    if role == "watch":
        result = watch(**given)
    else:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        result = {"steady": steady, "fresh": fresh, "talk": talk}[role](**given)
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
