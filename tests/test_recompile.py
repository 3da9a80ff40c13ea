"""Changes one by one give what a compile of everything gives, byte for byte."""

import copy
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import pytest
from builders import Obj, cluster, gateway, member, patched, pod, policy
from clusters import clusters, one_in
from edits import NODE_CHANGES, pairs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

import compiler.naming
from bundle.directory import NODE_FILES, node_path
from compiler.diagnostics import has_errors
from compiler.elect import NOTHING_EARLIER, Earlier
from compiler.load import Key
from compiler.pipeline import compile_cluster, understand
from compiler.recompile import Change, Recompiler, RefusedError

FEW: Final = settings(
    max_examples=40,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)

Files = Mapping[str, bytes]


def text(objects: Iterable[Obj]) -> bytes:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}).encode()


def compiled(objects: Sequence[Obj], masters: Mapping[str, str] | None = None) -> tuple[Files | None, dict[str, str]]:
    """Compiles everything; returns the files, None where there are errors, and the masters."""
    reading = understand({"all": text(objects)})
    if reading.cluster is None or has_errors(reading.findings):
        return None, {}
    earlier = NOTHING_EARLIER if masters is None else Earlier(masters)
    result = compile_cluster(reading.cluster, earlier)
    if result.account is None:
        return None, {}
    gateways = result.account.gateways.gateways
    return result.files, {item.name: item.active_node_name for item in gateways if item.active_node_name}


def key(item: Obj) -> Key:
    namespaced = item["kind"] in {"Pod", "VirtualMachine"}
    meta = item.get("metadata", {})
    return (item["kind"], meta.get("namespace", "default") if namespaced else "", meta.get("name", ""))


def node_parts(files: Files) -> dict[str, dict[str, bytes]]:
    names = json.loads(files["manifest.json"])["nodes"]
    return {name: {path: files[path] for path in (node_path(name, file) for file in NODE_FILES)} for name in names}


class Both:
    """A recompiler beside compiles of everything."""

    def __init__(self, objects: Sequence[Obj]) -> None:
        self.objects = {key(item): item for item in objects}
        files, self.masters = compiled(objects)
        assert files is not None
        self.files: Files = files
        self.recompiler = Recompiler({"all": text(objects)})
        assert self.recompiler.bundle().files == files

    def become(self, objects: Sequence[Obj]) -> Change:
        """Hands over what differs, and holds that what comes of it is what a compile of all gives."""
        target = {key(item): item for item in objects}
        changed = [item for at, item in target.items() if self.objects.get(at) != item]
        change = self.recompiler.change([text(changed)] if changed else [], self.objects.keys() - target.keys())
        files, masters = compiled(list(target.values()), self.masters)
        assert bool(change.refused) == (files is None), change.refused
        if files is not None:
            before, after = node_parts(self.files), node_parts(files)
            assert set(change.plans) == {name for name in after if after[name] != before.get(name)}
            assert change.files == {path: part for name in change.plans for path, part in after[name].items()}
            assert change.gone == tuple(sorted(before.keys() - after.keys()))
            self.objects, self.files, self.masters = target, files, masters
        assert self.recompiler.bundle().files == self.files
        return change


@FEW
@given(pair=pairs())
def test_any_change_and_its_undoing_give_what_compile_gives(pair: tuple[list[Obj], list[Obj]]) -> None:
    old, new = pair
    if compiled(old)[0] is None:
        with pytest.raises(RefusedError):
            Recompiler({"all": text(old)})
        return
    both = Both(old)

    both.become(new)
    both.become(old)


def _state_of_a_node(draw: DrawFn, objects: list[Obj]) -> None:
    nodes = [item for item in objects if item["kind"] == "Node"]
    if nodes:
        item = draw(st.sampled_from(nodes))
        field, value = draw(st.sampled_from(STATES))
        item[field] = {**item.get(field, {}), **copy.deepcopy(value)}


def _a_workload_more_or_less(draw: DrawFn, objects: list[Obj]) -> None:
    item = _some_workload(draw, objects)
    if item is not None and draw(st.booleans()):
        objects.remove(item)
    elif item is not None:
        twin = patched(item, "metadata.name", f"{item['metadata']['name'][:40]}-x")
        objects.append(_readdressed(draw, twin))


def _another_workload(draw: DrawFn, objects: list[Obj]) -> None:
    item = _some_workload(draw, objects)
    names = [other["metadata"]["name"] for other in objects if other["kind"] == "Node"]
    if item is None:
        return
    item["metadata"]["labels"] = draw(st.sampled_from([{}, {"app": "front"}, {"app": "back", "tier": "web"}]))
    if item["kind"] == "Pod" and draw(st.booleans()):
        item["spec"] = {**item.get("spec", {}), "nodeName": draw(st.sampled_from([*names, "nowhere"]))}
        _readdressed(draw, item)


def _some_workload(draw: DrawFn, objects: list[Obj]) -> Obj | None:
    found = [item for item in objects if item["kind"] in {"Pod", "VirtualMachine"}]
    return draw(st.sampled_from(found)) if found else None


def _readdressed(draw: DrawFn, item: Obj) -> Obj:
    """Gives it other addresses: in a node's range or in none, free or not, or that of its node."""
    if item["kind"] == "Pod":
        four = draw(st.sampled_from(["10.111.11.77", "10.9.9.9", "172.31.0.9", "10.111.12.5", "10.111.12.78"]))
        six = draw(st.sampled_from([[], ["fd00:111:0:11::77"], ["fd00:dead::7"]]))
        item["status"] = {"phase": "Running", "podIPs": [{"ip": ip} for ip in [four, *six]]}
        item["spec"] = {**item.get("spec", {}), "hostNetwork": one_in(draw, 6)}
    return item


STATES: list[tuple[str, Obj]] = [
    *NODE_CHANGES,
    ("metadata", {"deletionTimestamp": "2026-01-01T00:00:00Z"}),
    ("spec", {"unschedulable": False}),
]
MOVES = [_state_of_a_node, _a_workload_more_or_less, _another_workload]


@st.composite
def moves(draw: DrawFn) -> list[list[Obj]]:
    """A cluster, and what it is after each of several small changes of its pods, machines and nodes."""
    result = [draw(clusters())]
    for _ in range(draw(st.integers(1, 5))):
        objects = copy.deepcopy(result[-1])
        for move in draw(st.lists(st.sampled_from(MOVES), min_size=1, max_size=3)):
            move(draw, objects)
        result.append(list({key(item): item for item in objects}.values()))
    return result


@FEW
@given(steps=moves())
def test_moves_of_workloads_and_states_of_nodes_give_what_compile_gives(steps: list[list[Obj]]) -> None:
    if compiled(steps[0])[0] is None:
        return
    both = Both(steps[0])

    for objects in steps[1:]:
        both.become(objects)


@FEW
@given(steps=moves())
def test_classes_that_want_one_number_get_those_that_compile_gives(steps: list[list[Obj]]) -> None:
    def few(key: tuple[str, ...]) -> Iterator[int]:
        first = int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:4]) % 5
        return (0x10001 + (first + more) % 1000 for more in itertools.count())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler.naming, "_choices", few)
        if compiled(steps[0])[0] is None:
            return
        both = Both(steps[0])
        for objects in steps[1:]:
            both.become(objects)


BACKEND: Final = {"app": "backend"}
BACKENDS: Final = policy(selectors=[{"podSelector": {"matchLabels": BACKEND}}])
NODES: Final = cluster(*member("worker-2", labels={}), gateway(), BACKENDS)


def test_a_workload_more_concerns_its_node_and_the_nodes_of_its_gateway() -> None:
    both = Both(NODES)

    more = both.become([*NODES, pod("another", "worker-2", labels=BACKEND)])

    assert sorted(more.plans) == ["egress-1", "egress-2", "worker-2"]


def test_a_workload_that_nothing_selects_concerns_nobody() -> None:
    both = Both(NODES)

    assert both.become([*NODES, pod("another", "worker-2")]).plans == {}


def test_an_unready_master_concerns_the_nodes_of_its_gateway_and_those_that_send_to_it() -> None:
    both = Both(NODES)
    master = both.masters["egress-gw"]
    lost = [patched(item, "status.conditions", []) if item["metadata"]["name"] == master else item for item in NODES]

    assert sorted(both.become(lost).plans) == ["egress-1", "egress-2", "worker-1"]


def test_an_agent_that_is_gone_takes_its_node_out() -> None:
    both = Both(NODES)

    change = both.become([item for item in NODES if item["metadata"]["name"] != "agent-egress-1"])

    assert "egress-1" in change.plans


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (pod("another", "worker-2", ips=["10.111.12.x"]), "EG206"),
        (pod("another", "worker-2", ips=["10.111.11.5"]), "EG304"),
        (patched(pod("another", "worker-2"), "spec.nodeName", 5), "EG202"),
        (policy("another", "nowhere"), "EG301"),
        ({"kind": "Pod"}, "EG105"),
    ],
    ids=["address", "contested", "shape", "gateway", "no object"],
)
def test_a_change_with_an_error_is_refused_and_changes_nothing(wrong: Obj, code: str) -> None:
    both = Both(NODES)

    change = both.recompiler.change([json.dumps(wrong).encode()])

    assert [finding.code for finding in change.refused] == [code]
    assert change.files == {}
    assert both.recompiler.bundle().files == both.files
    assert sorted(both.become([*NODES, pod("another", "worker-2", labels=BACKEND)]).plans)


def test_a_node_that_knows_no_interfaces_learns_each_address_that_lies_in_no_range() -> None:
    blind = [item for item in NODES if (item["kind"], item["metadata"]["name"]) != ("NodeNetworkState", "worker-2")]
    both = Both(blind)

    more = both.become([*blind, pod("another", "worker-1", ips=["10.111.11.77", "fd00:dead::7"], labels=BACKEND)])

    assert "worker-2" in more.plans


def test_what_is_removed_and_given_in_one_change_is_there() -> None:
    both = Both(NODES)
    backend = next(item for item in NODES if item["metadata"]["name"] == "backend")

    change = both.recompiler.change([json.dumps(backend).encode()], [key(backend)])

    assert change == Change((), {})
    assert both.recompiler.bundle().files == both.files


def test_findings_of_two_changes_are_about_different_texts() -> None:
    both = Both(NODES)
    both.become([*NODES, pod("another", "worker-2", ips=["10.111.12.7"])])
    twin = pod("twin", "worker-2", ips=["10.111.12.7"])

    (found,) = both.recompiler.change([json.dumps(twin).encode()]).refused

    assert (found.code, found.place.file, found.place.field) == ("EG304", "change 2", "status.podIPs[0].ip")
    assert [place.file for place in found.related] == ["change 1"]


def test_pods_that_come_and_go_leave_nothing_behind() -> None:
    both = Both(NODES)
    matching = both.recompiler._state.matching  # noqa: SLF001  # what must not grow is inside

    for number in range(50):
        job = pod("job", "worker-2", labels={"job": str(number)})
        both.recompiler.change([json.dumps(job).encode()])
        both.recompiler.change([], [key(job)])

    assert len(matching) < 20


def test_the_same_again_and_what_was_not_there_change_nothing() -> None:
    both = Both(NODES)

    assert both.recompiler.change([text(NODES)], [("Pod", "default", "nobody")]) == Change((), {})


def test_inputs_with_an_error_are_refused_at_once() -> None:
    with pytest.raises(RefusedError, match="there is no EgressGateway nowhere"):
        Recompiler({"all": text([*NODES, policy("another", "nowhere")])})
