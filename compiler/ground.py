"""Ground: what the plans of all nodes stand on, worked out once for the cluster.

In: cluster, resolved classes, elections. Out: indexes by node and gateway, so that a node's plan costs as much as the
node has to do with, however large the cluster is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network

from compiler.elect import Election
from compiler.links import Links
from compiler.model import Address, Cluster, Network, Workload
from compiler.naming import class_ids
from compiler.nodeplan import Ranges
from compiler.peers import link_addresses
from compiler.ranges import collapse, covers
from compiler.resolve import Resolved, WorkloadClass
from compiler.suitability import Source
from compiler.tables import RoutingTable


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a class: on the nodes of its workloads, and on those that translate for them."""

    local: int
    remote: int


@dataclass(frozen=True, slots=True)
class Ground:
    """What is the same for every node.

    Attributes:
        cluster: The cluster.
        elections: By gateway.
        masters: Gateway to its master, where it has one.
        served: Node to the gateways that it is suitable for, sorted.
        sources: Gateway and node to the source address there.
        link_addresses: Gateway to node to its addresses on the link of the virtual IP, see `peers`.
        links: Next hops between nodes.
        redirected_never: Destinations that no policy decides about.
        strays: What any workload may have as its address.
        classes: By what their policies decide; a class whose addresses are contested is one of its own.
        numbers: Of each class.
        local: Node to the classes of its workloads, each with those of this node only.
        naming: Gateway to the classes, contested ones aside, whose policies name it.
        own_addresses: Node to the addresses of its workloads, selected or not.
    """

    cluster: Cluster
    elections: Mapping[str, Election]
    masters: Mapping[str, str]
    served: Mapping[str, tuple[str, ...]]
    sources: Mapping[tuple[str, str], Source]
    link_addresses: Mapping[str, Mapping[str, tuple[Address, ...]]]
    links: Links
    redirected_never: Ranges
    strays: Ranges
    classes: Mapping[RoutingTable, WorkloadClass]
    numbers: Mapping[RoutingTable, Numbers]
    local: Mapping[str, tuple[WorkloadClass, ...]]
    naming: Mapping[str, tuple[RoutingTable, ...]]
    own_addresses: Mapping[str, tuple[Address, ...]]


def lay(cluster: Cluster, resolved: Resolved, elections: Mapping[str, Election]) -> Ground:
    """Lays the ground for the plans of a cluster."""
    return Ground(
        cluster=cluster,
        elections=elections,
        masters={name: item.master for name, item in elections.items() if item.master is not None},
        served=_served(elections),
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
        links=Links(cluster.nodes),
        redirected_never=Ranges(resolved.redirected_never),
        strays=Ranges(_stray_networks(cluster, resolved.classes)),
        classes={item.table: item for item in resolved.classes},
        numbers=_numbers(resolved.classes),
        local=_local(resolved.classes),
        naming=_naming(resolved.classes),
        own_addresses=_own_addresses(cluster),
    )


def _served(elections: Mapping[str, Election]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, election in sorted(elections.items()):
        for node in election.order:
            found.setdefault(node, []).append(name)
    return {node: tuple(gateways) for node, gateways in found.items()}


def _stray_networks(cluster: Cluster, classes: Iterable[WorkloadClass]) -> tuple[Network, ...]:
    known = covers(cluster.workload_ranges)
    addresses = (address for item in classes for workload in item.workloads for address in workload.addresses.items())
    outside = (ip_network(address) for family, address in addresses if not known[family].holds_address(address))
    return collapse((*cluster.workload_ranges, *outside))


def _numbers(classes: Iterable[WorkloadClass]) -> dict[RoutingTable, Numbers]:
    keys = {item.table: item.key for item in classes}
    ids = class_ids(key for item in keys.values() for key in (("local", *item), ("remote", *item)))
    return {table: Numbers(ids["local", *key], ids["remote", *key]) for table, key in keys.items()}


def _local(classes: Iterable[WorkloadClass]) -> dict[str, tuple[WorkloadClass, ...]]:
    found: dict[str, list[WorkloadClass]] = {}
    for item in classes:
        for node, part in by_node(item):
            found.setdefault(node, []).append(part)
    return {node: tuple(items) for node, items in found.items()}


def by_node(item: WorkloadClass) -> Iterator[tuple[str, WorkloadClass]]:
    """Divides a class by the nodes of its workloads."""
    found: dict[str, list[Workload]] = {}
    for workload in item.workloads:
        found.setdefault(workload.node, []).append(workload)
    return ((node, replace(item, workloads=tuple(workloads))) for node, workloads in found.items())


def _naming(classes: Iterable[WorkloadClass]) -> dict[str, tuple[RoutingTable, ...]]:
    found: dict[str, list[RoutingTable]] = {}
    for item in classes:
        for gateway in () if item.contested else item.table.gateways:
            found.setdefault(gateway, []).append(item.table)
    return {gateway: tuple(tables) for gateway, tables in found.items()}


def _own_addresses(cluster: Cluster) -> dict[str, tuple[Address, ...]]:
    found: dict[str, list[Address]] = {}
    for workload in cluster.workloads:
        found.setdefault(workload.node, []).extend(workload.addresses.values())
    return {node: tuple(addresses) for node, addresses in found.items()}
