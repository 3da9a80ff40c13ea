"""The applier's reading of a ruleset says what the compiler's evaluator says, which interprets every rule."""

from dataclasses import replace
from functools import cache
from ipaddress import ip_address

import pytest
from rulesets import BIT, Address, destinations, golden_rulesets, sources, with_bit

from applier.decision import Decision, Decisions, Fate
from bundle.ruleset import Chain, Rule, Ruleset, RulesetError, Set, parse
from compiler.evaluate import Evaluator, Packet


def evaluated(evaluator: Evaluator, ruleset: Ruleset, source: Address, destination: Address) -> Decision:
    """The decision as a packet meets it on its way through all rules."""
    decided = evaluator.run("prerouting", Packet(source, destination, source, iif="workload"))
    if not decided.accepted:
        return Decision(Fate.DROPPED)
    if decided.packet.mark == 0:
        return Decision(Fate.ORDINARY)
    hops = ruleset.sets[f"nexthop{source.version}"].elements
    own = [text.split(" . ")[1] for text in hops if int(text.split(" . ")[0], 16) == decided.packet.mark]
    interfaces = ruleset.sets["masqueraded"].elements
    out = [text.split('"')[1] for text in interfaces if int(text.split(" . ")[0], 16) == decided.packet.mark]
    packet = replace(decided.packet, next_hop=ip_address(own[0]) if own else None, oif=out[0] if out else "outside")
    result = evaluator.run("postrouting", packet)
    if not result.accepted:
        return Decision(Fate.DROPPED)
    assert result.bound
    if result.masqueraded:
        return Decision(Fate.MASQUERADED, interface=packet.oif)
    if not result.packet.translated:
        return Decision(Fate.KEPT)
    return Decision(Fate.TRANSLATED, address=str(result.packet.source))


@cache
def in_cluster(elements: tuple[str, ...], destination: Address) -> bool:
    """A destination is inside the cluster when a ruleset of nothing but that set returns it."""
    name, family = f"cluster{destination.version}", "ip" if destination.version == 4 else "ip6"
    spec = f"type ipv{destination.version}_addr; flags interval"
    hook = "type filter hook prerouting priority -95; policy accept"
    rules = (Rule(f"{family} daddr @{name} return"), Rule("counter drop"))
    alone = Ruleset(
        {"prerouting": Chain("prerouting", hook, rules)}, {name: Set(name, "set", spec, dict.fromkeys(elements))}
    )
    return Evaluator(alone).run("prerouting", Packet(destination, destination, None)).accepted


@pytest.mark.parametrize("name", golden_rulesets())
def test_every_edge_of_every_golden_ruleset_is_decided_as_the_rules_do(name: str) -> None:
    ruleset = golden_rulesets()[name]
    evaluator, decisions = Evaluator(ruleset), Decisions(ruleset)

    for family in (4, 6):
        cluster = tuple(ruleset.sets[f"cluster{family}"].elements)
        for destination in destinations(ruleset, family):
            inside = Decision(Fate.INSIDE) if in_cluster(cluster, destination) else None
            for source in sources(ruleset, family):
                expected = inside or evaluated(evaluator, ruleset, source, destination)

                assert decisions.decide(str(source), str(destination)) == expected, f"{source} to {destination}"


def test_the_golden_rulesets_hold_every_fate() -> None:
    found = {
        Decisions(ruleset).decide(str(source), str(destination)).fate
        for ruleset in golden_rulesets().values()
        for family in (4, 6)
        for source in sources(ruleset, family)
        for destination in destinations(ruleset, family)
    }

    assert found == set(Fate)


def test_an_address_comes_before_the_masquerade_that_stands_behind_it() -> None:
    ruleset = golden_rulesets()["primary-ip/egress-1"]
    rules = (Rule("snat ip to 172.18.18.1"), Rule('oifname "eth1" masquerade'))
    both = replace(ruleset.chains["snat_egress-gw"], rules=rules)
    decisions = Decisions(replace(ruleset, chains={**ruleset.chains, "snat_egress-gw": both}))

    assert decisions.decide("10.111.11.5", "203.0.113.10") == Decision(Fate.TRANSLATED, address="172.18.18.1")


def test_the_bit_is_that_of_the_rule_that_sets_it() -> None:
    ruleset = golden_rulesets()["dual-stack/egress-1"]

    assert Decisions(with_bit(ruleset)).bit == BIT
    assert Decisions(parse("table inet egressc {\n}", "inet egressc")).bit == 0


def test_sources_of_both_families_are_known() -> None:
    decisions = Decisions(golden_rulesets()["dual-stack/egress-1"])

    assert decisions.knows("10.111.11.5")
    assert decisions.knows("fd00:111:0:11::5")
    assert not decisions.knows("10.111.11.99")


def named(ruleset: Ruleset, text: str) -> str:
    """Returns the text with the digits of the first class, and of the first bucket, that the ruleset has."""
    for letters, prefix in (("CLASS", "local_"), ("BB", "remote_")):
        digits = [name.removeprefix(prefix) for name in ruleset.chains if name.startswith(prefix)]
        text = text.replace(letters, digits[0]) if digits else text
    return text


@pytest.mark.parametrize(
    ("chain", "rules"),
    [
        ("remoteroute", ("counter accept",)),
        ("remoteroute", ()),
        ("remoteroute", ("meta priority vmap @remoteclass", "counter accept")),
        ("remoteroute", ("meta mark vmap @remoteclass", "counter drop")),
        ("remote_BB", ("counter accept",)),
        ("remote_BB", ()),
        ("remote_BB", ("meta priority . ip saddr vmap @remoteroute4_BB", "counter drop")),
        ("remote_BB", ("meta priority . ip daddr vmap @remoteroute6_BB", "counter drop")),
        ("remote_BB", ("meta priority . ip daddr vmap @nowhere", "counter drop")),
        ("remote_BB", ("meta priority . ip daddr vmap @remoteroute4_BB",) * 2 + ("counter drop",)),
        ("local_CLASS", ("counter accept",)),
        ("local_CLASS", ("ip saddr vmap @route4_CLASS", "counter drop")),
        ("local_CLASS", ("ip daddr vmap @source4", "counter drop")),
        ("gateway_egress-gw", ("counter accept",)),
        ("gateway_egress-gw", ("fib daddr type local return",)),
        ("snat_egress-gw", ("snat ip to 172.18.18.1", "accept")),
    ],
)
def test_a_chain_of_another_shape_is_refused_and_named(chain: str, rules: tuple[str, ...]) -> None:
    ruleset = golden_rulesets()["dual-stack/worker-1" if chain.startswith("local") else "primary-ip/egress-1"]
    chain = named(ruleset, chain)
    changed = replace(ruleset.chains[chain], rules=tuple(Rule(named(ruleset, rule)) for rule in rules))

    with pytest.raises(RulesetError, match=f"chain {chain} is not of a known shape"):
        Decisions(replace(ruleset, chains={**ruleset.chains, chain: changed}))


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("dual-stack/worker-1", "source4"),
        ("dual-stack/worker-1", "route4_CLASS"),
        ("primary-ip/egress-1", "remoteclass"),
        ("primary-ip/egress-1", "remoteroute4_BB"),
        ("primary-ip/egress-1", "translation"),
    ],
)
def test_a_verdict_that_leads_nowhere_is_refused(case: str, name: str) -> None:
    ruleset = golden_rulesets()[case]
    name = named(ruleset, name)
    changed: Set = replace(ruleset.sets[name], elements=dict.fromkeys(ruleset.sets[name].elements, "goto nowhere"))

    with pytest.raises(RulesetError, match="'goto nowhere' leads to no chain"):
        Decisions(replace(ruleset, sets={**ruleset.sets, name: changed}))


def test_a_class_that_no_bucket_has_is_dropped() -> None:
    ruleset = golden_rulesets()["primary-ip/egress-1"]
    empty = replace(ruleset.sets["remoteclass"], elements={})
    decisions = Decisions(replace(ruleset, sets={**ruleset.sets, "remoteclass": empty}))

    assert decisions.knows("10.111.11.5")
    assert decisions.decide("10.111.11.5", "203.0.113.10") == Decision(Fate.DROPPED)


def test_workloads_of_other_nodes_need_the_chain_that_decides_them() -> None:
    ruleset = golden_rulesets()["primary-ip/egress-1"]
    chains = {name: chain for name, chain in ruleset.chains.items() if name != "remoteroute"}

    with pytest.raises(RulesetError, match="leads to no chain"):
        Decisions(replace(ruleset, chains=chains))


@pytest.mark.parametrize("element", ["10.0.0.0/x", "host.example", "10.0.0.0-x", "10.0.0.0/33", ""])
def test_an_element_that_is_no_address_is_refused(element: str) -> None:
    ruleset = golden_rulesets()["primary-ip/egress-1"]
    changed: Set = replace(ruleset.sets["cluster4"], elements={element: None})

    with pytest.raises(RulesetError, match="is no"):
        Decisions(replace(ruleset, sets={**ruleset.sets, "cluster4": changed}))
