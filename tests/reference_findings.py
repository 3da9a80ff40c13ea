"""The reference, third part: what is wrong with a cluster, or worth a warning.

Tests only, and written from the semantics alone, like `reference_inputs`. Findings have the codes of
`docs/diagnostics.md`, since a finding that is right but has the wrong code helps nobody.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from reference import VIRTUAL, Entry, Gateway, Reference, agents_are_asked_for
from reference_inputs import (
    IP,
    Net,
    Obj,
    Workload,
    agents,
    full_name,
    machine_ranges,
    of_kind,
    pod_ranges,
    service_ranges,
)

GATEWAY_FIELDS = {"nodeSelector", "sourceIP"}
POLICY_FIELDS = {"egressGatewayName", "destinationCIDRs", "excludedCIDRs", "selectors"}
BLOCKS = {
    "PrimaryIPFromEgressGatewayNodeInterface": "primaryIPFromEgressGatewayNodeInterface",
    "VirtualIPAddress": "virtualIPAddress",
}


@dataclass(frozen=True)
class Conflict:
    """Two policies with one CIDR for a workload."""

    loser: str
    cidr: str
    winner: str


# An object by itself


def broken_objects(objects: Sequence[Obj]) -> set[str]:
    """Codes of all errors that an object has by itself, or has with its own double."""
    codes: set[str] = set()
    for index, item in enumerate(objects):
        for other in objects[:index]:
            same = item["apiVersion"] == other["apiVersion"] and item["kind"] == other["kind"]
            if same and full_name(item) == full_name(other) and item != other:
                codes.add("EG106")
    for gateway in of_kind(objects, "network.deckhouse.io", "EgressGateway"):
        codes |= broken_gateway(gateway["spec"])
    for policy in of_kind(objects, "network.deckhouse.io", "EgressGatewayPolicy"):
        codes |= broken_policy(policy["spec"])
    return codes


def broken_gateway(spec: Obj) -> set[str]:
    codes = {"EG204" for field in spec if field not in GATEWAY_FIELDS}
    if "sourceIP" not in spec or "mode" not in spec["sourceIP"]:
        return codes | {"EG201"}
    source = spec["sourceIP"]
    if source["mode"] not in BLOCKS:
        return codes | {"EG205"}
    block = source.get(BLOCKS[source["mode"]])
    if block is None:
        return codes | {"EG201"}
    if source["mode"] == VIRTUAL:
        names = block.get("interfaces", [])
        if not is_address(block["ip"]):
            codes.add("EG206")
    else:
        names = [block["interfaceName"]]
    return codes | {"EG209" for name in names if len(name.encode()) > 15}


def broken_policy(spec: Obj) -> set[str]:
    codes = {"EG204" for field in spec if field not in POLICY_FIELDS}
    if not spec.get("destinationCIDRs") or "egressGatewayName" not in spec:
        codes.add("EG201")
    for text in spec.get("destinationCIDRs", []) + spec.get("excludedCIDRs", []):
        if not is_cidr(text):
            codes.add("EG207")
    for entry in spec.get("selectors", []):
        if "podSelector" not in entry and "namespaceSelector" not in entry:
            codes.add("EG211")
        for selector in entry.values():
            for expression in selector.get("matchExpressions", []):
                codes |= broken_expression(expression)
    return codes


def broken_expression(expression: Obj) -> set[str]:
    operator, values = expression["operator"], expression.get("values")
    if operator not in {"In", "NotIn", "Exists", "DoesNotExist"}:
        return {"EG205"}
    wants_values = operator in {"In", "NotIn"}
    return set() if wants_values == bool(values) else {"EG210"}


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_cidr(text: str) -> bool:
    """An address and a prefix length, both written; host bits are a matter for a warning."""
    if not re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]+", text):
        return False
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


# Objects together


def broken_together(cluster: Reference) -> set[str]:
    """Codes of all errors of objects that are each valid by themselves."""
    codes: set[str] = set()
    if not cluster.gateways and not cluster.policies:
        codes.add("EG107")
    names = [gateway.name for gateway in cluster.gateways]
    if any(policy["spec"]["egressGatewayName"] not in names for policy in cluster.policies):
        codes.add("EG301")
    addresses = [address for _, address in cluster.virtual_ips]
    if any(addresses.count(address) > 1 for address in addresses):
        codes.add("EG302")
    if any(is_taken(cluster, address) for address in addresses):
        codes.add("EG303")
    if cluster.clashes:
        codes.add("EG304")
    return codes


def is_taken(cluster: Reference, address: IP) -> bool:
    """Whether an address is a node's own, or of a range of the cluster; as /32 or /128 a node holds a virtual IP."""
    ranges = pod_ranges(cluster.objects, cluster.nodes) + service_ranges(cluster.objects)
    if any(address in net for net in ranges + machine_ranges(cluster.objects) if net.version == address.version):
        return True
    for node in cluster.nodes:
        if address in node.internal:
            return True
        for interface in node.interfaces or []:
            if any(own == address and subnet.num_addresses > 1 for own, subnet in interface.addresses):
                return True
    return False


# What the plan makes of them


@dataclass(frozen=True)
class Decision:
    """The entry that decides about what a workload sends to a destination."""

    workload: Workload
    destination: IP
    entry: Entry


def decisions(cluster: Reference) -> list[Decision]:
    """Every decision that there is to see: for each workload that of each edge."""
    found = []
    for workload in cluster.workloads:
        for address in workload.addresses:
            for destination in edges(cluster, address.version):
                entry = cluster.deciding(workload, destination)
                if entry is not None:
                    found.append(Decision(workload, destination, entry))
    return found


def off_link(cluster: Reference) -> bool:
    """Whether an entry sends packets to a master (EG403) that is not on the link of the workload's node."""
    for workload in cluster.workloads:
        for family in [address.version for address in workload.addresses]:
            far = [gateway.name for gateway in cluster.gateways if is_far(cluster, workload.node, gateway, family)]
            for destination in edges(cluster, family) if far else []:
                entry = cluster.longest(workload, destination)
                if entry is not None and not entry.excluded and cluster.gateway_of(entry.policy).name in far:
                    return True
    return False


def is_far(cluster: Reference, node: str, gateway: Gateway, family: int) -> bool:
    """Whether a gateway could send packets of a family, were its master on the link of the node."""
    if not gateway.has_source(family) or node == gateway.order[0]:
        return False
    return cluster.is_on_link(node, gateway.order[0], family) is False


def without_source(cluster: Reference, seen: Sequence[Decision]) -> set[str]:
    """Gateways (EG401) that get packets of a family of which the master has no address."""
    found = set()
    for decision in seen:
        gateway = cluster.gateway_of(decision.entry.policy)
        if not decision.entry.excluded and gateway.order and not gateway.has_source(decision.destination.version):
            found.add(gateway.name)
    return found


def without_suitable_node(cluster: Reference, _seen: Sequence[Decision]) -> set[str]:
    """Gateways (EG306) that nobody serves."""
    return {gateway.name for gateway in cluster.gateways if not gateway.order}


def selects_nothing(cluster: Reference, _seen: Sequence[Decision]) -> set[str]:
    """Policies (EG305) that select no workload."""
    return {name for name, workloads in cluster.selected.items() if not workloads}


def no_agent_at_all(cluster: Reference) -> bool:
    """Whether agents are asked for (EG309), but the input has none."""
    return agents_are_asked_for(cluster.objects) and not agents(cluster.objects)


def no_pod_range_at_all(cluster: Reference) -> bool:
    """Whether nothing tells a pod range (EG310)."""
    return not pod_ranges(cluster.objects, cluster.nodes)


def on_unknown_node(cluster: Reference) -> list[Workload]:
    """Workloads (EG312) whose node is not in the input: no packet of theirs can be told the fate of."""
    return [workload for workload in cluster.workloads if cluster.node(workload.node) is None]


# Entries against each other


def conflicts(cluster: Reference) -> dict[Conflict, list[str]]:
    """Equal CIDRs of two policies that want different things (EG307), with the workloads that each concerns.

    The first of several wins.
    """
    found: dict[Conflict, list[str]] = {}
    for workload in cluster.workloads:
        for address in workload.addresses:
            table = cluster.table(workload, address.version)
            for entry in table:
                winner = next(other for other in table if other.cidr == entry.cidr)
                # What a policy excludes itself it does not want elsewhere.
                own = next(other for other in table if other.cidr == entry.cidr and other.policy == entry.policy)
                if entry.policy != winner.policy and _wanted(cluster, own) != _wanted(cluster, winner):
                    conflict = Conflict(entry.policy, str(entry.cidr), winner.policy)
                    found.setdefault(conflict, []).append(workload.called())
    return found


def _wanted(cluster: Reference, entry: Entry) -> str | None:
    """The gateway to which an entry sends, none if it excludes."""
    return None if entry.excluded else cluster.gateway_of(entry.policy).name


def dead_entries(cluster: Reference, seen: Sequence[Decision]) -> set[Entry]:
    """Entries that never decide anything (EG308), though a workload with an address of their family is selected.

    An exclusion decides nothing either where without it no destination of the same or of a shorter CIDR would take the
    packet.
    """
    alive = []
    for decision in seen:
        table = cluster.table(decision.workload, decision.entry.cidr.version)
        equal = [entry for entry in table if entry.cidr == decision.entry.cidr and entry != decision.entry]
        shorter = cluster.deciding(decision.workload, decision.destination, below=decision.entry.cidr.prefixlen)
        without = equal[0] if equal else shorter
        if not decision.entry.excluded or (without is not None and not without.excluded):
            alive.append(decision.entry)
    found = set()
    for entry in cluster.entries:
        for workload in cluster.selected[entry.policy]:
            if entry.cidr.version in [a.version for a in workload.addresses] and entry not in alive:
                found.add(entry)
    return found


# Destinations


def edges(cluster: Reference, family: int) -> list[IP]:
    """The first and the last address of every stretch within which no prefix of the cluster begins or ends."""
    return edges_of([*cluster.cluster, *written_prefixes(cluster)], family)


def written_prefixes(cluster: Reference) -> list[Net]:
    """The prefixes that gateways and policies name."""
    return [*(entry.cidr for entry in cluster.entries), *(ip_network(address) for _, address in cluster.virtual_ips)]


def edges_of(prefixes: Sequence[Net], family: int) -> list[IP]:
    """The first and the last address of each prefix, one below and one above, and the family's extremes."""
    width, make = (32, IPv4Address) if family == 4 else (128, IPv6Address)
    numbers = {0, 2**width - 1}
    for prefix in prefixes:
        if prefix.version == family:
            first, last = int(prefix.network_address), int(prefix.broadcast_address)
            numbers |= {first - 1, first, last, last + 1}
    return [make(number) for number in sorted(numbers) if 0 <= number < 2**width]
