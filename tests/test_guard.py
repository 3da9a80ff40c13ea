"""What the guard lets out, on emitted rulesets: it must hold whatever went wrong before it.

Nodes of `two-gateways`: egress-1 is master of egress-gw-2 (172.18.18.242), egress-2 of egress-gw-1 (172.18.18.2).
"""

from functools import cache
from ipaddress import ip_address

import pytest
from conftest import GOLDEN

from bundle.ruleset import parse
from compiler.evaluate import Evaluator, Packet

WORKER_1_BACKEND = ip_address("10.111.11.5")
OUTSIDE = ip_address("203.0.113.10")
OTHER_POD = ip_address("10.111.12.5")
VIRTUAL_IP = ip_address("172.18.18.242")
BOUND = 0x01000000


@cache
def node(name: str, case: str = "two-gateways") -> Evaluator:
    text = (GOLDEN / case / "expected" / "nodes" / name / "ruleset.nft").read_text()
    return Evaluator(parse(text, "inet egressc"))


def mark_of(name: str, source: str, case: str = "two-gateways") -> int:
    packet = Packet(ip_address(source), OUTSIDE, ip_address(source), iif="eth0")
    result = node(name, case).run("prerouting", packet)
    assert result.accepted
    return result.packet.mark


def leaves(name: str, packet: Packet, case: str = "two-gateways") -> bool:
    """Sends a packet past the NAT chains, which a reply skips and a connection already bound too."""
    bound = Evaluator(parse(_without_nat(name, case), "inet egressc"))
    return bound.run("postrouting", packet).accepted


@cache
def _without_nat(name: str, case: str) -> str:
    text = (GOLDEN / case / "expected" / "nodes" / name / "ruleset.nft").read_text()
    return text.replace("type nat hook postrouting", "type filter hook forward")


def backend(**fields: object) -> Packet:
    values = {"source": WORKER_1_BACKEND, "original_source": WORKER_1_BACKEND, "oif": "eth0", "iif": "wl1", **fields}
    return Packet(destination=values.pop("destination", OUTSIDE), **values)  # type: ignore[arg-type]


def test_a_marked_packet_leaves_by_the_next_hop_of_its_mark_only() -> None:
    mark = mark_of("worker-1", "10.111.11.5")

    assert leaves("worker-1", backend(mark=mark, next_hop=ip_address("172.18.4.2")))
    assert not leaves("worker-1", backend(mark=mark, next_hop=ip_address("172.18.4.1")))
    assert not leaves("worker-1", backend(mark=mark, next_hop=ip_address("172.18.4.254")))
    assert not leaves("worker-1", backend(mark=mark, next_hop=None))


def test_a_marked_packet_that_somebody_translated_stays() -> None:
    mark = mark_of("worker-1", "10.111.11.5")
    masqueraded = backend(mark=mark, source=ip_address("172.18.4.11"), translated=True)

    assert not leaves("worker-1", backend(mark=mark, next_hop=ip_address("172.18.4.2"), translated=True))
    assert not leaves("worker-1", masqueraded)


def test_a_packet_that_lost_its_mark_is_decided_again_and_stays() -> None:
    masqueraded = backend(source=ip_address("172.18.4.11"), translated=True, next_hop=ip_address("172.18.4.254"))

    assert not leaves("worker-1", backend(next_hop=ip_address("172.18.4.254")))
    assert not leaves("worker-1", masqueraded)


def test_a_packet_that_connection_tracking_does_not_know_is_decided_by_its_own_source() -> None:
    assert not leaves("worker-1", backend(original_source=None, next_hop=ip_address("172.18.4.254")))


def test_a_gateway_lets_out_its_own_address_only() -> None:
    mark = mark_of("egress-1", "10.111.11.6")
    frontend = {"original_source": ip_address("10.111.11.6"), "iif": "eth0", "oif": "eth1", "mark": mark}

    assert leaves("egress-1", backend(**frontend, source=VIRTUAL_IP, translated=True))
    assert not leaves("egress-1", backend(**frontend, source=ip_address("172.18.18.1"), translated=True))
    assert not leaves("egress-1", backend(**frontend, source=ip_address("10.111.11.6")))


@pytest.mark.parametrize(("name", "source"), [("worker-1", "10.111.11.99"), ("egress-1", "172.18.18.242")])
def test_a_connection_that_was_bound_does_not_leave_once_nothing_decides_it(name: str, source: str) -> None:
    """By its own source on the worker, by the gateway's on the gateway: what connection tracking still makes of it."""
    unselected = {"original_source": ip_address("10.111.11.99"), "source": ip_address(source), "iif": "wl1"}

    assert not leaves(name, backend(**unselected, connection_mark=BOUND))
    assert not leaves(name, backend(**unselected, connection_mark=0xFFFFFFFF))
    assert leaves(name, backend(**unselected, connection_mark=0xFFFFFFFF ^ BOUND)), "other bits are others'"
    assert leaves(name, backend(**unselected, connection_mark=BOUND, reply=True))
    assert leaves(name, backend(**unselected, connection_mark=BOUND, destination=OTHER_POD))


def test_a_connection_is_known_as_bound_from_its_first_packet_if_it_leaves_the_cluster_marked() -> None:
    mark = mark_of("worker-1", "10.111.11.5")

    def known(packet: Packet) -> int:
        return node("worker-1").run("postrouting", packet).packet.connection_mark

    assert known(backend(mark=mark, next_hop=ip_address("172.18.4.2"), connection_mark=0x11)) == BOUND | 0x11
    assert known(backend(mark=mark, destination=OTHER_POD)) == 0
    assert known(backend(source=ip_address("10.111.11.99"), original_source=ip_address("10.111.11.99"))) == 0


def test_what_comes_from_another_node_for_no_gateway_stays() -> None:
    stranger = {"source": ip_address("10.111.11.99"), "original_source": ip_address("10.111.11.99")}

    assert not leaves("egress-1", backend(**stranger, iif="eth0", oif="eth1"))
    assert leaves("egress-1", backend(**stranger, iif="eth0", oif="eth1", reply=True))
    assert leaves("egress-1", backend(**stranger, iif="eth0", oif="cni0", destination=OTHER_POD))
    assert leaves("egress-1", backend(**stranger, iif="cni0", oif="eth1")), "a workload of its own goes as ever"


def test_what_was_sent_into_the_cluster_after_the_decision_passes() -> None:
    """IPVS takes the address of a Service after our decision and sends the packet to a pod."""
    mark = mark_of("worker-1", "10.111.11.5")

    assert leaves("worker-1", backend(mark=mark, destination=OTHER_POD))
    assert leaves("worker-1", backend(mark=mark, destination=OTHER_POD, translated=True))


def test_a_masquerading_gateway_lets_no_address_of_another_gateway_out() -> None:
    case, name = "interfaces-unknown", "egress-1"
    mark = mark_of(name, "10.111.11.5", case)
    gateway = {"iif": "eth0", "oif": "eth1", "mark": mark, "translated": True}

    assert leaves(name, backend(**gateway, source=ip_address("172.18.18.1")), case)
    assert not leaves(name, backend(**gateway, source=VIRTUAL_IP), case)
    assert not leaves(name, backend(**{**gateway, "oif": "eth0"}, source=ip_address("172.18.4.1")), case)


@pytest.mark.parametrize("chain", ["guard", "decide", "unproven", "ordinary", "outdated"])
def test_the_guard_is_what_keeps_them(chain: str) -> None:
    """Without it the cases above would leave: they can fail."""
    text = _without_nat("worker-1", "two-gateways")
    start = text.index(f"\tchain {chain} {{\n")
    emptied = text[:start] + f"\tchain {chain} {{\n" + text[text.index("\t}\n", start) :]
    evaluator = Evaluator(parse(emptied, "inet egressc"))
    packets = [
        backend(next_hop=ip_address("172.18.4.254")),
        backend(mark=mark_of("worker-1", "10.111.11.5"), next_hop=ip_address("172.18.4.254")),
        backend(source=ip_address("10.111.12.9"), original_source=ip_address("10.111.12.9"), iif="eth0", oif="eth9"),
        backend(source=ip_address("10.111.11.99"), original_source=ip_address("10.111.11.99"), connection_mark=BOUND),
    ]

    assert any(evaluator.run("postrouting", packet).accepted for packet in packets)
