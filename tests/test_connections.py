"""Which connections an apply deletes: those that the new rules would bind otherwise, and no other."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulesets import BIT, destinations, golden_rulesets, sources, with_bit

from applier.connections import Connection, stale
from applier.decision import Decisions, Fate
from applier.model import Address
from bundle.ruleset import parse

RULESET = """
table inet egressc {
	set cluster4 {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8 }
	}
	set owned4 {
		type ipv4_addr
		elements = { 172.18.18.240, 172.18.18.9 }
	}
	map source4 {
		type ipv4_addr : verdict
		elements = { 10.1.0.5 : goto local_00000001 }
	}
	map source6 {
		type ipv6_addr : verdict
		elements = { fd00:1::5 : goto local_00000001 }
	}
	map route4_00000001 {
		type ipv4_addr : verdict
		flags interval
		elements = {
			198.51.100.0/24 : goto to_node-b,
			203.0.113.0/24 : goto gateway_vip,
			192.0.2.0/25 : goto gateway_masquerade,
			192.0.2.128/26 : return,
			192.0.2.192/26 : goto drop_no_gateway
		}
	}
	map route6_00000001 {
		type ipv6_addr : verdict
		flags interval
		elements = { ::/0 : goto gateway_vip }
	}
	map translation {
		type mark : verdict
		elements = { 0x06000000 : goto snat_vip, 0x07000000 : goto snat_masquerade }
	}
	chain translate {
		ct mark set ct mark | 0x01000000
	}
	chain local_00000001 {
		ip daddr vmap @route4_00000001
		ip6 daddr vmap @route6_00000001
		counter drop
	}
	chain to_node-b {
		counter meta mark set meta mark & 0x00ffffff ^ 0x05000000
	}
	chain gateway_vip {
		counter meta mark set meta mark & 0x00ffffff ^ 0x06000000
	}
	chain snat_vip {
		snat ip to 172.18.18.240
		snat ip6 to 2001:db8:18::240
	}
	chain gateway_masquerade {
		counter meta mark set meta mark & 0x00ffffff ^ 0x07000000
	}
	chain snat_masquerade {
		oifname "eth1" masquerade
	}
	chain drop_no_gateway {
		counter drop
	}
}
"""
DECISIONS = Decisions(parse(RULESET, "inet egressc"))
HELD = (
    Address("172.18.4.11/24", "eth0", None),
    Address("172.18.18.11/24", "eth1", None),
    Address("172.18.18.9/24", "eth1", None),
    Address("172.18.18.240/32", "eth1", None),
    Address("2001:db8:18::240/128", "eth1", 0),
    Address("192.0.2.7/32", "lo", None),
)

POD = "10.1.0.5"
OWN = POD
NODE = "172.18.4.11"
VIP = "172.18.18.240"
KEPT = "198.51.100.7"
TRANSLATED = "203.0.113.10"
MASQUERADED = "192.0.2.8"
EXCLUDED = "192.0.2.130"
DROPPED = "192.0.2.200"
INSIDE = "10.2.0.1"
HERE = "192.0.2.7"


def connection(destination: str, seen: str, mark: int = 0, source: str = POD, zone: int = 0) -> Connection:
    return Connection(source, destination, seen, mark, zone, b"")


def is_stale(connection: Connection, held: tuple[Address, ...] = HELD) -> bool:
    return list(stale(DECISIONS, held, [connection])) == [connection]


@pytest.mark.parametrize(
    ("destination", "seen", "unmarked", "bound"),
    [
        # sent to a gateway node: with its own source, whoever bound it
        (KEPT, OWN, False, False),
        (KEPT, NODE, True, True),
        (KEPT, VIP, True, True),
        # translated: with the gateway's address
        (TRANSLATED, VIP, False, False),
        (TRANSLATED, OWN, True, True),
        (TRANSLATED, NODE, True, True),
        # masqueraded: with an address of that interface that is no gateway's
        (MASQUERADED, "172.18.18.11", False, False),
        (MASQUERADED, OWN, True, True),
        (MASQUERADED, NODE, True, True),
        (MASQUERADED, "172.18.18.9", True, True),
        (MASQUERADED, "172.18.18.99", True, True),
        # excluded by the policy
        (EXCLUDED, OWN, False, True),
        (EXCLUDED, NODE, False, True),
        (EXCLUDED, VIP, False, True),
        # dropped: what keeps its source cannot come back with a wrong one
        (DROPPED, OWN, False, False),
        (DROPPED, NODE, False, True),
        (DROPPED, VIP, False, True),
        # never redirected, or delivered on the node itself
        (INSIDE, OWN, False, False),
        (INSIDE, VIP, False, True),
        (HERE, OWN, False, False),
        (HERE, VIP, False, True),
    ],
)
def test_what_a_rule_would_bind_otherwise_is_stale(destination: str, seen: str, unmarked: bool, bound: bool) -> None:
    assert is_stale(connection(destination, seen)) == unmarked
    assert is_stale(connection(destination, seen, BIT)) == bound


def test_ipv6_is_judged_alike() -> None:
    right = connection("2001:db8:ffff::10", "2001:db8:18::240", source="fd00:1::5")

    assert not is_stale(right)
    assert is_stale(replace(right, reply_destination="2001:db8:18::241"))
    assert is_stale(replace(right, reply_destination="fd00:1::5"))


def test_a_source_without_a_policy_is_stale_only_when_we_bound_it() -> None:
    for seen in ("10.1.0.77", VIP, NODE):
        gone = connection(KEPT, seen, source="10.1.0.77")

        assert not is_stale(gone)
        assert is_stale(replace(gone, mark=BIT))
        assert is_stale(replace(gone, mark=0x01004000))
        assert not is_stale(replace(gone, mark=0xFE00FFFF))


def test_a_virtual_ip_that_moved_away_leaves_no_connection() -> None:
    moved = tuple(address for address in HELD if address.address != "172.18.18.240/32")
    translated = connection(TRANSLATED, VIP, BIT)

    assert not is_stale(translated)
    assert is_stale(translated, moved)
    # A program that moves addresses and copies connections says which belong to nodes that stand by.
    assert not is_stale(translated, (*moved, Address("172.18.18.240/32", "eth1", None)))


def test_connections_opened_from_outside_stay() -> None:
    assert not is_stale(connection(POD, TRANSLATED, source=TRANSLATED))
    assert not is_stale(connection(VIP, TRANSLATED, source=TRANSLATED))
    assert not is_stale(connection(POD, NODE, source=TRANSLATED))


def test_the_nodes_own_connections_from_a_gateways_address_stay() -> None:
    assert not is_stale(connection(TRANSLATED, VIP, source=VIP))
    assert not is_stale(connection(TRANSLATED, "172.18.18.9", source=NODE))


def test_another_zone_is_ours_only_with_our_bit() -> None:
    assert not is_stale(connection(KEPT, NODE, zone=5))
    assert is_stale(connection(KEPT, NODE, BIT, zone=5))
    assert not is_stale(connection(KEPT, OWN, BIT, zone=5))


def test_a_ruleset_without_the_bit_reads_no_mark() -> None:
    without = Decisions(parse(RULESET.replace("\t\tct mark set ct mark | 0x01000000\n", ""), "inet egressc"))
    gone = connection(KEPT, NODE, 0xFFFFFFFF, source="10.1.0.77")

    assert list(stale(without, HELD, [gone])) == []
    assert list(stale(without, HELD, [connection(KEPT, NODE)])) == [connection(KEPT, NODE)]


@st.composite
def placed(draw: st.DrawFn) -> tuple[Decisions, Connection]:
    """A connection on a node of a golden case, to any edge of its decisions."""
    ruleset = with_bit(draw(st.sampled_from(list(golden_rulesets().values()))))
    family = draw(st.sampled_from([4, 6]))
    source = draw(st.sampled_from(sources(ruleset, family)))
    destination = draw(st.sampled_from(destinations(ruleset, family)))
    mark = draw(st.sampled_from([0, 0x4000]))
    return Decisions(ruleset), connection(str(destination), str(source), mark, str(source))


INTERFACES = (Address("172.18.18.77/24", "eth1", None), Address("2001:db8:18::77/64", "eth1", None))


@given(placed())
def test_what_the_rules_would_bind_alike_is_never_stale(case: tuple[Decisions, Connection]) -> None:
    decisions, opened = case
    decision = decisions.decide(opened.source, opened.destination)
    own = INTERFACES[":" in opened.source].address.partition("/")[0]
    held = (*INTERFACES, *(Address(f"{address}/32", "eth1", None) for address in decisions.owned))
    bound = {
        Fate.KEPT: replace(opened, mark=opened.mark | BIT),
        Fate.TRANSLATED: replace(opened, mark=opened.mark | BIT, reply_destination=decision.address),
        Fate.MASQUERADED: replace(opened, mark=opened.mark | BIT, reply_destination=own),
    }.get(decision.fate, opened)

    assert list(stale(decisions, held, [bound])) == []


@given(placed())
def test_what_has_a_strange_source_is_stale_where_a_policy_says_another(
    case: tuple[Decisions, Connection],
) -> None:
    decisions, opened = case
    strange = INTERFACES[":" in opened.source].address.partition("/")[0][:-2] + "253"
    wrong = replace(opened, reply_destination=strange)
    held = (Address(f"{strange}/32", "eth0", None),)
    fate = decisions.decide(opened.source, opened.destination).fate

    assert bool(list(stale(decisions, held, [wrong]))) == (fate in (Fate.KEPT, Fate.TRANSLATED, Fate.MASQUERADED))
    assert list(stale(decisions, held, [replace(wrong, mark=BIT)]))
