"""What a scenario should do, found twice without the code that is under test: from the outcomes of the changed cluster,
compiled as a whole, and from the reference semantics of the changed objects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from builders import Obj, patched
from reference import Fate, Reference
from reference_findings import edges, on_unknown_node
from reference_inputs import LAUNCHER_LABEL

from bundle.model import WorkloadReport
from compiler.model import Cluster, Family
from compiler.outcomes import Outcome, Outcomes
from compiler.simulate.whatif import Impact, Scenario


class Alike(NamedTuple):
    """What happens to packets: the kind, the gateway, the family, and node and source address before and after."""

    kind: str
    gateway: str
    family: int
    before: tuple[str | None, str | None]
    after: tuple[str | None, str | None]


class Told(NamedTuple):
    """All that is told of the traffic of workloads that stay."""

    alike: dict[Alike, int]
    dropped: int
    readdressed: int
    cut: int
    restored: int


Changes = Mapping[Alike, frozenset[tuple[str, ...]]]
"""Of each change the workloads to whose packets it happens."""


def told(impact: Impact) -> Told:
    alike = {
        Alike(
            item.kind,
            item.gateway,
            item.family,
            (item.before.node, item.before.source),
            (item.after.node, item.after.source),
        ): item.workloads
        for item in impact.changes
    }
    return Told(alike, impact.dropped, impact.readdressed, impact.cut, impact.restored)


def expected(changes: Changes) -> Told:
    def among(*kinds: str, broken: bool = False) -> int:
        chosen = [names for key, names in changes.items() if key.kind in kinds or (broken and key.kind != "restored")]
        return len(frozenset().union(*chosen))

    counts = (among("drop"), among("source"), among(broken=True), among("restored"))
    return Told({key: len(names) for key, names in changes.items()}, *counts)


def kind_of(before: tuple[str, str | None, str | None], after: tuple[str, str | None, str | None]) -> str | None:
    """The kind of a change of verdict, node and source address; None where there is no change."""
    if before == after:
        return None
    match before[0], after[0]:
        case "egress", "egress":
            return "source" if before[2] is None or before[2] != after[2] else "cut"
        case "egress", "drop":
            return "drop"
        case "drop", "egress":
            return "restored"
        case "drop", "drop":
            return None
    raise AssertionError(f"a what-if makes no {after} of {before}")


# By compiling the changed cluster


def changed_cluster(cluster: Cluster, scenario: Scenario) -> Cluster:
    nodes = {
        name: replace(
            node,
            ready=node.ready and name not in scenario.down,
            cordoned=node.cordoned or name in scenario.cordoned,
        )
        for name, node in cluster.nodes.items()
    }
    workloads = tuple(workload for workload in cluster.workloads if workload.node not in scenario.down)
    return replace(cluster, nodes=nodes, workloads=workloads)


def by_outcomes(before: Outcomes, after: Outcomes) -> Changes:
    """Lays the tables of every workload that is in both over each other."""
    earlier = {identity(workload): workload for workload in before.workloads}
    found: dict[Alike, set[tuple[str, ...]]] = {}
    for workload in after.workloads:
        old = earlier[identity(workload)]
        for family in (Family.IPV4, Family.IPV6):
            if any((":" in address) == (family is Family.IPV6) for address in workload.addresses):
                for one, other in overlaid(before.table(old, family), after.table(workload, family)):
                    kind = kind_of((one.verdict, one.node, one.source), (other.verdict, other.node, other.source))
                    if kind is not None:
                        assert one.gateway == other.gateway is not None
                        key = Alike(kind, one.gateway or "", family, (one.node, one.source), (other.node, other.source))
                        found.setdefault(key, set()).add(identity(workload))
    return {key: frozenset(names) for key, names in found.items()}


def leaving(outcomes: Outcomes) -> dict[str, int]:
    """How many workloads leave by each node."""
    found: dict[str, int] = {}
    for workload in outcomes.workloads:
        nodes = {
            outcome.node
            for family in (Family.IPV4, Family.IPV6)
            if any((":" in address) == (family is Family.IPV6) for address in workload.addresses)
            for _, _, outcome in outcomes.table(workload, family)
            if outcome.node is not None
        }
        for node in nodes:
            found[node] = found.get(node, 0) + 1
    return found


def identity(workload: WorkloadReport) -> tuple[str, ...]:
    return (workload.kind, workload.namespace, workload.name)


def overlaid(
    one: Sequence[tuple[int, int, Outcome]], other: Sequence[tuple[int, int, Outcome]]
) -> Iterator[tuple[Outcome, Outcome]]:
    for low, high, mine in one:
        for first, last, theirs in other:
            if first <= high and low <= last:
                yield mine, theirs


# By the reference


def changed_objects(objects: Sequence[Obj], scenario: Scenario) -> list[Obj]:
    """The objects with lost nodes not Ready and without what makes their workloads, and others cordoned."""
    gone = [workload for workload in Reference(objects).workloads if workload.node in scenario.down]

    def is_gone(item: Obj) -> bool:
        """Whether it is a workload that is gone, or a launcher pod of it that would stand for it alone."""
        metadata = item["metadata"]
        ips = {entry["ip"] for entry in item.get("status", {}).get("podIPs", [])}
        return any(
            (item["kind"], metadata.get("namespace"), metadata["name"]) == (w.kind, w.namespace, w.name)
            or (
                w.virtual_machine is not None
                and (w.virtual_machine, w.namespace)
                == (metadata.get("labels", {}).get(LAUNCHER_LABEL), metadata.get("namespace"))
                and not ips.isdisjoint(map(str, w.addresses))
            )
            for w in gone
        )

    return [
        _changed(item, scenario)
        for item in objects
        if item["kind"] not in {"Pod", "VirtualMachine"} or not is_gone(item)
    ]


def _changed(item: Obj, scenario: Scenario) -> Obj:
    if item["kind"] != "Node":
        return item
    name = item["metadata"]["name"]
    if name in scenario.down:
        kept = [condition for condition in item["status"].get("conditions", []) if condition["type"] != "Ready"]
        item = patched(item, "status.conditions", [*kept, {"type": "Ready", "status": "False"}])
    return patched(item, "spec.unschedulable", value=True) if name in scenario.cordoned else item


def by_reference(before: Reference, after: Reference) -> Changes:
    """Asks for the fate of packets to every edge, of every workload that is in both."""
    earlier = {(w.kind, w.namespace, w.name): w for w in before.workloads}
    lost = on_unknown_node(before)
    found: dict[Alike, set[tuple[str, ...]]] = {}
    for workload in after.workloads:
        name = (workload.kind, workload.namespace, workload.name)
        if earlier[name] in lost:
            continue
        for address in workload.addresses:
            for destination in edges(before, address.version):
                one, other = before.fate(earlier[name], destination), after.fate(workload, destination)
                kind = kind_of((one.verdict, *_ends(one)), (other.verdict, *_ends(other)))
                if kind is not None:
                    assert one.gateway == other.gateway is not None
                    key = Alike(kind, one.gateway or "", address.version, _ends(one), _ends(other))
                    found.setdefault(key, set()).add(name)
    return {key: frozenset(names) for key, names in found.items()}


def _ends(fate: Fate) -> tuple[str | None, str | None]:
    return (fate.node, fate.source) if fate.verdict == "egress" else (None, None)
