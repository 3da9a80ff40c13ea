"""Who has an address on a link: asked over the wire, of machines that have it, and of links that have no machines."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

import pytest
from kernel_fixtures import Netns, netns, run

from applier.netns import entered
from applier.probe import Answer, Target, probe

pytestmark = pytest.mark.kernel
__all__ = ["netns"]


@dataclass(frozen=True, slots=True)
class Link:
    """A node's eth2 and eth3, and a neighbour at the other end of both, with 10.7.0.2, fd00:7::2 and 10.8.0.2."""

    node: Netns
    neighbour: str

    def mac(self, device: str) -> str:
        return run(["ip", "netns", "exec", self.neighbour, "cat", f"/sys/class/net/{device}/address"]).strip()

    def probe(self, *targets: str, timeout: float = 0.3, early: bool = False, known: bool = False) -> dict[str, Answer]:
        """Asks for each `ADDRESS@DEVICE`."""
        asked = {target: of(target) for target in targets}
        with entered(self.node.name):
            if known:
                answers = probe([], timeout, neighbours=asked.values(), early=early)
            else:
                answers = probe(asked.values(), timeout, early=early)
        assert set(answers) == set(asked.values())
        return {text: answers[target] for text, target in asked.items()}


def of(text: str) -> Target:
    address, _, device = text.partition("@")
    return ip_address(address), device


@pytest.fixture
def link(netns: Netns) -> Iterator[Link]:
    neighbour = f"{netns.name}-n"
    run(["ip", "netns", "add", neighbour])
    try:
        run(
            ["ip", "-n", netns.name, "-batch", "-"],
            f"""
            link add eth2 type veth peer name eth2 netns {neighbour}
            link add eth3 type veth peer name eth3 netns {neighbour}
            link set eth2 up
            link set eth3 up
            """,
        )
        run(
            ["ip", "-n", neighbour, "-batch", "-"],
            """
            link set eth2 up
            link set eth3 up
            address add 10.7.0.2/24 dev eth2
            address add fd00:7::2/64 dev eth2 nodad
            address add 10.8.0.2/24 dev eth3
            """,
        )
        yield Link(netns, neighbour)
    finally:
        run(["ip", "netns", "delete", neighbour])


@pytest.mark.parametrize("known", [False, True], ids=["nobody should have it", "somebody is known to have it"])
@pytest.mark.parametrize("own", ["", "address add 10.7.0.1/24 dev eth2"])
def test_who_has_an_address_answers_in_both_families_and_on_several_links(link: Link, own: str, known: bool) -> None:
    run(["ip", "-n", link.node.name, "-batch", "-"], own)
    found = link.probe("10.7.0.2@eth2", "fd00:7::2@eth2", "10.8.0.2@eth3", known=known)

    assert found == {
        "10.7.0.2@eth2": Answer(frozenset({link.mac("eth2")})),
        "fd00:7::2@eth2": Answer(frozenset({link.mac("eth2")})),
        "10.8.0.2@eth3": Answer(frozenset({link.mac("eth3")})),
    }


def test_nobody_answers_for_an_address_that_nobody_has(link: Link) -> None:
    found = link.probe("10.7.0.9@eth2", "fd00:7::9@eth2", "10.7.0.2@eth2")

    assert (found["10.7.0.9@eth2"], found["fd00:7::9@eth2"]) == (Answer(), Answer())
    assert found["10.7.0.2@eth2"].macs


def test_a_virtual_ip_without_duplicate_detection_answers_too(link: Link) -> None:
    run(
        ["ip", "-n", link.neighbour, "-batch", "-"],
        """
        address add 10.7.0.241/32 dev eth2
        address add fd00:7::241/128 dev eth2 nodad preferred_lft 0
        """,
    )

    found = link.probe("10.7.0.241@eth2", "fd00:7::241@eth2")

    assert [answer.macs for answer in found.values()] == [frozenset({link.mac("eth2")})] * 2


def test_asking_teaches_the_neighbour_nothing(link: Link) -> None:
    link.probe("10.7.0.2@eth2", "fd00:7::2@eth2")

    known = run(["ip", "-n", link.neighbour, "neighbour", "show", "dev", "eth2"])
    own = link.node.run("cat /sys/class/net/eth2/address").strip()
    assert own not in known


@pytest.mark.parametrize("known", [False, True])
def test_only_a_machine_that_is_known_may_be_just_starting(link: Link, known: bool) -> None:
    starting = ["ip", "netns", "exec", link.neighbour, "sh", "-c"]
    run([*starting, "echo 50 > /proc/sys/net/ipv6/conf/eth2/dad_transmits; ip address add fd00:7::3/64 dev eth2"])
    run(["ip", "-n", link.node.name, "address", "add", "fd00:7::1/64", "dev", "eth2", "nodad"])

    link.probe("fd00:7::3@eth2", known=known)

    given_up = "dadfailed" in run(["ip", "-n", link.neighbour, "address", "show", "dev", "eth2"])
    assert given_up == (not known)


def test_asking_for_an_address_of_our_own_does_not_announce_it(link: Link) -> None:
    run(["ip", "-n", link.node.name, "address", "add", "10.7.0.9/24", "dev", "eth2"])
    stale = ["lladdr", "02:00:00:00:00:01", "nud", "stale", "dev", "eth2"]
    run(["ip", "-n", link.neighbour, "neighbour", "add", "10.7.0.9", *stale])

    link.probe("10.7.0.9@eth2", known=True)

    assert "10.7.0.9 lladdr 02:00:00:00:00:01" in run(["ip", "-n", link.neighbour, "neighbour", "show", "dev", "eth2"])


def test_an_address_of_our_own_is_nobody_elses(netns: Netns) -> None:
    netns.run("ip address add 10.7.0.5/24 dev peer1")
    with entered(netns.name):
        found = probe([(ip_address("10.7.0.5"), "eth1")], 0.1)

    assert list(found.values()) == [Answer()]


@pytest.mark.parametrize("family", ["10.7.0.2", "fd00:7::2"])
def test_a_link_that_cannot_be_asked_says_why(link: Link, family: str) -> None:
    link.node.run("ip link set eth3 down")
    run(["ip", "-n", link.neighbour, "link", "set", "eth2", "down"])  # which takes the carrier from ours

    found = link.probe(*(f"{family}@{device}" for device in ("eth3", "eth2", "lo", "eth99")))

    assert {target.partition("@")[2]: answer for target, answer in found.items()} == {
        "eth3": Answer(fault="down"),
        "eth2": Answer(fault="down"),
        "lo": Answer(fault="not-ethernet"),
        "eth99": Answer(fault="absent"),
    }


def test_early_returns_with_the_last_answer_and_not_before(link: Link) -> None:
    late = threading.Timer(0.5, run, (["ip", "-n", link.neighbour, "address", "add", "10.8.0.9/24", "dev", "eth3"],))
    late.start()
    start = time.monotonic()
    try:
        found = link.probe("10.7.0.2@eth2", "10.8.0.9@eth3", timeout=3, early=True)
    finally:
        late.join()

    assert all(answer.macs for answer in found.values())
    assert time.monotonic() - start < 3


def test_nothing_to_ask_takes_no_time() -> None:
    assert probe([], 60) == {}
