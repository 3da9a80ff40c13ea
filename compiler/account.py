"""Account: what a bundle tells about the cluster as a whole, for people and for whoever checks the nodes' files.

In: cluster, resolved classes, elections. Out: the values of `gateways.json`, `policies.json`, `workloads.json` and
`cluster.json`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network

from bundle.model import Cluster as ClusterReport
from bundle.model import (
    ClusterNode,
    Condition,
    GatewayReport,
    Gateways,
    NodeLink,
    NodeReport,
    NodeSource,
    Policies,
    PolicyReport,
    SourceIPs,
    WorkloadReport,
    Workloads,
)
from compiler.elect import Election
from compiler.model import Cluster, Family, Node
from compiler.peers import link_addresses
from compiler.ranges import never_redirected
from compiler.resolve import Resolved
from compiler.suitability import Source, Suitability, interface_of, why_none


@dataclass(frozen=True, slots=True)
class Account:
    """The account that a bundle gives of itself, one value a file."""

    gateways: Gateways
    policies: Policies
    workloads: Workloads
    cluster: ClusterReport


def give_account(cluster: Cluster, resolved: Resolved, elections: Mapping[str, Election]) -> Account:
    """Returns what there is to tell."""
    return Account(
        _gateways(cluster, resolved, elections),
        _policies(cluster),
        _workloads(cluster, resolved),
        _cluster(cluster),
    )


def elected_again(
    report: GatewayReport, order: tuple[str, ...], verdicts: Mapping[str, Suitability], changed: Collection[str]
) -> GatewayReport:
    """Returns what there is to tell of a gateway after some nodes became less suitable.

    Args:
        report: What there was to tell before.
        order: Its suitable nodes, the master first.
        verdicts: On every member node.
        changed: The nodes whose verdict is another one; none became suitable.
    """
    nodes = {node: NodeReport(verdicts[node].suitable, verdicts[node].reasons) for node in changed}
    return replace(
        report,
        active_node_name=order[0] if order else None,
        standby_node_names=order[1:],
        ready_nodes=len(order),
        source_ips=_source_ips(order, verdicts),
        nodes={**report.nodes, **nodes},
        sources={node: source for node, source in report.sources.items() if verdicts[node].suitable},
        conditions=(_condition(order, verdicts),),
    )


def _gateways(cluster: Cluster, resolved: Resolved, elections: Mapping[str, Election]) -> Gateways:
    policies: dict[str, list[str]] = {}
    for policy in cluster.policies:
        policies.setdefault(policy.gateway, []).append(policy.name)
    return Gateways(
        tuple(
            _gateway(election, cluster.nodes, resolved.suitability[name], policies.get(name, ()))
            for name, election in sorted(elections.items())
        )
    )


def _gateway(
    election: Election, nodes: Mapping[str, Node], verdicts: Mapping[str, Suitability], policies: Iterable[str]
) -> GatewayReport:
    return GatewayReport(
        name=election.gateway.name,
        mode=election.gateway.mode.value,
        active_node_name=election.master,
        standby_node_names=election.order[1:],
        ready_nodes=len(election.order),
        source_ips=_source_ips(election.order, verdicts),
        nodes={node: NodeReport(verdict.suitable, verdict.reasons) for node, verdict in verdicts.items()},
        sources={node: _source(verdict.source) for node, verdict in verdicts.items() if verdict.source},
        link_addresses={
            node: tuple(map(str, addresses))
            for node, addresses in link_addresses(election.gateway, nodes, verdicts).items()
        },
        conditions=(_condition(election.order, verdicts),),
        policies=tuple(sorted(policies)),
    )


def _condition(order: tuple[str, ...], verdicts: Mapping[str, Suitability]) -> Condition:
    if order:
        message = f"{order[0]} is the active node, {len(order) - 1} more stand by"
        return Condition("Ready", "True", "ElectionSucceed", message)
    message = f"no node is suitable, so traffic is dropped ({why_none(verdicts)})"
    return Condition("Ready", "False", "ElectionFailed", message)


def _source_ips(order: tuple[str, ...], verdicts: Mapping[str, Suitability]) -> SourceIPs:
    source = verdicts[order[0]].source if order else None
    return SourceIPs(*(_address(source, family) for family in Family))


def _address(source: Source | None, family: Family) -> str | None:
    return str(source.addresses[family]) if source and family in source.addresses else None


def _source(source: Source) -> NodeSource:
    four, six = (_address(source, family) for family in Family)
    return NodeSource(four, six, source.interface, source.masquerade)


def _policies(cluster: Cluster) -> Policies:
    return Policies(
        tuple(
            PolicyReport(
                policy.name,
                policy.gateway,
                tuple(str(prefix) for prefix in policy.destinations),
                tuple(str(prefix) for prefix in policy.excluded),
            )
            for policy in cluster.policies
        )
    )


def _workloads(cluster: Cluster, resolved: Resolved) -> Workloads:
    selected = {id(workload): item.table.names for item in resolved.classes for workload in item.workloads}
    return Workloads(
        tuple(
            WorkloadReport(
                workload.kind,
                workload.namespace,
                workload.name,
                workload.node,
                tuple(str(address) for address in workload.addresses.values()),
                selected.get(id(workload), ()),
            )
            for workload in cluster.workloads
        )
    )


def _cluster(cluster: Cluster) -> ClusterReport:
    config = cluster.config
    return ClusterReport(
        mark_mask=f"0x{config.mark_mask:08x}",
        rule_priority=config.rule_priority,
        table_base=config.table_base,
        never_redirected=tuple(str(network) for network in never_redirected(cluster)),
        workload_ranges=tuple(str(network) for network in cluster.workload_ranges),
        nodes={name: _node(node) for name, node in sorted(cluster.nodes.items())},
    )


def _node(node: Node) -> ClusterNode:
    defaults = node.network.default_routes if node.network else ()
    return ClusterNode(
        ipv4=_link(node, Family.IPV4),
        ipv6=_link(node, Family.IPV6),
        interfaces_known=node.network is not None,
        default_route=any(route.family is Family.IPV4 for route in defaults),
        pod_cidrs=tuple(str(network) for network in node.pod_cidrs),
    )


def _link(node: Node, family: Family) -> NodeLink | None:
    address = node.internal_ips.get(family)
    if address is None:
        return None
    found = interface_of(node.network, address) if node.network else None
    if found is None:
        return NodeLink(str(address), None, None)
    name, entry = found
    return NodeLink(str(address), name, str(ip_network(f"{address}/{entry.prefix_length}", strict=False)))
