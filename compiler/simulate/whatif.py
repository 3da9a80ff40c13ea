"""Whatif: what one scenario does to a cluster's gateways and to everybody's traffic.

In: the cluster as it is, and which nodes are lost or cordoned. Out: an `Impact`. Only groups of workloads that use a
gateway whose master changes are looked at; a test holds the result against compiling the changed cluster as a whole.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import Final, Literal

from bundle.model import Gateways
from compiler.account import elected_again
from compiler.diagnostics import Diagnostic
from compiler.elect import masters_of
from compiler.gates import Gate
from compiler.model import Family, Mode, Node
from compiler.outcomes import Outcome
from compiler.simulate.present import Group, Present, leaving_by
from compiler.suitability import Suitability, judge, why_none

Kind = Literal["drop", "source", "cut", "restored"]
"""What happens to packets: they are dropped now; they leave with another source address; they leave by another node
with the source address that they had; they leave, and were dropped before."""

EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True, order=True)
class Scenario:
    """What happens to nodes.

    Attributes:
        down: Nodes that are lost: they are not Ready any more, and their workloads are gone with them.
        cordoned: Nodes that serve no gateway any more; their workloads stay.
    """

    down: tuple[str, ...] = ()
    cordoned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Takeover:
    """A gateway whose master changes.

    Attributes:
        gateway: Its name.
        virtual_ip: Which moves too; None in the other mode.
        old: The master as it is.
        new: The master after, None when no node is suitable any more.
        reasons: Why the old one is not suitable any more.
        why_none: Why no node is suitable, if none is.
    """

    gateway: str
    virtual_ip: str | None
    old: str
    new: str | None
    reasons: tuple[str, ...]
    why_none: str


@dataclass(frozen=True, slots=True)
class Change:
    """What happens alike to packets of some workloads.

    Attributes:
        kind: What it is.
        gateway: The gateway that takes the packets.
        family: Their family.
        before: What became of them.
        after: What becomes of them.
        workloads: How many workloads send such.
        examples: Some of them, as `NAMESPACE/NAME`.
    """

    kind: Kind
    gateway: str
    family: Family
    before: Outcome
    after: Outcome
    workloads: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """What a node carries: how many gateways it is master of, and how many workloads leave by it."""

    node: str
    gateways: tuple[int, int]
    workloads: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Impact:
    """What a scenario does.

    Attributes:
        scenario: What was supposed.
        takeovers: Gateways whose master changes, by name.
        changes: What happens to packets of workloads that stay, in order of kind, gateway and family.
        dropped: Workloads that stay and have packets that are dropped now and were not before.
        readdressed: Workloads that stay and have packets that leave with another source address.
        cut: Workloads that stay and have connections that break, for whichever reason.
        restored: Workloads that stay and have packets that leave now and were dropped before.
        gone: Workloads on the lost nodes, served or not, which count nowhere else.
        load: Nodes that carry anything before or after, by name.
        no_standby: Gateways that lost nodes and have none left that could take over.
        errors: For which compile would refuse the cluster after.
    """

    scenario: Scenario
    takeovers: tuple[Takeover, ...]
    changes: tuple[Change, ...]
    dropped: int
    readdressed: int
    cut: int
    restored: int
    gone: int
    load: tuple[Load, ...]
    no_standby: tuple[str, ...]
    errors: tuple[Diagnostic, ...]

    @property
    def touches_others(self) -> bool:
        """Whether anything happens to the traffic of a workload that is not on a lost node."""
        return bool(self.dropped or self.readdressed or self.cut or self.restored)

    @property
    def happened(self) -> frozenset[Gate]:
        """What of that which `--fail-on` may name happens."""
        told: dict[Gate, bool] = {
            "connections-break": self.cut > 0,
            "source-change": self.readdressed > 0,
            "new-drop": self.dropped > 0,
            "master-move": bool(self.takeovers),
            "vip-move": any(item.virtual_ip is not None for item in self.takeovers),
            "no-standby": bool(self.no_standby),
        }
        return frozenset(gate for gate, happens in told.items() if happens)


_ORDER: Final[tuple[Kind, ...]] = ("drop", "source", "cut", "restored")


def suppose(present: Present, scenario: Scenario) -> Impact:
    """Works out what a scenario does.

    Args:
        present: The cluster as it is.
        scenario: Of nodes of that cluster.
    """
    after = _After(present, scenario)
    changes, counts, served = _follow(present, after)
    takeovers = tuple(_takeover(present, after, name) for name in after.moved)
    masters = (Counter(present.masters.values()), Counter(after.masters.values()))
    carrying = sorted({*masters[0], *masters[1], *(node for node in served if served[node] or present.served[node])})
    return Impact(
        scenario=scenario,
        takeovers=takeovers,
        changes=changes,
        dropped=counts["drop"],
        readdressed=counts["source"],
        cut=counts["cut"],
        restored=counts["restored"],
        gone=sum(present.counts.get(node, 0) for node in scenario.down),
        load=tuple(
            Load(node, (masters[0][node], masters[1][node]), (present.served.get(node, 0), served[node]))
            for node in carrying
        ),
        no_standby=tuple(
            name for name, order in after.orders.items() if not order[1:] and len(order) < len(present.orders[name])
        ),
        errors=after.errors,
    )


class _After:
    """The cluster after: who serves each gateway, and what becomes of packets.

    Attributes:
        verdicts: Of gateways for which a node became less suitable, on each such node.
        orders: Gateway to its suitable nodes, the master first.
        masters: Of gateways that have one.
        moved: Gateways whose master is another one, or none.
        errors: For which compile would refuse it.
        outcomes: What becomes of packets.
        touched: Gateways whose packets may fare otherwise.
    """

    def __init__(self, present: Present, scenario: Scenario) -> None:
        self.lost = frozenset(scenario.down)
        self.verdicts = _verdicts(present, _changed_nodes(present, scenario))
        unsuitable = {
            name: [node for node, verdict in found.items() if not verdict.suitable]
            for name, found in self.verdicts.items()
        }
        left = {
            name: tuple(node for node in order if node not in unsuitable.get(name, ()))
            for name, order in present.orders.items()
        }
        before = present.masters
        self.masters = masters_of(left, present.cluster.config.election, before)
        self.orders = {name: _first(self.masters.get(name), order) for name, order in left.items()}
        self.moved = [name for name in sorted(before) if self.masters.get(name) != before[name]]
        self.errors = present.refusals.find(self.orders, self.moved, self.lost)
        reports = {
            name: elected_again(
                present.reports[name], self.orders[name], {**present.resolved.suitability[name], **found}, list(found)
            )
            for name, found in self.verdicts.items()
        }
        self.outcomes = present.outcomes.under(Gateways(tuple({**present.reports, **reports}.values())))
        # A node that has too few mark numbers drops what goes by any gateway.
        choked = any(finding.code == "EG406" for finding in self.errors)
        self.touched = list(present.orders) if choked else self.moved


def _first(master: str | None, order: tuple[str, ...]) -> tuple[str, ...]:
    return order if master is None else (master, *(node for node in order if node != master))


def _changed_nodes(present: Present, scenario: Scenario) -> dict[str, Node]:
    nodes = {name: replace(present.cluster.nodes[name], ready=False) for name in scenario.down}
    for name in scenario.cordoned:
        nodes[name] = replace(nodes.get(name, present.cluster.nodes[name]), cordoned=True)
    return nodes


def _verdicts(present: Present, nodes: Mapping[str, Node]) -> dict[str, dict[str, Suitability]]:
    """Returns the verdicts that are other ones, by gateway and node."""
    agents = tuple(agent for agent in present.cluster.agents if agent.node in nodes)
    cluster = replace(present.cluster, nodes=nodes, agents=agents)
    result = {}
    for name, verdicts in judge(cluster).items():
        known = present.resolved.suitability[name]
        found = {node: verdict for node, verdict in verdicts.items() if verdict != known[node]}
        if found:
            result[name] = found
    return result


def _takeover(present: Present, after: _After, name: str) -> Takeover:
    gateway, old, new = present.cluster.gateways[name], present.masters[name], after.masters.get(name)
    verdicts = after.verdicts.get(name, {})
    return Takeover(
        gateway=name,
        virtual_ip=str(gateway.virtual_ip) if gateway.mode is Mode.VIRTUAL else None,
        old=old,
        new=new,
        reasons=verdicts[old].reasons if old in verdicts else (),
        why_none="" if new else why_none({**present.resolved.suitability[name], **verdicts}),
    )


_Alike = tuple[Kind, str, Family, Outcome, Outcome]


def _follow(present: Present, after: _After) -> tuple[tuple[Change, ...], Counter[Kind], Counter[str]]:
    """Follows the packets of every group that may fare otherwise.

    Returns:
        The changes, how many workloads are concerned by each kind, and how many leave by each node after.
    """
    alike: dict[_Alike, list[Group]] = {}
    counts: Counter[Kind] = Counter()
    served = Counter(present.served)
    for group in (group for node in after.lost for group in present.on_node.get(node, ())):
        served.subtract(dict.fromkeys(leaving_by(present.outcomes, group), len(group.workloads)))
    for group in _touched(present, after):
        kinds: set[Kind] = set()
        for gateway, family in group.uses:
            before = present.outcomes.outcome(group.node, gateway, family)
            now = after.outcomes.outcome(group.node, gateway, family)
            kind = _kind(before, now)
            if kind is not None:
                alike.setdefault((kind, gateway, family, before, now), []).append(group)
                kinds.update((kind, "cut") if before.verdict == "egress" else (kind,))
        counts.update(dict.fromkeys(kinds, len(group.workloads)))
        served.subtract(dict.fromkeys(leaving_by(present.outcomes, group), len(group.workloads)))
        served.update(dict.fromkeys(leaving_by(after.outcomes, group), len(group.workloads)))
    return tuple(sorted((_change(*item) for item in alike.items()), key=_sort_key)), counts, served


def _touched(present: Present, after: _After) -> Iterable[Group]:
    groups = {id(group): group for gateway in after.touched for group in present.using.get(gateway, ())}
    return (group for group in groups.values() if group.node not in after.lost)


def _kind(before: Outcome, after: Outcome) -> Kind | None:
    if before == after or before.verdict == after.verdict == "drop":
        return None
    if after.verdict == "drop":
        return "drop"
    if before.verdict == "drop":
        return "restored"
    # What only a node can tell is the address of one of its interfaces, which no other node has.
    return "cut" if before.source is not None and before.source == after.source else "source"


def _change(alike: _Alike, groups: list[Group]) -> Change:
    kind, gateway, family, before, after = alike
    names = (f"{workload.namespace}/{workload.name}" for group in groups for workload in group.workloads)
    count = sum(len(group.workloads) for group in groups)
    return Change(kind, gateway, family, before, after, count, tuple(nsmallest(EXAMPLES, names)))


def _sort_key(change: Change) -> tuple[int, int, str, int, str, str]:
    return (
        _ORDER.index(change.kind),
        -change.workloads,
        change.gateway,
        change.family,
        change.before.node or "",
        change.after.reason,
    )
