"""What doctor reads out of other programs' listings and files."""

import json
from typing import Any

import pytest

from applier.doctor.facts import EVERY_BIT, BaseChain, Cilium, MarkUse, Others, Place
from applier.doctor.files import cilium, cni_plugin, leaves_unmanaged, settings
from applier.doctor.listing import iptables, nft_tables
from applier.doctor.marks import Bits, bits

MARK = {"meta": {"key": "mark"}}
IN = {"family": "FAMILY", "table": "TABLE"}
CT_MARK = {"ct": {"key": "mark"}}


@pytest.mark.parametrize(
    ("value", "written", "may_set"),
    [
        (1, EVERY_BIT, 1),
        ({"|": [MARK, 0x4000]}, 0x4000, 0x4000),
        ({"&": [MARK, 0x00FFFFFF]}, 0xFF000000, 0),
        ({"^": [{"&": [MARK, 0x00FFFFFF]}, 0x05000000]}, 0xFF000000, 0x05000000),
        ({"|": [{"&": [MARK, 0xFFFFF0FF]}, 0x200]}, 0xF00, 0x200),
        ({"|": [MARK, 0x1, 0x2]}, 0x3, 0x3),
        (CT_MARK, EVERY_BIT, EVERY_BIT),
        ({"&": [CT_MARK, 0x80]}, EVERY_BIT, 0x80),
        ({"|": [MARK, CT_MARK]}, EVERY_BIT, EVERY_BIT),
        ({"map": {"key": MARK, "data": "@m"}}, EVERY_BIT, EVERY_BIT),
        (MARK, 0, 0),
    ],
)
def test_what_setting_a_mark_does_to_its_bits(value: object, written: int, may_set: int) -> None:
    result: Bits = bits(value, "packet")

    assert (result.written, result.may_set) == (written, may_set)


def nft_table(name: str, text: str) -> tuple[Others, bool]:
    """Reads the listing of one table."""
    family, table = name.split()
    (others,), opaque = nft_tables(text.replace("FAMILY", family).replace("TABLE", table))
    return others, opaque


def listing(*rules: tuple[str, list[Any]], **chains: dict[str, object] | None) -> str:
    items = [{"chain": {**IN, "name": name, **(chain or {})}} for name, chain in chains.items()]
    return json.dumps({"nftables": [*items, *({"rule": {**IN, "chain": name, "expr": expr}} for name, expr in rules)]})


POST = {"type": "filter", "hook": "postrouting", "prio": -150, "policy": "accept"}
PRE = {"type": "filter", "hook": "prerouting", "prio": -150, "policy": "accept"}
SET = {"mangle": {"key": MARK, "value": 1}}


def test_a_rule_stands_where_its_chain_is_reached_from() -> None:
    rules = (("post", [{"jump": {"target": "middle"}}]), ("middle", [{"goto": {"target": "far"}}]), ("far", [SET]))
    others, _ = nft_table("ip x", listing(*rules, post=POST, pre=PRE, middle=None, far=None))

    assert others.marks == (
        MarkUse("ip x far", "packet", True, EVERY_BIT, frozenset({Place("postrouting", -150)}), 1),  # noqa: FBT003  # as its fields
    )


def test_our_own_table_is_none_of_others() -> None:
    text = listing(("post", [SET]), post=POST).replace("FAMILY", "inet").replace("TABLE", "egressc")

    assert nft_tables(text) == ((), False)


def test_a_rule_that_only_a_map_leads_to_may_stand_anywhere() -> None:
    others, _ = nft_table("ip x", listing(("far", [SET]), post=POST, pre=PRE, far=None))

    assert others.marks[0].places == {Place("postrouting", -150), Place("prerouting", -150)}


def test_a_verdict_map_without_a_name_leads_to_its_chains() -> None:
    jumps = {"vmap": {"key": MARK, "data": {"set": [[1, {"jump": {"target": "far"}}]]}}}
    others, _ = nft_table("ip x", listing(("pre", [jumps]), ("far", [SET]), post=POST, pre=PRE, far=None))

    assert [use.places for use in others.marks if use.writes] == [{Place("prerouting", -150)}]


@pytest.mark.parametrize(
    ("expression", "mask"),
    [
        ({"match": {"op": "==", "left": MARK, "right": 1}}, EVERY_BIT),
        ({"match": {"op": "==", "left": {"&": [MARK, 0x4000]}, "right": 0x4000}}, 0x4000),
        ({"match": {"op": "==", "left": MARK, "right": {"prefix": {"addr": 0x01000000, "len": 8}}}}, 0xFF000000),
        ({"vmap": {"key": {"concat": [{"&": [MARK, 0xF00]}, {"meta": {"key": "iifname"}}]}, "data": "@m"}}, 0xF00),
    ],
)
def test_what_a_rule_looks_at(expression: object, mask: int) -> None:
    others, _ = nft_table("ip x", listing(("pre", [expression]), pre=PRE))

    assert [(use.writes, use.mask) for use in others.marks] == [(False, mask)]


def test_a_rule_that_keeps_part_of_a_mark_does_not_look_at_it() -> None:
    others, _ = nft_table("ip x", listing(("pre", [{"mangle": {"key": MARK, "value": {"|": [MARK, 2]}}}]), pre=PRE))

    assert [(use.writes, use.mask) for use in others.marks] == [(True, 2)]


@pytest.mark.parametrize(
    ("expression", "translates"),
    [
        ({"snat": {"addr": "192.0.2.1"}}, True),
        ({"masquerade": None}, True),
        ({"xt": {"type": "target", "name": "MASQUERADE"}}, True),
        ({"dnat": {"addr": "192.0.2.1"}}, False),
        ({"xt": None}, False),
    ],
)
def test_what_translates(expression: object, translates: bool) -> None:
    chain = {"type": "nat", "hook": "postrouting", "prio": 50, "policy": "accept"}
    others, opaque = nft_table("ip nat", listing(("c", [expression]), c=chain))

    assert others.chains == (BaseChain("ip nat c", "nat", Place("postrouting", 50), translates=translates),)
    assert opaque == ("xt" in str(expression))


IPTABLES = """# Generated
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:OURS - [0:0]
-A PREROUTING -j OURS
{rule}
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
COMMIT
"""
MANGLE = Place("prerouting", -150)


@pytest.mark.parametrize(
    ("rule", "mark", "writes", "mask", "may_set"),
    [
        ("-A OURS -j MARK --set-xmark 0x1/0xffffffff", "packet", True, EVERY_BIT, 1),
        ("-A OURS -j MARK --set-xmark 0x4000/0x4000", "packet", True, 0x4000, 0x4000),
        ("-A OURS -j MARK --set-xmark 0x4000/0x0", "packet", True, 0x4000, 0x4000),
        ("-A OURS -j MARK --set-mark 0x300/0x200", "packet", True, 0x300, 0x300),
        ("-A OURS -m mark --mark 0x4000/0x4000 -j RETURN", "packet", False, 0x4000, 0),
        ("-A OURS -m mark ! --mark 0x1 -j RETURN", "packet", False, EVERY_BIT, 0),
        ("-A OURS -m connmark --mark 0x80/0x80 -j RETURN", "connection", False, 0x80, 0),
        (
            '-A OURS -m comment --comment "a b -j MARK" -j CONNMARK --set-xmark 0x80/0x80',
            "connection",
            True,
            0x80,
            0x80,
        ),
        ("-A OURS -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80", "packet", True, 0x80, 0x80),
        ("-A OURS -j CONNMARK --restore-mark", "packet", True, EVERY_BIT, EVERY_BIT),
        ("-A OURS -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xffffffff", "connection", True, EVERY_BIT, 0xFF),
    ],
)
def test_what_iptables_does_with_marks(rule: str, mark: Any, writes: bool, mask: int, may_set: int) -> None:  # noqa: ANN401  # one of two words
    others = iptables("ip", IPTABLES.format(rule=rule))

    assert others.marks == (MarkUse("ip mangle OURS", mark, writes, mask, frozenset({MANGLE}), may_set),)


def test_a_policy_of_iptables_that_drops_is_seen() -> None:
    others = iptables("ip6", IPTABLES.format(rule=""))

    assert [(chain.where, chain.drops) for chain in others.chains if chain.drops] == [("ip6 filter FORWARD", True)]


def test_source_nat_of_iptables_stands_at_its_usual_place() -> None:
    others = iptables(
        "ip",
        "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n",
    )

    assert BaseChain("ip nat POSTROUTING", "nat", Place("postrouting", 100), translates=True) in others.chains


def test_the_last_file_of_networkd_wins_within_its_section() -> None:
    texts = (
        "[Network]\n#ManageForeignRoutes=no\nManageForeignRoutes=yes\n[DHCPv4]\nManageForeignRoutes=x\n",
        "[Network]\n; a comment\nManageForeignRoutes = no\n",
    )

    assert settings(texts, "Network") == {"ManageForeignRoutes": "no"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[keyfile]\nunmanaged-devices=interface-name:cali*\n", True),
        ("[keyfile]\nunmanaged-devices+=mac:00:00:00:00:00:01\n", True),
        ("[device-eth1]\nmatch-device=interface-name:eth1\nmanaged=0\n", True),
        ("[keyfile]\nunmanaged-devices=\n", False),
        ("[main]\nplugins=keyfile\nmanaged=false\n", False),
    ],
)
def test_whether_network_manager_leaves_interfaces_alone(text: str, expected: bool) -> None:
    assert leaves_unmanaged([text]) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], None),
        (['{"plugins": [{"type": "flannel"}, {"type": "portmap"}]}'], "flannel"),
        (['{"type": "macvlan"}', '{"type": "flannel"}'], "macvlan"),
        (['{"type": "multus"}', '{"plugins": [{"type": "calico"}]}'], "calico"),
        (['{"type": "multus"}'], ""),
        (["not JSON"], ""),
        (['{"plugins": []}'], ""),
        (["[]"], ""),
    ],
)
def test_which_plugin_connects_pods(texts: list[str], expected: str | None) -> None:
    assert cni_plugin(texts) == expected


@pytest.mark.parametrize(
    ("runtime", "node", "expected"),
    [
        ("", "", Cilium(None, None)),
        ("not JSON", "", Cilium(None, None)),
        ('{"EnableHostLegacyRouting": true, "EnableBPFMasquerade": false}', "", Cilium(False, False)),  # noqa: FBT003  # as its fields
        ('{"Unsafe": {"EnableHostLegacyRouting": false}}', "", Cilium(True, None)),  # noqa: FBT003  # the same
        ("", "#define ENABLE_HOST_ROUTING 1\n#define ENABLE_MASQUERADE_IPV4 1\n", Cilium(True, True)),  # noqa: FBT003  # the same
        ("", "#define ENABLE_IPV4 1\n", Cilium(None, None)),
    ],
)
def test_how_cilium_is_set_up(runtime: str, node: str, expected: Cilium) -> None:
    assert cilium(runtime, node) == expected
