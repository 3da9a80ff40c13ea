"""Frozen values between the stages: what a cluster is once its YAML has been understood.

Nothing here knows about files, YAML or pydantic. Tuples are sorted by the stage that makes them.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from compiler.diagnostics import Place

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Labels = Mapping[str, str]
Algorithm = Literal["rendezvous", "balanced"]
"""`EgressCompilerConfig.spec.election.algorithm`."""


class Family(enum.IntEnum):
    """Address family; the value is the IP version, as in `ipaddress`' `.version`."""

    IPV4 = 4
    IPV6 = 6

    @property
    def label(self) -> Literal["ipv4", "ipv6"]:
        """The name used in the bundle's JSON."""
        return "ipv4" if self is Family.IPV4 else "ipv6"

    @property
    def bits(self) -> int:
        """Length of an address in bits."""
        return 32 if self is Family.IPV4 else 128

    @property
    def everything(self) -> Network:
        """The prefix that holds every address."""
        return IPv4Network("0.0.0.0/0") if self is Family.IPV4 else IPv6Network("::/0")


def by_family(addresses: Iterable[Address]) -> dict[Family, Address]:
    """Returns the first address of each family, IPv4 before IPv6."""
    result: dict[Family, Address] = {}
    for address in addresses:
        result.setdefault(Family(address.version), address)
    return dict(sorted(result.items())) if next(iter(result), None) is Family.IPV6 else result


class Mode(enum.Enum):
    """`EgressGateway.spec.sourceIP.mode`."""

    PRIMARY = "PrimaryIPFromEgressGatewayNodeInterface"
    VIRTUAL = "VirtualIPAddress"


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """An address of an interface with its prefix length, in the order of the NodeNetworkState."""

    address: Address
    prefix_length: int


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface as the node's NodeNetworkState tells it."""

    name: str
    addresses: tuple[InterfaceAddress, ...]


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """A default route of the node's main table."""

    family: Family
    interface: str
    gateway: Address | None


@dataclass(frozen=True, slots=True)
class NodeNetwork:
    """What a NodeNetworkState says; `routes_known` is False when it has no `routes.running`."""

    interfaces: tuple[Interface, ...]
    default_routes: tuple[DefaultRoute, ...]
    routes_known: bool


@dataclass(frozen=True, slots=True)
class Node:
    """A cluster node.

    Attributes:
        internal_ips: The first InternalIP of each family.
        addresses: All its InternalIPs and ExternalIPs.
        network: None when the snapshot has no NodeNetworkState for it.
    """

    name: str
    labels: Labels
    ready: bool
    cordoned: bool
    deleting: bool
    internal_ips: Mapping[Family, Address]
    addresses: tuple[Address, ...]
    pod_cidrs: tuple[Network, ...]
    network: NodeNetwork | None
    place: Place


@dataclass(frozen=True)
class Workload:
    """A Pod or VirtualMachine with an address and a node; at most one address a family."""

    kind: Literal["Pod", "VirtualMachine"]
    namespace: str
    name: str
    node: str
    labels: Labels
    service_account: str
    addresses: Mapping[Family, Address]
    place: Place

    @property
    def key(self) -> str:
        """`NAMESPACE/NAME`, as on the command line."""
        return f"{self.namespace}/{self.name}"

    @cached_property
    def texts(self) -> Mapping[Family, str]:
        """Its addresses as text, which stands in many files and is made once."""
        return {family: str(address) for family, address in self.addresses.items()}

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes it this one among the workloads of a cluster, and its place among them."""
        return (self.namespace, self.name, self.kind)


@dataclass(frozen=True, slots=True)
class AgentPod:
    """A pod that is a CNI agent, as the configuration knows it: what suitability asks about it."""

    node: str
    ready: bool
    deleting: bool


@dataclass(frozen=True, slots=True)
class Requirement:
    """One `matchExpressions` entry; a `matchLabels` entry is an In with one value."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Selector:
    """One entry of `spec.selectors`: all requirements of both parts must hold; None means the part is absent."""

    pod: tuple[Requirement, ...] | None
    namespace: tuple[Requirement, ...] | None
    place: Place


@dataclass(frozen=True, slots=True)
class Gateway:
    """An EgressGateway; `interface` in primary mode, `virtual_ip` and `interfaces` in virtual mode."""

    name: str
    node_selector: Labels
    mode: Mode
    interface: str | None
    virtual_ip: Address | None
    interfaces: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Policy:
    """An EgressGatewayPolicy.

    Attributes:
        destinations: Its `destinationCIDRs`, sorted, each with the place where it is written.
        excluded: Its `excludedCIDRs`, alike.
        created: `metadata.creationTimestamp`, None when absent.
    """

    name: str
    gateway: str
    # Names are unique; to hash these too would take as long as there are prefixes, at each look into a set.
    destinations: Mapping[Network, Place] = field(hash=False)
    excluded: Mapping[Network, Place] = field(hash=False)
    selectors: tuple[Selector, ...] = field(hash=False)
    created: str | None
    place: Place

    @property
    def precedence(self) -> tuple[bool, str, str]:
        """Sort key: the older decides between equal prefixes, then the lower name (semantics.md §5)."""
        return (self.created is None, self.created or "", self.name)


@dataclass(frozen=True, slots=True)
class Config:
    """Knobs of the compiler, all with defaults; `inputs/egress.py` has the kind that sets them."""

    agent_enabled: bool = True
    agent_namespace: str = "d8-cni-cilium"
    agent_labels: tuple[tuple[str, str], ...] = (("app", "agent"),)
    election: Algorithm = "rendezvous"
    pod_cidrs: tuple[Network, ...] = ()
    service_cidrs: tuple[Network, ...] = ()
    extra_cidrs: tuple[Network, ...] = ()
    mark_mask: int = 0
    rule_priority: int = 0
    table_base: int = 0

    @property
    def mark_shift(self) -> int:
        """How far the lowest bit of the mask is from the right."""
        return mask_shift(self.mark_mask)


def mask_shift(mask: int) -> int:
    """Returns how far the lowest bit of a mask is from the right."""
    return (mask & -mask).bit_length() - 1 if mask else 0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything the later stages need, from all inputs together.

    Attributes:
        nodes: By name.
        workloads: Sorted by namespace and name, virtual machines and their pods already one.
        agents: Pods that match the configured agent, on any node.
        contested: Groups of workloads that have an address of each other.
        namespaces: Labels of each Namespace of the snapshot.
        gateways: By name.
        policies: In order of precedence; a gateway that one names may be missing, and then the traffic is dropped.
        virtual_ips: Those of all gateways, also of one that is left out, whose address may still be bound on a node.
        lost_addresses: Addresses of nodes that are left out.
        workload_ranges: Pod and VirtualMachine ranges.
        cluster_ranges: All that is never redirected apart from node addresses: pods, services, VMs, extra ranges.
        config: The knobs.
        digest: SHA-256 of the content of the inputs.
    """

    nodes: Mapping[str, Node]
    workloads: tuple[Workload, ...]
    contested: tuple[tuple[Workload, ...], ...]
    agents: tuple[AgentPod, ...]
    namespaces: Mapping[str, Labels]
    gateways: Mapping[str, Gateway]
    policies: tuple[Policy, ...]
    virtual_ips: frozenset[Address]
    lost_addresses: tuple[Address, ...]
    workload_ranges: tuple[Network, ...]
    cluster_ranges: tuple[Network, ...]
    config: Config
    digest: str
