"""The port: all that the applier asks of a kernel, and the real one behind it. Nothing is compared or decided here."""

import ipaddress
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Protocol

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from applier import conntrack, netlink, table
from applier.announce import announce
from applier.connections import Connection
from applier.errors import KernelError
from applier.model import Address, Route, Rule
from applier.netfilter import Netfilter
from applier.netlink import ABSENT, CLONED, UNREACHABLE, Message
from applier.nft import Nft
from applier.probe import Answer, Target, probe
from applier.table import Scope
from bundle.ruleset import Ruleset

_SYSCTLS = Path("/proc/sys")
_DEVICES = Path("/proc/thread-self/net/dev")  # of the thread's network namespace
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_TRIES = 5


class Kernel(Protocol):
    """Every method raises `KernelError` when the kernel refuses. What deletes takes it well when nothing is there."""

    def generation(self) -> int:
        """Returns the number of the nft ruleset's generation, which every transaction of anybody raises by one."""

    def commits(self) -> int:
        """Returns how many transactions this object has made itself."""

    def read_table(self, scope: Scope) -> Ruleset | None:
        """Returns our table, of some maps only the keys in `scope`; None if there is none."""

    def list_counters(self) -> str:
        """Returns nft's listing of our table, and maybe others', with counters and without elements."""

    def list_chains(self) -> str:
        """Returns nft's listing of all chains, everybody's, without their rules."""

    def list_rules(self) -> tuple[Rule, ...]:
        """Returns all rules, everybody's, in the kernel's order."""

    def list_routes(self) -> tuple[Route, ...]:
        """Returns all routes of all tables, everybody's, in the kernel's order."""

    def list_addresses(self) -> tuple[Address, ...]:
        """Returns all addresses, everybody's."""

    def release(self) -> str:
        """Returns the kernel's release, as `uname -r` prints it."""

    def list_devices(self) -> tuple[str, ...]:
        """Returns the names of all interfaces."""

    def find_device(self, address: str) -> str | None:
        """Returns the interface by which the node itself would reach an address; None if it has no route to it."""

    def find_sysctls(self, pattern: str) -> tuple[str, ...]:
        """Returns the names of the settings that match a glob pattern."""

    def read_sysctl(self, name: str) -> str | None:
        """Returns a setting's value with single spaces; None if there is no such setting."""

    def write_sysctl(self, name: str, value: str) -> None:
        """Writes a setting."""

    def run_nft(self, script: str) -> None:
        """Runs nft text as one transaction."""

    def add_rule(self, rule: Rule) -> None:
        """Adds a rule."""

    def delete_rule(self, rule: Rule) -> None:
        """Deletes exactly this rule."""

    def add_route(self, route: Route) -> None:
        """Adds a route where there is none of its key."""

    def replace_route(self, route: Route) -> None:
        """Puts a route in place of the one of its key."""

    def delete_route(self, route: Route) -> None:
        """Deletes exactly this route."""

    def add_address(self, address: Address) -> None:
        """Adds an address to an interface."""

    def replace_address(self, address: Address) -> None:
        """Gives an address another lifetime."""

    def delete_address(self, address: Address) -> None:
        """Deletes an address."""

    def list_connections(self, sources: Iterable[str] | None = None) -> Iterable[Connection]:
        """Returns the connection tracking entries, everybody's, that these addresses opened; None for all.

        They are read as they are asked for, and one may come twice.
        """

    def delete_connections(self, connections: Iterable[Connection]) -> int:
        """Deletes exactly these entries, as they come; returns how many were still there."""

    def delete_bound_connections(self, bit: int) -> None:
        """Deletes all entries with this bit in their connection mark; with bit 0 none."""

    def probe(self, targets: Iterable[Target], neighbours: Iterable[Target]) -> Mapping[Target, Answer]:
        """Asks links who has addresses; see `applier.probe.probe`."""

    def announce(self, address: str, device: str) -> None:
        """Tells the neighbours on the interface that the address, without a prefix length, is here."""

    def wait(self, seconds: float) -> None:
        """Does nothing for so long."""


class LinuxKernel:
    """The kernel of the network namespace in which it is made; see `Kernel` for the methods."""

    def __init__(self) -> None:
        self._commits = 0
        self._nft = Nft()
        self._netfilter = Netfilter()
        try:
            self._ip = IPRoute()
        except OSError as error:
            raise KernelError(f"no netlink socket: {error.strerror}") from None

    def close(self) -> None:
        """Closes the sockets."""
        self._ip.close()
        self._netfilter.close()

    def generation(self) -> int:  # noqa: D102  # here and below: said in `Kernel`
        return self._netfilter.generation()

    def commits(self) -> int:  # noqa: D102
        return self._commits

    def read_table(self, scope: Scope) -> Ruleset | None:  # noqa: D102
        return table.read(self._nft, self._netfilter, scope)

    def list_counters(self) -> str:  # noqa: D102
        return self._nft.list_counters()

    def list_chains(self) -> str:  # noqa: D102
        return self._nft.list_chains()

    def list_rules(self) -> tuple[Rule, ...]:  # noqa: D102
        return tuple(netlink.rule(message) for message in self._dump("rules", self._ip.get_rules))

    def list_routes(self) -> tuple[Route, ...]:  # noqa: D102
        names = self._names()
        messages = self._dump("routes", self._ip.get_routes)
        return tuple(netlink.route(message, names) for message in messages if not message["flags"] & CLONED)

    def list_addresses(self) -> tuple[Address, ...]:  # noqa: D102
        names = self._names()
        return tuple(netlink.address(message, names) for message in self._dump("addresses", self._ip.get_addr))

    def release(self) -> str:  # noqa: D102
        return os.uname().release

    def list_devices(self) -> tuple[str, ...]:  # noqa: D102
        return tuple(sorted(self._names().values()))

    def find_device(self, address: str) -> str | None:  # noqa: D102
        names = self._names()
        try:
            found = list(self._ip.route("get", dst=address))
        except NetlinkError as error:
            if error.code in UNREACHABLE:
                return None
            raise KernelError(f"ip route get {address}: {error.args[-1]}") from None
        return next((route.device for message in found if (route := netlink.route(message, names)).device), None)

    def find_sysctls(self, pattern: str) -> tuple[str, ...]:  # noqa: D102
        return tuple(sorted(path.relative_to(_SYSCTLS).as_posix() for path in _SYSCTLS.glob(pattern)))

    def read_sysctl(self, name: str) -> str | None:  # noqa: D102
        try:
            return " ".join((_SYSCTLS / name).read_text("ascii").split())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KernelError(f"sysctl {name}: {error.strerror}") from None

    def write_sysctl(self, name: str, value: str) -> None:  # noqa: D102
        try:
            (_SYSCTLS / name).write_text(f"{value}\n", "ascii")
        except OSError as error:
            raise KernelError(f"sysctl {name} = {value}: {error.strerror}") from None

    def run_nft(self, script: str) -> None:  # noqa: D102
        self._nft.run(script)
        self._commits += 1

    def add_rule(self, rule: Rule) -> None:  # noqa: D102
        with _netlink(f"ip rule add {rule}"):
            self._ip.rule("add", **netlink.of_rule(rule))

    def delete_rule(self, rule: Rule) -> None:  # noqa: D102
        with _netlink(f"ip rule delete {rule}", may_be_absent=True):
            self._ip.rule("del", **netlink.of_rule(rule))

    def add_route(self, route: Route) -> None:  # noqa: D102
        with _netlink(f"ip route add {route}"):
            self._ip.route("add", **netlink.of_route(route, self._index))

    def replace_route(self, route: Route) -> None:  # noqa: D102
        with _netlink(f"ip route replace {route}"):
            self._ip.route("replace", **netlink.of_route(route, self._index))

    def delete_route(self, route: Route) -> None:  # noqa: D102
        with _netlink(f"ip route delete {route}", may_be_absent=True):
            self._ip.route("del", **netlink.of_route(route, self._index))

    def add_address(self, address: Address) -> None:  # noqa: D102
        with _netlink(f"ip address add {address}"):
            self._ip.addr("add", **netlink.of_address(address, self._index))

    def replace_address(self, address: Address) -> None:  # noqa: D102
        with _netlink(f"ip address replace {address}"):
            self._ip.addr("replace", **netlink.of_address(address, self._index))

    def delete_address(self, address: Address) -> None:  # noqa: D102
        with _netlink(f"ip address delete {address}", may_be_absent=True):
            self._ip.addr("del", **netlink.of_address(address, self._index))

    def list_connections(self, sources: Iterable[str] | None = None) -> Iterable[Connection]:  # noqa: D102
        return conntrack.list_connections(sources)

    def delete_connections(self, connections: Iterable[Connection]) -> int:  # noqa: D102
        return conntrack.delete_connections(connections)

    def delete_bound_connections(self, bit: int) -> None:  # noqa: D102
        conntrack.delete_bound_connections(bit)

    def probe(self, targets: Iterable[Target], neighbours: Iterable[Target]) -> Mapping[Target, Answer]:  # noqa: D102
        try:
            return probe(targets, neighbours=neighbours)
        except OSError as error:
            raise KernelError(f"ask for virtual IPs: {error.strerror}") from None

    def announce(self, address: str, device: str) -> None:  # noqa: D102
        router = self.read_sysctl(f"net/ipv6/conf/{device}/forwarding") == "1"
        try:
            announce(ipaddress.ip_address(address), device, router=router)
        except OSError as error:
            raise KernelError(f"announce {address} on {device}: {error.strerror}") from None

    def wait(self, seconds: float) -> None:  # noqa: D102
        time.sleep(seconds)

    @staticmethod
    def _dump(what: str, ask: Callable[..., Iterable[Message]]) -> list[Message]:
        """Lists both families; a list that changed while it was read is not one, and is read again."""
        for _ in range(_TRIES):
            with _netlink(f"list {what}"):
                found = [message for family in (AF_INET, AF_INET6) for message in ask(family=family)]
            if not any(message["header"]["flags"] & _INTERRUPTED for message in found):
                return found
        raise KernelError(f"list {what}: the list changed while it was read, {_TRIES} times")

    def _names(self) -> dict[int, str]:
        # Quicker than a list of all that there is to know of interfaces; the C library's own list of names ends the
        # process if anything goes wrong with its socket.
        try:
            lines = _DEVICES.read_text("utf-8", "surrogateescape").splitlines()[2:]
        except OSError as error:
            raise KernelError(f"list interfaces: {error.strerror}") from None
        names: dict[int, str] = {}
        for line in lines:
            name = line.partition(":")[0].strip()
            with suppress(OSError):  # gone meanwhile
                names[socket.if_nametoindex(name)] = name
        return names

    def _index(self, device: str) -> int:
        try:
            return socket.if_nametoindex(device)
        except OSError:
            raise KernelError(f"there is no interface {device}") from None


@contextmanager
def _netlink(what: str, *, may_be_absent: bool = False) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if not (may_be_absent and error.code in ABSENT):
            raise KernelError(f"{what}: {error.args[-1]}") from None
    except OSError as error:
        raise KernelError(f"{what}: {error.strerror}") from None
