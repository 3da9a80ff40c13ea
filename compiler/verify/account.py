"""The account by itself: gateways, policies, workloads and cluster must not contradict each other or the semantics."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Final

from bundle.directory import CLUSTER, GATEWAYS, POLICIES, STATUS, WORKLOADS
from bundle.model import SELECTOR_MISMATCH, Cluster, GatewayReport, Gateways, Policies, Workloads
from bundle.names import MAIN_PRIORITY, TABLE_LIMIT, TABLES_OF_OTHERS
from compiler.model import Family, Mode
from compiler.ranges import collapse
from compiler.source import Data
from compiler.verify.failure import Failure

_FIXED: Final = ("127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255", "::1", "fe80::/10", "ff00::/8")
"""Loopback, link-local, multicast and broadcast are never redirected (semantics.md §6)."""

_UNSPECIFIED: Final = ("0.0.0.0/32", "::/128")


def check_account(
    gateways: Gateways, policies: Policies, workloads: Workloads, cluster: Cluster, status: tuple[Data, ...]
) -> list[Failure]:
    """Checks what the rest of the proof takes for granted.

    Args:
        gateways: `gateways.json`.
        policies: `policies.json`.
        workloads: `workloads.json`.
        cluster: `cluster.json`.
        status: The documents of `status.yaml`.
    """
    names = {
        GATEWAYS: [item.name for item in gateways.gateways],
        POLICIES: [item.name for item in policies.policies],
        WORKLOADS: [f"{item.kind} {item.namespace}/{item.name}" for item in workloads.workloads],
    }
    return [
        *(Failure(file, f"{name} is there twice") for file, found in names.items() for name in sorted(_twice(found))),
        *(Failure(GATEWAYS, text) for gateway in gateways.gateways for text in _gateway(gateway, cluster)),
        *(Failure(GATEWAYS, text) for text in _virtual_ips(gateways, cluster)),
        *(Failure(POLICIES, text) for text in _policies(gateways, policies)),
        *(Failure(WORKLOADS, text) for text in _workloads(policies, workloads)),
        *(Failure(CLUSTER, text) for text in _cluster(cluster)),
        *(Failure(STATUS, text) for text in _status(gateways, status)),
    ]


def _twice(names: list[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def _sources(gateway: GatewayReport) -> list[str]:
    return [text for source in gateway.sources.values() for text in (source.ipv4, source.ipv6) if text is not None]


def _gateway(gateway: GatewayReport, cluster: Cluster) -> Iterator[str]:
    name, master = f"gateway {gateway.name}", gateway.active_node_name
    suitable = {node for node, report in gateway.nodes.items() if report.suitable}
    order = [*([master] if master is not None else []), *gateway.standby_node_names]
    if not gateway.nodes.keys() <= cluster.nodes.keys():
        yield f"{name}: one of its nodes is not in the cluster"
    if any(SELECTOR_MISMATCH in report.reasons for report in gateway.nodes.values()):
        yield f"{name}: a node that its selector does not take is among its nodes"
    if {node for node, report in gateway.nodes.items() if not report.reasons} != suitable:
        yield f"{name}: a node is suitable with reasons against it, or is not without one"
    if set(order) != suitable or len(order) != len(suitable) or gateway.ready_nodes != len(suitable):
        yield f"{name}: master and standbys are not the suitable nodes, each once"
    digest = {node: hashlib.sha256(f"{gateway.name}#{node}".encode()).digest() for node in order}
    if [*gateway.standby_node_names] != sorted(gateway.standby_node_names, key=lambda node: digest[node]):
        yield f"{name}: standbys are not in order of the digest of gateway and node"
    if set(gateway.sources) != suitable:
        yield f"{name}: there are not source addresses for the suitable nodes, and only for those"
    yield from _node_sources(gateway)
    yield from _link_addresses(gateway, cluster)
    own = gateway.sources.get(master or "")
    if (gateway.source_ips.ipv4, gateway.source_ips.ipv6) != ((own.ipv4, own.ipv6) if own else (None, None)):
        yield f"{name}: sourceIPs are not those of its master"
    ready = [(c.type, c.status, c.reason) for c in gateway.conditions]
    wanted = ("Ready", "True", "ElectionSucceed") if master is not None else ("Ready", "False", "ElectionFailed")
    if ready != [wanted]:
        yield f"{name}: its condition does not say whether there is a master"


def _node_sources(gateway: GatewayReport) -> Iterator[str]:
    for node, source in gateway.sources.items():
        families = [(4, source.ipv4), (6, source.ipv6)]
        if any(text is not None and ip_address(text).version != version for version, text in families):
            yield f"gateway {gateway.name}: a source address on node {node} is of the other family"
        if source.masquerade and (source.interface is None or source.ipv4 or source.ipv6):
            yield f"gateway {gateway.name}: node {node} masquerades on no interface, or has an address that is known"


def _link_addresses(gateway: GatewayReport, cluster: Cluster) -> Iterator[str]:
    """Checks what can be known of them without the inputs: whose they are, and that the InternalIP is among them."""
    virtual = gateway.mode == Mode.VIRTUAL.value
    if set(gateway.link_addresses) != (set(gateway.nodes) if virtual else set()):
        yield f"gateway {gateway.name}: link addresses are not those of the members of a virtual IP"
    families = {ip_address(text).version for text in _sources(gateway)}
    for node, texts in gateway.link_addresses.items():
        addresses = [ip_address(text) for text in texts]
        if addresses != sorted(set(addresses), key=int):
            yield f"gateway {gateway.name}: the link addresses of node {node} are not sorted, each once"
        if any(address.version not in (families or {address.version}) for address in addresses):
            yield f"gateway {gateway.name}: a link address of node {node} is of the other family than the virtual IP"
        known = cluster.nodes.get(node)
        links = [link.address for link in (known.ipv4, known.ipv6) if link] if known else []
        internal = {text for text in links if ip_address(text).version in families}
        if not internal <= set(texts):
            yield f"gateway {gateway.name}: the InternalIP of node {node} is not among its link addresses"
        if families and known and not known.interfaces_known and internal != set(texts):
            yield f"gateway {gateway.name}: node {node} has link addresses on interfaces that are not known"


def _virtual_ips(gateways: Gateways, cluster: Cluster) -> Iterator[str]:
    holders: dict[str, str] = {}
    inside = [ip_network(text) for text in (*cluster.workload_ranges, *_FIXED, *_UNSPECIFIED)]
    own = {link.address for node in cluster.nodes.values() for link in (node.ipv4, node.ipv6) if link is not None}
    for gateway in gateways.gateways:
        addresses = set(_sources(gateway)) if gateway.mode == Mode.VIRTUAL.value else set()
        if len(addresses) > 1:
            yield f"gateway {gateway.name}: its virtual IP is not the same on all nodes"
        for address in addresses & own:
            yield f"gateway {gateway.name}: its virtual IP {address} is an address of a node"
        for address in addresses:
            if holders.setdefault(address, gateway.name) != gateway.name:
                yield f"gateway {gateway.name}: {address} is the virtual IP of gateway {holders[address]} too"
            if any(ip_address(address) in network for network in inside):
                yield f"gateway {gateway.name}: its virtual IP {address} lies in a range where none can be"


def _policies(gateways: Gateways, policies: Policies) -> Iterator[str]:
    named: dict[str, list[str]] = {}
    for policy in policies.policies:
        named.setdefault(policy.gateway, []).append(policy.name)
    for gateway in gateways.gateways:
        if sorted(named.get(gateway.name, ())) != list(gateway.policies):
            yield f"gateway {gateway.name}: its policies are not those that name it"


def _workloads(policies: Policies, workloads: Workloads) -> Iterator[str]:
    place = {policy.name: index for index, policy in enumerate(policies.policies)}
    for workload in workloads.workloads:
        name = f"{workload.namespace}/{workload.name}"
        places = [place.get(policy, -1) for policy in workload.policies]
        if -1 in places or places != sorted(set(places)):
            yield f"workload {name}: its policies are not policies of the bundle in order of precedence"
        versions = [ip_address(text).version for text in workload.addresses]
        if not versions or len(versions) != len(set(versions)):
            yield f"workload {name}: has no address, or more than one of a family"


def _cluster(cluster: Cluster) -> Iterator[str]:
    never = tuple(ip_network(text) for text in cluster.never_redirected)
    links = [link for node in cluster.nodes.values() for link in (node.ipv4, node.ipv6) if link is not None]
    texts = (*_FIXED, *cluster.workload_ranges, *(link.address for link in links))
    # Collapsed with what is already there, nothing may be new.
    networks = collapse((*never, *map(ip_network, texts)))
    if networks != collapse(never):
        surplus = next(text for text in texts if collapse((*never, ip_network(text))) != collapse(never))
        yield f"neverRedirected does not hold {surplus}"
    if any(network.prefixlen == 0 for network in networks):
        yield "neverRedirected is everything"
    mask = int(cluster.mark_mask, 16)
    numbers = mask >> (mask & -mask).bit_length() - 1 if mask else 0
    if not mask or numbers & numbers + 1:
        yield f"markMask {cluster.mark_mask} is not a mask of neighbouring bits such as 0xff000000"
    tables = range(cluster.table_base, cluster.table_base + numbers + 1)
    if tables.start < 1 or tables.stop > TABLE_LIMIT or any(number in tables for number in TABLES_OF_OTHERS):
        yield f"tableBase {cluster.table_base} leads to routing tables of others"
    if not 1 <= cluster.rule_priority < MAIN_PRIORITY:
        yield f"rulePriority {cluster.rule_priority} does not come before the table main"
    for name, node in cluster.nodes.items():
        for family, link in ((Family.IPV4, node.ipv4), (Family.IPV6, node.ipv6)):
            if link is not None and ip_address(link.address).version != family:
                yield f"node {name}: {link.address} is not an IPv{family.value} address"
            if link is not None and link.subnet and ip_address(link.address) not in ip_network(link.subnet):
                yield f"node {name}: {link.address} is not in the subnet {link.subnet} of its interface"


def _status(gateways: Gateways, documents: tuple[Data, ...]) -> Iterator[str]:
    wanted: list[Mapping[str, object]] = [
        {
            "apiVersion": "network.deckhouse.io/v1alpha1",
            "kind": "EgressGateway",
            "metadata": {"name": gateway.name},
            "status": {
                "activeNodeName": gateway.active_node_name or "",
                "readyNodes": gateway.ready_nodes,
                "conditions": [
                    {"type": c.type, "status": c.status, "reason": c.reason, "message": c.message}
                    for c in gateway.conditions
                ],
            },
        }
        for gateway in gateways.gateways
    ]
    # As text, in which 3 is not 3.0.
    if json.dumps(list(documents), sort_keys=True) != json.dumps(wanted, sort_keys=True):
        yield "does not say the same of the gateways as gateways.json"
