"""Workloads, source node, gateway node and outside as network namespaces: a chain of nodes for each set of rules.

    ends: w0 --- pods [source] eth0 --- eth0 [gateway] eth1 --- o0 :ends

The two ends of all chains are in one namespace. All chains stand side by side, so that measurements can take turns
without loading anything anew.
"""

import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import AF_INET, AF_NETLINK, SOCK_RAW, socket
from typing import Final

from applier.netns import entered
from bench.mix import (
    NODE_RANGE,
    NODES,
    OUTSIDE_RANGE,
    POD_RANGE,
    ROUTER,
    node_address,
    outside_address,
)

WORKLOAD_MAC: Final = bytes.fromhex("020000000006")
PODS_MAC: Final = bytes.fromhex("020000000001")
SOURCE_MAC: Final = bytes.fromhex("020000000002")
GATEWAY_OUT_MAC: Final = bytes.fromhex("020000000004")
OUTSIDE_MAC: Final = bytes.fromhex("020000000005")

_NETFILTER = 12
_NETLINK_HEADER = 16
# IPCTNL_MSG_CT_DELETE with NLM_F_REQUEST | NLM_F_ACK and no attribute: all of IPv4.
_FLUSH = struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 1 | 4, 0, 0, AF_INET, 0, 0)
_POD_HOP = "169.254.1.1"
_DROP = "bench_drop"

# As systemd sets reverse path filtering. Connections must outlive the measurements.
_SYSCTLS = """
net.ipv6.conf.all.addr_gen_mode=1
net.ipv6.conf.default.addr_gen_mode=1
net.ipv4.ip_forward=1
net.ipv4.conf.all.rp_filter=2
net.ipv4.conf.default.rp_filter=2
net.ipv4.conf.all.send_redirects=0
net.ipv4.conf.default.send_redirects=0
net.netfilter.nf_conntrack_udp_timeout=3600
net.netfilter.nf_conntrack_udp_timeout_stream=3600
"""


class SetupError(Exception):
    """A command that sets something up failed; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A source node and a gateway node behind each other.

    Attributes:
        ends: Namespace of both ends.
        source: Namespace of the source node.
        gateway: Namespace of the gateway node.
        number: Of the devices at the ends.
    """

    ends: str
    source: str
    gateway: str
    number: int

    @property
    def workloads(self) -> str:
        """The device at the workloads' end."""
        return f"w{self.number}"

    @property
    def outside(self) -> str:
        """The device at the outer end."""
        return f"o{self.number}"


@contextmanager
def ends() -> Iterator[str]:
    """The namespace of the ends, for as long as the body lasts."""
    name = f"egressc-b{os.getpid()}"
    run(["ip", "netns", "add", name])
    try:
        execute(name, ["sysctl", "-qw", *_SYSCTLS.split()[:2]])
        yield name
    finally:
        run(["ip", "netns", "delete", name])


@contextmanager
def chain(ends: str, number: int) -> Iterator[Chain]:
    """A chain of nodes that route and know no rules, for as long as the body lasts."""
    made = Chain(ends, f"{ends}-{number}s", f"{ends}-{number}g", number)
    nodes = (made.source, made.gateway)
    for node in nodes:
        run(["ip", "netns", "add", node])
    try:
        for node in nodes:
            execute(node, ["sysctl", "-qw", *_SYSCTLS.split()])
        run(["ip", "-batch", "-"], _links(made))
        run(["ip", "-n", ends, "-batch", "-"], f"link set {made.workloads} up\nlink set {made.outside} up\n")
        run(["ip", "-n", made.source, "-batch", "-"], _source())
        run(["ip", "-n", made.gateway, "-batch", "-"], _gateway())
        yield made
    finally:
        for node in nodes:
            run(["ip", "netns", "delete", node])


def node_mac(number: int) -> bytes:
    """Returns the hardware address of a node on the nodes' link; 1 is the first gateway node, the one that is there."""
    return bytes((2, 0, 0, 0, 1, number))


def _mac(address: bytes) -> str:
    return address.hex(":")


def _links(made: Chain) -> str:
    def pair(near: tuple[str, str, bytes], far: tuple[str, str, bytes]) -> str:
        (device, namespace, address), (other, there, second) = near, far
        first = f"link add {device} netns {namespace} address {_mac(address)} type veth"
        return f"{first} peer name {other} netns {there} address {_mac(second)}\n"

    return (
        pair((made.workloads, made.ends, WORKLOAD_MAC), ("pods", made.source, PODS_MAC))
        + pair(("eth0", made.source, SOURCE_MAC), ("eth0", made.gateway, node_mac(1)))
        + pair(("eth1", made.gateway, GATEWAY_OUT_MAC), (made.outside, made.ends, OUTSIDE_MAC))
    )


def _source() -> str:
    # All other nodes are behind the one link: whichever a packet is sent to, it arrives there.
    others = "".join(
        f"neigh add {node_address(number)} lladdr {_mac(node_mac(number))} dev eth0 nud permanent\n"
        for number in range(1, NODES)
    )
    return f"""
link set lo up
link set pods up
link set eth0 up
address add {node_address(0)}/{NODE_RANGE.prefixlen} dev eth0
neigh add {_POD_HOP} lladdr {_mac(WORKLOAD_MAC)} dev pods nud permanent
route add {POD_RANGE} via {_POD_HOP} dev pods onlink
route add default via {node_address(1)}
{others}"""


def _gateway() -> str:
    return f"""
link set lo up
link set eth0 up
link set eth1 up
address add {node_address(1)}/{NODE_RANGE.prefixlen} dev eth0
address add {outside_address(0)}/{OUTSIDE_RANGE.prefixlen} dev eth1
neigh add {node_address(0)} lladdr {_mac(SOURCE_MAC)} dev eth0 nud permanent
neigh add {ROUTER} lladdr {_mac(OUTSIDE_MAC)} dev eth1 nud permanent
route add {POD_RANGE} via {node_address(0)}
route add default via {ROUTER}
"""


@dataclass(slots=True)
class Arrivals:
    """IPv4 packets that arrived at a device, by whether they had the right source address."""

    right: int = 0
    wrong: int = 0


@contextmanager
def dropping(namespace: str, device: str, sources: str) -> Iterator[Arrivals]:
    """Drops what arrives on a device before anything looks at it, for as long as the body lasts.

    Args:
        namespace: Of the device.
        device: Its name.
        sources: Right source addresses, as nft text.

    Yields:
        What arrived, once the body has ended.
    """
    table = f"netdev {_DROP}_{device}"
    nft(
        namespace,
        f"""
table {table} {{
	chain arrived {{
		type filter hook ingress device {device} priority 0
		ip saddr {sources} counter drop
		ip saddr 0.0.0.0/0 counter drop
		drop
	}}
}}
""",
    )
    arrivals = Arrivals()
    try:
        yield arrivals
        listed = nft_listed(namespace, table)
        counts = (int(line.split("packets ")[1].split()[0]) for line in listed.splitlines() if "packets" in line)
        arrivals.right, arrivals.wrong = counts
    finally:
        nft(namespace, f"delete table {table}\n")


def flush_connections(namespace: str) -> None:
    """Makes a namespace's connection tracking forget everything."""
    with entered(namespace), socket(AF_NETLINK, SOCK_RAW, _NETFILTER) as link:
        link.send(_FLUSH)
        (error,) = struct.unpack_from("=i", link.recv(4096), _NETLINK_HEADER)
        if error:
            raise SetupError(f"cannot flush connections: {os.strerror(-error)}")


def nft(namespace: str, text: str) -> None:
    """Loads nft text."""
    execute(namespace, ["nft", "-f", "-"], text)


def nft_listed(namespace: str, table: str) -> str:
    """Returns a table as nft lists it."""
    return execute(namespace, ["nft", "list", "table", *table.split()])


def execute(namespace: str, command: list[str], text: str | None = None) -> str:
    """Runs a command in a namespace and returns what it printed.

    Raises:
        SetupError: It failed.
    """
    return run(["ip", "netns", "exec", namespace, *command], text)


def run(command: list[str], text: str | None = None) -> str:
    """Runs a command and returns what it printed.

    Raises:
        SetupError: It failed.
    """
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603  # our own
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise SetupError(f"`{' '.join(command)}` failed: {reason[0] if reason else done.returncode}")
    return done.stdout
