"""The JSON files of a bundle as frozen values; the schemas in `schemas/` are made from these classes.

Field names are written in JSON in camelCase. Addresses and prefixes are strings in canonical form
(`ipaddress`' own), marks are strings of eight hexadecimal digits (`0x05000000`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bundle.values import AddressText, DigestText, InterfaceText, MarkText, NameText, PrefixText

FORMAT_VERSION = 1
"""Version of the bundle format; a reader refuses every other.

Raised by the first change after a release. Before that no bundle of another shape is about but a developer's, whose
missing or unknown field is refused by its name."""

FamilyName = Literal["ipv4", "ipv6"]


@dataclass(frozen=True, slots=True)
class Manifest:
    """`manifest.json`: what the bundle is and the SHA-256 of each of its files.

    Attributes:
        format_version: `FORMAT_VERSION` of the writer.
        compiler_version: Version of egressc that wrote it; informational.
        inputs_digest: SHA-256 over the content of the inputs, independent of file and document order.
        nodes: Names of all nodes that have a part in the bundle, sorted.
        files: Path relative to the bundle, with `/`, to lower-case hexadecimal SHA-256.
    """

    format_version: int
    compiler_version: str
    inputs_digest: str
    nodes: tuple[NameText, ...]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Statement:
    """`signed.json`: what the signature of a bundle, `signed.json.sig`, vouches for.

    Attributes:
        format_version: `FORMAT_VERSION` of the bundle.
        manifest: SHA-256 of `manifest.json` in lower-case hexadecimal; the manifest pins all other files.
        serial: Tells which of two bundles is the newer one, so it only grows: seconds since 1970, unless given.
    """

    format_version: int
    manifest: DigestText
    serial: int


@dataclass(frozen=True, slots=True)
class FwmarkRule:
    """One `ip rule`: packets with `fwmark/fwmask` are routed by `table`."""

    family: FamilyName
    priority: int
    fwmark: MarkText
    fwmask: MarkText
    table: int


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """One `ip rule` that gives reverse path filtering an answer: `from SOURCE`, asked after all other tables.

    A reply from outside enters a node that may have no route at all to its sender, and then even the loose filter drops
    it: the kernel looks the reversed packet up and wants some route. This rule leads to one, whose next hop exists
    nowhere; what would really be sent by it, the ruleset answers with "network unreachable", as without it.
    """

    family: FamilyName
    priority: int
    source: PrefixText
    table: int


@dataclass(frozen=True, slots=True)
class Route:
    """One default route of one of our tables.

    Attributes:
        family: Address family.
        table: Routing table number.
        type: `unicast` to a next hop, or `blackhole`, which drops.
        gateway: Next hop; None for a blackhole.
        device: Interface towards the next hop; None leaves the choice to the kernel's own routes.
        metric: Lower wins.
    """

    family: FamilyName
    table: int
    type: Literal["unicast", "blackhole"]
    gateway: AddressText | None
    device: InterfaceText | None
    metric: int


@dataclass(frozen=True, slots=True)
class Sysctl:
    """One kernel setting; `name` in sysctl(8)'s slash form, since interface names may hold dots."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Routing:
    """`nodes/NODE/routing.json`; `internal_ips` are the addresses under which other nodes hand packets to this one."""

    node: NameText
    internal_ips: tuple[AddressText, ...]
    rules: tuple[FwmarkRule, ...]
    reply_rules: tuple[ReplyRule, ...]
    routes: tuple[Route, ...]
    sysctls: tuple[Sysctl, ...]


@dataclass(frozen=True, slots=True)
class Address:
    """One virtual IP that this node holds as master.

    Attributes:
        address: With its prefix length, `/32` or `/128`.
        interface: Where it is bound; None means the interface of the node's own route to the address.
        announce: Whether neighbours are told (gratuitous ARP, unsolicited neighbour advertisement).
        preferred_lifetime: Seconds; 0 marks an IPv6 address deprecated so that the node's own traffic does not pick
            it as its source; None leaves it unlimited.
        gateways: The EgressGateways it serves.
        peers: Addresses under which the other member nodes of those gateways are known on the link, sorted: nodes that
            `spec.nodeSelector` takes, suitable or not, since one that is not ready may still answer. Of the virtual
            IP's family, and of each node: its InternalIP; and where the snapshot tells its interfaces, its own on the
            interface where it would bind the virtual IP and on those whose subnet holds it, but no host addresses
            (`/32`, `/128`), which may float as virtual IPs do. Whoever binds the virtual IP asks for it first. An
            answer from the link-layer address of one of the peers is a former holder's, who will give it up; any other
            is a stranger's, and a reason not to bind it. A node that left the selector or the cluster is a stranger.
    """

    address: PrefixText
    interface: InterfaceText | None
    announce: bool
    preferred_lifetime: int | None
    gateways: tuple[NameText, ...]
    peers: tuple[AddressText, ...]


@dataclass(frozen=True, slots=True)
class Addresses:
    """`nodes/NODE/addresses.json`."""

    node: NameText
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class SourceIPs:
    """Source address per family; None where there is none or it is known on the node only."""

    ipv4: AddressText | None
    ipv6: AddressText | None


@dataclass(frozen=True, slots=True)
class NodeSource:
    """The source address that a gateway has on one suitable node, which it uses when that node is master.

    Attributes:
        ipv4: None where there is none of this family, or where the node itself finds it.
        ipv6: The same.
        interface: Where the address is or would be bound; None when only the node can tell.
        masquerade: Whether the node finds the address of `interface` itself, since its interfaces are not known.
    """

    ipv4: AddressText | None
    ipv6: AddressText | None
    interface: InterfaceText | None
    masquerade: bool


SELECTOR_MISMATCH = "SelectorMismatch"
"""The reason against a node of the cluster that is not among the `nodes` of a GatewayReport."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """Whether a member node is suitable for a gateway, and why not."""

    suitable: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """A Kubernetes status condition, without a time: the bundle does not know the clock."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """One EgressGateway as compiled.

    Attributes:
        name: Its name.
        mode: How it gets its source address.
        active_node_name: The master, None when no node is suitable.
        standby_node_names: Who would take over, in that order.
        ready_nodes: How many nodes are suitable.
        source_ips: Source addresses on the master.
        nodes: The member nodes, which its `nodeSelector` takes, and whether each is suitable. A node of the cluster
            (`cluster.json` names all) that is not here has the reason `SelectorMismatch`.
        sources: The source address on each suitable node.
        link_addresses: Of a virtual IP, the addresses under which each member node is known on its link, from which
            the `peers` of its holder are made; empty in the other mode.
        conditions: As in the status of the resource.
        policies: EgressGatewayPolicies that name it.
    """

    name: NameText
    mode: Literal["PrimaryIPFromEgressGatewayNodeInterface", "VirtualIPAddress"]
    active_node_name: NameText | None
    standby_node_names: tuple[NameText, ...]
    ready_nodes: int
    source_ips: SourceIPs
    nodes: Mapping[NameText, NodeReport]
    sources: Mapping[NameText, NodeSource]
    link_addresses: Mapping[NameText, tuple[AddressText, ...]]
    conditions: tuple[Condition, ...]
    policies: tuple[NameText, ...]


@dataclass(frozen=True, slots=True)
class Gateways:
    """`gateways.json`."""

    gateways: tuple[GatewayReport, ...]


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """One EgressGatewayPolicy as compiled: prefixes normalised, sorted and without repetitions."""

    name: NameText
    gateway: NameText
    destination_cidrs: tuple[PrefixText, ...]
    excluded_cidrs: tuple[PrefixText, ...]


@dataclass(frozen=True, slots=True)
class Policies:
    """`policies.json`: in order of precedence, which decides between equal prefixes."""

    policies: tuple[PolicyReport, ...]


@dataclass(frozen=True, slots=True)
class WorkloadReport:
    """One Pod or VirtualMachine that counts, selected or not; `policies` in order of precedence."""

    kind: Literal["Pod", "VirtualMachine"]
    namespace: NameText
    name: NameText
    node: NameText
    addresses: tuple[AddressText, ...]
    policies: tuple[NameText, ...]


@dataclass(frozen=True, slots=True)
class Workloads:
    """`workloads.json`."""

    workloads: tuple[WorkloadReport, ...]


@dataclass(frozen=True, slots=True)
class NodeLink:
    """A node's InternalIP of one family; `interface` and `subnet` are None when its interfaces are not known."""

    address: AddressText
    interface: InterfaceText | None
    subnet: PrefixText | None


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """What the plan takes from the snapshot about one node.

    Attributes:
        ipv4: Its link to other nodes.
        ipv6: The same.
        interfaces_known: Whether the snapshot tells its interfaces.
        default_route: Whether it is known to have an IPv4 default route of its own.
        pod_cidrs: Ranges of its pods.
    """

    ipv4: NodeLink | None
    ipv6: NodeLink | None
    interfaces_known: bool
    default_route: bool
    pod_cidrs: tuple[PrefixText, ...]


@dataclass(frozen=True, slots=True)
class Cluster:
    """`cluster.json`: what the plans rest on beside gateways, policies and workloads.

    Attributes:
        mark_mask: Bits of the packet mark that are ours.
        rule_priority: Priority of the `ip rule`s.
        table_base: The routing table of mark number n is this plus n.
        never_redirected: Destinations that no policy redirects, as the fewest prefixes.
        workload_ranges: Pod and VirtualMachine ranges, as the fewest prefixes.
        nodes: By name.
    """

    mark_mask: MarkText
    rule_priority: int
    table_base: int
    never_redirected: tuple[PrefixText, ...]
    workload_ranges: tuple[PrefixText, ...]
    nodes: Mapping[NameText, ClusterNode]
