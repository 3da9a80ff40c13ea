"""A fresh network namespace for each test that needs the real kernel, gone afterwards whatever happens."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from shlex import split

import pytest

from bundle.ruleset import Ruleset, parse

TABLE = "inet egressc"
_NUMBERS = count()
_SYSCTLS = (
    "grep -r . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf "
    "$(ls -d /proc/sys/net/ipv6/conf/*/forwarding) --exclude=stable_secret --exclude=mc_forwarding"
)

_LISTS = (
    "ip -4 rule",
    "ip -6 rule",
    "ip -4 route show table all",
    "ip -6 route show table all",
    "ip -o address",
    _SYSCTLS,
)

# No link-local addresses: one would change the dump when its duplicate detection ends.
_LINKS = """
link set lo up
link add eth0 type veth peer name peer0
link add eth1 type veth peer name peer1
link set eth0 addrgenmode none up
link set eth1 addrgenmode none up
link set peer0 addrgenmode none up
link set peer1 addrgenmode none up
address add 172.18.4.11/24 dev eth0
address add 172.18.18.11/24 dev eth1
address add fd00:4::11/64 dev eth0 nodad
address add 2001:db8:18::11/64 dev eth1 nodad
"""


@dataclass(frozen=True, slots=True)
class Netns:
    """A network namespace with eth0 (172.18.4.11, fd00:4::11) and eth1 (172.18.18.11, 2001:db8:18::11), both up.

    Their other ends, peer0 and peer1, are in it too.
    """

    name: str

    def run(self, command: str, text: str | None = None) -> str:
        """Runs a command inside; it must succeed."""
        return run(["ip", "netns", "exec", self.name, *split(command)], text)

    def nft(self, text: str) -> None:
        """Loads nft text."""
        self.run("nft -f -", text)

    def table(self) -> Ruleset | None:
        """Returns our table as the kernel lists it."""
        if f"table {TABLE}" not in self.run("nft list tables").splitlines():
            return None
        return parse(self.run(f"nft -s -y list table {TABLE}"), TABLE)

    def others(self) -> str:
        """Returns all nft tables but ours, as they are listed."""
        names = [line.removeprefix("table ") for line in self.run("nft list tables").splitlines()]
        return "".join(self.run(f"nft list table {name}") for name in names if name != TABLE)

    def dump(self) -> tuple[Ruleset | None, str, list[str], list[str], list[str], list[str], list[str], list[str]]:
        """Returns all that an apply could change.

        In order: our table in normal form, since what is made anew is listed last; the tables of others; rules of IPv4,
        of IPv6; routes of IPv4, of IPv6; addresses; settings.
        """
        # One process for all: a test may ask hundreds of times.
        listed = self.run(f"sh -c '{' && echo --- && '.join(_LISTS)}'")
        rules4, rules6, *others = (part.splitlines() for part in listed.split("---\n"))
        routes4, routes6, addresses, settings = map(sorted, others)
        return self.table(), self.others(), rules4, rules6, routes4, routes6, addresses, settings


@pytest.fixture
def netns() -> Iterator[Netns]:
    with fresh() as namespace:
        yield namespace


@contextmanager
def fresh() -> Iterator[Netns]:
    """A namespace for as long as the body lasts."""
    namespace = Netns(f"egressc-t{os.getpid()}-{next(_NUMBERS)}")
    run(["ip", "netns", "add", namespace.name])
    try:
        run(["ip", "-n", namespace.name, "-batch", "-"], _LINKS)
        yield namespace
    finally:
        run(["ip", "netns", "delete", namespace.name])


def run(command: list[str], text: str | None = None) -> str:
    """Runs a command, which must succeed, and returns what it printed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
