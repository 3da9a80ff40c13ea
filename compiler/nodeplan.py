"""What one node is to do, ready to be written down: the value that `plan` makes and `render` formats."""

from dataclasses import dataclass

from bundle.model import Addresses, Routing
from compiler.model import Address


@dataclass(frozen=True, slots=True)
class Range:
    """Addresses `low` to `high` of one family, both included."""

    low: Address
    high: Address


@dataclass(frozen=True, slots=True)
class SourceElement:
    """A workload's address and the chain of its class."""

    address: Address
    chain: str


@dataclass(frozen=True, slots=True)
class RemoteElement:
    """The address of another node's workload and the number of its class."""

    address: Address
    class_id: int


@dataclass(frozen=True, slots=True)
class RouteElement:
    """Destinations of a class and the verdict on them, in nft's words."""

    class_id: int
    range: Range
    verdict: str


@dataclass(frozen=True, slots=True)
class ClassChain:
    """The chain of a class of workloads; `members` says which those are, for readers."""

    name: str
    class_id: int
    members: str


@dataclass(frozen=True, slots=True)
class RemoteClass:
    """A class of other nodes' workloads, which has no chain; `members` says which those are, for readers."""

    class_id: int
    members: str


@dataclass(frozen=True, slots=True)
class NextHop:
    """A gateway node to which packets are sent under a mark."""

    node: str
    chain: str
    mark: int
    addresses: tuple[Address, ...]


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
        sources: Workloads of this node, whose packets are decided here.
        routes: What is decided.
        classes: Chains of the classes.
        remotes: Workloads of other nodes whose packets may come here to be translated.
        remote_routes: What is decided of them.
        remote_classes: Their classes.
        next_hops: Gateway nodes that packets are sent to.
        translations: Gateways that this node serves or stands by for.
        routing: `routing.json`.
        addresses: `addresses.json`.
        contested: Whether a workload of this node has an address of another.
    """

    node: str
    mark_mask: int
    node_interfaces: tuple[str, ...]
    cluster: tuple[Range, ...]
    stray_sources: tuple[Range, ...]
    sources: tuple[SourceElement, ...]
    routes: tuple[RouteElement, ...]
    classes: tuple[ClassChain, ...]
    remotes: tuple[RemoteElement, ...]
    remote_routes: tuple[RouteElement, ...]
    remote_classes: tuple[RemoteClass, ...]
    next_hops: tuple[NextHop, ...]
    translations: tuple[Translation, ...]
    routing: Routing
    addresses: Addresses
    contested: bool
