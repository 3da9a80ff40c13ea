"""Ground: what the plans of all nodes stand on, worked out once for the cluster.

In: cluster, resolved classes, elections. Out: indexes by node and gateway, so that a node's plan costs as much as the
node has to do with, however large the cluster is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network

from compiler.elect import Election
from compiler.links import Links
from compiler.model import Address, Cluster, Family, Network, Workload
from compiler.naming import class_ids, first_class_id
from compiler.nodeplan import Ranges
from compiler.ranges import Cover, collapse, covers
from compiler.residents import NOBODY, Numbers, Residents, reside
from compiler.resolve import Resolved, WorkloadClass, replaced
from compiler.strays import Strays
from compiler.suitability import Source, Verdicts
from compiler.tables import RoutingTable


@dataclass(frozen=True, slots=True)
class Ground:
    """What is the same for every node.

    Attributes:
        cluster: The cluster.
        ranges: Those of workloads.
        elections: By gateway.
        masters: Gateway to its master, where it has one.
        served: Node to the gateways that it is suitable for, sorted.
        suitability: Gateway to member node to verdict.
        links: Next hops between nodes.
        redirected_never: Destinations that no policy decides about.
        strays: What any workload may have as its address.
        blind: Of nodes whose interfaces are unknown, what workloads of other nodes may have as their address.
        classes: By what their policies decide; a class whose addresses are contested is one of its own.
        numbers: Of each class.
        collided: Whether two classes would have one number, so that it depends on all of them who has which.
        residents: Node to its workloads.
        naming: Gateway to the classes, contested ones aside, whose policies name it.
    """

    cluster: Cluster
    ranges: Mapping[Family, Cover]
    elections: Mapping[str, Election]
    masters: Mapping[str, str]
    served: Mapping[str, tuple[str, ...]]
    suitability: Verdicts
    links: Links
    redirected_never: Ranges
    strays: Ranges
    blind: Mapping[str, Ranges]
    classes: Mapping[RoutingTable, WorkloadClass]
    numbers: Mapping[RoutingTable, Numbers]
    collided: bool
    residents: Mapping[str, Residents]
    naming: Mapping[str, tuple[RoutingTable, ...]]

    def source(self, gateway: str, node: str) -> Source:
        """Returns the source address that a gateway has on a node which is suitable for it."""
        source = self.suitability[gateway][node].source
        if source is None:
            raise AssertionError(f"{node} is not suitable for {gateway}")
        return source


def lay(cluster: Cluster, resolved: Resolved, elections: Mapping[str, Election]) -> Ground:
    """Lays the ground for the plans of a cluster."""
    numbers, collided = _numbers(resolved.classes)
    links = Links(cluster.nodes)
    ranges = covers(cluster.workload_ranges)
    return Ground(
        cluster=cluster,
        ranges=ranges,
        elections=elections,
        masters=_masters(elections),
        served=_served(elections),
        suitability=resolved.suitability,
        links=links,
        redirected_never=Ranges(resolved.redirected_never),
        strays=Ranges(_stray_networks(cluster, ranges, resolved.classes)),
        blind=_blind(cluster, resolved.classes, links),
        classes={item.table: item for item in resolved.classes},
        numbers=numbers,
        collided=collided,
        residents=_residents(resolved.classes, numbers, ranges),
        naming=_naming(resolved.classes),
    )


def _masters(elections: Mapping[str, Election]) -> dict[str, str]:
    return {name: item.master for name, item in elections.items() if item.master is not None}


def _served(elections: Mapping[str, Election]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, election in sorted(elections.items()):
        for node in election.order:
            found.setdefault(node, []).append(name)
    return {node: tuple(gateways) for node, gateways in found.items()}


def _stray_networks(
    cluster: Cluster, ranges: Mapping[Family, Cover], classes: Iterable[WorkloadClass]
) -> tuple[Network, ...]:
    outside = _outside(ranges, (workload for item in classes for workload in item.workloads))
    return collapse((*cluster.workload_ranges, *outside))


def _outside(ranges: Mapping[Family, Cover], workloads: Iterable[Workload]) -> Iterator[Network]:
    """Yields the addresses of workloads that lie in no range of workloads."""
    for workload in workloads:
        for family, address in workload.addresses.items():
            if not ranges[family].holds_address(address):
                yield ip_network(address)


def _keys(item: WorkloadClass) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return ("local", *item.key), ("remote", *item.key)


def _numbers(classes: Iterable[WorkloadClass]) -> tuple[dict[RoutingTable, Numbers], bool]:
    keys = {item.table: _keys(item) for item in classes}
    ids = {key: first_class_id(key) for pair in keys.values() for key in pair}
    collided = len(set(ids.values())) < len(ids)
    if collided:
        ids = class_ids(ids)
    return {table: Numbers(ids[local], ids[remote]) for table, (local, remote) in keys.items()}, collided


def _residents(
    classes: Iterable[WorkloadClass], numbers: Mapping[RoutingTable, Numbers], ranges: Mapping[Family, Cover]
) -> dict[str, Residents]:
    found: dict[str, list[WorkloadClass]] = {}
    for item in classes:
        by_node: dict[str, list[Workload]] = {}
        for workload in item.workloads:
            by_node.setdefault(workload.node, []).append(workload)
        for node, workloads in by_node.items():
            found.setdefault(node, []).append(WorkloadClass(item.table, tuple(workloads), item.contested))
    return {node: reside(parts, numbers, ranges) for node, parts in found.items()}


def _naming(classes: Iterable[WorkloadClass]) -> dict[str, tuple[RoutingTable, ...]]:
    found: dict[str, list[RoutingTable]] = {}
    for item in classes:
        for gateway in () if item.contested else item.table.gateways:
            found.setdefault(gateway, []).append(item.table)
    return {gateway: tuple(tables) for gateway, tables in found.items()}


def _blind(cluster: Cluster, classes: Iterable[WorkloadClass], links: Links) -> dict[str, Ranges]:
    """What a node takes for strays that cannot tell by which interface other nodes' packets come."""
    blind = [name for name, node in cluster.nodes.items() if not links.interfaces(node)]
    if not blind:
        return {}
    own: dict[str, list[Address]] = {}
    for workload in cluster.workloads:
        own.setdefault(workload.node, []).extend(workload.addresses.values())
    strays = Strays(cluster.nodes, (workload for item in classes for workload in item.workloads), own)
    return {name: Ranges(strays.of(name)) for name in blind}


# From here on: the ground after a change, without laying it anew. Each function returns what `lay` would, and the names
# of the nodes whose plans may be others than before.

Touched = set[str]
Tabled = tuple[Workload, RoutingTable | None]
"""A workload, and what the policies decide that select it, None where none does."""


def with_workloads(
    ground: Ground,
    cluster: Cluster,
    gone: Iterable[Tabled],
    come: Iterable[Tabled],
) -> tuple[Ground, Touched]:
    """Returns the ground after workloads went and others came.

    Args:
        ground: As it was.
        cluster: As it is now; it differs in workloads only.
        gone: Workloads that went; one that changed went and came.
        come: Workloads that came.
    """
    gone, come = tuple(gone), tuple(come)
    changed = [workload for workload, table in (*gone, *come) if table is not None]
    tables = dict.fromkeys(table for _, table in (*gone, *come) if table is not None)
    touched = {workload.node for workload in changed}
    classes = dict(ground.classes)
    for table in tables:
        before = classes[table].workloads if table in classes else ()
        after = replaced(before, _those(gone, table), _those(come, table))
        if after:
            classes[table] = WorkloadClass(table, after)
        else:
            del classes[table]
        touched.update(node for gateway in table.gateways for node in _suitable(ground, gateway))
    result = replace(ground, cluster=cluster, classes=classes)
    renumbered = False
    if classes.keys() != ground.classes.keys():
        result, renumbered = _with_classes(result, tables)
    if renumbered:
        result = replace(result, residents=_residents(classes.values(), result.numbers, result.ranges))
        touched.update(cluster.nodes)
    else:
        result = replace(result, residents=_with_residents(result, gone, come))
    if next(_outside(ground.ranges, changed), None) is not None:
        result = replace(result, strays=Ranges(_stray_networks(cluster, ground.ranges, classes.values())))
        touched.update(cluster.nodes)
    if ground.blind and not all(_at_home(workload, cluster) for workload, _ in (*gone, *come)):
        result = replace(result, blind=_blind(cluster, classes.values(), ground.links))
        touched.update(ground.blind)
    return result, touched


def _those(workloads: Iterable[Tabled], table: RoutingTable) -> list[Workload]:
    return [workload for workload, its in workloads if its is table]


def _with_residents(ground: Ground, gone: Sequence[Tabled], come: Sequence[Tabled]) -> dict[str, Residents]:
    """Returns the residents of all nodes after workloads went and came."""
    changes: dict[str, dict[RoutingTable, None]] = {}
    for workload, table in (*gone, *come):
        if table is not None:
            changes.setdefault(workload.node, {})[table] = None
    residents = dict(ground.residents)
    for node, tables in changes.items():
        parts = {part.table: part for part in residents.get(node, NOBODY).parts}
        for table in tables:
            before = parts[table].workloads if table in parts else ()
            went = [workload for workload in _those(gone, table) if workload.node == node]
            came = [workload for workload in _those(come, table) if workload.node == node]
            parts[table] = WorkloadClass(table, replaced(before, went, came))
        residents[node] = reside((part for part in parts.values() if part.workloads), ground.numbers, ground.ranges)
    return residents


def _suitable(ground: Ground, gateway: str) -> tuple[str, ...]:
    return ground.elections[gateway].order if gateway in ground.elections else ()


def _at_home(workload: Workload, cluster: Cluster) -> bool:
    """Whether each of a workload's addresses is of its own node's ranges and of no other's."""
    return all(
        {node.name for node in cluster.nodes.values() for network in node.pod_cidrs if address in network}
        == {workload.node}
        for address in workload.addresses.values()
    )


def _with_classes(ground: Ground, tables: Iterable[RoutingTable]) -> tuple[Ground, bool]:
    """Returns the ground after some classes came or went, which is what `classes` in it has already.

    And whether that gives other classes another number, which depends on all of them once two would have the same.
    """
    numbers, naming = dict(ground.numbers), dict(ground.naming)
    taken = {number for item in numbers.values() for number in (item.local, item.remote)}
    collided = ground.collided
    for table in tables:
        for gateway in table.gateways:
            others = tuple(other for other in naming.get(gateway, ()) if other is not table)
            naming[gateway] = (*others, table) if table in ground.classes else others
        if table not in ground.classes:
            numbers.pop(table, None)
        elif table not in numbers:
            local, remote = map(first_class_id, _keys(ground.classes[table]))
            collided = collided or bool({local, remote} & taken) or local == remote
            numbers[table] = Numbers(local, remote)
            taken |= {local, remote}
    if collided:
        numbers, collided = _numbers(ground.classes.values())
        return replace(ground, numbers=numbers, naming=naming, collided=collided), True
    return replace(ground, numbers=numbers, naming=naming), False


def with_elections(
    ground: Ground,
    cluster: Cluster,
    suitability: Verdicts,
    elections: Mapping[str, Election],
) -> tuple[Ground, Touched]:
    """Returns the ground after nodes became suitable for gateways, or no longer are.

    Args:
        ground: As it was.
        cluster: As it is now; it differs in labels and states of nodes only.
        suitability: As it is now.
        elections: Of the gateways concerned.
    """
    touched: Touched = set()
    for name, election in elections.items():
        before = ground.elections[name]
        touched.update((*before.order, *election.order))
        if election.master != before.master:
            for table in ground.naming.get(name, ()):
                touched.update(workload.node for workload in ground.classes[table].workloads)
    everything = {**ground.elections, **elections}
    after = replace(
        ground,
        cluster=cluster,
        elections=everything,
        masters=_masters(everything),
        served=_served(everything),
        suitability=suitability,
    )
    return after, touched
