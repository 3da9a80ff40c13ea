"""Plan: one frozen `NodePlan` a node.

In: cluster, resolved classes, elections. Out: what each node's kernel must hold, sorted, with every number in place,
and findings. Writes no nft text beyond verdicts and elements.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from bundle.model import Address as AddressPlan
from bundle.model import Addresses
from compiler import verdicts
from compiler.blocks import Blocks, families_of
from compiler.diagnostics import Diagnostic, error
from compiler.elect import Election
from compiler.findings import Findings
from compiler.ground import Ground, lay
from compiler.model import Cluster, Family, Mode, Network, Node, Workload
from compiler.naming import chain_name, mark_numbers
from compiler.nodeplan import LocalClass, NextHop, NodePlan, Ranges, RemoteClass, SourceElement, Translation
from compiler.peers import peers
from compiler.ranges import collapse, covers, without
from compiler.resolve import Resolved, WorkloadClass
from compiler.routes import routing
from compiler.suitability import Source


@dataclass(frozen=True, slots=True)
class _Served:
    """A gateway that a node is suitable for."""

    election: Election
    source: Source


class _Ways:
    """By which packets can leave that come to a node: nodes it sends them to, and gateways that it serves itself."""

    def __init__(self, node: Node, ground: Ground, masters: tuple[str, ...], served: Mapping[str, _Served]) -> None:
        self.masters = masters
        self.served = served
        self._node = node
        self._ground = ground
        self._known: dict[tuple[str, Family], str] = {}

    def at_source(self, gateway: str, family: Family) -> str:
        """Returns the verdict on packets of this node's workloads that a policy sends to a gateway."""
        key = (gateway, family)
        if key not in self._known:
            self._known[key] = self._at_source(gateway, family)
        return self._known[key]

    def here(self, gateway: str, family: Family) -> str:
        """Returns the verdict on packets that have come to this node to leave by a gateway."""
        if gateway not in self.served:
            return verdicts.DROP_STRAY
        source = self.served[gateway].source
        if not source.masquerade and family not in source.addresses:
            return verdicts.DROP_NO_SOURCE
        return f"goto {chain_name('gateway', gateway)}"

    def _at_source(self, gateway: str, family: Family) -> str:
        ground = self._ground
        master = ground.masters.get(gateway)
        if master is None:
            return verdicts.DROP_NO_GATEWAY
        if gateway in self.served and master == self._node.name:
            return self.here(gateway, family)
        source = ground.sources[gateway, master]
        if not source.masquerade and family not in source.addresses:
            return verdicts.DROP_NO_SOURCE
        if master not in self.masters or not ground.links.reaches(self._node, master, family):
            return verdicts.DROP_NO_NEXT_HOP
        return f"goto {chain_name('to', master)}"


def plan(
    cluster: Cluster, resolved: Resolved, elections: Mapping[str, Election]
) -> tuple[tuple[NodePlan, ...], tuple[Diagnostic, ...]]:
    """Plans every node of the cluster, in order of name."""
    ground, blocks, findings = lay(cluster, resolved, elections), Blocks(), Findings()
    warn_sources(ground, findings)
    plans = tuple(plan_node(node, ground, blocks, findings) for _, node in sorted(cluster.nodes.items()))
    findings.add(*ground.links.done())
    return plans, findings.done()


def too_few_marks(node: Node, needed: int, limit: int) -> Diagnostic:
    """Makes the error that a node needs more mark numbers than the mask has."""
    message = (
        f"node {node.name} needs {needed} mark numbers for next hops and gateways, the mask has {limit}; widen "
        "spec.datapath.markMask in an EgressCompilerConfig, or spread the gateways over more nodes"
    )
    return error("EG406", node.place, message)


def plan_node(node: Node, ground: Ground, blocks: Blocks, findings: Findings) -> NodePlan:
    """Plans one node.

    Args:
        node: The node.
        ground: What is the same for every node.
        blocks: The parts of plans that nodes share.
        findings: Of the node's plan; those about its links `ground.links` has.
    """
    served = {
        name: _Served(ground.elections[name], ground.sources[name, node.name])
        for name in ground.served.get(node.name, ())
    }
    local = ground.local.get(node.name, ())
    masters = _masters(local, ground, node)
    keys = [f"node/{name}" for name in masters] + [f"gateway/{name}" for name in served]
    config = ground.cluster.config
    limit = config.mark_mask >> config.mark_shift
    numbers = mark_numbers(keys, limit)
    if numbers is None:  # nothing is marked on this node then, and what would be is dropped
        findings.add(too_few_marks(node, len(keys), limit))
        numbers, masters, served = {}, (), {}
    marks = {key: number << config.mark_shift for key, number in numbers.items()}
    next_hops = tuple(
        NextHop(name, chain_name("to", name), marks[f"node/{name}"], tuple(ground.links.next_hops(node, name).values()))
        for name in masters
    )
    ways = _Ways(node, ground, masters, served)
    sources, classes = _local(local, ground, blocks, ways)
    node_interfaces = tuple(sorted(set(ground.links.interfaces(node).values())))
    return NodePlan(
        node=node.name,
        mark_mask=config.mark_mask,
        node_interfaces=node_interfaces,
        cluster=ground.redirected_never,
        stray_sources=ground.strays if node_interfaces else Ranges(_strays(node, ground)),
        sources=sources,
        classes=classes,
        remotes=_remotes(node, local, ground, blocks, ways),
        next_hops=next_hops,
        translations=tuple(_translation(name, item, marks, node.name) for name, item in served.items()),
        routing=routing(
            node,
            next_hops,
            [item.source for item in served.values()],
            _replies(local, ground),
            ground.links,
            config,
        ),
        addresses=Addresses(node.name, _virtual_ips(node, served, ground, findings)),
        contested=any(item.contested for item in local),
    )


def _local(
    local: Iterable[WorkloadClass], ground: Ground, blocks: Blocks, ways: _Ways
) -> tuple[tuple[SourceElement, ...], tuple[LocalClass, ...]]:
    """Returns the node's own workloads and their classes."""
    classes = [blocks.local(item, ground.numbers[item.table].local, ways.at_source) for item in local]
    sources = [
        SourceElement(address, made.chain)
        for item, made in zip(local, classes, strict=True)
        for workload in item.workloads
        for address in workload.addresses.values()
    ]
    if any(item.contested for item in local):
        # Of a contested address there may be two elements, whose classes decide the same; one that lost its only
        # address has none.
        sources = list({item.address: item for item in sorted(sources, key=lambda item: item.chain)}.values())
        used = {item.chain for item in sources}
        classes = [item for item in classes if item.chain in used]
    return (
        tuple(sorted(sources, key=lambda item: (item.address.version, int(item.address)))),
        tuple(sorted(classes, key=lambda item: item.class_id)),
    )


def _remotes(
    node: Node, local: Iterable[WorkloadClass], ground: Ground, blocks: Blocks, ways: _Ways
) -> tuple[RemoteClass, ...]:
    """Returns the classes of other nodes' workloads whose policies name a gateway that this node may have to serve.

    No address is in them and among the node's own: one that two workloads have is contested, and so never remote.
    """
    tables = dict.fromkeys(table for gateway in ways.served for table in ground.naming.get(gateway, ()))
    own = {item.table for item in local}
    found = (
        blocks.remote(
            ground.classes[table], ground.numbers[table].remote, ways.here, node.name if table in own else None
        )
        for table in tables
    )
    return tuple(sorted((item for item in found if item is not None), key=lambda item: item.class_id))


def _strays(node: Node, ground: Ground) -> tuple[Network, ...]:
    """What another node's workload may have as its address, as far as this node can tell it from its own.

    For a node whose interfaces are unknown: it cannot tell by which of them other nodes' packets come.
    """
    others: set[Network] = set()
    for other in ground.cluster.nodes.values():
        if other.name != node.name:
            others.update(other.pod_cidrs)
    for item in ground.classes.values():
        for workload in item.workloads:
            if workload.node != node.name:
                others.update(ip_network(address) for address in workload.addresses.values())
    # A pod may have an address out of another node's range; what the node itself sends must still pass.
    return without(collapse(others), ground.own_addresses.get(node.name, ()))


def _replies(local: Iterable[WorkloadClass], ground: Ground) -> tuple[Network, ...]:
    """The ranges that hold the IPv4 addresses of a node's workloads: few, however many workloads."""
    found: set[Network] = set()
    for item in local:
        for workload in item.workloads:
            address = workload.addresses.get(Family.IPV4)
            if address is not None and not any(address in network for network in found):
                around = (network for network in ground.cluster.workload_ranges if address in network)
                found.add(next(around, ip_network(address)))
    return collapse(found)


def _masters(local: Iterable[WorkloadClass], ground: Ground, node: Node) -> tuple[str, ...]:
    """Names of the nodes that packets of this node's workloads are sent to."""
    gateways = {gateway for item in local if not item.contested for gateway in item.table.gateways}
    masters = {ground.masters[gateway] for gateway in gateways if gateway in ground.masters}
    return tuple(sorted(masters - {node.name}))


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
    node: Node, served: Mapping[str, _Served], ground: Ground, findings: Findings
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
                peers=tuple(map(str, peers(ground.link_addresses[name], node.name))),
            )
        )
    return tuple(sorted(result, key=lambda entry: entry.address))


def warn_sources(ground: Ground, findings: Findings) -> None:
    """Warns of gateways whose source address is unknown, or missing in a family that is asked for."""
    asked: dict[tuple[str, Family], Workload] = {}
    never = covers(ground.redirected_never.networks)
    for item in ground.classes.values():
        for family in () if item.contested else families_of(item.workloads):
            workload = next(workload for workload in item.workloads if family in workload.addresses)
            for decision in item.table.decisions[family]:
                gateway = decision.gateway
                if gateway and (gateway, family) not in asked and not never[family].holds(decision.low, decision.high):
                    asked[gateway, family] = workload
    places = {name: item.gateway.place.at("spec", "sourceIP") for name, item in ground.elections.items()}
    for (name, family), workload in sorted(asked.items(), key=lambda entry: entry[0]):
        master = ground.masters.get(name)
        source = ground.sources[name, master] if master else None
        if source and not source.masquerade and family not in source.addresses:
            message = (
                f"EgressGateway {name} has no IPv{family.value} source address on its master {master}, so "
                f"IPv{family.value} traffic to it is dropped, such as that of {workload.kind} {workload.key}; "
                "give it one or leave out the destinations"
            )
            findings.warning("EG401", places[name], message)
    for name, master in ground.masters.items():
        source = ground.sources[name, master]
        if source.masquerade:
            message = (
                f"the address of {source.interface} on node {master} could not be checked, since the input "
                "has no NodeNetworkState for it, and the node masquerades on that interface; add it"
            )
            findings.warning("EG402", places[name], message)
