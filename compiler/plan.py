"""Plan: one frozen `NodePlan` a node.

In: cluster, resolved classes, elections. Out: what each node's kernel must hold, sorted, with every number in place,
and findings. Writes no nft text beyond verdicts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from bundle.model import Address as AddressPlan
from bundle.model import Addresses
from compiler.diagnostics import Diagnostic, error
from compiler.elect import Election
from compiler.findings import Findings
from compiler.intervals import merge
from compiler.links import Links
from compiler.model import Address, Cluster, Family, Mode, Network, Node, Workload
from compiler.naming import chain_name, class_ids, mark_numbers
from compiler.nodeplan import (
    ClassChain,
    NextHop,
    NodePlan,
    Range,
    RemoteClass,
    RemoteElement,
    RouteElement,
    SourceElement,
    Translation,
)
from compiler.peers import link_addresses, peers
from compiler.ranges import collapse, without
from compiler.resolve import Resolved, WorkloadClass
from compiler.routes import routing
from compiler.suitability import Source

BYPASS: Final = "return"
DROP_NO_GATEWAY: Final = "goto drop_no_gateway"
DROP_NO_SOURCE: Final = "goto drop_no_source"
DROP_NO_NEXT_HOP: Final = "goto drop_no_next_hop"
DROP_STRAY: Final = "goto drop_stray"
DROP_CONTESTED: Final = "goto drop_contested"


@dataclass(frozen=True, slots=True)
class _Served:
    """A gateway that a node is suitable for."""

    election: Election
    source: Source


@dataclass(frozen=True, slots=True)
class _Ways:
    """By which a node's workloads can leave: nodes it sends packets to, and gateways that it serves itself."""

    masters: tuple[str, ...]
    served: Mapping[str, _Served]


@dataclass(frozen=True, slots=True)
class _Shared:
    """What is the same for every node."""

    cluster: Cluster
    elections: Mapping[str, Election]
    masters: Mapping[str, str]
    links: Links
    redirected_never: tuple[Range, ...]
    stray_networks: tuple[Network, ...]
    own_addresses: Mapping[str, tuple[Address, ...]]
    local: Mapping[str, tuple[tuple[WorkloadClass, tuple[Workload, ...]], ...]]
    classes: tuple[WorkloadClass, ...]
    class_id: Mapping[tuple[str, ...], int]
    sources: Mapping[tuple[str, str], Source]
    link_addresses: Mapping[str, Mapping[str, tuple[Address, ...]]]


def plan(
    cluster: Cluster, resolved: Resolved, elections: Mapping[str, Election]
) -> tuple[tuple[NodePlan, ...], tuple[Diagnostic, ...]]:
    """Plans every node of the cluster, in order of name."""
    findings = Findings()
    shared = _share(cluster, resolved, elections)
    _warn_sources(shared, findings)
    plans = tuple(_plan_node(node, shared, findings) for _, node in sorted(cluster.nodes.items()))
    findings.add(*shared.links.done())
    return plans, findings.done()


def too_few_marks(node: Node, needed: int, limit: int) -> Diagnostic:
    """Makes the error that a node needs more mark numbers than the mask has."""
    message = (
        f"node {node.name} needs {needed} mark numbers for next hops and gateways, the mask has {limit}; widen "
        "spec.datapath.markMask in an EgressCompilerConfig, or spread the gateways over more nodes"
    )
    return error("EG406", node.place, message)


def _share(cluster: Cluster, resolved: Resolved, elections: Mapping[str, Election]) -> _Shared:
    local: dict[str, list[tuple[WorkloadClass, tuple[Workload, ...]]]] = {}
    for item in resolved.classes:
        by_node: dict[str, list[Workload]] = {}
        for workload in item.workloads:
            by_node.setdefault(workload.node, []).append(workload)
        for node, workloads in by_node.items():
            local.setdefault(node, []).append((item, tuple(workloads)))
    selected = (ip_network(a) for item in resolved.classes for w in item.workloads for a in w.addresses.values())
    keys = [key for item in resolved.classes for key in (("local", *item.key), ("remote", *item.key))]
    return _Shared(
        cluster=cluster,
        elections=elections,
        masters={name: item.master for name, item in elections.items() if item.master is not None},
        links=Links(cluster.nodes),
        redirected_never=_ranges(resolved.redirected_never),
        stray_networks=collapse((*cluster.workload_ranges, *selected)),
        own_addresses=_own_addresses(cluster),
        local={node: tuple(items) for node, items in local.items()},
        classes=resolved.classes,
        class_id=class_ids(keys),
        sources={
            (gateway, node): verdict.source
            for gateway, verdicts in resolved.suitability.items()
            for node, verdict in verdicts.items()
            if verdict.source is not None
        },
        link_addresses={
            name: link_addresses(item.gateway, cluster.nodes, resolved.suitability[name])
            for name, item in elections.items()
        },
    )


def _own_addresses(cluster: Cluster) -> dict[str, tuple[Address, ...]]:
    """Returns the addresses of all workloads of each node, selected or not."""
    found: dict[str, list[Address]] = {}
    for workload in cluster.workloads:
        found.setdefault(workload.node, []).extend(workload.addresses.values())
    return {node: tuple(addresses) for node, addresses in found.items()}


def _plan_node(node: Node, shared: _Shared, findings: Findings) -> NodePlan:
    served = {
        name: _Served(election, shared.sources[name, node.name])
        for name, election in shared.elections.items()
        if node.name in election.order
    }
    local = shared.local.get(node.name, ())
    remote = _remote(node, shared, served)
    masters = _masters(local, shared, node)
    keys = [f"node/{name}" for name in masters] + [f"gateway/{name}" for name in served]
    config = shared.cluster.config
    limit = config.mark_mask >> config.mark_shift
    numbers = mark_numbers(keys, limit)
    if numbers is None:  # nothing is marked on this node then, and what would be is dropped
        findings.add(too_few_marks(node, len(keys), limit))
        numbers, masters, served, remote = {}, (), {}, ()
    marks = {key: number << config.mark_shift for key, number in numbers.items()}
    next_hops = tuple(
        NextHop(name, chain_name("to", name), marks[f"node/{name}"], tuple(shared.links.next_hops(node, name).values()))
        for name in masters
    )
    translations = tuple(_translation(name, item, marks, node.name) for name, item in served.items())
    ways = _Ways(masters, served)
    sources: list[SourceElement] = []
    routes: list[RouteElement] = []
    classes: list[ClassChain] = []
    for item, workloads in local:
        class_id = shared.class_id["local", *item.key]
        chain = f"local_{class_id:08x}"
        classes.append(ClassChain(chain, class_id, _members(item)))
        sources.extend(
            SourceElement(address, chain) for workload in workloads for address in workload.addresses.values()
        )
        for family in _families(workloads):
            routes.extend(_routes(item, family, class_id, "local", node, shared, ways))
    # No address is in both maps: one that two workloads have is contested, and so never remote.
    remotes: list[RemoteElement] = []
    remote_routes: list[RouteElement] = []
    remote_classes: list[RemoteClass] = []
    for item, workloads in remote:
        class_id = shared.class_id["remote", *item.key]
        remote_classes.append(RemoteClass(class_id, _members(item)))
        remotes.extend(
            RemoteElement(address, class_id) for workload in workloads for address in workload.addresses.values()
        )
        for family in _families(workloads):
            remote_routes.extend(_routes(item, family, class_id, "remote", node, shared, ways))
    elements = _each_once(sources)
    used = {element.chain for element in elements}  # a class that lost its only address has none
    classes = [item for item in classes if item.name in used]
    numbers_used = {item.class_id for item in classes}
    routes = [item for item in routes if item.class_id in numbers_used]
    node_interfaces = tuple(sorted(set(shared.links.interfaces(node).values())))
    return NodePlan(
        node=node.name,
        mark_mask=config.mark_mask,
        node_interfaces=node_interfaces,
        cluster=shared.redirected_never,
        stray_sources=_ranges(_strays(node, node_interfaces, shared)),
        sources=elements,
        routes=_in_order(routes),
        classes=tuple(sorted(classes, key=lambda item: item.name)),
        remotes=tuple(sorted(remotes, key=lambda item: (item.address.version, int(item.address)))),
        remote_routes=_in_order(remote_routes),
        remote_classes=tuple(sorted(remote_classes, key=lambda item: item.class_id)),
        next_hops=next_hops,
        translations=translations,
        routing=routing(
            node,
            next_hops,
            [item.source for item in served.values()],
            _replies(local, shared.cluster),
            shared.links,
            config,
        ),
        addresses=Addresses(node.name, _virtual_ips(node, served, shared, findings)),
        contested=any(item.contested for item, _ in local),
    )


def _members(item: WorkloadClass) -> str:
    if item.contested:
        return f"a contested address, of {', '.join(item.contested)}"
    return ", ".join(item.names)


def _each_once(sources: Iterable[SourceElement]) -> tuple[SourceElement, ...]:
    """Sorts elements by address; of a contested one there may be two, whose classes decide the same."""
    found = {item.address: item for item in sorted(sources, key=lambda item: item.chain)}
    return tuple(sorted(found.values(), key=lambda item: (item.address.version, int(item.address))))


def _in_order(routes: Iterable[RouteElement]) -> tuple[RouteElement, ...]:
    return tuple(sorted(routes, key=lambda item: (item.range.low.version, item.class_id, int(item.range.low))))


def _ranges(networks: Iterable[Network]) -> tuple[Range, ...]:
    return tuple(Range(network.network_address, network.broadcast_address) for network in networks)


def _families(workloads: Iterable[Workload]) -> list[Family]:
    return sorted({family for workload in workloads for family in workload.addresses})


def _strays(node: Node, node_interfaces: tuple[str, ...], shared: _Shared) -> tuple[Network, ...]:
    """What another node's workload may have as its address, as far as this node can tell it from its own."""
    if node_interfaces:
        return shared.stray_networks
    others: set[Network] = set()
    for other in shared.cluster.nodes.values():
        if other.name != node.name:
            others.update(other.pod_cidrs)
    for item in shared.classes:
        for workload in item.workloads:
            if workload.node != node.name:
                others.update(ip_network(address) for address in workload.addresses.values())
    # A pod may have an address out of another node's range; what the node itself sends must still pass.
    return without(collapse(others), shared.own_addresses.get(node.name, ()))


def _remote(
    node: Node, shared: _Shared, served: Mapping[str, _Served]
) -> tuple[tuple[WorkloadClass, tuple[Workload, ...]], ...]:
    """Workloads of other nodes whose policies name a gateway that this node may have to serve."""
    result = []
    for item in shared.classes:
        if not item.contested and any(policy.gateway in served for policy in item.policies):
            workloads = tuple(workload for workload in item.workloads if workload.node != node.name)
            if workloads:
                result.append((item, workloads))
    return tuple(result)


def _replies(local: Iterable[tuple[WorkloadClass, tuple[Workload, ...]]], cluster: Cluster) -> tuple[Network, ...]:
    """The ranges that hold the IPv4 addresses of a node's workloads: few, however many workloads."""
    found: set[Network] = set()
    for _, workloads in local:
        for workload in workloads:
            address = workload.addresses.get(Family.IPV4)
            if address is not None and not any(address in network for network in found):
                ranges = (network for network in cluster.workload_ranges if address in network)
                found.add(next(ranges, ip_network(address)))
    return collapse(found)


def _masters(
    local: Iterable[tuple[WorkloadClass, tuple[Workload, ...]]], shared: _Shared, node: Node
) -> tuple[str, ...]:
    """Names of the nodes that packets of this node's workloads are sent to."""
    gateways = {policy.gateway for item, _ in local if not item.contested for policy in item.policies}
    masters = {shared.masters[gateway] for gateway in gateways if gateway in shared.masters}
    return tuple(sorted(masters - {node.name}))


def _routes(  # noqa: PLR0913, PLR0917  # the parts of one element
    item: WorkloadClass,
    family: Family,
    class_id: int,
    scope: str,
    node: Node,
    shared: _Shared,
    ways: _Ways,
) -> list[RouteElement]:
    verdicts: list[tuple[int, int, str]] = []
    for decision in item.decisions[family]:
        if decision.gateway is None:
            verdict = BYPASS if scope == "local" else DROP_STRAY
        elif item.contested:
            verdict = DROP_CONTESTED
        elif scope == "local":
            verdict = _verdict_at_source(decision.gateway, family, node, shared, ways)
        else:
            verdict = _verdict_here(decision.gateway, family, ways.served)
        verdicts.append((decision.low, decision.high, verdict))
    make = type(family.everything.network_address)
    return [RouteElement(class_id, Range(make(low), make(high)), verdict) for low, high, verdict in merge(verdicts)]


def _verdict_at_source(gateway: str, family: Family, node: Node, shared: _Shared, ways: _Ways) -> str:
    master = shared.masters.get(gateway)
    if master is None:
        return DROP_NO_GATEWAY
    if gateway in ways.served and master == node.name:
        return _verdict_here(gateway, family, ways.served)
    source = shared.sources[gateway, master]
    if not source.masquerade and family not in source.addresses:
        return DROP_NO_SOURCE
    if master not in ways.masters or not shared.links.reaches(node, master, family):
        return DROP_NO_NEXT_HOP
    return f"goto {chain_name('to', master)}"


def _verdict_here(gateway: str, family: Family, served: Mapping[str, _Served]) -> str:
    if gateway not in served:
        return DROP_STRAY
    source = served[gateway].source
    if not source.masquerade and family not in source.addresses:
        return DROP_NO_SOURCE
    return f"goto {chain_name('gateway', gateway)}"


def _translation(name: str, item: _Served, marks: Mapping[str, int], node: str) -> Translation:
    return Translation(
        gateway=name,
        mark_chain=chain_name("gateway", name),
        nat_chain=chain_name("snat", name),
        mark=marks[f"gateway/{name}"],
        addresses=tuple(item.source.addresses.values()),
        masquerade=item.source.interface if item.source.masquerade else None,
        armed=item.election.master == node or item.election.gateway.mode is Mode.VIRTUAL,
    )


def _virtual_ips(
    node: Node, served: Mapping[str, _Served], shared: _Shared, findings: Findings
) -> tuple[AddressPlan, ...]:
    result = []
    for name, item in served.items():
        gateway = item.election.gateway
        if gateway.mode is not Mode.VIRTUAL or item.election.master != node.name or gateway.virtual_ip is None:
            continue
        address = gateway.virtual_ip
        if item.source.interface is None:
            message = (
                f"node {node.name} binds {address} on the interface of its route to it, since its interfaces are "
                "unknown; add its NodeNetworkState, or name one interface in virtualIPAddress.interfaces"
            )
            findings.warning("EG407", gateway.place.at("spec", "sourceIP", "virtualIPAddress"), message)
        result.append(
            AddressPlan(
                address=f"{address}/{address.max_prefixlen}",
                interface=item.source.interface,
                announce=True,
                preferred_lifetime=0 if Family(address.version) is Family.IPV6 else None,
                gateways=(name,),
                peers=tuple(map(str, peers(shared.link_addresses[name], node.name))),
            )
        )
    return tuple(sorted(result, key=lambda entry: entry.address))


def _stretches(ranges: Iterable[Range], family: Family) -> list[tuple[int, int]]:
    """Returns the first and the last number of each stretch that the ranges of a family cover without a gap."""
    own = ((int(item.low), int(item.high), None) for item in ranges if item.low.version == family)
    return [(low, high) for low, high, _ in merge(own)]


def _warn_sources(shared: _Shared, findings: Findings) -> None:
    """Warns of gateways whose source address is unknown, or missing in a family that is asked for."""
    asked: dict[tuple[str, Family], Workload] = {}
    never = {family: _stretches(shared.redirected_never, family) for family in Family}
    for item in (item for item in shared.classes if not item.contested):
        for family in _families(item.workloads):
            workload = next(workload for workload in item.workloads if family in workload.addresses)
            for decision in item.decisions[family]:
                inside = any(low <= decision.low and decision.high <= high for low, high in never[family])
                if decision.gateway is not None and not inside:
                    asked.setdefault((decision.gateway, family), workload)
    places = {name: item.gateway.place.at("spec", "sourceIP") for name, item in shared.elections.items()}
    for (name, family), workload in sorted(asked.items(), key=lambda entry: entry[0]):
        master = shared.masters.get(name)
        source = shared.sources[name, master] if master else None
        if source and not source.masquerade and family not in source.addresses:
            message = (
                f"EgressGateway {name} has no IPv{family.value} source address on its master {master}, so "
                f"IPv{family.value} traffic to it is dropped, such as that of {workload.kind} {workload.key}; "
                "give it one or leave out the destinations"
            )
            findings.warning("EG401", places[name], message)
    for name, master in shared.masters.items():
        source = shared.sources[name, master]
        if source.masquerade:
            message = (
                f"the address of {source.interface} on node {master} could not be checked, since the input "
                "has no NodeNetworkState for it, and the node masquerades on that interface; add it"
            )
            findings.warning("EG402", places[name], message)
