"""Ranges of addresses: the fewest prefixes that cover them, and what no policy redirects (semantics.md §6)."""

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Final

from compiler.findings import network_key
from compiler.intervals import merge
from compiler.model import Address, Cluster, Family, Network, Node
from compiler.suitability import is_global

# Loopback, link-local, multicast, broadcast.
_NEVER_REDIRECTED: Final = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::1/128",
        "fe80::/10",
        "ff00::/8",
    )
)


def collapse(networks: Iterable[Network]) -> tuple[Network, ...]:
    """Returns the fewest prefixes that cover the same addresses, sorted; the families stay apart."""
    networks = tuple(networks)
    four = collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
    six = collapse_addresses(network for network in networks if isinstance(network, IPv6Network))
    return tuple(sorted((*four, *six), key=network_key))


class Cover:
    """Addresses of one family that some prefixes cover, to be asked about spans of numbers."""

    def __init__(self, networks: Iterable[Network]) -> None:
        own = sorted((int(item.network_address), int(item.broadcast_address), None) for item in networks)
        stretches = merge(own)
        self._lows = [low for low, _, _ in stretches]
        self._highs = [high for _, high, _ in stretches]

    def holds(self, low: int, high: int) -> bool:
        """Tells whether all addresses from `low` to `high` are covered."""
        index = bisect_right(self._lows, low) - 1
        return index >= 0 and high <= self._highs[index]

    def holds_address(self, address: Address) -> bool:
        """Tells whether an address is covered."""
        number = int(address)
        return self.holds(number, number)


def covers(networks: Iterable[Network]) -> dict[Family, Cover]:
    """Returns what prefixes, none of which overlaps another, cover of each family."""
    networks = tuple(networks)
    return {family: Cover(item for item in networks if item.version == family) for family in Family}


def without(networks: Iterable[Network], addresses: Iterable[Address]) -> tuple[Network, ...]:
    """Returns prefixes that cover the same less some addresses."""
    kept = set(networks)
    for address in addresses:
        host = ip_network(address)
        lengths = {network.prefixlen for network in kept if network.version == address.version}
        for around in {host.supernet(new_prefix=length) for length in lengths} & kept:
            kept.remove(around)
            kept.update(_exclude(around, host))
    return collapse(kept)


def _exclude(network: Network, host: Network) -> Iterable[Network]:
    if isinstance(network, IPv4Network) and isinstance(host, IPv4Network):
        return network.address_exclude(host)
    if isinstance(network, IPv6Network) and isinstance(host, IPv6Network):
        return network.address_exclude(host)
    return (network,)


def never_redirected(cluster: Cluster) -> tuple[Network, ...]:
    """Returns the destinations that go their ordinary way whatever the policies say."""
    # While a virtual IP is bound, a snapshot shows it on a node; the plan must not depend on that.
    nodes = cluster.nodes.values()
    node_addresses = {
        ip_network(address)
        for address in (*cluster.lost_addresses, *(a for n in nodes for a in (*n.addresses, *_interface_addresses(n))))
        if address not in cluster.virtual_ips and is_global(address)
    }
    return collapse((*_NEVER_REDIRECTED, *cluster.cluster_ranges, *node_addresses))


def _interface_addresses(node: Node) -> Iterable[Address]:
    interfaces = node.network.interfaces if node.network else ()
    return (entry.address for interface in interfaces for entry in interface.addresses)
