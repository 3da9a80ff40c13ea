"""Whether a node can serve a gateway, why not, and with which source address (semantics.md §4 and §7)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from compiler.model import Address, Cluster, Family, Gateway, InterfaceAddress, Mode, Node, NodeNetwork

_SHOWN: Final = 5
_NO_MEMBER: Final = ("SelectorMismatch",)


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
    """The verdict on one node for one gateway; `source` is None unless suitable."""

    reasons: tuple[str, ...]
    source: Source | None

    @property
    def suitable(self) -> bool:
        """Whether nothing is in the way."""
        return not self.reasons

    @property
    def member(self) -> bool:
        """Whether the gateway's selector takes the node, suitable or not."""
        return self.reasons != _NO_MEMBER


def judge(gateway: Gateway, cluster: Cluster) -> dict[str, Suitability]:
    """Judges every node of the cluster for one gateway, in order of node name."""
    agents = {agent.node for agent in cluster.agents if agent.ready and not agent.deleting}
    return {name: _judge(gateway, node, cluster, agents) for name, node in sorted(cluster.nodes.items())}


def _judge(gateway: Gateway, node: Node, cluster: Cluster, agents: set[str]) -> Suitability:
    if any(node.labels.get(key) != value for key, value in gateway.node_selector.items()):
        return Suitability(_NO_MEMBER, None)
    source = find_source(gateway, node, cluster.virtual_ips)
    checks = {
        "NotReady": not node.ready,
        "Cordoned": node.cordoned,
        "Deleting": node.deleting,
        "AgentNotReady": cluster.config.agent_enabled and node.name not in agents,
    }
    reasons = [reason for reason, failed in checks.items() if failed]
    if isinstance(source, str):
        reasons.append(source)
    return Suitability(tuple(reasons), None if reasons or isinstance(source, str) else source)


def why_none(verdicts: Mapping[str, Suitability]) -> str:
    """Says why no node is suitable: the first members with their reasons, or that there are no members."""
    members = [(node, v.reasons) for node, v in verdicts.items() if v.member]
    if not members:
        return "no node has the labels of spec.nodeSelector"
    shown = "; ".join(f"{node}: {', '.join(reasons)}" for node, reasons in members[:_SHOWN])
    return shown + (f"; and {len(members) - _SHOWN} more" if len(members) > _SHOWN else "")


def find_source(gateway: Gateway, node: Node, virtual_ips: Collection[Address]) -> Source | str:
    """Finds the source address that a gateway has on a node.

    Args:
        gateway: The gateway.
        node: The node.
        virtual_ips: Virtual IPs of all gateways, which are no node's own addresses even while bound there.

    Returns:
        The source, or the reason why there can be none: `InterfaceMissing` or `AddressMissing`.
    """
    if gateway.mode is Mode.PRIMARY:
        return _primary(gateway, node, virtual_ips)
    return _virtual(gateway, node)


def _primary(gateway: Gateway, node: Node, virtual_ips: Collection[Address]) -> Source | str:
    if node.network is None:
        return Source({}, gateway.interface, masquerade=True)
    interface = next((item for item in node.network.interfaces if item.name == gateway.interface), None)
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


def _virtual(gateway: Gateway, node: Node) -> Source | str:
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
    return entry.address.version == address.version and address in ip_network(
        f"{entry.address}/{entry.prefix_length}", strict=False
    )


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
