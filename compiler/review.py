"""Review: what is odd about a resolved cluster, though it is no error: nothing selected, nobody serving, dead entries.

In: a cluster and what `resolve` made of it. Out: warnings. Changes nothing.
"""

from collections.abc import Iterable, Mapping

from compiler.diagnostics import Diagnostic
from compiler.findings import Findings
from compiler.hints import Labelled
from compiler.intervals import enclosing
from compiler.matching import signature
from compiler.model import Cluster, Family, Network, Requirement, Workload
from compiler.ranges import Cover, covers
from compiler.resolve import Resolved, WorkloadClass
from compiler.selectors import asks_for_namespace, of_workloads, workload_labels
from compiler.suitability import Suitability, why_none
from compiler.tables import Decision, Entry, RoutingTable


def review(cluster: Cluster, resolved: Resolved) -> tuple[Diagnostic, ...]:
    """Warns of what a user hardly meant."""
    findings = Findings()
    _warn_unused_selectors(cluster, resolved, findings)
    # What is decided for a contested address is an error of its own.
    classes = [item for item in resolved.classes if not item.contested]
    _warn_conflicts(classes, findings)
    _warn_dead(classes, resolved.redirected_never, findings)
    _warn_unserved(cluster, resolved.suitability, findings)
    _warn_agents(cluster, findings)
    _warn_namespaces(cluster, findings)
    return findings.done()


def _warn_unused_selectors(cluster: Cluster, resolved: Resolved, findings: Findings) -> None:
    selecting = {policy.name for item in resolved.classes for policy in item.table.policies}
    unused = {entry.place for entry in resolved.unused}
    labelled: Labelled | None = None
    for policy in cluster.policies:
        code = "EG313" if policy.name in selecting else "EG305"
        if not policy.selectors:
            message = "an empty list selects no workload; podSelector: {} selects every workload"
            findings.warning(code, policy.place.at("spec", "selectors"), message)
        for entry in policy.selectors:
            if entry.place not in unused:
                continue
            if labelled is None:
                labelled = _labelled_workloads(cluster)
            place, why = labelled.why_none(of_workloads(entry))
            findings.warning(
                code, place or entry.place, f"EgressGatewayPolicy {policy.name} selects nothing by this: {why}"
            )


def _labelled_workloads(cluster: Cluster) -> Labelled:
    distinct = {signature(workload): workload for workload in cluster.workloads}
    sets = [workload_labels(item, cluster.namespaces.get(item.namespace, {})) for item in distinct.values()]
    return Labelled("workload", sets)


def _warn_conflicts(classes: Iterable[WorkloadClass], findings: Findings) -> None:
    """Names each pair of policies that disagree about a prefix, once, with a workload that it concerns."""
    told: set[tuple[str, str, Network]] = set()
    for item in classes:
        concerned = _by_family(item.workloads)
        for entry in item.table.entries:
            winner = item.table.deciding[entry.numbers]
            if winner is entry or winner.gateway == entry.gateway or winner.policy is entry.policy:
                continue
            if not entry.excluded and entry.prefix in entry.policy.excluded:
                continue  # the policy's own exclusion comes before it
            workload = concerned.get(Family(entry.prefix.version))
            key = (winner.policy.name, entry.policy.name, entry.prefix)
            if workload is not None and key not in told:
                told.add(key)
                message = (
                    f"{entry.prefix} of EgressGatewayPolicy {entry.policy.name} is also in EgressGatewayPolicy "
                    f"{winner.policy.name}, which {_why(winner, entry)} and decides for {workload.kind} "
                    f"{workload.key}; take it out of one of the two"
                )
                findings.warning("EG307", entry.place, message)


def _warn_dead(classes: Iterable[WorkloadClass], redirected_never: Iterable[Network], findings: Findings) -> None:
    """Names entries that decide nothing for any workload that their policy selects."""
    alive: set[Entry] = set()
    blame: dict[Entry, str] = {}
    never = covers(redirected_never)
    for item in classes:
        concerned = _by_family(item.workloads)
        doubted = [e for e in item.table.entries if e not in alive and Family(e.prefix.version) in concerned]
        deciding = _deciding(item.table) if doubted else {}
        for entry in doubted:
            reason = _why_dead(entry, item.table, deciding, never)
            if reason is None:
                alive.add(entry)
                blame.pop(entry, None)
            elif entry not in blame:
                workload = concerned[Family(entry.prefix.version)]
                blame[entry] = (
                    f"{entry.prefix} of EgressGatewayPolicy {entry.policy.name} never decides anything, for "
                    f"{workload.kind} {workload.key} as for the rest: {reason}; take it out"
                )
    for entry, message in blame.items():
        findings.warning("EG308", entry.place, message)


def _deciding(table: RoutingTable) -> dict[Entry, list[Decision]]:
    found: dict[Entry, list[Decision]] = {}
    for decisions in table.decisions.values():
        for decision in decisions:
            if decision.entry is not None:
                found.setdefault(decision.entry, []).append(decision)
    return found


def _why_dead(
    entry: Entry, table: RoutingTable, deciding: Mapping[Entry, Iterable[Decision]], never: Mapping[Family, Cover]
) -> str | None:
    """Returns why an entry decides nothing for a class, None if it decides something."""
    first = table.deciding[entry.numbers]
    if first.policy is not entry.policy:
        return f"EgressGatewayPolicy {first.policy.name} has the same CIDR and {_why(first, entry)}"
    if first is not entry:
        return "the policy itself excludes it"
    if entry not in deciding:
        return "longer CIDRs cover all of it"
    inside = never[Family(entry.prefix.version)]
    if all(inside.holds(part.low, part.high) for part in deciding[entry]):
        return "traffic to what is inside the cluster, on the link or multicast is never redirected"
    if entry.excluded:
        without = _next_of_equal(entry, table.entries) or enclosing(table.deciding, entry.numbers)
        if without is None or without.excluded:
            return "without it the packet would go its ordinary way too"
    return None


def _next_of_equal(entry: Entry, entries: Iterable[Entry]) -> Entry | None:
    """Returns which entry with the same prefix would decide if this exclusion were not there."""
    return next((other for other in entries if other.numbers == entry.numbers and other is not entry), None)


def _why(winner: Entry, loser: Entry) -> str:
    older = winner.policy.precedence[:2] != loser.policy.precedence[:2]
    return "is older" if older else "is as old and of lower name"


def _by_family(workloads: Iterable[Workload]) -> dict[Family, Workload]:
    """Returns the first workload that has an address of a family, for each family."""
    result: dict[Family, Workload] = {}
    for workload in workloads:
        for family in workload.addresses:
            result.setdefault(family, workload)
        if len(result) == len(Family):
            break
    return result


def _warn_unserved(cluster: Cluster, suitability: Mapping[str, Mapping[str, Suitability]], findings: Findings) -> None:
    labelled: Labelled | None = None
    for name, gateway in sorted(cluster.gateways.items()):
        verdicts = suitability[name]
        if any(verdict.suitable for verdict in verdicts.values()):
            continue
        place = gateway.place.at("spec", "nodeSelector")
        if verdicts:
            why = f" ({why_none(verdicts)}); mend one of these, or select other nodes"
        else:
            labelled = labelled or Labelled("node", [node.labels for node in cluster.nodes.values()])
            asked = sorted(gateway.node_selector.items())
            blamed, missing = labelled.why_none(
                [Requirement(key, "In", (value,), place.at(key)) for key, value in asked]
            )
            place, why = blamed or place, f": {missing}"
        message = f"EgressGateway {name} has no suitable node, so its traffic is dropped{why}"
        findings.warning("EG306", place, message)


def _warn_agents(cluster: Cluster, findings: Findings) -> None:
    config = cluster.config
    if config.agent_enabled and not cluster.agents and cluster.gateways:
        labels = ",".join(f"{key}={value}" for key, value in config.agent_labels)
        message = (
            f"no pod with {labels} in namespace {config.agent_namespace}, so no node is suitable; add the agent pods "
            "to the input, or set spec.agent.enabled: false in an EgressCompilerConfig for a cluster without Cilium"
        )
        findings.warning("EG309", next(iter(cluster.gateways.values())).place, message)


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
