"""What neighbours are told of a virtual IP: the frames on the wire, and that neighbours believe them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest
from kernel_fixtures import Netns, netns, run

from applier.announce import announce
from applier.netns import entered

pytestmark = pytest.mark.kernel
__all__ = ["netns"]

ALL_PROTOCOLS = 3


@contextmanager
def listening(namespace: Netns) -> Iterator[socket.socket]:
    """Listens at the other end of eth1."""
    with entered(namespace.name), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) as link:
        link.bind(("peer1", ALL_PROTOCOLS))
        link.settimeout(2)
        yield link


def mac(namespace: Netns, device: str) -> bytes:
    return bytes.fromhex(namespace.run(f"cat /sys/class/net/{device}/address").strip().replace(":", ""))


def test_ipv4_neighbours_get_a_request_and_a_reply(netns: Netns) -> None:
    own, vip = mac(netns, "eth1"), ip_address("172.18.18.241").packed
    with listening(netns) as link:
        announce(ip_address("172.18.18.241"), "eth1", router=False)
        frames: list[bytes] = []
        while len(frames) < 2:  # the kernel has things of its own to say, as which groups it is in
            frames += [frame for frame in (link.recv(200),) if frame[12:14] == bytes.fromhex("0806")]
    head = b"\xff" * 6 + own + bytes.fromhex("0806 0001 0800 06 04")

    assert frames == [
        head + bytes.fromhex("0001") + own + vip + bytes(6) + vip,
        head + bytes.fromhex("0002") + own + vip + b"\xff" * 6 + vip,
    ]


@pytest.mark.parametrize("router", [False, True])
def test_ipv6_neighbours_get_an_advertisement(netns: Netns, router: bool) -> None:
    own, vip = mac(netns, "eth1"), ip_address("2001:db8:18::241")
    with listening(netns) as link:
        announce(vip, "eth1", router=router)
        frame = link.recv(200)
        while frame[54:56] != bytes((136, 0)):
            frame = link.recv(200)

    assert frame[:14] == bytes.fromhex("333300000001") + own + bytes.fromhex("86dd")
    assert frame[21] == 255
    assert frame[22:38] == vip.packed
    assert frame[58] == (0xA0 if router else 0x20)
    assert frame[62:] == vip.packed + bytes((2, 1)) + own


def test_neighbours_believe_both(netns: Netns) -> None:
    neighbour = f"{netns.name}-n"
    run(["ip", "netns", "add", neighbour])
    try:
        run(
            ["ip", "-n", netns.name, "-batch", "-"],
            f"""
            link add eth2 type veth peer name eth0 netns {neighbour}
            link set eth2 up
        """,
        )
        run(
            ["ip", "-n", neighbour, "-batch", "-"],
            """
            link set eth0 up
            address add 10.7.0.2/24 dev eth0
            address add fd00:7::2/64 dev eth0 nodad
            neighbour add 10.7.0.9 lladdr 02:00:00:00:00:01 nud stale dev eth0
            neighbour add fd00:7::9 lladdr 02:00:00:00:00:01 nud stale dev eth0
        """,
        )
        for address in ("10.7.0.9", "fd00:7::9"):
            with entered(netns.name):
                announce(ip_address(address), "eth2", router=False)
        own = mac(netns, "eth2").hex(":")
        known = run(["ip", "-n", neighbour, "neighbour"])
    finally:
        run(["ip", "netns", "delete", neighbour])

    assert f"10.7.0.9 dev eth0 lladdr {own} " in known
    assert f"fd00:7::9 dev eth0 lladdr {own} " in known


def test_a_link_without_ethernet_addresses_is_left_alone(netns: Netns) -> None:
    with entered(netns.name):
        announce(ip_address("172.18.18.241"), "lo", router=False)
