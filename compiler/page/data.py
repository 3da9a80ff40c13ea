"""Data of the page: what its scripts show, as plain values for JSON, equal things told once.

In: the outcomes of a bundle's packets, and notes. Out: `PageData`. Names are told by their place in a list, tables of
destinations once for all workloads that share them: 50,000 workloads are a few megabytes.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from ipaddress import ip_network
from typing import Final, TypedDict, TypeVar

from bundle.model import ClusterNode, GatewayReport, WorkloadReport
from compiler.model import Family, Mode
from compiler.outcomes import Outcome, Outcomes

_T = TypeVar("_T", bound=Hashable)

_SHOWN: Final = 100
"""Nodes of one reason for being left out that are named; of more it is told how many."""

_NONE: Final = -1
"""The place of what is not there."""

Number = int | str
"""An address as a number: IPv4 as it is; IPv6, for which numbers of JSON are too small, in hexadecimal with `0x`."""


class Table(TypedDict):
    """The whole address space of a family: `values[i]` from `starts[i]` to before the next start; -1 is none."""

    starts: list[Number]
    values: list[int]


class NodeData(TypedDict):
    """A node; whether the bundle has rules for it, and its InternalIPs."""

    name: str
    part: bool
    ipv4: str | None
    ipv6: str | None


class LeftOut(TypedDict):
    """Nodes that a gateway's selector takes and that are not suitable, by the reasons."""

    reasons: list[str]
    count: int
    nodes: list[int]


class GatewayData(TypedDict):
    """A gateway; nodes by their place in `PageData.nodes`, -1 for no master."""

    name: str
    virtual: bool
    master: int
    standbys: list[int]
    addresses: list[str]
    interface: str | None
    message: str
    leftOut: list[LeftOut]
    notSelected: int
    policies: int
    workloads: int


class PolicyData(TypedDict):
    """A policy; `gateway` by name, since the bundle may lack it."""

    name: str
    gateway: str
    destinations: list[str]
    excluded: list[str]
    workloads: int


class ClassData(TypedDict):
    """What workloads of one class share: policies, and for IPv4 and IPv6 the tables of outcomes and of decisions.

    A table is told by its place, -1 where the workloads have no address of the family.
    """

    policies: list[int]
    outcomes: list[int]
    decisions: list[int]


class DecisionData(TypedDict):
    """The policy, by its place, and the CIDR that decide, and whether they exclude."""

    policy: int
    cidr: str
    excluded: bool


class OutcomeData(TypedDict):
    """An outcome as in `compiler.outcomes`; the node by its place, -1 for none."""

    verdict: str
    gateway: str | None
    node: int
    source: str | None
    interface: str | None
    reason: str


class Note(TypedDict):
    """A finding, or what the account of a bundle gives cause to say."""

    severity: str
    code: str
    place: str
    message: str


Workload = tuple[int, int, str, int, str, int]
"""Whether it is a virtual machine (1), its namespace by place, name, node by place, addresses, class by place."""


class Counts(TypedDict):
    """How many workloads may leave by a gateway, lose any packets, or always go their ordinary way."""

    leaving: int
    losing: int
    ordinary: int


class PageData(TypedDict):
    """All that the page knows."""

    nodes: list[NodeData]
    namespaces: list[str]
    gateways: list[GatewayData]
    policies: list[PolicyData]
    outcomes: list[OutcomeData]
    decisions: list[DecisionData]
    outcomeTables: list[Table]
    decisionTables: list[Table]
    cluster: list[Table]
    classes: list[ClassData]
    workloads: list[Workload]
    counts: Counts
    notes: list[Note]


def page_data(outcomes: Outcomes, notes: Sequence[Note]) -> PageData:
    """Returns what the page of a bundle knows."""
    return _Maker(outcomes).make(notes)


class _Maker:
    """Gives values their places as they are met."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        account = outcomes.account
        names = {*account.cluster.nodes, *(item.node for item in outcomes.workloads)}
        self._nodes = {name: place for place, name in enumerate(sorted(names))}
        self._policies = {policy.name: place for place, policy in enumerate(account.policies.policies)}
        self._namespaces: dict[str, int] = {}
        self._results: dict[Outcome, int] = {}
        self._reasons: dict[tuple[int, str, bool], int] = {}
        self._result_tables = _Tables()
        self._reason_tables = _Tables()
        self._classes: dict[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]], int] = {}

    def make(self, notes: Sequence[Note]) -> PageData:
        account = self._outcomes.account
        workloads = [self._workload(item) for item in self._outcomes.workloads]
        taken = Counter(name for item in self._outcomes.workloads for name in self._outcomes.gateways(item))
        selected = Counter(name for item in self._outcomes.workloads for name in item.policies)
        return {
            "nodes": [self._node(name, account.cluster.nodes.get(name)) for name in self._nodes],
            "namespaces": list(self._namespaces),
            "gateways": [self._gateway(item, taken[item.name]) for item in account.gateways.gateways],
            "policies": [
                {
                    "name": policy.name,
                    "gateway": policy.gateway,
                    "destinations": list(policy.destination_cidrs),
                    "excluded": list(policy.excluded_cidrs),
                    "workloads": selected[policy.name],
                }
                for policy in account.policies.policies
            ],
            "outcomes": [self._result(outcome) for outcome in self._results],
            "decisions": [
                {"policy": policy, "cidr": cidr, "excluded": excluded} for policy, cidr, excluded in self._reasons
            ],
            "outcomeTables": self._result_tables.made,
            "decisionTables": self._reason_tables.made,
            "cluster": [_cluster_table(account.cluster.never_redirected, family) for family in Family],
            "classes": [
                {"policies": list(policies), "outcomes": list(results), "decisions": list(reasons)}
                for policies, results, reasons in self._classes
            ],
            "workloads": workloads,
            "counts": self._counts(workloads),
            "notes": list(notes),
        }

    def _workload(self, item: WorkloadReport) -> Workload:
        families = {Family.IPV6 if ":" in address else Family.IPV4 for address in item.addresses}
        results = tuple(self._result_table(item, family) if family in families else _NONE for family in Family)
        reasons = tuple(self._reason_table(item, family) if family in families else _NONE for family in Family)
        key = (tuple(self._policies[name] for name in item.policies), results, reasons)
        return (
            int(item.kind == "VirtualMachine"),
            _place(self._namespaces, item.namespace),
            item.name,
            self._nodes[item.node],
            " ".join(item.addresses),
            _place(self._classes, key),
        )

    def _result_table(self, item: WorkloadReport, family: Family) -> int:
        table = self._outcomes.table(item, family)
        spans = ((low, _place(self._results, outcome)) for low, _, outcome in table)
        return self._result_tables.place(id(table), spans, family)

    def _reason_table(self, item: WorkloadReport, family: Family) -> int:
        table = self._outcomes.deciding(item, family)
        spans = (
            (
                low,
                _NONE
                if policy is None or cidr is None
                else _place(self._reasons, (self._policies[policy.name], cidr, excluded)),
            )
            for low, _, policy, cidr, excluded in table
        )
        return self._reason_tables.place(id(table), spans, family)

    def _node(self, name: str, node: ClusterNode | None) -> NodeData:
        return {
            "name": name,
            "part": node is not None,
            "ipv4": node.ipv4.address if node and node.ipv4 else None,
            "ipv6": node.ipv6.address if node and node.ipv6 else None,
        }

    def _gateway(self, gateway: GatewayReport, workloads: int) -> GatewayData:
        left_out: dict[tuple[str, ...], list[int]] = {}
        for name, report in gateway.nodes.items():
            if not report.suitable:
                left_out.setdefault(report.reasons, []).append(self._nodes[name])
        master = gateway.active_node_name
        source = gateway.sources.get(master or "")
        return {
            "name": gateway.name,
            "virtual": gateway.mode == Mode.VIRTUAL.value,
            "master": _NONE if master is None else self._nodes[master],
            "standbys": [self._nodes[name] for name in gateway.standby_node_names],
            "addresses": [text for text in (gateway.source_ips.ipv4, gateway.source_ips.ipv6) if text is not None],
            "interface": source.interface if source else None,
            "message": " ".join(condition.message for condition in gateway.conditions),
            "leftOut": [
                {"reasons": list(reasons), "count": len(nodes), "nodes": nodes[:_SHOWN]}
                for reasons, nodes in sorted(left_out.items())
            ],
            "notSelected": len(self._outcomes.account.cluster.nodes) - len(gateway.nodes),
            "policies": len(gateway.policies),
            "workloads": workloads,
        }

    def _result(self, outcome: Outcome) -> OutcomeData:
        return {
            "verdict": outcome.verdict,
            "gateway": outcome.gateway,
            "node": _NONE if outcome.node is None else self._nodes[outcome.node],
            "source": outcome.source,
            "interface": outcome.interface,
            "reason": outcome.reason,
        }

    def _counts(self, workloads: Iterable[Workload]) -> Counts:
        verdicts = [outcome.verdict for outcome in self._results]
        classes = [
            {verdicts[value] for table in results if table != _NONE for value in self._result_tables.values(table)}
            for _, results, _ in self._classes
        ]
        losing = {place for place, found in enumerate(classes) if "drop" in found}
        leaving = {place for place, found in enumerate(classes) if "egress" in found} - losing
        members = Counter(item[-1] for item in workloads)
        counts = [sum(members[place] for place in group) for group in (leaving, losing)]
        return {"leaving": counts[0], "losing": counts[1], "ordinary": members.total() - sum(counts)}


class _Tables:
    """Tables, each once; of one that was met before, only the identity is looked at."""

    def __init__(self) -> None:
        self.made: list[Table] = []
        self._places: dict[int, int] = {}

    def place(self, identity: int, spans: Iterable[tuple[int, int]], family: Family) -> int:
        if identity not in self._places:
            self._places[identity] = len(self.made)
            self.made.append(_table(spans, family))
        return self._places[identity]

    def values(self, place: int) -> list[int]:
        return self.made[place]["values"]


def _place(places: dict[_T, int], value: _T) -> int:
    return places.setdefault(value, len(places))


def _table(spans: Iterable[tuple[int, int]], family: Family) -> Table:
    starts: list[Number] = []
    values: list[int] = []
    for low, value in spans:
        if not values or values[-1] != value:
            starts.append(low if family is Family.IPV4 else hex(low))
            values.append(value)
    return {"starts": starts, "values": values}


def _cluster_table(texts: Iterable[str], family: Family) -> Table:
    """Returns where destinations are inside the cluster (1) and where not (0)."""
    edges = {0: 0}
    for network in map(ip_network, texts):
        if network.version == family:
            edges[int(network.network_address)] = 1
            edges.setdefault(int(network.broadcast_address) + 1, 0)
    edges.pop(1 << family.bits, None)
    return _table(sorted(edges.items()), family)
