"""Resolve: which policies select a workload, what they decide, and which nodes are suitable for a gateway.

In: a cluster. Out: classes of workloads with their decisions, the suitability of every node with the reasons, and
findings. Does not choose masters and knows nothing of rules.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from compiler.diagnostics import Diagnostic
from compiler.findings import Findings
from compiler.intervals import enclosing, longest_prefix_intervals, merge
from compiler.model import Address, Cluster, Family, Network, Node, Policy, Workload
from compiler.selectors import selects, workload_labels
from compiler.snapshot import collapse
from compiler.suitability import Suitability, is_global, judge

# Loopback, link-local, multicast, broadcast (semantics.md §6).
_NEVER_REDIRECTED: Final = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::1/128",
        "fe80::/10",
        "ff00::/8",
    )
)


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
    """Workloads selected by the same policies, and what those decide for each family."""

    policies: tuple[Policy, ...]
    decisions: Mapping[Family, tuple[Decision, ...]]
    workloads: tuple[Workload, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """What makes the class itself: the names of its policies in order of precedence."""
        return tuple(policy.name for policy in self.policies)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The result of the stage.

    Attributes:
        classes: Sorted by key; workloads that no policy selects are in none.
        suitability: Gateway name to node name to verdict.
        redirected_never: Destinations that no policy decides about (semantics.md §6), sorted and apart from each other.
    """

    classes: tuple[WorkloadClass, ...]
    suitability: Mapping[str, Mapping[str, Suitability]]
    redirected_never: tuple[Network, ...]


def resolve(cluster: Cluster) -> tuple[Resolved, tuple[Diagnostic, ...]]:
    """Resolves selectors and suitability."""
    findings = Findings()
    selected = _select(cluster)
    _warn_empty_selectors(cluster, selected, findings)
    tables = {key: _table(policies) for key, policies in ((_names(item), item) for item in selected)}
    _warn_conflicts(selected, findings)
    redirected_never = _redirected_never(cluster)
    _warn_dead(selected, tables, redirected_never, findings)
    classes = tuple(
        WorkloadClass(policies, _decisions(tables[_names(policies)]), tuple(workloads))
        for policies, workloads in sorted(selected.items(), key=lambda item: _names(item[0]))
    )
    suitability = {gateway.name: judge(gateway, cluster) for gateway in cluster.gateways.values()}
    _warn_agents(cluster, findings)
    return Resolved(classes, suitability, redirected_never), findings.done()


def _redirected_never(cluster: Cluster) -> tuple[Network, ...]:
    # While a virtual IP is bound, a snapshot shows it on a node; the plan must not depend on that.
    virtual_ips = {gateway.virtual_ip for gateway in cluster.gateways.values()}
    node_addresses = {
        ip_network(address)
        for node in cluster.nodes.values()
        for address in (*node.addresses, *_interface_addresses(node))
        if address not in virtual_ips and is_global(address)
    }
    return collapse((*_NEVER_REDIRECTED, *cluster.cluster_ranges, *node_addresses))


def _interface_addresses(node: Node) -> Iterable[Address]:
    interfaces = node.network.interfaces if node.network else ()
    return (entry.address for interface in interfaces for entry in interface.addresses)


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
    """Names each pair of policies with the same prefix, once, with a workload that it concerns."""
    told: set[tuple[str, str, Network]] = set()
    for policies, workloads in selected.items():
        concerned = _by_family(workloads)
        first: dict[Network, Entry] = {}
        for policy in policies:
            for prefix, entry in _table((policy,)).items():
                winner = first.setdefault(prefix, entry)
                workload = concerned.get(Family(prefix.version))
                key = (winner.policy.name, policy.name, prefix)
                if winner is entry or workload is None or key in told:
                    continue
                told.add(key)
                field = "excludedCIDRs" if entry.excluded else "destinationCIDRs"
                message = (
                    f"{prefix} is also in EgressGatewayPolicy {winner.policy.name}, which {_why(winner, entry)} and "
                    f"decides for {workload.kind} {workload.key}"
                )
                findings.warning("EG307", policy.place.at("spec", field), message)


def _why(winner: Entry, loser: Entry) -> str:
    older = winner.policy.precedence[:2] != loser.policy.precedence[:2]
    return "is older" if older else "is as old and of lower name"


def _warn_dead(
    selected: Mapping[tuple[Policy, ...], list[Workload]],
    tables: Mapping[tuple[str, ...], Mapping[Network, Entry]],
    redirected_never: Iterable[Network],
    findings: Findings,
) -> None:
    """Names entries that decide nothing for any workload that their policy selects."""
    alive: set[tuple[str, str, Network]] = set()
    example: dict[tuple[str, Family], Workload] = {}
    blame: dict[tuple[str, str, Network], str] = {}
    never = _stretches(redirected_never)
    for policies, workloads in selected.items():
        table = tables[_names(policies)]
        concerned = _by_family(workloads)
        deciding = _by_entry(table)
        for policy in policies:
            for field, prefix in _entries(policy):
                family = Family(prefix.version)
                if family not in concerned:
                    continue
                example.setdefault((policy.name, family), concerned[family])
                entry = Entry(policy, prefix, excluded=field == "excludedCIDRs")
                reason = _why_dead(entry, table, deciding.get(entry, ()), never[family])
                if reason is None:
                    alive.add((policy.name, field, prefix))
                else:
                    blame.setdefault((policy.name, field, prefix), reason)
    for (name, field, prefix), reason in sorted(blame.items(), key=lambda item: (*item[0][:2], str(item[0][2]))):
        if (name, field, prefix) not in alive:
            workload = example[name, Family(prefix.version)]
            message = f"{prefix} never decides anything, for {workload.kind} {workload.key} as for the rest: {reason}"
            place = next(p.place for policies in selected for p in policies if p.name == name)
            findings.warning("EG308", place.at("spec", field), message)


def _by_entry(table: Mapping[Network, Entry]) -> dict[Entry, list[Decision]]:
    result: dict[Entry, list[Decision]] = {}
    for decisions in _decisions(table).values():
        for decision in decisions:
            if decision.entry is not None:
                result.setdefault(decision.entry, []).append(decision)
    return result


def _why_dead(
    entry: Entry,
    table: Mapping[Network, Entry],
    decisions: Iterable[Decision],
    never: Iterable[tuple[int, int, None]],
) -> str | None:
    """Returns why an entry decides nothing in one routing table, None if it decides something."""
    first = table[entry.prefix]
    if first.policy is not entry.policy:
        return f"EgressGatewayPolicy {first.policy.name} has the same CIDR"
    if first.excluded != entry.excluded:
        return "the policy itself excludes it"
    if not decisions:
        return "longer CIDRs cover all of it"
    if all(any(low <= item.low and item.high <= high for low, high, _ in never) for item in decisions):
        return "it lies inside the cluster, which is never redirected"
    around = enclosing(table, entry.prefix)
    if entry.excluded and (around is None or around.excluded):
        return "without it the packet would go its ordinary way too"
    return None


def _stretches(networks: Iterable[Network]) -> dict[Family, tuple[tuple[int, int, None], ...]]:
    """Returns the first and the last number of each stretch that the networks cover without a gap."""
    ordered = tuple(networks)
    return {
        family: merge(
            (int(item.network_address), int(item.broadcast_address), None) for item in ordered if item.version == family
        )
        for family in Family
    }


def _by_family(workloads: Iterable[Workload]) -> dict[Family, Workload]:
    """Returns the first workload that has an address of a family, for each family."""
    result: dict[Family, Workload] = {}
    for workload in workloads:
        for family in workload.addresses:
            result.setdefault(family, workload)
        if len(result) == len(Family):
            break
    return result


def _warn_agents(cluster: Cluster, findings: Findings) -> None:
    config = cluster.config
    if config.agent_enabled and not cluster.agents and cluster.gateways:
        labels = ",".join(f"{key}={value}" for key, value in config.agent_labels)
        message = (
            f"no pod with {labels} in namespace {config.agent_namespace}, so no node is suitable; add the agent pods "
            "to the input, or set spec.agent.enabled: false in an EgressCompilerConfig for a cluster without Cilium"
        )
        findings.warning("EG309", next(iter(cluster.gateways.values())).place, message)
