"""Random small clusters: the emitted bundle against a plain reading of the rules, without the compiler's own stages.

The reference below knows addresses, loops and SHA-256. It takes nothing from the stages that it checks.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

from builders import (
    Obj,
    agent,
    explainer,
    gateway,
    interface,
    number,
    patched,
    pod,
    policy,
    state,
)
from builders import node as node_object
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

GATEWAY_NODES = ("egress-1", "egress-2", "egress-3")
NODES = (*GATEWAY_NODES, "worker-1")
SERVICES = "10.222.0.0/16"
NEVER = ("127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "::1/128", "fe80::/10", "ff00::/8")
CIDRS = (
    "0.0.0.0/0", "0.0.0.0/1", "10.0.0.0/8", "10.111.0.0/16", "10.222.0.0/15", "172.16.0.0/12", "172.18.4.0/24",
    "203.0.113.0/24", "203.0.113.0/25", "203.0.113.8/29", "203.0.113.10/32", "203.0.113.11/32", "224.0.0.0/3",
    "::/0", "2001:db8::/32", "2001:db8:ffff::/48", "2001:db8:ffff::/64", "2001:db8:ffff::10/128", "fd00::/8",
)  # fmt: skip
# The last one is older than the one before it.
TIMES = (None, "2024-01-01T00:00:00Z", "2024-06-01T00:00:00Z", "2024-06-01T01:00:00+03:00")


@dataclass(frozen=True)
class NodeCase:
    """A node; `state` is None where its interfaces are unknown, else the addresses of eth1, None without eth1."""

    name: str
    labelled: bool
    ready: str
    cordoned: bool
    deleting: bool
    agent: str | None
    six: bool
    known: bool
    eth1: tuple[str, ...] | None
    default_six: bool


@dataclass(frozen=True)
class GatewayCase:
    name: str
    vip: str
    interfaces: tuple[str, ...]
    labelled_only: bool


@dataclass(frozen=True)
class PolicyCase:
    name: str
    gateway: str
    to: tuple[str, ...]
    excluded: tuple[str, ...]
    apps: tuple[str, ...]
    created: str | None


@dataclass(frozen=True)
class WorkloadCase:
    name: str
    node: str
    app: str
    ips: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    nodes: tuple[NodeCase, ...]
    gateways: tuple[GatewayCase, ...]
    policies: tuple[PolicyCase, ...]
    workloads: tuple[WorkloadCase, ...]


MOSTLY = st.sampled_from((True,) * 7 + (False,))
OFTEN = st.sampled_from((True, True, False))


@st.composite
def node_cases(draw: st.DrawFn, name: str) -> NodeCase:
    n = number(name)
    eth1 = (f"172.18.18.{n}/24", "fe80::1/64", f"2001:db8:18::{n}/64")
    return NodeCase(
        name=name,
        labelled=name != "worker-1" and draw(MOSTLY),
        ready="True" if draw(MOSTLY) else draw(st.sampled_from(("False", "Unknown"))),
        cordoned=not draw(MOSTLY),
        deleting=not draw(MOSTLY),
        agent="True" if draw(MOSTLY) else draw(st.sampled_from(("False", None))),
        six=draw(OFTEN),
        known=draw(MOSTLY),
        eth1=draw(st.sampled_from((eth1, eth1, eth1, eth1[:1], eth1[1:], eth1[1:2], (), None))),
        default_six=draw(OFTEN),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    vips = ("", "172.18.18.241", "172.18.4.242", "198.51.100.243", "2001:db8:18::244", "2001:db8:eeee::245")
    chosen = draw(st.lists(st.sampled_from(vips), min_size=1, max_size=2, unique_by=lambda vip: vip or object()))
    gateways = tuple(
        GatewayCase(
            name=f"gateway-{index}",
            vip=vip,
            interfaces=draw(st.sampled_from(((), (), (), ("eth1",), ("eth9", "eth0"), ("eth9",)))),
            labelled_only=draw(MOSTLY),
        )
        for index, vip in enumerate(chosen)
    )
    names = draw(st.permutations(("alpha", "beta", "gamma")))
    # Few prefixes for all policies, so that they are often equal.
    pool = draw(st.lists(st.sampled_from(CIDRS), min_size=4, max_size=5, unique=True))
    prefixes = st.sets(st.sampled_from(pool), max_size=3).map(sorted).map(tuple)
    policies = tuple(
        PolicyCase(
            name=name,
            gateway=draw(st.sampled_from([item.name for item in gateways])),
            to=draw(prefixes.filter(bool)),
            excluded=draw(prefixes.map(lambda found: found[:1])),
            apps=draw(st.sampled_from((("a", "b"), ("a", "b"), ("a",), ("b",), ()))),
            created=draw(st.sampled_from(TIMES)),
        )
        for name in names[: draw(st.integers(2, 3))]
    )
    workloads = []
    for index in range(draw(st.integers(2, 3))):
        node = draw(st.sampled_from(NODES))
        ips = (f"10.111.{number(node)}.{index + 5}", f"fd00:111:0:{number(node)}::{index + 5}")
        ips = draw(st.sampled_from((ips, ips, ips, ips[:1], ips[1:])))
        workloads.append(WorkloadCase(f"pod-{index}", node, draw(st.sampled_from(("a", "b"))), ips))
    return Case(tuple(draw(node_cases(name)) for name in NODES), gateways, policies, tuple(workloads))


def objects(case: Case) -> Iterator[Obj]:
    yield {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [SERVICES]},
    }
    for node in case.nodes:
        item = node_object(
            node.name, ready=node.ready, labels={"role": "egress"} if node.labelled else {}, six=node.six
        )
        if node.cordoned:
            item = patched(item, "spec.unschedulable", value=True)
        if node.deleting:
            item = patched(item, "metadata.deletionTimestamp", "2024-06-01T00:00:00Z")
        yield item
        if node.agent:
            yield agent(node.name, ready=node.agent)
        if node.known:
            n = number(node.name)
            interfaces = [interface("eth0", f"172.18.4.{n}/24", f"fd00:4::{n}/64")]
            if node.eth1 is not None:
                interfaces.append(interface("eth1", *node.eth1))
            yield state(node.name, *interfaces, defaults=("0.0.0.0/0", "::/0") if node.default_six else ("0.0.0.0/0",))
    for gate in case.gateways:
        selector = {"role": "egress"} if gate.labelled_only else {}
        yield gateway(gate.name, vip=gate.vip, selector=selector, interfaces=gate.interfaces)
    for rule in case.policies:
        selectors = [{"podSelector": {"matchLabels": {"app": app}}} for app in rule.apps]
        yield policy(
            rule.name, rule.gateway, to=rule.to, excluded=rule.excluded, selectors=selectors, created=rule.created
        )
    for workload in case.workloads:
        yield pod(workload.name, workload.node, labels={"app": workload.app}, ips=workload.ips)


# The reference. Section numbers are those of the specification.


def source_ips(gate: GatewayCase, node: NodeCase) -> dict[int, str | None] | None:
    """§7 and §4.5: source address per IP version, None for one that only the node knows; None if none can exist."""
    addresses = list(node.eth1 or ())
    if gate.vip:
        version = ip_address(gate.vip).version
        if node.known and gate.interfaces:
            present = ["eth0"] if node.eth1 is None else ["eth0", "eth1"]
            if not any(name in present for name in gate.interfaces):
                return None
        elif node.known:
            n = number(node.name)
            subnets = [f"172.18.4.{n}/24", f"fd00:4::{n}/64", *addresses]
            connected = any(ip_address(gate.vip) in ip_network(text, strict=False) for text in subnets)
            if not connected and version == 6 and not node.default_six:
                return None
        return {version: gate.vip}
    if not node.known:
        return {4: None, 6: None}
    found: dict[int, str | None] = {}
    for text in addresses:
        address = ip_address(text.split("/")[0])
        if not address.is_link_local and address.version not in found:
            found[address.version] = str(address)
    return found or None


def suitable(gate: GatewayCase, node: NodeCase) -> bool:
    """§4."""
    if gate.labelled_only and not node.labelled:
        return False
    well = node.ready == "True" and not node.cordoned and not node.deleting and node.agent == "True"
    return well and source_ips(gate, node) is not None


def master_of(gate: GatewayCase, case: Case) -> NodeCase | None:
    """§8."""
    candidates = [node for node in case.nodes if suitable(gate, node)]
    by_digest = {hashlib.sha256(f"{gate.name}#{node.name}".encode()).hexdigest(): node for node in candidates}
    return by_digest[min(by_digest)] if by_digest else None


def inside_the_cluster(case: Case, to: Address) -> bool:
    """§6."""
    ranges = [*NEVER, SERVICES]
    for node in case.nodes:
        n = number(node.name)
        ranges += [f"10.111.{n}.0/24", f"172.18.4.{n}/32"]
        if node.six:
            ranges += [f"fd00:111:0:{n}::/64", f"fd00:4::{n}/128"]
    return any(to in ip_network(text) for text in ranges)


def deciding(case: Case, workload: WorkloadCase, to: Address) -> PolicyCase | None:
    """§5: the policy whose destination takes the packet, None where an exclusion or nothing decides."""
    found = []
    for rule in case.policies:
        if workload.app not in rule.apps:
            continue
        age = (datetime.fromisoformat(rule.created or "9999-01-01T00:00:00Z"), rule.name)
        for is_destination, prefixes in ((False, rule.excluded), (True, rule.to)):
            for text in prefixes:
                network = ip_network(text)
                if to in network:
                    found.append((-network.prefixlen, age, is_destination, rule))
    if not found:
        return None
    _, _, is_destination, rule = min(found, key=lambda item: item[:3])
    return rule if is_destination else None


def fate(case: Case, workload: WorkloadCase, to: Address) -> tuple[str, str | None, str | None]:
    """Verdict, gateway node and source address."""
    rule = None if inside_the_cluster(case, to) else deciding(case, workload, to)
    if rule is None:
        return ("bypass", None, None)
    gate = next(item for item in case.gateways if item.name == rule.gateway)
    master = master_of(gate, case)
    if master is None:
        return ("drop", None, None)
    sources = source_ips(gate, master) or {}
    if to.version not in sources:
        return ("drop", None, None)
    own = next(node for node in case.nodes if node.name == workload.node)
    if own is not master and to.version == 6 and not (own.six and master.six):
        return ("drop", None, None)  # §10
    return ("egress", master.name, sources[to.version])


def destinations(case: Case) -> list[Address]:
    """Both edges of every CIDR and the addresses just outside."""
    texts = {text for rule in case.policies for text in (*rule.to, *rule.excluded)} | {SERVICES, *NEVER}
    networks: list[Network] = [ip_network(text) for text in sorted(texts)]
    found = {ip_address("203.0.113.10"), ip_address("2001:db8:ffff::10"), ip_address("172.18.4.1")}
    for network in networks:
        for edge in (network.network_address, network.broadcast_address):
            for step in (-1, 0, 1):
                if 0 <= int(edge) + step < 1 << edge.max_prefixlen:
                    found.add(edge + step)
    return sorted(found, key=lambda address: (address.version, int(address)))


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=cases())
def test_every_packet_meets_the_fate_that_the_rules_give_it(tmp_path: Path, case: Case) -> None:
    path = tmp_path / "input.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects(case))}), encoding="utf-8")
    bundle = explainer(path)

    for workload in case.workloads:
        families = {ip_address(ip).version for ip in workload.ips}
        for to in destinations(case):
            if to.version in families:
                told = bundle.explain(f"default/{workload.name}", str(to)).as_json()
                node = told["node"] if told["verdict"] == "egress" else None
                expected = fate(case, workload, to)
                assert expected == (told["verdict"], node, told["sourceIP"]), (workload.name, str(to))
