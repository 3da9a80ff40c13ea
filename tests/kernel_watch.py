"""What changed in a network namespace while a test looked on, in the kernel's own words: the proof if nothing did."""

import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kernel_fixtures import Netns

from applier.netns import entered

_PATIENCE = 60  # seconds for a message of the kernel to come through, on a slow machine
_NETLINK_NETFILTER = 12
_NFT_MSG_GETGEN = 10 << 8 | 16
_NLM_F_REQUEST = 1


class Watch:
    """A monitor of addresses, routes and rules, and the count of nftables' transactions.

    Beginning and end are marked in what the monitor tells, by addresses of 192.0.2.0/24 on `lo`.
    """

    def __init__(self, netns: Netns, log: Path) -> None:
        self._netns = netns
        self._log = log
        self._marks = 0
        self._generation = generation(netns)

    def begin(self) -> None:
        """Waits until the monitor listens: it misses what happens before."""
        end = time.monotonic() + _PATIENCE
        while "192.0.2." not in self._log.read_text():
            assert time.monotonic() < end, "the monitor tells nothing"
            self._mark()

    def changes(self) -> list[str]:
        """Returns all that was written since the beginning but the marks; nftables' part as a number only."""
        self._mark()
        end = time.monotonic() + _PATIENCE
        while f"192.0.2.{self._marks}/32" not in self._log.read_text():
            assert time.monotonic() < end, "the monitor does not tell the end"
        lines = [line for line in self._log.read_text().splitlines() if not line.startswith(" ")]
        transactions = generation(self._netns) - self._generation
        return [
            *([f"transactions of nftables: {transactions}"] if transactions else []),
            *(line for line in lines if "192.0.2." not in line),
        ]

    def _mark(self) -> None:
        self._marks += 1
        self._netns.run(f"ip address add 192.0.2.{self._marks}/32 dev lo")

    def unmark(self) -> None:
        """Takes the marks away."""
        self._netns.run("ip address flush dev lo to 192.0.2.0/24")


def generation(netns: Netns) -> int:
    """Returns how often the ruleset was changed: whoever does it, the kernel counts each transaction."""
    with entered(netns.name), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as own:
        own.send(struct.pack("=IHHIIBBH", 20, _NFT_MSG_GETGEN, _NLM_F_REQUEST, 1, 0, 0, 0, 0))
        answer = own.recv(4096)
    # A header of netlink, one of netfilter, and first among the attributes the number, after its own header.
    return int.from_bytes(answer[24:28], "big")


@contextmanager
def watched(netns: Netns, directory: Path) -> Iterator[Watch]:
    """Watches a namespace."""
    log = directory / "monitor"
    with log.open("wb") as file:
        command = ["ip", "netns", "exec", netns.name, "ip", "monitor", "address", "route", "rule"]
        process = subprocess.Popen(command, stdout=file)
    try:
        watch = Watch(netns, log)
        watch.begin()
        yield watch
        watch.unmark()
    finally:
        process.kill()
        process.wait()
