"""What a scenario is told to do is what compiling the changed cluster does, and what the reference semantics say."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from builders import EGRESS_LABEL, Obj, agent, config, gateway, node, number, patched, pod, policy, state
from clusters import clusters
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject
from reference import Reference
from scenarios import by_outcomes, by_reference, changed_cluster, changed_objects, expected, leaving, told

import compiler.simulate.whatif
from compiler.account import give_account
from compiler.diagnostics import Severity
from compiler.elect import Earlier, elect
from compiler.model import Cluster
from compiler.outcomes import Outcomes
from compiler.pipeline import account_for, compile_cluster, understand
from compiler.resolve import resolve
from compiler.simulate.present import Present, look_at
from compiler.simulate.sweep import Sweep, sweep
from compiler.simulate.whatif import Impact, Scenario, suppose


def read(objects: Iterable[Obj]) -> Cluster | None:
    """The cluster, None where something is wrong with it."""
    raw = {f"{index:03}.json": json.dumps(item).encode() for index, item in enumerate(objects)}
    return understand(raw).cluster


def eager(objects: Iterable[Obj]) -> list[Obj]:
    """The same cluster with nodes that are all well and serve every gateway, so that there is somebody to take over."""
    healed = []
    for item in objects:
        if item["kind"] == "Node":
            healed.append(
                {
                    **patched(item, "status.conditions", [{"type": "Ready", "status": "True"}]),
                    "metadata": {key: value for key, value in item["metadata"].items() if key != "deletionTimestamp"},
                    "spec": {key: value for key, value in item["spec"].items() if key != "unschedulable"},
                }
            )
        elif item["kind"] == "EgressGateway":
            healed.append(patched(item, "spec.nodeSelector", {}))
        else:
            healed.append(item)
    return healed


def errors(cluster: Cluster, masters: dict[str, str]) -> list[tuple[str, str]]:
    found = compile_cluster(cluster, Earlier(masters)).findings
    return sorted((item.code, item.message) for item in found if item.severity is Severity.ERROR)


def agrees_with_compiling(present: Present, scenario: Scenario, impact: Impact) -> None:
    changed = changed_cluster(present.cluster, scenario)
    account = account_for(changed, present.masters)
    after = Outcomes(account)
    masters = {item.name: item.active_node_name for item in account.gateways.gateways}
    old = {item.name: item.active_node_name for item in present.outcomes.account.gateways.gateways}

    assert told(impact) == expected(by_outcomes(present.outcomes, after))
    assert [(item.gateway, item.old, item.new) for item in impact.takeovers] == [
        (name, old[name], masters[name]) for name in sorted(old) if old[name] != masters[name]
    ]
    assert [(item.code, item.message) for item in impact.errors] == errors(changed, present.masters)
    loads = (leaving(present.outcomes), leaving(after))
    of = Counter(filter(None, old.values())), Counter(filter(None, masters.values()))
    assert {item.node: (item.gateways, item.workloads) for item in impact.load} == {
        node: ((of[0][node], of[1][node]), (loads[0].get(node, 0), loads[1].get(node, 0)))
        for node in {*of[0], *of[1], *loads[0], *loads[1]}
    }
    assert impact.gone == len(present.cluster.workloads) - len(changed.workloads)


def agrees_with_reference(objects: list[Obj], scenario: Scenario, impact: Impact) -> None:
    before, after = Reference(objects), Reference(changed_objects(objects, scenario))

    assert told(impact) == expected(by_reference(before, after))
    orders = {gateway.name: gateway.order for gateway in after.gateways}
    for item in impact.takeovers:
        assert [item.new] == [next(iter(orders[item.gateway]), None)]
        assert set(item.reasons) == set(
            next(g for g in after.gateways if g.name == item.gateway).candidates[item.old].reasons
        )


def check(examples: int) -> Counter[str]:
    """Compares on so many clusters, always the same ones, and tells what was seen."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(clusters(), st.data())
    def agree(objects: list[Obj], data: DataObject) -> None:
        objects = eager(objects) if data.draw(st.booleans()) else objects
        cluster = read(objects)
        if cluster is None:
            return
        names = sorted(cluster.nodes)
        balanced = data.draw(st.booleans())
        previous = data.draw(st.dictionaries(st.sampled_from(sorted(cluster.gateways)), st.sampled_from(names)))
        if balanced:
            cluster = replace(cluster, config=replace(cluster.config, election="balanced"))
        present = look_at(cluster, Earlier(previous))
        assert [(item.code, item.message) for item in present.errors] == errors(cluster, previous)
        two = Scenario(
            tuple(data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True))),
            tuple(data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True))),
        )
        impacts = {two: suppose(present, two)}
        seen.update(compare_sweep(present, sweep(present)))
        for name in names:
            impacts |= {s: suppose(present, s) for s in (Scenario(down=(name,)), Scenario(cordoned=(name,)))}
        for scenario, impact in impacts.items():
            agrees_with_compiling(present, scenario, impact)
            if not balanced and not present.errors and not impact.errors:
                agrees_with_reference(objects, scenario, impact)
                seen["referenced"] += 1
            seen.update(item.kind for item in impact.changes)
            seen.update(item.code for item in impact.errors)
            seen.update(impact.happened)

    agree()
    return seen


def compare_sweep(present: Present, swept: Sweep) -> Counter[str]:
    """Holds the sweep against the loss of every node by itself."""
    every = {name: suppose(present, Scenario(down=(name,))) for name in present.cluster.nodes}
    shown = {impact.scenario.down[0]: impact for impact in swept.impacts}

    assert shown == {name: impact for name, impact in every.items() if name in shown}
    assert not any(impact.touches_others for name, impact in every.items() if name not in shown)
    assert swept.harmless == len(every) - len(shown)
    severity = [(item.dropped, item.readdressed, item.cut) for item in swept.impacts]
    assert severity == sorted(severity, reverse=True)
    out = {(item.gateway, name) for name, i in every.items() for item in i.takeovers if item.new is None}
    assert set(swept.single) == out
    return Counter("single" for _ in swept.single)


def test_a_scenario_does_what_compiling_the_changed_cluster_and_the_reference_say() -> None:
    seen = check(120)

    wanted = {"drop", "source", "cut", "restored", "referenced", "single", "no-standby", "vip-move"}
    assert wanted - set(seen) == set()


def spread(mask: str, *off_link: str) -> tuple[Present, Scenario]:
    """Four gateways, two of which have their master on egress-1 and a standby each; egress-1 is lost."""
    homes = {"g0": ("egress-1", "egress-2"), "g1": ("egress-1", "egress-3"), "g2": ("egress-4",), "g3": ("egress-5",)}
    objects: list[Obj] = [config(election={"algorithm": "balanced"}, datapath={"markMask": mask})]
    for name in ("egress-1", "egress-2", "egress-3", "egress-4", "egress-5", "worker-1", "worker-2"):
        labels = {gateway_name: "" for gateway_name, nodes in homes.items() if name in nodes}
        made = node(name, labels=labels)
        if name in off_link:
            made = patched(made, "status.addresses.0.address", f"172.19.4.{number(name)}")
        objects += [made, agent(name), *([] if name in off_link else [state(name)])]
    for index, name in enumerate(homes):
        objects += [gateway(name, selector={name: ""}), policy(name, name, to=[f"203.0.113.{index}/32"])]
    objects += [pod("a", "worker-1"), pod("b", "worker-2", ips=["10.111.12.9"])]
    cluster = read(objects)
    assert cluster is not None
    return look_at(cluster, Earlier({name: nodes[0] for name, nodes in homes.items()})), Scenario(("egress-1",))


@pytest.mark.parametrize(
    ("mask", "off_link", "expected"),
    [
        ("0xff000000", (), set()),
        ("0xff000000", ("egress-2",), {"EG403"}),
        ("0x03000000", (), {"EG406"}),
        ("0x03000000", ("egress-3",), {"EG406"}),
    ],
)
def test_errors_of_the_cluster_after_are_those_of_compiling_it(
    mask: str, off_link: tuple[str, ...], expected: set[str]
) -> None:
    present, scenario = spread(mask, *off_link)

    impact = suppose(present, scenario)

    assert present.errors == ()
    assert {item.code for item in impact.errors} == expected
    agrees_with_compiling(present, scenario, impact)


def test_balanced_spreads_the_gateways_of_a_lost_node_as_the_next_compile_would() -> None:
    names = [f"g{index}" for index in range(6)]
    objects: list[Obj] = [config(election={"algorithm": "balanced"}), pod("a", "worker-1")]
    for name in ("egress-1", "egress-2", "egress-3", "egress-4", "worker-1"):
        objects += [node(name, labels=EGRESS_LABEL if "egress" in name else {}), agent(name), state(name)]
    for index, name in enumerate(names):
        objects += [gateway(name), policy(name, name, to=[f"203.0.113.{index}/32"])]
    cluster = read(objects)
    assert cluster is not None
    present = look_at(cluster, Earlier(dict.fromkeys(names, "egress-1")))
    scenario = Scenario(("egress-1",))

    impact = suppose(present, scenario)

    assert Counter(item.new for item in impact.takeovers) == {"egress-2": 2, "egress-3": 2, "egress-4": 2}
    agrees_with_compiling(present, scenario, impact)


@pytest.mark.parametrize("harm", ["_kind", "_touched", "_first"])
def test_the_comparison_sees_a_scenario_that_is_worked_out_wrongly(harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def everything() -> None:
        test_balanced_spreads_the_gateways_of_a_lost_node_as_the_next_compile_would()
        check(120)

    harms: dict[str, Callable[..., object]] = {
        "_kind": lambda _before, _after: None,
        "_touched": lambda present, _after: present.groups,
        "_first": lambda _master, order: order,
    }
    monkeypatch.setattr(compiler.simulate.whatif, harm, harms[harm])

    with pytest.raises(AssertionError):
        everything()


def test_reports_of_gateways_after_are_those_of_the_changed_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account of the cluster after is made from the one before; it must be the same as if it were given anew."""
    after: list[Outcomes] = []
    under = Outcomes.under

    def watched(self: Outcomes, gateways: object) -> Outcomes:
        after.append(under(self, gateways))  # type: ignore[arg-type]  # as it was given
        return after[-1]

    monkeypatch.setattr(Outcomes, "under", watched)

    @settings(max_examples=60, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(clusters(), st.data())
    def same(objects: list[Obj], data: DataObject) -> None:
        cluster = read(objects)
        if cluster is None:
            return
        present = look_at(cluster, Earlier({}))
        names = st.lists(st.sampled_from(sorted(cluster.nodes)), max_size=2, unique=True).map(tuple)
        scenario = Scenario(data.draw(names), data.draw(names))
        suppose(present, scenario)
        changed = changed_cluster(cluster, scenario)
        resolved = resolve(changed)
        elections = elect(changed.gateways, resolved.suitability, "rendezvous", Earlier({})).elections

        assert after[-1].account.gateways == give_account(changed, resolved, elections).gateways

    same()
