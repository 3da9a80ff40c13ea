"""The nft text between two tables, as text: what is touched, in which order, and what is never touched."""

from dataclasses import replace

from applier_bundles import mark_rule, ruleset_text, state_a, state_b

from applier.script import TABLE, prepare, quarantine, script
from bundle.ruleset import Chain, Rule, Ruleset, Set, fingerprint, parse

A = parse(ruleset_text(state_a()), TABLE)
B = parse(ruleset_text(state_b()), TABLE)


def chain(name: str, *rules: str, hook: str = "") -> Chain:
    return Chain(name, hook, tuple(Rule(rule, fingerprint(rule)) for rule in rules))


def test_equal_tables_need_nothing() -> None:
    assert script(A, A) == ""


def test_a_rule_that_nft_prints_in_other_words_is_equal_by_its_digest() -> None:
    wanted = chain("to_b", mark_rule(5))
    listed = Chain(
        "to_b", "", (Rule("counter meta mark set meta mark & 0x05ffffff | 0x05000000", wanted.rules[0].comment),)
    )

    assert script(Ruleset({"to_b": wanted}, {}), Ruleset({"to_b": listed}, {})) == ""


def test_neither_the_table_nor_a_base_chain_that_stays_is_deleted() -> None:
    for wanted, live in ((A, B), (B, A)):
        lines = script(wanted, live).splitlines()

        assert not [line for line in lines if line.startswith(("delete table", "flush table", "flush ruleset"))]
        for name in ("prerouting", "translate", "guard"):
            assert f"delete chain {TABLE} {name}" not in lines


def test_only_chains_whose_rules_differ_are_written() -> None:
    lines = script(B, A).splitlines()
    written = {line.split()[4] for line in lines if line.startswith("add rule")}

    assert written == {"decide", "class_b", "to_node-c"}
    assert [line for line in lines if line.startswith("flush chain")] == [
        f"flush chain {TABLE} decide",
        f"flush chain {TABLE} gateway_g",
        f"flush chain {TABLE} snat_g",
    ]


def test_what_refers_is_gone_before_what_it_refers_to() -> None:
    lines = script(B, A).splitlines()
    flushed = lines.index(f"flush chain {TABLE} snat_g")
    element = lines.index(f"delete element {TABLE} translation {{ 0x06000000 }}")
    deleted = lines.index(f"delete chain {TABLE} snat_g")

    assert flushed < element < deleted


def test_a_chain_with_the_same_rules_in_another_order_is_written() -> None:
    live = replace(A, chains={**A.chains, "decide": replace(A.chains["decide"], rules=A.chains["decide"].rules[::-1])})

    assert script(A, live).splitlines()[0] == f"flush chain {TABLE} decide"


def test_a_set_of_another_type_takes_the_rules_that_name_it_with_it() -> None:
    live = replace(A, sets={**A.sets, "cluster4": replace(A.sets["cluster4"], spec="type ipv4_addr")})
    lines = script(A, live).splitlines()

    assert lines[:4] == [
        f"flush chain {TABLE} decide",
        f"flush set {TABLE} cluster4",
        f"delete set {TABLE} cluster4",
        f"add set {TABLE} cluster4 {{ type ipv4_addr; flags interval; }}",
    ]
    assert {line.split()[4] for line in lines if line.startswith("add rule")} == {"decide"}


def test_only_the_policy_is_changed_in_place() -> None:
    hook = "type filter hook forward priority 0"
    wanted = Ruleset({"f": chain("f", "accept", hook=f"{hook}; policy accept")}, {})
    live = Ruleset({"f": chain("f", "accept", hook=f"{hook}; policy drop")}, {})

    assert script(wanted, live) == f"add chain {TABLE} f {{ {hook}; policy accept; }}\n"
    assert script(Ruleset({"f": chain("f", "accept", hook=hook)}, {}), wanted) == ""


def test_elements_with_a_comment_are_deleted_by_their_key() -> None:
    live = Ruleset({}, {"s": Set("s", "map", "type mark : verdict", {'0x01000000 comment "a, b"': "drop"})})
    wanted = Ruleset({}, {"s": Set("s", "map", "type mark : verdict", {"0x01000000": "accept"})})

    assert script(wanted, live).splitlines() == [
        f"delete element {TABLE} s {{ 0x01000000 }}",
        f"add element {TABLE} s {{ 0x01000000 : accept }}",
    ]


def numbered(**numbers: int) -> Ruleset:
    """One chain a number, and a map with a way into each."""
    chains = {name: chain(name, mark_rule(number)) for name, number in numbers.items()}
    ways = {f"10.0.0.{i}": f"goto {name}" for i, name in enumerate(sorted(numbers))}
    return Ruleset(chains, {"m": Set("m", "map", "type ipv4_addr : verdict", {**ways, "10.9.9.9": "drop"})})


def test_ways_into_a_chain_are_cut_when_another_takes_its_number() -> None:
    text, rest = quarantine(numbered(to_b=6, gateway_c=5), numbered(to_b=5))

    assert text == f"delete element {TABLE} m {{ 10.0.0.0 }}\n"
    assert rest.sets["m"].elements == {"10.9.9.9": "drop"}


def test_no_way_is_cut_when_a_number_is_new_or_no_longer_used() -> None:
    for wanted, live in ((numbered(to_b=5), numbered()), (numbered(to_c=6), numbered(to_b=5)), (numbered(to_b=6),) * 2):
        assert quarantine(wanted, live) == ("", live)


def test_the_number_is_read_from_the_written_and_from_the_listed_form() -> None:
    listed = numbered(to_b=5)
    rule = Rule("counter meta mark set meta mark & 0x05ffffff | 0x05000000", "0" * 12)
    listed = replace(listed, chains={"to_b": Chain("to_b", "", (rule,))})

    assert quarantine(numbered(to_c=5), listed)[0] == f"delete element {TABLE} m {{ 10.0.0.0 }}\n"


def test_a_map_that_is_new_is_full_before_any_rule_asks_it() -> None:
    sets = {
        "remote": Set("remote", "map", "type mark : verdict", {"0x01000000": "goto to_c", "0x02000000": "goto to_b"})
    }
    wanted = replace(A, sets={**A.sets, **sets}, chains={**A.chains, "to_c": chain("to_c", mark_rule(7))})

    text, ready = prepare(wanted, A)

    assert text.splitlines() == [
        f"add chain {TABLE} to_b",
        f"add chain {TABLE} to_c",
        f"add map {TABLE} remote {{ type mark : verdict; }}",
        f"add element {TABLE} remote {{ 0x01000000 : goto to_c, 0x02000000 : goto to_b }}",
    ]
    assert script(ready, replace(A, others=())) == text
    assert "remote" not in script(wanted, ready)


def test_no_map_is_filled_early_that_is_empty_or_leads_to_what_is_another_chain_yet() -> None:
    sets = {
        "empty": Set("empty", "map", "type mark : verdict"),
        "early": Set("early", "map", "type mark : verdict", {"0x01000000": "goto odd"}),
    }
    wanted = replace(A, sets={**A.sets, **sets}, chains={**A.chains, "odd": chain("odd", mark_rule(7))})
    live = replace(A, chains={**A.chains, "odd": chain("odd", hook="type filter hook input priority 0; policy accept")})

    assert prepare(wanted, live) == ("", live)
    assert prepare(A, A) == ("", A)


def test_what_is_somebody_elses_is_not_deleted_before_the_rules_that_may_need_it_are() -> None:
    sets = {"new": Set("new", "set", "type mark", {"0x01000000": None})}
    live = replace(A, others=(("counter", "theirs"), ("attribute", "flags dormant")))

    text, ready = prepare(replace(A, sets={**A.sets, **sets}), live)

    assert "theirs" not in text
    assert "add table" not in text
    assert f"delete counter {TABLE} theirs" in script(A, ready)
