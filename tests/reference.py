"""The reference, second part: who serves a gateway, and what becomes of a packet.

Tests only, and written from the semantics alone, like `reference_inputs`; what is wrong with a cluster is told by
`reference_findings`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import ip_address, ip_network

from reference_inputs import (
    IP,
    Interface,
    Net,
    Node,
    Obj,
    Workload,
    agent_is_well,
    configuration,
    never_redirected,
    nodes,
    of_kind,
    policy_selects,
    workloads,
)

PRIMARY = "PrimaryIPFromEgressGatewayNodeInterface"
VIRTUAL = "VirtualIPAddress"


@dataclass(frozen=True)
class Candidate:
    """A node as a gateway sees it."""

    reasons: list[str]
    """Why it is not suitable; empty when it is."""
    sources: list[IP]
    """Its source addresses, one a family at most."""
    masquerades: bool
    """Its interfaces are unknown: it takes the address that it finds there, of either family."""
    interface: str | None
    """Where a virtual IP would be bound; None in the other mode, and where the node has to choose."""


@dataclass(frozen=True)
class Gateway:
    name: str
    candidates: dict[str, Candidate]
    order: list[str]
    """Suitable nodes, the master first."""

    def source(self, family: int) -> IP | None:
        """The master's source address of a family, if there is a master, and one is known."""
        for address in self.candidates[self.order[0]].sources if self.order else []:
            if address.version == family:
                return address
        return None

    def has_source(self, family: int) -> bool:
        """Whether the master can send packets of a family."""
        masquerades = bool(self.order) and self.candidates[self.order[0]].masquerades
        return masquerades or self.source(family) is not None


@dataclass(frozen=True)
class Entry:
    """A CIDR of a policy, taken to its gateway or excluded."""

    policy: str
    cidr: Net
    excluded: bool


@dataclass(frozen=True)
class Fate:
    verdict: str
    policy: str | None
    cidr: str | None
    gateway: str | None
    node: str
    source: str | None


class Reference:
    """A cluster as the semantics understand it; its objects must each be valid by themselves."""

    def __init__(self, objects: Sequence[Obj]) -> None:
        self.objects = objects
        self.nodes = nodes(objects)
        self.workloads, self.clashes = workloads(objects)
        self.policies = sorted(of_kind(objects, "network.deckhouse.io", "EgressGatewayPolicy"), key=precedence)
        self.selected = {
            policy["metadata"]["name"]: [w for w in self.workloads if policy_selects(objects, policy, w)]
            for policy in self.policies
        }
        specs = of_kind(objects, "network.deckhouse.io", "EgressGateway")
        self.virtual_ips = [
            (item["metadata"]["name"], ip_address(item["spec"]["sourceIP"]["virtualIPAddress"]["ip"]))
            for item in specs
            if item["spec"]["sourceIP"]["mode"] == VIRTUAL
        ]
        self.cluster = never_redirected(objects, self.nodes, [address for _, address in self.virtual_ips])
        self.gateways = [self._gateway(item) for item in specs]
        self.entries = [entry for policy in self.policies for entry in entries_of(policy)]

    # Who serves a gateway

    def _gateway(self, item: Obj) -> Gateway:
        name = item["metadata"]["name"]
        candidates = {node.name: self._candidate(item, node) for node in self.nodes}
        suitable = [node for node, candidate in candidates.items() if not candidate.reasons]
        return Gateway(name, candidates, sorted(suitable, key=lambda node: digest(name, node)))

    def _candidate(self, gateway: Obj, node: Node) -> Candidate:
        for key, value in gateway["spec"].get("nodeSelector", {}).items():
            if node.labels.get(key) != value:
                return Candidate(["SelectorMismatch"], [], masquerades=False, interface=None)
        reasons = []
        if not node.ready:
            reasons.append("NotReady")
        if node.cordoned:
            reasons.append("Cordoned")
        if node.deleting:
            reasons.append("Deleting")
        if agents_are_asked_for(self.objects) and not agent_is_well(self.objects, node.name):
            reasons.append("AgentNotReady")
        source = gateway["spec"]["sourceIP"]
        if source["mode"] == PRIMARY:
            named = source["primaryIPFromEgressGatewayNodeInterface"]["interfaceName"]
            return self._primary(node, named, reasons)
        return self._virtual(node, source["virtualIPAddress"], reasons)

    def _primary(self, node: Node, named: str, reasons: list[str]) -> Candidate:
        """The first global address of each family on the named interface."""
        if node.interfaces is None:
            return Candidate(reasons, [], masquerades=True, interface=None)
        for interface in node.interfaces:
            if interface.name != named:
                continue
            own = self._own_addresses(interface)
            sources = [family[0] for version in (4, 6) if (family := [a for a in own if a.version == version])]
            missing = [] if sources else ["AddressMissing"]
            return Candidate(reasons + missing, sources, masquerades=False, interface=None)
        return Candidate([*reasons, "InterfaceMissing"], [], masquerades=False, interface=None)

    def _own_addresses(self, interface: Interface) -> list[IP]:
        """Global addresses that are the node's own: a virtual IP that it holds is its gateway's.

        Of IPv6, Linux lists the newest first; a /128 there was bound beside the primary one, so it comes last.
        """
        taken = [address for _, address in self.virtual_ips]
        own = [
            (address.version == 6 and subnet.prefixlen == 128, index, address)
            for index, (address, subnet) in enumerate(interface.addresses)
            if address not in taken and not (address.is_link_local or address.is_loopback or address.is_multicast)
        ]
        return [address for _, _, address in sorted(own)]

    def _virtual(self, node: Node, block: Obj, reasons: list[str]) -> Candidate:
        """The virtual IP, on the interface where it would be bound."""
        address = ip_address(block["ip"])
        named = block.get("interfaces", [])
        if node.interfaces is None:
            only = named[0] if len(named) == 1 else None
            return Candidate(reasons, [address], masquerades=False, interface=only)
        interface = self._interface_for(node, address, named)
        missing = [] if interface else ["InterfaceMissing" if named else "AddressMissing"]
        return Candidate(reasons + missing, [address], masquerades=False, interface=interface)

    def _interface_for(self, node: Node, address: IP, named: list[str]) -> str | None:
        known = node.interfaces or []
        if named:
            existing = [name for name in named if name in [interface.name for interface in known]]
            return existing[0] if existing else None
        connected: list[tuple[int, int, str]] = []
        for interface in known:
            for own, subnet in interface.addresses:
                if address in subnet and own != address:
                    connected.append((-subnet.prefixlen, len(connected), interface.name))
        if connected:
            return min(connected)[2]
        everywhere = "0.0.0.0/0" if address.version == 4 else "::/0"
        ways_out = [
            (route.get("metric", 0), index, route["next-hop-interface"])
            for index, route in enumerate(node.routes)
            if route["destination"] == everywhere and route.get("table-id", 254) == 254
        ]
        return min(ways_out)[2] if ways_out else None

    # What becomes of a packet

    def table(self, workload: Workload, family: int) -> list[Entry]:
        """The routing table of a workload, in the order of precedence between equal CIDRs."""
        return [e for e in self.entries if e.cidr.version == family and workload in self.selected[e.policy]]

    def in_cluster(self, destination: IP) -> bool:
        return any(destination in net for net in self.cluster if net.version == destination.version)

    def deciding(self, workload: Workload, destination: IP, *, below: int = 129) -> Entry | None:
        """The most specific entry, of those shorter than `below`, that holds the destination; the first of equals."""
        return None if self.in_cluster(destination) else self.longest(workload, destination, below=below)

    def longest(self, workload: Workload, destination: IP, *, below: int = 129) -> Entry | None:
        """The same, whether or not the destination is inside the cluster."""
        best = None
        for entry in self.table(workload, destination.version):
            length = entry.cidr.prefixlen
            if destination in entry.cidr and length < below and (best is None or length > best.cidr.prefixlen):
                best = entry
        return best

    def fate(self, workload: Workload, destination: IP) -> Fate:
        """What becomes of a packet that the workload sends from its address of the destination's family."""
        entry = self.deciding(workload, destination)
        if entry is None:
            return Fate("bypass", None, None, None, workload.node, None)
        cidr = str(entry.cidr)
        if entry.excluded:
            return Fate("bypass", entry.policy, cidr, None, workload.node, None)
        gateway = self.gateway_of(entry.policy)
        dropped = Fate("drop", entry.policy, cidr, gateway.name, workload.node, None)
        family = destination.version
        if not gateway.order or not gateway.has_source(family):
            return dropped
        master = gateway.order[0]
        if workload.node != master and self.next_hop(workload.node, master, family) is None:
            return dropped
        source = gateway.source(family)
        return Fate("egress", entry.policy, cidr, gateway.name, master, None if source is None else str(source))

    def gateway_of(self, policy: str) -> Gateway:
        names = [p["spec"]["egressGatewayName"] for p in self.policies if p["metadata"]["name"] == policy]
        return next(gateway for gateway in self.gateways if gateway.name == names[0])

    def node(self, name: str) -> Node | None:
        return next((node for node in self.nodes if node.name == name), None)

    # The way to the master

    def next_hop(self, source: str, master: str, family: int) -> IP | None:
        """The master's InternalIP; none either where the source node has no address to reach it with."""
        here, there = self.node(source), self.node(master)
        if here is None or there is None or here.internal_of(family) is None:
            return None
        return there.internal_of(family)

    def is_on_link(self, source: str, master: str, family: int) -> bool | None:
        """Whether the master is on the link of the interface with the source node's InternalIP; None if unknown."""
        here, hop = self.node(source), self.next_hop(source, master, family)
        if here is None or hop is None or here.interfaces is None:
            return None
        for interface in here.interfaces:
            for address, subnet in interface.addresses:
                if address == here.internal_of(family):
                    return hop in subnet
        return None


def digest(gateway: str, node: str) -> str:
    """The node with the smallest one is master."""
    return sha256(f"{gateway}#{node}".encode()).hexdigest()


def precedence(policy: Obj) -> tuple[bool, datetime, str]:
    """Older first, those without a time last, then by name."""
    text = policy["metadata"].get("creationTimestamp")
    created = datetime.fromisoformat(text) if text else datetime.max.replace(tzinfo=UTC)
    return (text is None, created, policy["metadata"]["name"])


def entries_of(policy: Obj) -> list[Entry]:
    """All CIDRs of a policy; the excluded ones first, since inside one policy the exclusion wins."""
    name = policy["metadata"]["name"]
    return [
        Entry(name, ip_network(text, strict=False), excluded=field == "excludedCIDRs")
        for field in ("excludedCIDRs", "destinationCIDRs")
        for text in policy["spec"].get(field, [])
    ]


def agents_are_asked_for(objects: Sequence[Obj]) -> bool:
    asked: bool = configuration(objects).get("agent", {}).get("enabled", True)
    return asked
