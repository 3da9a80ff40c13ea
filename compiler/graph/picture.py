"""Picture: the boxes of the drawing and the arrows between them, grouped until there are few enough to be read.

In: the account of a bundle. Out: a `Picture`, from left to right workloads, policies, gateways, master nodes, source
addresses, outside. Formats nothing: `dot` and `mermaid` do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from bundle.model import GatewayReport, PolicyReport, WorkloadReport
from compiler.account import Account
from compiler.graph.boxes import (
    DROPPED,
    OUTSIDE,
    Box,
    Kind,
    gateway_box,
    node_box,
    ordinary_box,
    policies_box,
    source_box,
    workloads_box,
)
from compiler.graph.lanes import Lane, lanes_of

MOST_POLICIES: Final = 4
"""Policies of one gateway that have a box each; more are one box."""

MOST_POLICY_BOXES: Final = 20
"""Boxes of single policies; where there would be more, those of one gateway are one box."""

MOST_WORKLOAD_BOXES: Final = 16
"""Boxes of workloads by namespace; where there would be more, those of all namespaces are put together."""

Manner = Literal["egress", "ordinary", "dropped"]
_KINDS: Final = get_args(Kind)
_Groups = dict[tuple[str, tuple[int, ...]], list[WorkloadReport]]


@dataclass(frozen=True, slots=True)
class Arrow:
    """From box to box, by their indexes in `Picture.boxes`."""

    tail: int
    head: int
    manner: Manner


@dataclass(frozen=True, slots=True)
class Picture:
    """The drawing: boxes by their kinds, and arrows in order of their ends."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def draw(account: Account) -> Picture:
    """Returns the drawing of a bundle; the number of its boxes is bounded, whatever the bundle's size."""
    drawing = _Drawing()
    lanes = lanes_of(account)
    policies = _policies(drawing, lanes, account.policies.policies)
    _workloads(drawing, account.workloads.workloads, policies)
    _ways_out(drawing, lanes, policies, {item.name: item for item in account.policies.policies})
    return drawing.picture()


class _Drawing:
    def __init__(self) -> None:
        self._boxes: list[Box] = []
        self._arrows: set[tuple[int, int, Manner]] = set()

    def add(self, box: Box) -> int:
        """Adds a box and returns its index."""
        self._boxes.append(box)
        return len(self._boxes) - 1

    def add_once(self, box: Box) -> int:
        """The same, unless it is there."""
        return self._boxes.index(box) if box in self._boxes else self.add(box)

    def link(self, tail: int, head: int, manner: Manner = "egress") -> None:
        """Adds an arrow; a second like it changes nothing."""
        self._arrows.add((tail, head, manner))

    def picture(self) -> Picture:
        """Returns what was drawn."""
        order = sorted(range(len(self._boxes)), key=lambda index: (_KINDS.index(self._boxes[index].kind), index))
        place = {index: number for number, index in enumerate(order)}
        arrows = sorted((place[tail], place[head], manner) for tail, head, manner in self._arrows)
        return Picture(tuple(self._boxes[index] for index in order), tuple(Arrow(*ends) for ends in arrows))


def _policies(drawing: _Drawing, lanes: Sequence[Lane], policies: Sequence[PolicyReport]) -> dict[str, int]:
    """Draws the policies; returns the box of each, by its name."""
    by_name = {policy.name: policy for policy in policies}
    few = [lane for lane in lanes if len(lane.names) == 1 and len(lane.policies) <= MOST_POLICIES]
    apart = few if sum(len(lane.policies) for lane in few) <= MOST_POLICY_BOXES else []
    found: dict[str, int] = {}
    for lane in lanes:
        own = [by_name[name] for name in lane.policies]
        for group in [[policy] for policy in own] if lane in apart else [own] if own else []:
            box = drawing.add(policies_box(group))
            found.update((policy.name, box) for policy in group)
    return found


def _workloads(drawing: _Drawing, workloads: Sequence[WorkloadReport], policies: dict[str, int]) -> None:
    groups: _Groups = {}
    for workload in workloads:
        boxes = tuple(sorted({policies[name] for name in workload.policies}))
        groups.setdefault((workload.namespace if boxes else "", boxes), []).append(workload)
    unselected = groups.pop(("", ()), None)
    for (_, boxes), members in sorted(_few(groups).items(), key=lambda entry: (entry[0][1], entry[0][0])):
        box = drawing.add(workloads_box(members))
        for policy in boxes:
            drawing.link(box, policy)
    if unselected:
        drawing.link(drawing.add(ordinary_box(unselected)), drawing.add_once(OUTSIDE), "ordinary")


def _few(groups: _Groups) -> _Groups:
    """Puts groups together until they are few: of all namespaces, then the smallest whatever selects them."""
    if len(groups) <= MOST_WORKLOAD_BOXES:
        return groups
    found: _Groups = {}
    for (_, boxes), members in groups.items():
        found.setdefault(("", boxes), []).extend(members)
    ranked = sorted(found.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    if len(ranked) <= MOST_WORKLOAD_BOXES:
        return found
    kept, rest = dict(ranked[: MOST_WORKLOAD_BOXES - 1]), ranked[MOST_WORKLOAD_BOXES - 1 :]
    boxes = tuple(sorted({box for (_, boxes), _ in rest for box in boxes}))
    kept["rest", boxes] = [workload for _, members in rest for workload in members]
    return kept


def _ways_out(
    drawing: _Drawing, lanes: Sequence[Lane], boxes: dict[str, int], policies: dict[str, PolicyReport]
) -> None:
    gateways = [drawing.add(gateway_box(lane)) for lane in lanes]
    masters: dict[tuple[str, ...], list[GatewayReport]] = {}
    for lane in lanes:
        if not lane.dropped:
            masters.setdefault(_masters(lane), []).extend(lane.gateways)
    nodes = {key: drawing.add(node_box(served)) for key, served in masters.items()}
    for lane, gateway in zip(lanes, gateways, strict=True):
        for name in lane.policies:
            drawing.link(boxes[name], gateway)
        if lane.dropped:
            drawing.link(gateway, drawing.add_once(DROPPED), "dropped")
            continue
        key = _masters(lane)
        shared = len(masters[key]) > len(lane.gateways)
        source = drawing.add(source_box(lane, [policies[name] for name in lane.policies], shared=shared))
        drawing.link(gateway, nodes[key])
        drawing.link(nodes[key], source)
        drawing.link(source, drawing.add_once(OUTSIDE))


def _masters(lane: Lane) -> tuple[str, ...]:
    """Returns what makes lanes share a box of nodes: one and the same master, or one and the same lane."""
    masters = sorted({item.active_node_name for item in lane.gateways if item.active_node_name is not None})
    return (masters[0],) if len(masters) == 1 else ("", *lane.names)
