"""Examine: does an assertion hold, for all of its workloads and all of its destinations at once.

In: assertions, the cluster and the account and files of its bundle. Out: what holds, and where exactly what does not.
Decided by intervals of destinations, which the account gives; of a case one packet of each is also traced through the
emitted files, so that the answer is that of the rules.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network, summarize_address_range
from itertools import groupby
from typing import Final

from bundle.model import PolicyReport, WorkloadReport
from compiler.account import Account
from compiler.destinations import range_texts, without_cluster
from compiler.diagnostics import Place
from compiler.explain import Explainer, ExplainError, why
from compiler.intervals import merge
from compiler.model import Address, Cluster, Family
from compiler.outcomes import Outcome, Outcomes
from compiler.testing.cases import Assertion, Field, Source
from compiler.testing.selection import Selection, SelectionError
from compiler.text import did_you_mean

_NAMED: Final[Mapping[Field, str]] = {
    "gateway": "EgressGateway",
    "policy": "EgressGatewayPolicy",
    "node": "node",
    "nodes": "node",
}


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of packets of alike workloads to alike destinations; fields as in the output of `egressc explain`.

    `unknown` names where the address is that a packet leaves with, where only the node can tell the address itself.
    """

    verdict: str
    policy: str | None
    cidr: str | None
    gateway: str | None
    node: str | None
    source: str | None
    unknown: str = ""

    def of(self, name: Field) -> str | None:
        """Returns what a field of an expectation is compared with."""
        return {
            "verdict": self.verdict,
            "policy": self.policy,
            "cidr": self.cidr,
            "gateway": self.gateway,
            "node": self.node,
            "nodes": self.node,
            "sourceIP": self.source,
        }[name]

    def as_dict(self) -> dict[str, str | None]:
        """Returns all of it by name."""
        fields: tuple[Field, ...] = ("verdict", "policy", "cidr", "gateway", "node", "sourceIP")
        return {name: self.of(name) for name in fields}


@dataclass(frozen=True, slots=True)
class Breach:
    """Where an assertion does not hold.

    Attributes:
        workloads: Whose packets, as NAMESPACE/NAME, in order.
        destinations: All of the destinations where it is so, as the fewest CIDRs.
        shown: The same for people, as ranges; where all outside the cluster is meant, what is inside does not cut it.
        fate: What becomes of the packets; None where nothing can be said.
        reason: Why, in a sentence.
        place: The entry of the policy that decides.
    """

    workloads: tuple[str, ...]
    destinations: tuple[str, ...]
    shown: tuple[str, ...]
    fate: Fate | None
    reason: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an assertion.

    Attributes:
        assertion: Which one.
        workloads: How many workloads it is about.
        breaches: Where it does not hold, the lowest destination first.
        error: Why it cannot be asked; empty where it can.
        fate: Of a case, what becomes of the first of its packets.
        reason: Why.
        packets: How many real packets were sent to see it.
    """

    assertion: Assertion
    workloads: int = 0
    breaches: tuple[Breach, ...] = ()
    error: str = ""
    fate: Fate | None = None
    reason: str = ""
    packets: int = 0

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return not self.breaches and not self.error


@dataclass(frozen=True, slots=True)
class Cell:
    """Destinations from low to high that are decided alike; `entry` is the policy, its CIDR, and whether excluded."""

    low: int
    high: int
    outcome: Outcome
    entry: tuple[PolicyReport, str, bool] | None
    in_cluster: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Workloads whose packets of a family are decided alike, and how, for every address."""

    members: tuple[WorkloadReport, ...]
    family: Family
    cells: tuple[Cell, ...]

    @property
    def first(self) -> WorkloadReport:
        """One of them."""
        return self.members[0]

    def address(self, number: int) -> Address:
        """Returns the address of the family with a number."""
        return type(self.family.everything.network_address)(number)

    def source(self) -> str:
        """Returns the address from which the first of them sends."""
        return next(text for text in self.first.addresses if ip_address(text).version == self.family)


@dataclass(frozen=True, slots=True)
class Sample:
    """A workload, and destinations from low to high that its packets meet one fate on the way to."""

    workload: WorkloadReport
    low: Address
    high: Address
    fate: Fate
    in_cluster: bool


@dataclass(slots=True)
class _Found:
    """Breaches of one kind as they are gathered: ranges of destinations by the workloads they are of."""

    fate: Fate | None
    reason: str
    place: Place | None
    ranges: list[tuple[int, int]] = field(default_factory=list)


class Examiner:
    """Examines assertions about one compiled cluster."""

    def __init__(self, cluster: Cluster, account: Account, explainer: Explainer) -> None:
        self._explainer = explainer
        self._account = account
        self._outcomes = Outcomes(account)
        self._selection = Selection(cluster, account.workloads.workloads)
        self._policies = {policy.name: policy for policy in cluster.policies}
        self._masters = {item.name: item.active_node_name for item in account.gateways.gateways}
        self._known: dict[Field, frozenset[str]] = {
            "gateway": frozenset(self._masters),
            "policy": frozenset(self._policies),
            "node": frozenset(cluster.nodes),
            "nodes": frozenset(cluster.nodes),
        }
        self._cells: dict[tuple[int, tuple[str, ...], Family, bool], tuple[Cell, ...]] = {}

    def examine(self, assertion: Assertion) -> Result:
        """Examines one assertion."""
        try:
            workloads = self._selection.choose(assertion.source)
        except SelectionError as fault:
            return Result(assertion, error=str(fault))
        if assertion.never and (unknown := self._unknown(assertion)):
            return Result(assertion, len(workloads), error=unknown)
        result = Result(assertion, len(workloads))
        return self._never(result, workloads) if assertion.never else self._case(result, workloads)

    def _unknown(self, assertion: Assertion) -> str:
        """Tells what is not there that must never be met: a slip of the pen would prove nothing."""
        for name, known in self._known.items():
            for value in assertion.wanted.get(name, ()):
                if value not in known:
                    hint = did_you_mean(value, known)
                    return f"there is no {_NAMED[name]} {value}, so that nothing is shown{hint}"
        return ""

    def _case(self, result: Result, workloads: Sequence[WorkloadReport]) -> Result:
        assertion = result.assertion
        breaches = list(self._missing(assertion, workloads))
        shown: tuple[Fate, str] | None = None
        for group, ranges in self.groups(assertion, workloads):
            found: dict[object, _Found] = {}
            for cell in clip(group.cells, ranges):
                fate, reason, place = self._fate(group.first, cell)
                shown = shown or (fate, reason)
                failed = any(fate.of(name) not in values for name, values in assertion.wanted.items())
                if fault := self._trace(group, cell, fate):
                    failed, reason, place = True, fault, None
                if failed:
                    _add(found, cell, _general(fate, assertion), reason, place)
            breaches.extend(_breaches(found, group, None))
        first, because = shown or (None, "")
        return replace(result, breaches=_joined(breaches), fate=first, reason=because)

    def _never(self, result: Result, workloads: Sequence[WorkloadReport]) -> Result:
        assertion = result.assertion
        breaches: list[Breach] = []
        for group, ranges in self.groups(assertion, workloads):
            found: dict[object, _Found] = {}
            for cell in clip(group.cells, ranges):
                if cell.in_cluster and not assertion.targets:
                    continue
                fate, reason, place = self._fate(group.first, cell)
                if all(_may_be(fate, name, values) for name, values in assertion.wanted.items()):
                    _add(found, cell, _general(fate, assertion), reason, place)
            outside = None if assertion.targets else self._outcomes.in_cluster(group.family)
            breaches.extend(_breaches(found, group, outside))
        return replace(result, breaches=_joined(breaches))

    def _missing(self, assertion: Assertion, workloads: Iterable[WorkloadReport]) -> Iterator[Breach]:
        """Finds workloads that cannot send to the destinations of a case: those of the other family."""
        for family in Family:
            targets = [target for target in assertion.targets if target.version == family]
            lacking = [item for item in workloads if not _has(item, family, assertion.source)] if targets else []
            if lacking:
                reason = f"has no IPv{family.value} address to send from"
                if len(lacking) > 1:
                    reason = f"have no IPv{family.value} address to send from"
                if assertion.source and assertion.source.address:
                    reason = f"an IPv{assertion.source.address.version} address sends nothing to IPv{family.value}"
                texts = tuple(map(str, targets))
                yield Breach(_names(lacking), texts, texts, None, reason)

    def groups(
        self, assertion: Assertion, workloads: Iterable[WorkloadReport]
    ) -> Iterator[tuple[Group, list[tuple[int, int]]]]:
        """Groups the workloads of an assertion, and says with which destinations of their family it is concerned."""
        wanted = frozenset((*assertion.wanted.get("node", ()), *assertion.wanted.get("nodes", ())))

        def by_node(node: str) -> str:
            # What must never be met is only met at these nodes; a case tells of each where it fails.
            return node if wanted and (node in wanted or not assertion.never) else ""

        workloads = tuple(workloads)
        for family in Family:
            ranges = _ranges(assertion, family)
            if not ranges:
                continue
            found: dict[tuple[int, tuple[str, ...], str, bool], list[WorkloadReport]] = {}
            for item in workloads:
                if _has(item, family, assertion.source):
                    table = self._outcomes.table(item, family)
                    home = item.node in self._account.cluster.nodes
                    key = (id(table), item.policies, by_node(item.node), home)
                    found.setdefault(key, []).append(item)
            for members in found.values():
                yield Group(tuple(members), family, self._decided(members[0], family)), ranges

    def samples(self, assertion: Assertion) -> Iterator[Sample]:
        """Returns one workload of each group with each interval of its destinations; none if it cannot be asked."""
        try:
            workloads = self._selection.choose(assertion.source)
        except SelectionError:
            return
        for group, ranges in self.groups(assertion, workloads):
            for cell in clip(group.cells, ranges):
                fate, _, _ = self._fate(group.first, cell)
                yield Sample(group.first, group.address(cell.low), group.address(cell.high), fate, cell.in_cluster)

    def _decided(self, workload: WorkloadReport, family: Family) -> tuple[Cell, ...]:
        table = self._outcomes.table(workload, family)
        home = workload.node in self._account.cluster.nodes
        key = (id(table), workload.policies, family, home)
        if key not in self._cells:
            deciding = self._outcomes.deciding(workload, family) if home else ((0, table[-1][1], None, None, False),)
            self._cells[key] = tuple(_overlay(table, deciding, self._outcomes.in_cluster(family)))
        return self._cells[key]

    def _fate(self, workload: WorkloadReport, cell: Cell) -> tuple[Fate, str, Place | None]:
        outcome = cell.outcome
        policy, cidr, _ = cell.entry or (None, None, False)
        unknown = ""
        if outcome.verdict == "egress" and outcome.source is None:
            unknown = f"of interface {outcome.interface}" if outcome.interface else "of an interface"
            unknown = f"the address {unknown} of node {outcome.node}, which only the node knows"
        fate = Fate(
            outcome.verdict,
            policy.name if policy else None,
            cidr,
            outcome.gateway,
            outcome.node or workload.node,
            outcome.source,
            unknown,
        )
        if workload.node not in self._account.cluster.nodes:
            return fate, f"it runs on node {workload.node}, which is not in the input, so that nothing is decided", None
        reason = why(
            workload,
            cell.entry,
            in_cluster=cell.in_cluster,
            dropped=f"drop_{outcome.reason}" if outcome.reason else "",
            master=self._masters.get(policy.gateway) if policy else None,
        )
        return fate, reason, self._place(cell.entry)

    def _place(self, entry: tuple[PolicyReport, str, bool] | None) -> Place | None:
        if entry is None:
            return None
        report, cidr, excluded = entry
        policy = self._policies[report.name]
        return (policy.excluded if excluded else policy.destinations).get(ip_network(cidr))

    def _trace(self, group: Group, cell: Cell, fate: Fate) -> str:
        """Sends a packet through the emitted files; returns what is wrong if they do not do as the account says."""
        source, to = group.source(), str(group.address(cell.low))
        try:
            traced = self._explainer.explain(source, to)
        except ExplainError as fault:
            return f"a packet from {source} to {to}: {fault}"
        told = traced.as_json()
        there = Fate(
            told["verdict"], told["policy"], told["cidr"], told["gateway"], told["node"], told["sourceIP"], fate.unknown
        )
        if there == fate:
            return ""
        return f"the emitted files do otherwise with a packet from {source} to {to}: {traced.text().splitlines()[0]}"


def clip(cells: Sequence[Cell], ranges: Sequence[tuple[int, int]]) -> Iterator[Cell]:
    """Returns the parts of cells that lie in ranges; both are sorted and apart."""
    index = 0
    for low, high in ranges:
        while cells[index].high < low:
            index += 1
        while True:
            cell = cells[index]
            yield replace(cell, low=max(low, cell.low), high=min(high, cell.high))
            if cell.high >= high:
                break
            index += 1


def _ranges(assertion: Assertion, family: Family) -> list[tuple[int, int]]:
    targets = assertion.targets or (family.everything,)
    bounds = sorted((int(n.network_address), int(n.broadcast_address)) for n in targets if n.version == family)
    result: list[tuple[int, int]] = []
    for low, high in bounds:
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return result


def _overlay(
    table: Iterable[tuple[int, int, Outcome]],
    deciding: Sequence[tuple[int, int, PolicyReport | None, str | None, bool]],
    inside: Sequence[tuple[int, int]],
) -> Iterator[Cell]:
    """Lays what becomes of packets over who decides it and what is in the cluster."""
    edges = sorted(
        {low for low, *_ in table}
        | {low for low, *_ in deciding}
        | {n for low, high in inside for n in (low, high + 1)}
    )
    last = deciding[-1][1]
    starts = [edge for edge in edges if edge <= last]
    outcomes, entries, ranges = iter(table), iter(deciding), iter(inside)
    span, entry, area = next(outcomes), next(entries), next(ranges, (last + 1, last + 1))
    for low, high in zip(starts, [*(n - 1 for n in starts[1:]), last], strict=True):
        while span[1] < low:
            span = next(outcomes)
        while entry[1] < low:
            entry = next(entries)
        while area[1] < low:
            area = next(ranges, (last + 1, last + 1))
        _, _, policy, cidr, excluded = entry
        decided = (policy, cidr, excluded) if policy is not None and cidr is not None else None
        yield Cell(low, high, span[2], decided, area[0] <= low)


def _has(workload: WorkloadReport, family: Family, source: Source | None) -> bool:
    if source is not None and source.address is not None:
        return source.address.version == family
    return any((":" in text) is (family is Family.IPV6) for text in workload.addresses)


def _may_be(fate: Fate, name: Field, values: Sequence[str]) -> bool:
    """Whether a field has one of the values; an address that only the node knows may be any."""
    return fate.of(name) in values or (name == "sourceIP" and bool(fate.unknown))


def _general(fate: Fate, assertion: Assertion) -> Fate:
    """Leaves out the node where a packet does not go to another, unless it is asked for: alike workloads are one."""
    asked = not assertion.wanted.keys().isdisjoint(("node", "nodes"))
    if not assertion.never:
        asked = asked and fate.verdict in assertion.wanted["verdict"]
    return fate if asked or assertion.single or fate.verdict == "egress" else replace(fate, node=None)


def _add(found: dict[object, _Found], cell: Cell, fate: Fate, reason: str, place: Place | None) -> None:
    entry = found.setdefault((fate, reason), _Found(fate, reason, place))
    entry.ranges.append((cell.low, cell.high))


def _breaches(
    found: Mapping[object, _Found], group: Group, outside: Sequence[tuple[int, int]] | None
) -> Iterator[Breach]:
    """Returns what was gathered of a group; `outside` are the cluster's ranges where they are not meant."""
    names = _names(group.members)
    for item in found.values():
        ranges = [(low, high) for low, high, _ in merge((low, high, None) for low, high in item.ranges)]
        exact = tuple(
            str(network)
            for low, high in ranges
            for network in summarize_address_range(group.address(low), group.address(high))
        )
        shown = range_texts(ranges if outside is None else without_cluster(ranges, outside, group.family), group.family)
        yield Breach(names, exact, shown, item.fate, item.reason, item.place)


def _joined(breaches: Iterable[Breach]) -> tuple[Breach, ...]:
    """Joins breaches that differ in their workloads only; the lowest destination first."""

    def key(item: Breach) -> tuple[object, ...]:
        first = ip_network(item.destinations[0])
        fate = tuple(value or "" for value in (item.fate.as_dict() if item.fate else {}).values())
        return (first.version, int(first.network_address), item.destinations, fate, item.reason)

    result = []
    for _, same in groupby(sorted(breaches, key=key), key=key):
        members = list(same)
        names = tuple(sorted({name for item in members for name in item.workloads}))
        result.append(replace(members[0], workloads=names))
    return tuple(result)


def _names(workloads: Iterable[WorkloadReport]) -> tuple[str, ...]:
    return tuple(f"{item.namespace}/{item.name}" for item in workloads)
