"""Plan: one frozen `NodePlan` a node.

In: cluster, resolved classes, elections. Out: what each node's kernel must hold, sorted, with every number in place,
and findings. Writes no nft text beyond verdicts and elements.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from bundle.model import Address as AddressPlan
from bundle.model import Addresses
from compiler.blocks import Blocks
from compiler.diagnostics import Diagnostic, error
from compiler.elect import Election
from compiler.findings import Findings
from compiler.ground import Ground, lay
from compiler.model import Cluster, Family, Mode, Node, Workload
from compiler.naming import chain_name, mark_numbers
from compiler.nodeplan import NodePlan, RemoteClass, Translation
from compiler.peers import link_addresses, peers
from compiler.ranges import covers
from compiler.residents import NOBODY
from compiler.resolve import Resolved
from compiler.routes import routing
from compiler.suitability import Source
from compiler.verdicts import DROP_NO_GATEWAY, DROP_NO_NEXT_HOP, DROP_NO_SOURCE, DROP_STRAY


@dataclass(frozen=True, slots=True)
class _Served:
    """A gateway that a node is suitable for."""

    election: Election
    source: Source


class _Ways:
    """By which packets can leave that come to a node: nodes it sends them to, and gateways that it serves itself.

    Attributes:
        at_source: The verdict on packets of the node's own workloads, by family and the gateway that a policy names.
        here: The verdict on packets that have come to the node to leave by a gateway.
    """

    def __init__(self, node: Node, ground: Ground, masters: Collection[str], served: Mapping[str, _Served]) -> None:
        self._node = node
        self._ground = ground
        self._masters = masters
        self._served = served
        self.at_source = {family: _Verdicts(partial(self._at_source, family)) for family in Family}
        self.here = {family: _Verdicts(partial(self._here, family)) for family in Family}

    def _here(self, family: Family, gateway: str) -> str:
        if gateway not in self._served:
            return DROP_STRAY
        source = self._served[gateway].source
        if not source.masquerade and family not in source.addresses:
            return DROP_NO_SOURCE
        return f"goto {chain_name('gateway', gateway)}"

    def _at_source(self, family: Family, gateway: str) -> str:
        ground = self._ground
        master = ground.masters.get(gateway)
        if master is None:
            return DROP_NO_GATEWAY
        if gateway in self._served and master == self._node.name:
            return self.here[family][gateway]
        source = ground.source(gateway, master)
        if not source.masquerade and family not in source.addresses:
            return DROP_NO_SOURCE
        if master not in self._masters or not ground.links.reaches(self._node, master, family):
            return DROP_NO_NEXT_HOP
        return f"goto {chain_name('to', master)}"


class _Verdicts(dict[str, str]):
    """Verdicts by gateway, each worked out when it is first asked for."""

    def __init__(self, work_out: Callable[[str], str]) -> None:
        super().__init__()
        self._work_out = work_out

    def __missing__(self, gateway: str) -> str:
        self[gateway] = self._work_out(gateway)
        return self[gateway]


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
        name: _Served(ground.elections[name], ground.source(name, node.name))
        for name in ground.served.get(node.name, ())
    }
    residents = ground.residents.get(node.name, NOBODY)
    masters = _masters(residents.gateways, ground, node)
    keys = [f"node/{name}" for name in masters] + [f"gateway/{name}" for name in served]
    config = ground.cluster.config
    limit = config.mark_mask >> config.mark_shift
    numbers = mark_numbers(keys, limit)
    if numbers is None:  # nothing is marked on this node then, and what would be is dropped
        findings.add(too_few_marks(node, len(keys), limit))
        numbers, masters, served = {}, (), {}
    marks = {key: number << config.mark_shift for key, number in numbers.items()}
    next_hops = tuple(
        blocks.next_hop(name, marks[f"node/{name}"], ground.links.next_hops(node, name)) for name in masters
    )
    ways = _Ways(node, ground, masters, served)
    node_interfaces = tuple(sorted(set(ground.links.interfaces(node).values())))
    return NodePlan(
        node=node.name,
        mark_mask=config.mark_mask,
        node_interfaces=node_interfaces,
        cluster=ground.redirected_never,
        stray_sources=ground.strays if node_interfaces else ground.blind[node.name],
        sources=residents.sources,
        classes=tuple(blocks.local(item, ground.numbers[item.table].local, ways.at_source) for item in residents.parts),
        remotes=_remotes(node, served, ground, blocks, ways),
        next_hops=next_hops,
        translations=tuple(_translation(name, item, marks, node.name) for name, item in served.items()),
        routing=routing(
            node,
            next_hops,
            [item.source for item in served.values()],
            residents.replies,
            ground.links,
            config,
        ),
        addresses=Addresses(node.name, _virtual_ips(node, served, ground, findings)),
        contested=any(item.contested for item in residents.parts),
    )


def _remotes(node: Node, served: Iterable[str], ground: Ground, blocks: Blocks, ways: _Ways) -> tuple[RemoteClass, ...]:
    """Returns the classes of other nodes' workloads whose policies name a gateway that this node may have to serve.

    No address is in them and among the node's own: one that two workloads have is contested, and so never remote.
    """
    tables = dict.fromkeys(table for gateway in served for table in ground.naming.get(gateway, ()))
    own = {item.table for item in ground.residents.get(node.name, NOBODY).parts}
    found = (
        blocks.remote(
            ground.classes[table], ground.numbers[table].remote, ways.here, node.name if table in own else None
        )
        for table in tables
    )
    return tuple(sorted((item for item in found if item is not None), key=lambda item: item.class_id))


def _masters(gateways: Iterable[str], ground: Ground, node: Node) -> tuple[str, ...]:
    """Names of the nodes that packets of this node's workloads are sent to."""
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
        on_link = link_addresses(gateway, ground.cluster.nodes, ground.suitability[name])
        result.append(
            AddressPlan(
                address=f"{address}/{address.max_prefixlen}",
                interface=item.source.interface,
                announce=True,
                preferred_lifetime=0 if Family(address.version) is Family.IPV6 else None,
                gateways=(name,),
                peers=tuple(map(str, peers(on_link, node.name))),
            )
        )
    return tuple(sorted(result, key=lambda entry: entry.address))


def warn_sources(ground: Ground, findings: Findings) -> None:
    """Warns of gateways whose source address is unknown, or missing in a family that is asked for."""
    asked: dict[tuple[str, Family], Workload] = {}
    never = covers(ground.redirected_never.networks)
    for item in ground.classes.values():
        for family in () if item.contested else item.families:
            workload = next(workload for workload in item.workloads if family in workload.addresses)
            for decision in item.table.decisions[family]:
                gateway = decision.gateway
                if gateway and (gateway, family) not in asked and not never[family].holds(decision.low, decision.high):
                    asked[gateway, family] = workload
    places = {name: item.gateway.place.at("spec", "sourceIP") for name, item in ground.elections.items()}
    for (name, family), workload in sorted(asked.items(), key=lambda entry: entry[0]):
        master = ground.masters.get(name)
        source = ground.source(name, master) if master else None
        if source and not source.masquerade and family not in source.addresses:
            message = (
                f"EgressGateway {name} has no IPv{family.value} source address on its master {master}, so "
                f"IPv{family.value} traffic to it is dropped, such as that of {workload.kind} {workload.key}; "
                "give it one or leave out the destinations"
            )
            findings.warning("EG401", places[name], message)
    for name, master in ground.masters.items():
        source = ground.source(name, master)
        if source.masquerade:
            message = (
                f"the address of {source.interface} on node {master} could not be checked, since the input "
                "has no NodeNetworkState for it, and the node masquerades on that interface; add it"
            )
            findings.warning("EG402", places[name], message)
