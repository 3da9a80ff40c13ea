"""Changes one by one give what a compile of everything gives, byte for byte."""

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pytest
from builders import Obj, agent, cluster, config, gateway, member, namespace, node, patched, pod, policy
from clusters import clusters
from edits import pairs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from bundle.directory import NODE_FILES, node_path
from compiler.diagnostics import has_errors
from compiler.elect import NOTHING_EARLIER, Earlier
from compiler.load import Key
from compiler.pipeline import compile_cluster, understand
from compiler.recompile import Change, Recompiler, RefusedError

FEW: Final = settings(max_examples=40, phases=(Phase.explicit, Phase.generate), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

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


@st.composite
def moves(draw: DrawFn) -> list[list[Obj]]:
    """A cluster, and what it is after each of several small changes of its pods, machines and nodes."""
    objects = draw(clusters())
    result = [objects]
    for _ in range(draw(st.integers(1, 5))):
        objects = draw(_moved(objects))
        result.append(objects)
    return result


@st.composite
def _moved(draw: DrawFn, objects: list[Obj]) -> list[Obj]:
    items = copy.deepcopy(objects)
    nodes = [item for item in items if item["kind"] == "Node"]
    movable = [item for item in items if item["kind"] in {"Pod", "VirtualMachine"}]
    names = [item["metadata"]["name"] for item in nodes]
    for _ in range(draw(st.integers(1, 3))):
        what = draw(st.sampled_from(["gone", "relabel", "move", "state", "label", "twin", "deleting", "readdress"]))
        if what in {"state", "label", "deleting"} and nodes:
            item = draw(st.sampled_from(nodes))
            if what == "state":
                ready = draw(st.sampled_from(["True", "False"]))
                item.setdefault("status", {})["conditions"] = [{"type": "Ready", "status": ready}]
                item.setdefault("spec", {})["unschedulable"] = draw(st.booleans())
            elif what == "label":
                item["metadata"]["labels"] = draw(st.sampled_from([{}, {"node-role.deckhouse.io/egress": ""}]))
            else:
                item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        elif movable:
            item = draw(st.sampled_from(movable))
            if what == "gone":
                items = [other for other in items if other is not item]
                movable = [other for other in movable if other is not item]
            elif what == "relabel":
                item["metadata"]["labels"] = draw(st.sampled_from([{}, {"app": "front"}, {"app": "back", "tier": "web"}]))
            elif what == "move" and names and item["kind"] == "Pod":
                item.setdefault("spec", {})["nodeName"] = draw(st.sampled_from([*names, "nowhere"]))
            elif what == "readdress" and item["kind"] == "Pod":
                address = draw(st.sampled_from(["10.111.11.77", "10.9.9.9", "172.31.0.9", "10.111.12.5"]))
                item.setdefault("status", {})["podIPs"] = [{"ip": address}]
                item["status"].pop("podIP", None)
            elif what == "twin":
                twin = copy.deepcopy(item)
                twin["metadata"]["name"] = item["metadata"]["name"][:40] + "-x"
                items.append(twin)
    return list({key(item): item for item in items}.values())


@FEW
@given(steps=moves())
def test_moves_of_workloads_and_states_of_nodes_give_what_compile_gives(steps: list[list[Obj]]) -> None:
    if compiled(steps[0])[0] is None:
        return
    both = Both(steps[0])

    for objects in steps[1:]:
        both.become(objects)
