"""Cluster to `LabPlan`: networks, namespaces, addresses and routes. Pure; touches nothing and reads no clock.

A network is a subnet of an interface address of a node; subnets that share an interface share a wire. What a
snapshot does not say (prefix lengths, default routes) is filled in by one rule each, named where it is applied.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    collapse_addresses,
    ip_network,
)
from itertools import islice

from compiler.model import Address, Cluster, Family, Network, Node, Workload
from lab import model
from lab.model import LabError, LabPlan, Limits, Link, NextHop, NodePlan, OnLink, OutsidePlan, WorkloadPlan
from lab.ports import IPInterface, Port, find_ports, interface_address, selects, virtual_ips

_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every node's plan needs; `notes` is added to."""

    cluster: Cluster
    prefix: str
    segments: "tuple[_Segment, ...]"
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Segment:
    """One wire: the ports on it, the subnets on it and what outside is called there."""

    number: int
    ports: tuple[Port, ...]
    subnets: tuple[Network, ...]
    outside: tuple[IPInterface, ...]

    @property
    def device(self) -> str:
        return f"net{self.number}"

    @property
    def bridge(self) -> str:
        return f"br{self.number}"


def plan_lab(cluster: Cluster, name: str = "egl", limits: Limits | None = None, only: Sequence[str] = ()) -> LabPlan:
    """Plans the lab.

    Args:
        cluster: What to build.
        name: The lab's name: lower-case letters, digits and `-`, at most 30.
        limits: How many nodes and workloads at most.
        only: Keys (`NAMESPACE/NAME`) of the workloads to build; empty means all, up to the limit.

    Raises:
        LabError: The name will not do, there are no nodes or too many, or `only` names an unknown workload.
    """
    limits = limits or Limits()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?", name):
        raise LabError(f"{name!r} is no name for a lab: use lower-case letters, digits and '-', at most 30")
    if not cluster.nodes:
        raise LabError(
            "the input has no Node, so there is nothing to build; add the output of `kubectl get nodes -o yaml`"
        )
    if len(cluster.nodes) > limits.nodes:
        raise LabError(
            f"the input has {len(cluster.nodes)} nodes and the lab builds at most {limits.nodes}; "
            "give fewer, or raise the limit with --max-nodes"
        )
    notes: list[str] = []
    nodes = [cluster.nodes[key] for key in sorted(cluster.nodes)]
    ports = find_ports(cluster, nodes, notes)
    segments = _segments(cluster, ports)
    prefix = "egl-" if name == "egl" else f"egl-{name}_"
    workloads = _workloads(cluster, prefix, limits, only, notes)
    ground = _Ground(cluster, prefix, segments, notes)
    plans = tuple(_node(ground, node, index) for index, node in enumerate(nodes))
    pods = [ip_network(address) for w in workloads for address in w.addresses]
    subnets = [subnet for segment in segments for subnet in segment.subnets]
    addresses = [ip_network(address) for node in nodes for address in node.addresses]
    return LabPlan(
        name=name,
        hub=f"{prefix}hub",
        bridges=tuple(segment.bridge for segment in segments),
        outside=OutsidePlan(
            namespace=f"{prefix}outside",
            links=tuple(
                Link(segment.device, f"o{segment.number}", segment.bridge, tuple(map(str, segment.outside)))
                for segment in segments
            ),
            on_link=_on_link(ground, {plan.name: plan for plan in plans}),
            unreachable=_collapsed([*cluster.workload_ranges, *pods]),
        ),
        nodes=plans,
        workloads=workloads,
        pod_ranges=_collapsed([*cluster.workload_ranges, *pods]),
        inside_ranges=_collapsed([*cluster.cluster_ranges, *pods, *subnets, *addresses]),
        notes=tuple(notes),
    )


def _segments(cluster: Cluster, ports: Sequence[Port]) -> tuple[_Segment, ...]:
    # Merging by label until nothing changes: a port joins all its subnets, a port without any joins its namesakes.
    labels: list[set[Network | str]] = []
    for port in ports:
        own: set[Network | str] = set(port.subnets())
        if not own:
            own = {port.name} | {subnet for other in ports if other.name == port.name for subnet in other.subnets()}
        touching = [label for label in labels if label & own]
        labels = [label for label in labels if not label & own] + [own.union(*touching)]
    groups = []
    for label in labels:
        members = tuple(p for p in ports if not label.isdisjoint(list(p.subnets()) or [p.name]))
        subnets = sorted((n for n in label if not isinstance(n, str)), key=_network_key)
        groups.append((members, tuple(subnets)))
    groups.sort(key=lambda group: (not group[1], [_network_key(n) for n in group[1]], group[0][0].name))
    used = {a.ip for port in ports for a in port.addresses} | virtual_ips(cluster)
    return tuple(
        _Segment(number, members, subnets, tuple(_outside_addresses(members, subnets, used)))
        for number, (members, subnets) in enumerate(groups)
    )


def _network_key(network: Network) -> tuple[int, int, int]:
    return (network.version, int(network.network_address), network.prefixlen)


def _outside_addresses(
    members: Sequence[Port], subnets: Sequence[Network], used: set[Address]
) -> Iterator[IPInterface]:
    """The gateways that nodes name on this wire are outside; a subnet without one gets its highest free address."""
    named = {
        route.gateway
        for port in members
        if port.node.network
        for route in port.node.network.default_routes
        if route.interface == port.name and route.gateway is not None and route.gateway not in used
    }
    for subnet in subnets:
        inside = sorted(g for g in named if g.version == subnet.version and g in subnet)
        if not inside:
            last = int(subnet.broadcast_address) - (subnet.max_prefixlen == Family.IPV4.bits)
            free = (subnet.network_address + n for n in range(last - int(subnet.network_address), 0, -1))
            inside = list(islice((address for address in free if address not in used), 1))
        yield from (interface_address(address, subnet.prefixlen) for address in inside)
    for gateway in sorted(named, key=lambda g: (g.version, int(g))):
        if not any(gateway.version == subnet.version and gateway in subnet for subnet in subnets):
            yield interface_address(gateway, 64 if gateway.is_link_local else gateway.max_prefixlen)


def _workloads(
    cluster: Cluster, prefix: str, limits: Limits, only: Sequence[str], notes: list[str]
) -> tuple[WorkloadPlan, ...]:
    workloads = list(cluster.workloads)
    if only:
        if unknown := sorted(set(only) - {workload.key for workload in workloads}):
            raise LabError(f"the input has no workload {unknown[0]!r}; write NAMESPACE/NAME")
        workloads = [workload for workload in workloads if workload.key in only]
    homeless = [workload.key for workload in workloads if workload.node not in cluster.nodes]
    if homeless:
        notes.append(f"workloads on nodes that are not in the input are left out: {len(homeless)}, first {homeless[0]}")
        workloads = [workload for workload in workloads if workload.node in cluster.nodes]
    if len(workloads) > limits.workloads:
        notes.append(
            f"the input has {len(workloads)} workloads and the lab builds the first {limits.workloads}; "
            "choose others with --workload, or raise the limit with --max-workloads"
        )
        workloads = workloads[: limits.workloads]
    return tuple(_workload(workload, index, prefix) for index, workload in enumerate(workloads))


def _workload(workload: Workload, index: int, prefix: str) -> WorkloadPlan:
    kind = "wl" if workload.kind == "Pod" else "vm"
    return WorkloadPlan(
        key=workload.key,
        kind=workload.kind,
        namespace=_file_name(f"{prefix}{kind}-{workload.namespace}.{workload.name}"),
        node=workload.node,
        veth=f"wl{index}",
        mac=f"02:e6:00:00:{index >> 8:02x}:{index & 255:02x}",
        node_mac=f"02:e6:00:01:{index >> 8:02x}:{index & 255:02x}",
        addresses=tuple(str(address) for _, address in sorted(workload.addresses.items())),
    )


def _file_name(text: str) -> str:
    # A namespace is a file in /run/netns: 255 bytes. Prefix 35, Kubernetes namespace 63 and pod name 253 exceed it.
    return text if len(text) <= _NAME_LENGTH else f"{text[:180]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _node(ground: _Ground, node: Node, index: int) -> NodePlan:
    own = {port.name: (segment, port) for segment in ground.segments for port in segment.ports if port.node is node}
    listed = [i.name for i in node.network.interfaces] if node.network else []
    names = sorted(own, key=lambda name: (listed.index(name) if name in listed else -1, name))
    defaults = tuple(_defaults(node, [own[name] for name in names], ground.notes))
    return NodePlan(
        name=node.name,
        namespace=_file_name(f"{ground.prefix}node-{node.name}"),
        links=tuple(
            Link(name, f"n{index}p{number}", own[name][0].bridge, tuple(map(str, own[name][1].addresses)))
            for number, name in enumerate(names)
        ),
        defaults=defaults,
        next_hops=tuple(_next_hops(ground, node)),
        entrances=tuple(_entrances(node, {name: own[name][1] for name in names}, defaults)),
    )


def _defaults(node: Node, own: Sequence[tuple[_Segment, Port]], notes: list[str]) -> Iterator[model.DefaultRoute]:
    if node.network and node.network.routes_known:
        names = {port.name for _, port in own}
        for route in node.network.default_routes:
            if route.interface not in names:
                notes.append(f"node {node.name}: no default route by {route.interface}, which the lab does not build")
                continue
            via = None if route.gateway is None else str(route.gateway)
            yield model.DefaultRoute(str(route.family.everything), via, route.interface)
        return
    for family in Family:
        usable = [(segment, port) for segment, port in own if port.of(family)]
        internal = node.internal_ips.get(family)
        public = [entry for entry in usable if all(a.ip != internal for a in entry[1].addresses)]
        for segment, port in (public or usable)[-1:]:
            gateways = [o.ip for o in segment.outside for a in port.of(family) if o.ip in a.network]
            if gateways:
                yield model.DefaultRoute(str(family.everything), str(gateways[0]), port.name)


def _next_hops(ground: _Ground, node: Node) -> Iterator[NextHop]:
    cluster, segments = ground.cluster, ground.segments
    networks = [a.network for segment in segments for p in segment.ports if p.node is node for a in p.addresses]
    for other in (cluster.nodes[key] for key in sorted(cluster.nodes)):
        if other is node:
            continue
        listed = [a.ip for segment in segments for p in segment.ports if p.node is other for a in p.addresses]
        found = False
        for family in Family:
            internal = other.internal_ips.get(family)
            candidates: list[Address] = [] if internal is None else [internal]
            candidates += [address for address in listed if address.version == family]
            near = [c for c in candidates if any(n.version == family and c in n for n in networks)]
            if near:
                found = True
                yield NextHop(other.name, int(family), str(near[0]))
        if not found:
            ground.notes.append(
                f"node {node.name}: shares no network with {other.name}, so pods of one do not reach the other's"
            )


def _entrances(node: Node, ports: Mapping[str, Port], defaults: Sequence[model.DefaultRoute]) -> Iterator[str]:
    # Strict reverse-path filtering drops what comes in by another interface than the one that leads back.
    for family in Family:
        devices = [route.device for route in defaults if route.everything == str(family.everything)]
        addresses: list[Address] = [a.ip for device in devices[:1] for a in ports[device].of(family)]
        if family in node.internal_ips:
            addresses.append(node.internal_ips[family])
        if addresses:
            yield str(addresses[0])


def _on_link(ground: _Ground, plans: Mapping[str, NodePlan]) -> tuple[OnLink, ...]:
    cluster, segments = ground.cluster, ground.segments
    result = [OnLink(str(subnet), segment.device) for segment in segments for subnet in segment.subnets]
    for name in sorted(cluster.gateways):
        gateway = cluster.gateways[name]
        vip = gateway.virtual_ip
        if vip is None or any(vip.version == n.version and vip in n for s in segments for n in s.subnets):
            continue
        members = [(segment, port) for segment in segments for port in segment.ports if selects(gateway, port.node)]
        by_name = [segment for wish in gateway.interfaces for segment, port in members if port.name == wish]
        everything = str(Family(vip.version).everything)
        routed = [
            segment
            for segment, port in members
            if any((r.device, r.everything) == (port.name, everything) for r in plans[port.node.name].defaults)
        ]
        choice = by_name or routed or [segment for segment, _ in members]
        if choice:
            result.append(OnLink(f"{vip}/{vip.max_prefixlen}", choice[0].device))
        else:
            ground.notes.append(f"gateway {name}: no node for its virtual IP {vip}, so outside has no route back to it")
    return tuple(result)


def _collapsed(networks: Iterable[Network]) -> tuple[str, ...]:
    listed = list(networks)
    four = [n for n in listed if isinstance(n.network_address, IPv4Address)]
    six = [n for n in listed if not isinstance(n.network_address, IPv4Address)]
    return tuple(str(n) for group in (four, six) for n in collapse_addresses(group))  # type: ignore[type-var]
