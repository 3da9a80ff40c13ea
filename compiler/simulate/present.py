"""Present: a cluster as it is, indexed so that what-ifs need not look at every workload again."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from bundle.model import GatewayReport, WorkloadReport
from compiler.account import give_account
from compiler.diagnostics import Diagnostic
from compiler.elect import Earlier, elect
from compiler.model import Cluster, Family
from compiler.outcomes import Outcomes
from compiler.resolve import Resolved, resolve
from compiler.simulate.refusals import Refusals

Use = tuple[str, Family]
"""A gateway that takes packets of a family."""


@dataclass(frozen=True, slots=True)
class Group:
    """Workloads of one node whose packets the same gateways take, so that the same happens to all of them."""

    node: str
    uses: tuple[Use, ...]
    workloads: tuple[WorkloadReport, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """The cluster as it is.

    Attributes:
        cluster: As it was read, without an error.
        resolved: Its classes, and who is suitable.
        orders: Gateway to its suitable nodes, the master first.
        reports: What there is to tell of each gateway.
        outcomes: What becomes of packets.
        groups: All workloads that any gateway serves.
        using: The groups by each gateway that they use.
        on_node: The groups by their node.
        counts: How many workloads a node has, whether served or not.
        served: How many workloads leave by a node.
        refusals: To be asked for errors.
        errors: For which compile refuses the cluster as it is.
    """

    cluster: Cluster
    resolved: Resolved
    orders: Mapping[str, tuple[str, ...]]
    reports: Mapping[str, GatewayReport]
    outcomes: Outcomes
    groups: tuple[Group, ...]
    using: Mapping[str, tuple[Group, ...]]
    on_node: Mapping[str, tuple[Group, ...]]
    counts: Mapping[str, int]
    served: Mapping[str, int]
    refusals: Refusals
    errors: tuple[Diagnostic, ...]

    @property
    def masters(self) -> dict[str, str]:
        """The master of each gateway that has one."""
        return {name: order[0] for name, order in self.orders.items() if order}

    @property
    def single(self) -> tuple[tuple[str, str], ...]:
        """Gateways with the only node that is suitable for them, by name."""
        return tuple((name, order[0]) for name, order in self.orders.items() if len(order) == 1)

    @property
    def unserved(self) -> tuple[str, ...]:
        """Gateways that no node is suitable for, by name."""
        return tuple(name for name, order in self.orders.items() if not order)


def look_at(cluster: Cluster, earlier: Earlier) -> Present:
    """Indexes a cluster.

    Args:
        cluster: As it was read, without an error.
        earlier: Who was master before, which counts for the algorithm `balanced`.
    """
    resolved = resolve(cluster)
    elections = elect(cluster.gateways, resolved.suitability, cluster.config.election, earlier).elections
    account = give_account(cluster, resolved, elections)
    outcomes = Outcomes(account)
    groups = _groups(outcomes)
    using: dict[str, list[Group]] = {}
    on_node: dict[str, list[Group]] = {}
    served: Counter[str] = Counter()
    for group in groups:
        on_node.setdefault(group.node, []).append(group)
        for gateway in dict.fromkeys(gateway for gateway, _ in group.uses):
            using.setdefault(gateway, []).append(group)
        for node in leaving_by(outcomes, group):
            served[node] += len(group.workloads)
    orders = {name: election.order for name, election in elections.items()}
    refusals = Refusals(cluster, resolved)
    return Present(
        cluster=cluster,
        resolved=resolved,
        orders=orders,
        reports={report.name: report for report in account.gateways.gateways},
        outcomes=outcomes,
        groups=groups,
        using={gateway: tuple(items) for gateway, items in using.items()},
        on_node={node: tuple(items) for node, items in on_node.items()},
        counts=Counter(workload.node for workload in cluster.workloads),
        served=served,
        refusals=refusals,
        errors=refusals.find(orders, orders),
    )


def leaving_by(outcomes: Outcomes, group: Group) -> set[str]:
    """Returns the nodes by which any packets of a group leave."""
    found = (outcomes.outcome(group.node, gateway, family).node for gateway, family in group.uses)
    return {node for node in found if node is not None}


def _groups(outcomes: Outcomes) -> tuple[Group, ...]:
    uses: dict[tuple[tuple[str, ...], Family], tuple[Use, ...]] = {}
    found: dict[tuple[str, tuple[Use, ...]], list[WorkloadReport]] = {}
    for workload in outcomes.workloads:
        if not workload.policies or workload.node not in outcomes.account.cluster.nodes:
            continue
        mine: list[Use] = []
        for family in sorted({Family(ip_address(address).version) for address in workload.addresses}):
            key = (workload.policies, family)
            if key not in uses:
                table = outcomes.table(workload, family)
                gateways = {outcome.gateway for _, _, outcome in table if outcome.gateway is not None}
                uses[key] = tuple((gateway, family) for gateway in sorted(gateways))
            mine += uses[key]
        if mine:
            found.setdefault((workload.node, tuple(mine)), []).append(workload)
    return tuple(Group(node, mine, tuple(workloads)) for (node, mine), workloads in found.items())
