"""Pairs of clusters as hypothesis strategies: one and what somebody made of it, or two that have little in common."""

from collections.abc import Callable, Sequence

from builders import EGRESS_LABEL, Obj
from clusters import clusters, one_in
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn


def _of(objects: Sequence[Obj], *kinds: str) -> list[int]:
    return [index for index, item in enumerate(objects) if item["kind"] in kinds]


def _without(draw: DrawFn, objects: list[Obj], _other: list[Obj]) -> list[Obj]:
    indexes = _of(objects, "Pod", "EgressGatewayPolicy", "NodeNetworkState", "VirtualMachine", "Namespace")
    gone = draw(st.sampled_from(indexes)) if indexes else None
    return [item for index, item in enumerate(objects) if index != gone]


NODE_CHANGES: list[tuple[str, Obj]] = [
    ("status", {"conditions": [{"type": "Ready", "status": "False"}]}),
    ("status", {"conditions": [{"type": "Ready", "status": "True"}]}),
    ("spec", {"unschedulable": True}),
    ("metadata", {"labels": {}}),
    ("metadata", {"labels": EGRESS_LABEL}),
]


def _node(draw: DrawFn, objects: list[Obj], _other: list[Obj]) -> list[Obj]:
    index = draw(st.sampled_from(_of(objects, "Node")))
    field, more = draw(st.sampled_from(NODE_CHANGES))
    changed = {**objects[index], field: {**objects[index].get(field, {}), **more}}
    return [*objects[:index], changed, *objects[index + 1 :]]


def _from_the_other(draw: DrawFn, objects: list[Obj], other: list[Obj]) -> list[Obj]:
    """Takes an object of the other cluster, in the place of the one of its name if there is one."""
    kinds = ("EgressGateway", "EgressGatewayPolicy", "Pod", "EgressCompilerConfig", "ServiceCIDR")
    indexes = _of(other, *kinds)
    if not indexes:
        return objects
    taken = other[draw(st.sampled_from(indexes))]
    return [*(item for item in objects if _name(item) != _name(taken)), taken]


def _name(item: Obj) -> tuple[str, str, str]:
    meta = item.get("metadata", {})
    return item["kind"], meta.get("namespace", ""), meta.get("name", "")


EDITS: list[Callable[[DrawFn, list[Obj], list[Obj]], list[Obj]]] = [_without, _node, _from_the_other]


@st.composite
def pairs(draw: DrawFn) -> tuple[list[Obj], list[Obj]]:
    """Two clusters, either of which may be refused."""
    before, other = draw(clusters()), draw(clusters())
    if one_in(draw, 4):
        return before, other
    after = before
    for edit in draw(st.lists(st.sampled_from(EDITS), min_size=1, max_size=4)):
        after = edit(draw, after, other)
    return before, after
