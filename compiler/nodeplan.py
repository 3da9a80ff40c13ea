"""What one node is to do, ready to be written down: the value that `plan` makes and `render` formats.

Nodes share the parts that are the same for many of them: a class of workloads, of which a cluster has thousands, is one
object in all plans that decide the same for it. Its elements are made text once, and not once a node.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from bundle.model import Addresses, Routing
from bundle.ruleset import format_classid, format_range
from compiler.model import Address, Family, Network

Elements = Mapping[Family, tuple[str, ...]]
"""Elements of a set or map for each address family, in nft's words."""

SEPARATOR: Final = ",\n\t\t\t"
"""Between two elements in a ruleset."""


@dataclass(frozen=True)
class Ranges:
    """Prefixes of both families, sorted, none of which overlaps another."""

    networks: tuple[Network, ...]

    @cached_property
    def elements(self) -> Elements:
        """The elements of a set of addresses."""
        return {
            family: tuple(
                format_range(network.network_address, network.broadcast_address)
                for network in self.networks
                if network.version == family
            )
            for family in Family
        }


Span = tuple[int, int, str]
"""Destinations from the first number to the second, both included, and the verdict on them in nft's words."""


@dataclass(frozen=True)
class Routes:
    """What is decided for a class of workloads.

    Attributes:
        key: What stands before the destination in a map of several classes, as in `1a2b:3c4d . `; empty where the class
            has a map of its own.
        spans: For each family that its workloads have, in ascending order.
    """

    key: str
    spans: Mapping[Family, tuple[Span, ...]]

    @cached_property
    def text(self) -> Mapping[Family, str]:
        """The elements of the map of routes, all as one text."""
        return {
            family: SEPARATOR.join(f"{self.key}{_range(low, high, family)} : {verdict}" for low, high, verdict in spans)
            for family, spans in self.spans.items()
        }


@lru_cache(maxsize=1 << 16)  # policies name the same destinations again and again
def _range(low: int, high: int, family: Family) -> str:
    make = type(family.everything.network_address)
    return format_range(make(low), make(high))


@dataclass(frozen=True, slots=True)
class LocalClass:
    """A class of workloads of this node, which has a chain and maps of its own; `members` says which, for readers."""

    chain: str
    class_id: int
    members: str
    routes: Routes


@dataclass(frozen=True)
class RemoteSources:
    """The addresses of other nodes' workloads of one class as text, in the order of the workloads."""

    class_id: int
    addresses: Mapping[Family, tuple[str, ...]]

    @cached_property
    def elements(self) -> Elements:
        """The elements of the map of remote workloads."""
        number = format_classid(self.class_id)
        return {
            family: tuple(f"{address} : {number}" for address in addresses)
            for family, addresses in self.addresses.items()
        }


@dataclass(frozen=True, slots=True)
class RemoteClass:
    """A class of other nodes' workloads, one of a bucket's; `members` says which those are, for readers."""

    class_id: int
    members: str
    sources: RemoteSources
    routes: Routes


@dataclass(frozen=True)
class NextHop:
    """A gateway node to which packets are sent under a mark."""

    node: str
    chain: str
    mark: int
    addresses: tuple[Address, ...]

    def __hash__(self) -> int:
        return self.mark  # near enough, and quick: addresses compute theirs in Python

    @cached_property
    def elements(self) -> Elements:
        """The elements of the set of next hops."""
        return {
            family: tuple(f"0x{self.mark:08x} . {item}" for item in self.addresses if item.version == family)
            for family in Family
        }


@dataclass(frozen=True, slots=True)
class Translation:
    """A gateway whose packets are translated here under a mark.

    Attributes:
        gateway: Its name.
        mark_chain: Chain that marks its packets.
        nat_chain: Chain that translates them.
        mark: The mark.
        addresses: Source addresses, one a family.
        armed: Whether packets are translated now; a standby may do so only with an address that is the gateway's
            wherever it is served, which a virtual IP is.
        masquerade: Interface on which the node finds the address itself; None when the addresses are known.
    """

    gateway: str
    mark_chain: str
    nat_chain: str
    mark: int
    addresses: tuple[Address, ...]
    masquerade: str | None
    armed: bool


@dataclass(frozen=True, slots=True)
class NodePlan:
    """All of one node; every tuple is sorted and every map of the ruleset is one of them.

    Attributes:
        node: Name of the node.
        mark_mask: Bits of the packet mark that are ours.
        node_interfaces: Interfaces with its InternalIPs, by which other nodes' packets come; empty when unknown.
        cluster: Destinations that are never redirected.
        stray_sources: Addresses of workloads that may arrive from other nodes, to be dropped if not translated.
        sources: Addresses of workloads of this node, whose packets are decided here, with the chains of their classes.
        classes: Their classes, sorted by number.
        remotes: Classes of workloads of other nodes whose packets may come here to be translated, sorted by number.
        next_hops: Gateway nodes that packets are sent to.
        translations: Gateways that this node serves or stands by for.
        routing: `routing.json`.
        addresses: `addresses.json`.
        contested: Whether a workload of this node has an address of another.
    """

    node: str
    mark_mask: int
    node_interfaces: tuple[str, ...]
    cluster: Ranges
    stray_sources: Ranges
    sources: Elements
    classes: tuple[LocalClass, ...]
    remotes: tuple[RemoteClass, ...]
    next_hops: tuple[NextHop, ...]
    translations: tuple[Translation, ...]
    routing: Routing
    addresses: Addresses
    contested: bool
