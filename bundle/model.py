"""The JSON files of a bundle as frozen values; the schemas in `schemas/` are made from these classes.

Field names are written in JSON in camelCase. Addresses and prefixes are strings in canonical form
(`ipaddress`' own), marks are strings of eight hexadecimal digits (`0x05000000`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bundle.values import AddressText, InterfaceText, MarkText, NameText, PrefixText

FORMAT_VERSION = 1
"""Version of the bundle format; a reader refuses every other."""

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
    """

    address: PrefixText
    interface: InterfaceText | None
    announce: bool
    preferred_lifetime: int | None
    gateways: tuple[NameText, ...]


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
    """One EgressGateway as compiled; `nodes` holds its members and every node that its selector refused."""

    name: NameText
    mode: Literal["PrimaryIPFromEgressGatewayNodeInterface", "VirtualIPAddress"]
    active_node_name: NameText | None
    standby_node_names: tuple[NameText, ...]
    ready_nodes: int
    source_ips: SourceIPs
    nodes: Mapping[NameText, NodeReport]
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
