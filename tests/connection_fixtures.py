"""A node between workloads and the outside, each a network namespace, and sockets in any of them."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count

import pytest
from kernel_fixtures import Netns, run

from applier.connections import Connection
from applier.kernel import LinuxKernel
from applier.netns import entered

POD, OTHER_POD, POD6 = "10.111.1.5", "10.111.1.6", "fd00:111:0:1::5"
OUTSIDE, OUTSIDE6 = "203.0.113.10", "2001:db8:ffff::10"
NODE, NODE6 = "172.18.18.1", "2001:db8:18::1"
PORT = 5353

_NUMBERS = count()
_NODE = f"""
link add pods type veth peer name eth0 netns {{pods}}
link add eth1 type veth peer name eth0 netns {{outside}}
link set lo up
link set pods up
link set eth1 up
address add 10.111.1.1/24 dev pods
address add fd00:111:0:1::1/64 dev pods nodad
address add {NODE}/24 dev eth1
address add {NODE6}/64 dev eth1 nodad
route add default via 172.18.18.200
route add default via 2001:db8:18::200
"""
_PODS = f"""
link set eth0 up
address add {POD}/24 dev eth0
address add {OTHER_POD}/24 dev eth0
address add {POD6}/64 dev eth0 nodad
route add default via 10.111.1.1
route add default via fd00:111:0:1::1
"""
_OUTSIDE = f"""
link set lo up
link set eth0 up
address add 172.18.18.200/24 dev eth0
address add 2001:db8:18::200/64 dev eth0 nodad
address add {OUTSIDE}/32 dev lo
address add {OUTSIDE6}/128 dev lo nodad
route add 10.111.1.0/24 via {NODE}
route add fd00:111:0:1::/64 via {NODE6}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """Workloads, node and outside; a socket is of the namespace in which it was opened, and closed at the end."""

    pods: Netns
    node: Netns
    outside: Netns
    stack: ExitStack

    def kernel(self) -> LinuxKernel:
        """The node's kernel; only to be used inside of `entered(line.node.name)`."""
        kernel = LinuxKernel()
        self.stack.callback(kernel.close)
        return kernel

    def connections(self) -> tuple[Connection, ...]:
        """All entries of the node."""
        with entered(self.node.name):
            return tuple(self.kernel().list_connections())

    def socket(
        self, netns: Netns, address: str, port: int = 0, kind: int = socket.SOCK_DGRAM, protocol: int = 0
    ) -> "socket.socket":
        """A socket bound to an address in a namespace."""
        with entered(netns.name):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            made = self.stack.enter_context(socket.socket(family, kind, protocol))
            made.settimeout(10)
            made.bind((address, port))
        return made


@pytest.fixture
def line() -> Iterator[Line]:
    """The node forwards, and its only table is `cni`, which masquerades the workloads as a CNI does."""
    prefix = f"egressc-c{os.getpid()}-{next(_NUMBERS)}"
    spaces = [Netns(f"{prefix}-{name}") for name in ("pods", "node", "outside")]
    with ExitStack() as stack:
        for space in spaces:
            run(["ip", "netns", "add", space.name])
            stack.callback(run, ["ip", "netns", "delete", space.name])
        pods, node, outside = spaces
        run(["ip", "-n", node.name, "-batch", "-"], _NODE.format(pods=pods.name, outside=outside.name))
        run(["ip", "-n", pods.name, "-batch", "-"], _PODS)
        run(["ip", "-n", outside.name, "-batch", "-"], _OUTSIDE)
        node.run("sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        yield Line(pods, node, outside, stack)


def seen(asker: "socket.socket", server: "socket.socket", destination: str, port: int = PORT) -> str | None:
    """Sends a datagram; returns the source address that the server sees, None if nothing comes."""
    asker.sendto(b"?", (destination, port))
    server.settimeout(0.3)
    try:
        return str(server.recvfrom(9)[1][0])
    except TimeoutError:
        return None
