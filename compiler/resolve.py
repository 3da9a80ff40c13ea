"""Resolve: which policies select a workload, what they decide, and which nodes are suitable for a gateway.

In: a cluster. Out: classes of workloads with their decisions, the suitability of every node with the reasons, and
findings. Does not choose masters and knows nothing of rules.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compiler.diagnostics import Diagnostic
from compiler.findings import Findings
from compiler.intervals import enclosing, longest_prefix_intervals
from compiler.model import Cluster, Family, Network, Policy, Workload
from compiler.selectors import asks_for_namespace, selects, workload_labels
from compiler.suitability import Suitability, judge


@dataclass(frozen=True, slots=True)
class Entry:
    """One CIDR of a policy: a destination of its gateway, or excluded."""

    policy: Policy
    prefix: Network
    excluded: bool

    @property
    def gateway(self) -> str | None:
        """The gateway that takes the packet, None when it goes its ordinary way."""
        return None if self.excluded else self.policy.gateway


@dataclass(frozen=True, slots=True)
class Decision:
    """Destinations `low` to `high` and the entry that decides them, None where no entry does."""

    low: int
    high: int
    entry: Entry | None

    @property
    def gateway(self) -> str | None:
        """The gateway that takes the packet, None when it goes its ordinary way."""
        return self.entry.gateway if self.entry else None


@dataclass(frozen=True, slots=True)
class WorkloadClass:
    """Workloads selected by the same policies, and what those decide for each family.

    Attributes:
        policies: In order of precedence.
        decisions: Without gap from the lowest address to the highest.
        workloads: Sorted as in the cluster.
        contested: Names of workloads that have an address of each other, empty as a rule. Nobody knows whose packets
            come from it, so what is decided for any of them is dropped, and the decisions are those of all of them.
    """

    policies: tuple[Policy, ...]
    decisions: Mapping[Family, tuple[Decision, ...]]
    workloads: tuple[Workload, ...]
    contested: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """What makes the class itself: the names of its policies in order of precedence, and who is in the contest."""
        return (*self.names, *self.contested)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its policies in order of precedence."""
        return _names(self.policies)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The result of the stage.

    Attributes:
        classes: Sorted by key; workloads that no policy selects are in none.
        suitability: Gateway name to node name to verdict.
    """

    classes: tuple[WorkloadClass, ...]
    suitability: Mapping[str, Mapping[str, Suitability]]


def resolve(cluster: Cluster) -> tuple[Resolved, tuple[Diagnostic, ...]]:
    """Resolves selectors and suitability."""
    findings = Findings()
    selected = _select(cluster)
    _warn_empty_selectors(cluster, selected, findings)
    tables = {key: _table(policies) for key, policies in ((_names(item), item) for item in selected)}
    _warn_conflicts(selected, findings)
    _warn_dead(selected, tables, findings)
    contested = {id(workload) for group in cluster.contested for workload in group}
    classes = [
        WorkloadClass(policies, _decisions(tables[_names(policies)]), tuple(clear))
        for policies, workloads in selected.items()
        if (clear := [workload for workload in workloads if id(workload) not in contested])
    ]
    of_workload = {id(workload): policies for policies, workloads in selected.items() for workload in workloads}
    for group in cluster.contested:
        classes.extend(_contest([(workload, of_workload.get(id(workload), ())) for workload in group]))
    classes.sort(key=lambda item: item.key)
    suitability = {gateway.name: judge(gateway, cluster) for gateway in cluster.gateways.values()}
    _warn_agents(cluster, findings)
    _warn_namespaces(cluster, findings)
    return Resolved(tuple(classes), suitability), findings.done()


def _names(policies: Iterable[Policy]) -> tuple[str, ...]:
    return tuple(policy.name for policy in policies)


def _select(cluster: Cluster) -> dict[tuple[Policy, ...], list[Workload]]:
    """Groups workloads by the policies that select them; equal label sets are matched once."""
    known: dict[object, tuple[Policy, ...]] = {}
    result: dict[tuple[str, ...], tuple[tuple[Policy, ...], list[Workload]]] = {}
    for workload in cluster.workloads:
        signature = (workload.namespace, workload.service_account, frozenset(workload.labels.items()))
        if signature not in known:
            namespace_labels = cluster.namespaces.get(workload.namespace, {})
            labels = workload_labels(workload, namespace_labels)
            known[signature] = tuple(
                policy for policy in cluster.policies if selects(policy.selectors, labels, namespace_labels)
            )
        if policies := known[signature]:
            result.setdefault(_names(policies), (policies, []))[1].append(workload)
    return dict(result.values())


def _table(policies: Iterable[Policy]) -> dict[Network, Entry]:
    """One routing table of all entries; between equal prefixes precedence decides, inside a policy the exclusion."""
    table: dict[Network, Entry] = {}
    for policy in policies:
        for prefix in policy.excluded:
            table.setdefault(prefix, Entry(policy, prefix, excluded=True))
        for prefix in policy.destinations:
            table.setdefault(prefix, Entry(policy, prefix, excluded=False))
    return table


def _decisions(table: Mapping[Network, Entry]) -> dict[Family, tuple[Decision, ...]]:
    result = {}
    for family in Family:
        prefixes = [prefix for prefix in table if prefix.version == family]
        intervals = longest_prefix_intervals(prefixes, family)
        result[family] = tuple(
            Decision(item.low, item.high, table[item.prefix] if item.prefix else None) for item in intervals
        )
    return result


def _contest(group: list[tuple[Workload, tuple[Policy, ...]]]) -> list[WorkloadClass]:
    """Makes the classes of workloads that have an address of each other: what is decided for one is so for all."""
    contested = tuple(sorted(f"{workload.kind} {workload.key}" for workload, _ in group))
    by_policies: dict[tuple[Policy, ...], list[Workload]] = {}
    for workload, policies in group:
        by_policies.setdefault(policies, []).append(workload)
    if set(by_policies) == {()}:
        return []  # no policy selects any of them
    tables = [_decisions(_table(policies)) for policies in by_policies]
    decisions = {family: _any_gateway([table[family] for table in tables], family) for family in Family}
    return [
        WorkloadClass(policies, decisions, tuple(workloads), contested) for policies, workloads in by_policies.items()
    ]


def _any_gateway(tables: list[tuple[Decision, ...]], family: Family) -> tuple[Decision, ...]:
    """Lays decisions over each other: in each interval one that names a gateway, if there is any."""
    lows = sorted({item.low for table in tables for item in table})
    highs = [*(low - 1 for low in lows[1:]), (1 << family.bits) - 1]
    result = []
    for low, high in zip(lows, highs, strict=True):
        found = [table[bisect_right(table, low, key=lambda item: item.low) - 1] for table in tables]
        chosen = next((item for item in found if item.gateway is not None), found[0])
        result.append(Decision(low, high, chosen.entry))
    return tuple(result)


def _warn_empty_selectors(
    cluster: Cluster, selected: Mapping[tuple[Policy, ...], list[Workload]], findings: Findings
) -> None:
    used = {policy.name for policies in selected for policy in policies}
    for policy in cluster.policies:
        if policy.name not in used:
            message = f"EgressGatewayPolicy {policy.name} selects no workload of the snapshot"
            findings.warning("EG305", policy.place.at("spec", "selectors"), message)


def _entries(policy: Policy) -> Iterable[tuple[str, Network]]:
    yield from (("excludedCIDRs", prefix) for prefix in policy.excluded)
    yield from (("destinationCIDRs", prefix) for prefix in policy.destinations)


def _warn_conflicts(selected: Mapping[tuple[Policy, ...], list[Workload]], findings: Findings) -> None:
    """Names each pair of policies that disagree about the same prefix, once, with a workload that it concerns."""
    told: set[tuple[str, str, Network]] = set()
    for policies, workloads in selected.items():
        first: dict[Network, Entry] = {}
        for policy in policies:
            for prefix, entry in _table((policy,)).items():
                winner = first.setdefault(prefix, entry)
                if winner.gateway == entry.gateway or (winner.policy.name, policy.name, prefix) in told:
                    continue
                told.add((winner.policy.name, policy.name, prefix))
                field = "excludedCIDRs" if entry.excluded else "destinationCIDRs"
                message = (
                    f"{prefix} is also in EgressGatewayPolicy {winner.policy.name}, which {_why(winner, entry)} and "
                    f"decides for {workloads[0].kind} {workloads[0].key}"
                )
                findings.warning("EG307", policy.place.at("spec", field), message)


def _why(winner: Entry, loser: Entry) -> str:
    older = winner.policy.precedence[:2] != loser.policy.precedence[:2]
    return "is older" if older else "is as old and of lower name"


def _warn_dead(
    selected: Mapping[tuple[Policy, ...], list[Workload]],
    tables: Mapping[tuple[str, ...], Mapping[Network, Entry]],
    findings: Findings,
) -> None:
    """Names entries that decide nothing for any workload that their policy selects."""
    alive: set[tuple[str, str, Network]] = set()
    example: dict[str, Workload] = {}
    blame: dict[tuple[str, str, Network], str] = {}
    for policies, workloads in selected.items():
        table = tables[_names(policies)]
        deciding = {item.entry for items in _decisions(table).values() for item in items if item.entry}
        for policy in policies:
            example.setdefault(policy.name, workloads[0])
            for field, prefix in _entries(policy):
                entry, excluded = table[prefix], field == "excludedCIDRs"
                key = (policy.name, field, prefix)
                around = enclosing(table, prefix) if excluded else None
                if entry.policy is not policy or entry.excluded != excluded:
                    other = f"EgressGatewayPolicy {entry.policy.name} has the same CIDR"
                    own = "the policy itself excludes it"
                    blame.setdefault(key, own if entry.policy is policy else other)
                elif entry not in deciding:
                    blame.setdefault(key, "longer CIDRs cover all of it")
                elif excluded and (around is None or around.excluded):
                    blame.setdefault(key, "without it the packet would go its ordinary way too")
                else:
                    alive.add(key)
    for (name, field, prefix), reason in sorted(blame.items(), key=lambda item: (*item[0][:2], str(item[0][2]))):
        if (name, field, prefix) not in alive:
            workload = example[name]
            message = f"{prefix} never decides anything, for {workload.kind} {workload.key} as for the rest: {reason}"
            place = next(p.place for policies in selected for p in policies if p.name == name)
            findings.warning("EG308", place.at("spec", field), message)


def _warn_namespaces(cluster: Cluster, findings: Findings) -> None:
    """Tells of policies that ask for labels of a Namespace that is not there: they may miss workloads unnoticed."""
    missing = sorted({workload.namespace for workload in cluster.workloads} - set(cluster.namespaces))
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    for policy in cluster.policies if missing else ():
        if any(asks_for_namespace(selector) for selector in policy.selectors):
            message = (
                f"asks for labels of namespaces, and the input has no Namespace {missing[0]}{more}, which counts as "
                "one without labels; add the Namespaces of the cluster to the input"
            )
            findings.warning("EG323", policy.place.at("spec", "selectors"), message)


def _warn_agents(cluster: Cluster, findings: Findings) -> None:
    config = cluster.config
    if config.agent_enabled and not cluster.agents and cluster.gateways:
        labels = ",".join(f"{key}={value}" for key, value in config.agent_labels)
        message = (
            f"no pod with {labels} in namespace {config.agent_namespace}, so no node is suitable; add the agent pods "
            "to the input, or set spec.agent.enabled: false in an EgressCompilerConfig for a cluster without Cilium"
        )
        findings.warning("EG309", next(iter(cluster.gateways.values())).place, message)
