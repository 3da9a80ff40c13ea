"""Whether a node can serve a gateway, why not, and with which source address (semantics.md §4 and §7)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from compiler.members import Members
from compiler.model import Address, AgentPod, Cluster, Family, Gateway, InterfaceAddress, Mode, Node, NodeNetwork

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Source:
    """The source address of a gateway on one node.

    Attributes:
        addresses: Per family; empty when the node's interfaces are unknown in primary mode.
        interface: Where the address is or is to be bound; None when only the node can tell.
        masquerade: True when the node itself has to find the address of `interface`.
    """

    addresses: Mapping[Family, Address]
    interface: str | None
    masquerade: bool = False


@dataclass(frozen=True, slots=True)
class Suitability:
    """The verdict on a member node of a gateway; `source` is None unless suitable."""

    reasons: tuple[str, ...]
    source: Source | None

    @property
    def suitable(self) -> bool:
        """Whether nothing is in the way."""
        return not self.reasons


Verdicts = Mapping[str, Mapping[str, Suitability]]
"""Gateway to member node, in order of name, to verdict."""


def judge(cluster: Cluster) -> dict[str, dict[str, Suitability]]:
    """Judges the member nodes of every gateway.

    Returns:
        Gateway name to node name, in order, to verdict.
    """
    members, judges = Members(cluster.nodes), Judge(cluster)
    return {
        name: {node: judges.verdict(gateway, node) for node in members.of(gateway)}
        for name, gateway in cluster.gateways.items()
    }


class Judge:
    """Judges one node for one gateway; what is the same for many gateways is worked out once a node."""

    def __init__(self, cluster: Cluster) -> None:
        self._nodes = cluster.nodes
        self._virtual_ips = cluster.virtual_ips
        self._agents = serving(cluster.agents)
        self._agents_asked = cluster.config.agent_enabled
        self._states: dict[str, tuple[str, ...]] = {}
        self._primary: dict[tuple[str, str | None], Source | str] = {}

    def verdict(self, gateway: Gateway, name: str) -> Suitability:
        """Returns the verdict on a node that the gateway's selector takes."""
        node = self._nodes[name]
        reasons, source = self._state(node), self._source(gateway, node)
        if isinstance(source, str):
            return Suitability((*reasons, source), None)
        return Suitability(reasons, None if reasons else source)

    def _state(self, node: Node) -> tuple[str, ...]:
        """Returns what is against a node whatever the gateway."""
        if node.name not in self._states:
            checks = {
                "NotReady": not node.ready,
                "Cordoned": node.cordoned,
                "Deleting": node.deleting,
                "AgentNotReady": self._agents_asked and node.name not in self._agents,
            }
            self._states[node.name] = tuple(reason for reason, failed in checks.items() if failed)
        return self._states[node.name]

    def _source(self, gateway: Gateway, node: Node) -> Source | str:
        if gateway.mode is Mode.VIRTUAL:
            return virtual_source(gateway, node)
        key = (node.name, gateway.interface)
        if key not in self._primary:
            self._primary[key] = _primary_source(gateway.interface, node, self._virtual_ips)
        return self._primary[key]


def serving(agents: Iterable[AgentPod]) -> set[str]:
    """Returns the nodes on which an agent is ready and stays."""
    return {agent.node for agent in agents if agent.ready and not agent.deleting}


def why_none(verdicts: Mapping[str, Suitability]) -> str:
    """Says why no node is suitable: the first members with their reasons, or that there are no members."""
    if not verdicts:
        return "no node has the labels of spec.nodeSelector"
    shown = "; ".join(f"{node}: {', '.join(verdict.reasons)}" for node, verdict in islice(verdicts.items(), _SHOWN))
    return shown + (f"; and {len(verdicts) - _SHOWN} more" if len(verdicts) > _SHOWN else "")


def _primary_source(name: str | None, node: Node, virtual_ips: Collection[Address]) -> Source | str:
    """Finds the source address of a gateway in primary mode.

    Args:
        name: The interface that the gateway names.
        node: The node.
        virtual_ips: Virtual IPs of all gateways, which are no node's own addresses even while bound there.

    Returns:
        The source, or the reason why there can be none: `InterfaceMissing` or `AddressMissing`.
    """
    if node.network is None:
        return Source({}, name, masquerade=True)
    interface = next((item for item in node.network.interfaces if item.name == name), None)
    if interface is None:
        return "InterfaceMissing"
    addresses: dict[Family, Address] = {}
    # The kernel lists secondary IPv4 addresses after the primary one of their subnet, so the first is primary. Of IPv6
    # it lists the newest first, which may be a host address that somebody bound beside: those come last.
    for entry in sorted(interface.addresses, key=_is_ipv6_host):
        if is_global(entry.address) and entry.address not in virtual_ips:
            addresses.setdefault(Family(entry.address.version), entry.address)
    return Source(dict(sorted(addresses.items())), interface.name) if addresses else "AddressMissing"


def _is_ipv6_host(entry: InterfaceAddress) -> bool:
    return entry.prefix_length == Family.IPV6.bits


def virtual_source(gateway: Gateway, node: Node) -> Source | str:
    """Finds where a node would bind the virtual IP of a gateway, or the reason why it cannot."""
    address = gateway.virtual_ip
    if address is None:
        return "AddressMissing"
    addresses = {Family(address.version): address}
    network = node.network
    if network is None:
        return Source(addresses, gateway.interfaces[0] if len(gateway.interfaces) == 1 else None)
    present = {interface.name for interface in network.interfaces}
    if gateway.interfaces:
        named = next((name for name in gateway.interfaces if name in present), None)
        return Source(addresses, named) if named else "InterfaceMissing"
    # Longest prefix first, as the kernel's own route to the address would go.
    connected = sorted(
        (
            (-entry.prefix_length, interface.name)
            for interface in network.interfaces
            for entry in interface.addresses
            if entry.address != address and holds(entry, address)
        ),
        key=lambda item: item[0],
    )
    by_default = [
        route.interface
        for route in network.default_routes
        if route.family == address.version and route.interface in present
    ]
    found = next(iter([name for _, name in connected] + by_default), None)
    if found is None and network.routes_known:
        return "AddressMissing"
    return Source(addresses, found)


def is_global(address: Address) -> bool:
    """Whether an address has global scope for the kernel: usable as a source beyond the link."""
    return not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)


def holds(entry: InterfaceAddress, address: Address) -> bool:
    """Whether the connected subnet of an interface's address holds another address."""
    # By numbers: this is asked for every gateway and each of its nodes, and to make a network takes ten times as long.
    own = entry.address
    host_bits = own.max_prefixlen - entry.prefix_length
    return own.version == address.version and int(own) >> host_bits == int(address) >> host_bits


def interface_of(network: NodeNetwork, address: Address) -> tuple[str, InterfaceAddress] | None:
    """Returns the interface that holds an address as its own, with the entry that says so."""
    return next(
        (
            (interface.name, entry)
            for interface in network.interfaces
            for entry in interface.addresses
            if entry.address == address
        ),
        None,
    )
