"""The diff of nodes: it says all that is otherwise, nothing that is not, and the same from both sides."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from builders import Obj, cluster, config, gateway, member, patched, pod, policy
from clusters import clusters
from conftest import GOLDEN, GOLDEN_CASES
from diff_opinion import Rebuilt, applied, mirrored, plain, said, settled
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mutations import Files, of_json, of_rulesets, resealed

from bundle.codec import decode
from bundle.directory import ADDRESSES, MANIFEST, ROUTING, RULESET, WORKLOADS, Bundle, BundleError, node_path
from bundle.model import Manifest, Workloads
from compiler.diff.change import Change, NodeChange
from compiler.diff.meaning import Meaning, meaning, names_of
from compiler.diff.nodes import nodes, without_common
from compiler.pipeline import compile_cluster, understand

FEW = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
MUTATED = ("overlapping-policies", "interfaces-unknown")
EVERY = 7


def opened(files: Files) -> Bundle:
    return Bundle(Path("made"), decode(Manifest, files[MANIFEST]), dict(files))


def golden(case: str) -> Bundle:
    folder = GOLDEN / case / "expected"
    names = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    return opened({name: (folder / name).read_bytes() for name in (MANIFEST, *names)})


def compiled(objects: Iterable[Obj]) -> Bundle | None:
    raw = {f"{index:03}.json": json.dumps(item).encode() for index, item in enumerate(objects)}
    reading = understand(raw)
    files = compile_cluster(reading.cluster).files if reading.cluster else None
    return opened(files) if files else None


def made(*objects: Obj) -> Bundle:
    bundle = compiled(cluster(gateway(), *objects))
    assert bundle is not None
    return bundle


def meaning_of(bundle: Bundle, node: str) -> Meaning:
    part = bundle.node(node)
    return meaning(part.ruleset, part.routing, part.addresses, names_of(bundle.decode(Workloads, WORKLOADS)))


def changes_of(node: str, found: Iterable[NodeChange]) -> list[Change]:
    return [change for item in found if item.node == node for change in item.changes]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Bundle, Bundle]:
    """Bundles of clusters that have little in common, or of one cluster and the same with some objects otherwise."""
    objects = draw(clusters())
    if draw(st.booleans()):
        others = draw(clusters())
    else:
        others = [other for item in objects if (other := _edited(draw, item)) is not None]
    first, second = compiled(objects), compiled(others)
    assume(first is not None and second is not None)
    assert first is not None
    assert second is not None
    return first, second


def _edited(draw: st.DrawFn, item: Obj) -> Obj | None:
    if draw(st.integers(0, 3)):
        return item
    match item["kind"]:
        case "Pod" | "EgressGatewayPolicy":
            return None
        case "Node":
            return patched(item, "spec.unschedulable", value=True)
        case _:
            return item


# Nothing is left unsaid.


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_the_files_of_a_golden_case_can_be_written_again_from_their_meaning(case: str) -> None:
    bundle = golden(case)

    for node in bundle.manifest.nodes:
        assert Rebuilt(meaning_of(bundle, node)).said() == said(bundle.node(node))


@FEW
@given(clusters())
def test_the_files_of_any_node_can_be_written_again_from_their_meaning(objects: list[Obj]) -> None:
    bundle = compiled(objects)
    assume(bundle is not None)
    assert bundle is not None

    for node in bundle.manifest.nodes:
        assert Rebuilt(meaning_of(bundle, node)).said() == said(bundle.node(node))


@FEW
@given(pairs())
def test_changes_lead_from_the_old_meaning_to_the_new_one(pair: tuple[Bundle, Bundle]) -> None:
    old, new = pair
    found = nodes(old, new)

    for node in {*old.manifest.nodes} & {*new.manifest.nodes}:
        after = applied(changes_of(node, found), meaning_of(old, node))
        assert after == settled(meaning_of(new, node))


@FEW
@given(pairs())
def test_the_way_back_is_the_mirror_of_the_way_there(pair: tuple[Bundle, Bundle]) -> None:
    old, new = pair

    assert [plain(item) for item in nodes(new, old)] == [mirrored(item) for item in nodes(old, new)]


@FEW
@given(clusters())
def test_a_bundle_differs_in_nothing_from_itself(objects: list[Obj]) -> None:
    bundle = compiled(objects)
    assume(bundle is not None)
    assert bundle is not None

    assert nodes(bundle, bundle) == ()


@pytest.mark.parametrize("case", MUTATED)
def test_whatever_is_otherwise_in_a_file_is_told(case: str) -> None:
    bundle = golden(case)
    mutants = [*of_rulesets(bundle.files), *of_json(bundle.files, (ROUTING, ADDRESSES))]
    silent, tried = [], 0
    for mutant in mutants[::EVERY]:
        try:
            found = nodes(bundle, opened(mutant.files))
        except BundleError:
            continue  # refused, as by whoever applies it
        tried += 1
        (item,) = found
        if not item.changes and said(bundle.node(item.node)) != said(opened(mutant.files).node(item.node)):
            silent.append(mutant.name)

    assert silent == []
    assert tried > len(mutants) / EVERY / 3


def test_an_added_node_is_all_its_files_say_and_a_removed_one_too() -> None:
    old, new = made(), made(*member("worker-2", labels={}))

    (come,) = (item for item in nodes(old, new) if item.node == "worker-2")
    (gone,) = (item for item in nodes(new, old) if item.node == "worker-2")

    assert (come.state, gone.state) == ("added", "removed")
    assert {change.sign for change in come.changes} == {"+"}
    nothing = Meaning({}, {}, {}, {}, {}, {})
    assert applied(come.changes, nothing) == settled(meaning_of(new, "worker-2"))


# What is told, by examples.


def told(found: Iterable[NodeChange], node: str, *kinds: str) -> list[str]:
    """The changes of one node as short text."""
    return [
        f"{change.sign} {change.place}: {change.subject}: {change.before} -> {change.after}"
        for change in changes_of(node, found)
        if change.kind in kinds or not kinds
    ]


def test_a_class_with_one_policy_more_that_decides_the_same_is_one_change() -> None:
    pods = [pod(f"p{index}", "worker-1", 20 + index) for index in range(30)]
    old = made(*pods, policy("mail", to=["0.0.0.0/0"]))
    new = made(*pods, policy("mail", to=["0.0.0.0/0"]), policy("more", to=["203.0.113.0/24"]))

    (change,) = changes_of("worker-1", nodes(old, new))

    assert (change.kind, change.sign, change.note) == ("class", "~", "decides the same")
    assert (change.before or "").startswith("local(mail), chain local_")
    assert (change.after or "").startswith("local(mail, more), chain local_")


def test_a_renamed_class_tells_what_it_decides_otherwise() -> None:
    old = made(policy("mail", to=["0.0.0.0/0"]))
    new = made(policy("mail", to=["0.0.0.0/0"]), policy("part", to=["10.99.0.0/16"], excluded=["203.0.113.0/24"]))

    found = nodes(old, new)

    assert told(found, "worker-1", "source") == []
    assert told(found, "worker-1", "decision") == [
        f"~ map route{family}, local(mail, part): 203.0.113.0/24: goto to_egress-1 -> return" for family in (4,)
    ]


def test_a_workload_is_told_by_its_name() -> None:
    (change,) = (
        change
        for change in changes_of("worker-1", nodes(made(policy()), made(policy(), pod("new", "worker-1", 9))))
        if change.place == "map source4"
    )

    assert change == Change("source", "map source4", "10.111.11.9", None, "local(egress-gw-policy)", "default/new")


def test_a_cluster_range_is_told_as_the_addresses_that_it_adds() -> None:
    found = nodes(made(), made(config(clusterRanges={"extraCIDRs": ["203.0.113.0/24"]})))

    assert {item.node: told([item], item.node) for item in found} == {
        node: ["+ set cluster4: 203.0.113.0/24: None -> "] for node in ("egress-1", "egress-2", "worker-1")
    }


def with_ruleset(bundle: Bundle, node: str, change: Callable[[str], str]) -> Bundle:
    path = node_path(node, RULESET)
    return opened(resealed(bundle.files, path, change(bundle.files[path].decode())))


def test_a_class_of_other_nodes_workloads_brings_its_bucket_without_a_word() -> None:
    old = made(policy("mail", to=["0.0.0.0/0"]))
    new = made(policy("mail", to=["0.0.0.0/0"]), policy("more", to=["203.0.113.0/24"]))
    before, after = (bundle.node("egress-1").ruleset for bundle in (old, new))
    assert before.sets["remoteclass"].elements != after.sets["remoteclass"].elements
    assert before.sets.keys() != after.sets.keys()

    (change,) = changes_of("egress-1", nodes(old, new))

    assert (change.kind, change.subject, change.note) == ("class", "remote(mail, more)", "decides the same")


def test_a_class_that_does_not_lead_to_its_bucket_is_told() -> None:
    bundle = made(policy())
    (number,) = bundle.node("egress-1").ruleset.sets["remoteclass"].elements

    def led_astray(text: str) -> str:
        return re.sub(rf"(\t\t\t{number} : goto) .*", r"\1 drop_stray", text)

    assert told(nodes(bundle, with_ruleset(bundle, "egress-1", led_astray)), "egress-1") == [
        f"+ map remoteclass: {number}: None -> goto drop_stray"
    ]


def test_a_mark_with_another_number_is_one_change() -> None:
    bundle = made(gateway("vip", vip="172.18.18.241"), policy())
    before = meaning_of(bundle, "egress-2").marks["gateway vip"]

    (item,) = nodes(bundle, with_ruleset(bundle, "egress-2", lambda text: text.replace(before, "0x01000000")))

    assert item.changes == (Change("mark", "mark", "gateway vip", before, "0x01000000"),)


def test_marks_that_change_places_are_told_though_the_sets_that_hold_them_stay() -> None:
    bundle = made(gateway("vip", vip="172.18.18.241"), policy())
    marks = meaning_of(bundle, "egress-2").marks
    one, two = marks["gateway vip"], marks["gateway egress-gw"]

    def swap(text: str) -> str:
        head, marker, rest = text.partition("\t# After destination NAT")
        for chain in ("gateway_vip", "gateway_egress-gw"):
            rest = re.sub(
                rf"(chain {chain} \{{\n\t\tcounter meta mark set .* \^ )(\w+)",
                lambda match: match[1] + {one: two, two: one}[match[2]],
                rest,
            )
        head = re.sub(r"(0x\w+) : goto snat_", lambda match: f"{ {one: two, two: one}[match[1]] } : goto snat_", head)
        return head + marker + rest

    new = with_ruleset(bundle, "egress-2", swap)

    found = told(nodes(bundle, new), "egress-2", "element")
    assert "- set translated4: mark(gateway vip) . 172.18.18.241:  -> None" in found
    assert "+ set translated4: mark(gateway egress-gw) . 172.18.18.241: None -> " in found


def test_words_that_do_nothing_are_no_change() -> None:
    bundle = made(policy())

    (item,) = nodes(
        bundle, with_ruleset(bundle, "worker-1", lambda text: text.replace("# Workloads", "# The workloads"))
    )

    assert item == NodeChange("worker-1", "changed", ())


def test_a_rule_that_moves_goes_here_and_comes_there() -> None:
    bundle = made(policy())
    one, two = "\t\tip daddr @cluster4 return", "\t\tip6 daddr @cluster6 return"

    def move(text: str) -> str:
        head, marker, rest = text.partition("chain decide {\n")
        lines = [line.partition(" comment")[0] for line in rest.split("\n")]
        first, second = lines.index(one), lines.index(two)
        lines[first], lines[second] = lines[second], lines[first]
        return head + marker + "\n".join(lines)

    found = told(nodes(bundle, with_ruleset(bundle, "worker-1", move)), "worker-1")

    assert len(found) == 2
    assert {line[:20] for line in found} == {"- chain decide: rule", "+ chain decide: rule"}


def test_files_of_nodes_are_let_go_when_they_were_compared() -> None:
    old, new = made(), made(policy())

    nodes(old, new, release=True)

    assert not [path for bundle in (old, new) for path in bundle.files if path.startswith("nodes/")]


def test_what_both_rulesets_fill_alike_need_not_be_read() -> None:
    path = node_path("worker-1", RULESET)
    old, new = (bundle.files[path] for bundle in (made(policy()), made(policy(), pod("new", "worker-1", 9))))

    before, after = without_common(old, new)

    assert before.count(b" comment ") < old.count(b" comment ") / 5
    assert b"10.111.11.9 : goto" in after
