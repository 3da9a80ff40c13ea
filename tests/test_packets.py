"""The data path with real packets: a lab of namespaces, and an outside server that says which address it saw."""

import io
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from conftest import GOLDEN, GOLDEN_CASES
from examined import assertions_of

from applier.cli import run as apply_node
from bundle.directory import open_bundle
from compiler.files import write_bundle
from compiler.model import Address, Cluster
from compiler.pipeline import compile_cluster, read_cluster
from compiler.testing.cases import Assertion
from lab import commands, state
from lab.model import Masquerade
from lab.namespace import NETNS

pytestmark = pytest.mark.kernel

OUTSIDE: Final = "203.0.113.10"
SHORT: Final = 0.4
"""Seconds to wait for an answer that is not to come."""


def cluster_of(*inputs: Path) -> Cluster:
    reading = read_cluster([str(path) for path in inputs])
    assert reading.cluster is not None, reading.findings
    return reading.cluster


def bundle_of(case: str, tmp_path: Path) -> Path:
    result = compile_cluster(cluster_of(GOLDEN / case / "input"))
    assert result.files is not None, result.findings
    write_bundle(result.files, tmp_path / case)
    return tmp_path / case


@contextmanager
def lab_of(case: str, masquerade: Masquerade = "nft") -> Iterator[tuple[str, Cluster]]:
    """Brings a golden case up; what the snapshot does not tell but the nodes have stands in the case's `lab/`."""
    inputs = [GOLDEN / case / "input"]
    if (GOLDEN / case / "lab").is_dir():
        inputs.append(GOLDEN / case / "lab")
    cluster = cluster_of(*inputs)
    name = f"t{os.getpid()}-{case[:8].rstrip('-')}"
    commands.up(cluster, name, masquerade, io.StringIO())
    try:
        yield name, cluster
    finally:
        commands.down(name)


def apply_all(name: str, bundle: Path) -> str:
    out = io.StringIO()
    assert commands.apply(name, bundle, out) == 0, out.getvalue()
    return out.getvalue()


def packets_of(case: str) -> tuple[Assertion, ...]:
    return assertions_of((GOLDEN / case / "packets.yaml").read_bytes())


def address_of(cluster: Cluster, packet: Assertion, version: int) -> Address:
    assert packet.source is not None
    if packet.source.address is not None:
        return packet.source.address
    workload = next(item for item in cluster.workloads if item.key == packet.source.workload)
    return next(address for address in workload.addresses.values() if address.version == version)


def node_addresses(cluster: Cluster) -> set[str]:
    networks = (node.network for node in cluster.nodes.values() if node.network)
    own = {str(entry.address) for network in networks for item in network.interfaces for entry in item.addresses}
    return own | {str(address) for node in cluster.nodes.values() for address in node.addresses}


def workload_addresses(cluster: Cluster) -> set[str]:
    return {str(address) for workload in cluster.workloads for address in workload.addresses.values()}


def check(name: str, cluster: Cluster, packet: Assertion) -> None:
    """Sends one packet of a table and compares what outside saw with the verdict."""
    commands.clear_seen(name)
    (target,) = packet.targets
    to = target.network_address
    own = str(address_of(cluster, packet, to.version))
    source = next(item.key for item in cluster.workloads if own in map(str, item.addresses.values()))
    (verdict,) = packet.wanted["verdict"]
    inside = to.is_multicast or to.is_link_local or any(to in network for network in cluster.cluster_ranges)
    inside = inside or str(to) in node_addresses(cluster)
    timeout = 2.0 if verdict == "egress" else SHORT
    answer = None if to.is_multicast or to.is_link_local else commands.request(name, source, str(to), timeout=timeout)
    arrived = [item for item in commands.seen(name) if item.destination == str(to)]

    if verdict == "egress":
        gateway_addresses = set(packet.wanted.get("sourceIP", ())) or node_addresses(cluster)
        assert answer in gateway_addresses
        assert {item.source for item in arrived} == {answer}
    elif verdict == "drop":
        assert (answer, arrived) == (None, [])
    elif inside:  # untouched: what becomes of it is the node's and the CNI's affair
        assert {item.source for item in arrived} <= {own} | node_addresses(cluster)
        assert str(to) not in workload_addresses(cluster) or answer == own
    else:
        node = next(item for item in cluster.workloads if item.key == source).node
        mine = {str(address) for address in cluster.nodes[node].addresses}
        if network := cluster.nodes[node].network:
            mine |= {str(entry.address) for item in network.interfaces for entry in item.addresses}
        assert answer is None or answer in mine
        assert {item.source for item in arrived} <= mine


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_golden_packets_leave_as_their_table_says(case: str, tmp_path: Path) -> None:
    with lab_of(case) as (name, cluster):
        apply_all(name, bundle_of(case, tmp_path))
        for packet in packets_of(case):
            check(name, cluster, packet)

        assert "nothing to do" in apply_all(name, tmp_path / case).splitlines()[0]


@pytest.mark.parametrize("masquerade", ["none", "nft", "iptables-nft", "iptables-legacy"])
@pytest.mark.parametrize("case", ["primary-ip", "virtual-ip", "workload-on-master", "dual-stack"])
def test_the_masquerade_of_the_cni_does_not_come_between(case: str, masquerade: Masquerade, tmp_path: Path) -> None:
    if masquerade.startswith("iptables") and not shutil.which(masquerade):
        pytest.skip(f"{masquerade} is not installed")
    with lab_of(case, masquerade) as (name, cluster):
        apply_all(name, bundle_of(case, tmp_path))
        for packet in packets_of(case):
            if packet.wanted["verdict"] == ("egress",):
                check(name, cluster, packet)


def test_without_our_rules_the_outside_sees_another_address() -> None:
    """What every other test of this file relies on: that it could fail."""
    with lab_of("virtual-ip") as (name, _):
        assert commands.request(name, "default/backend-1", OUTSIDE) == "172.18.4.11"


def test_udp_is_translated_like_tcp(tmp_path: Path) -> None:
    with lab_of("virtual-ip") as (name, _):
        apply_all(name, bundle_of("virtual-ip", tmp_path))

        assert commands.request(name, "default/backend-1", OUTSIDE, protocol="udp") == "172.18.18.242"


def test_a_large_answer_fits_through_a_small_interface_of_the_worker(tmp_path: Path) -> None:
    """The worker's "fragmentation needed" reaches the sender by the gateway, the only one who knows the connection."""
    serve = (
        "import socket; s = socket.create_server(('0.0.0.0', 9000)); s.settimeout(6); c = s.accept()[0]; "
        "c.sendall(b'x' * 200_000); c.close()"
    )
    fetch = (
        f"import socket; c = socket.create_connection(('{OUTSIDE}', 9000), 3); c.settimeout(5); "
        "print(sum(map(len, iter(lambda: c.recv(65536), b''))))"
    )
    with lab_of("virtual-ip") as (name, _):
        apply_all(name, bundle_of("virtual-ip", tmp_path))
        shrink = "ip link set $(ip -o route show 10.111.11.5 | cut -d' ' -f3) mtu 1300"
        assert commands.run_in(name, "worker-1", ["sh", "-c", shrink]).status == 0
        wait = "for _ in $(seq 100); do ss -ltn | grep -q :9000 && exit; sleep 0.05; done; exit 1"
        start = ["sh", "-c", f'python3 -c "$1" >/dev/null 2>&1 </dev/null & {wait}', "sh", serve]
        assert commands.run_in(name, "outside", start).status == 0

        fetched = commands.run_in(name, "default/backend-1", ["python3", "-c", fetch])

        assert (fetched.stdout, fetched.stderr) == ("200000\n", "")


def test_a_connection_from_outside_is_answered_on_its_own_path(tmp_path: Path) -> None:
    with lab_of("virtual-ip") as (name, _):
        apply_all(name, bundle_of("virtual-ip", tmp_path))
        commands.clear_seen(name)

        result = commands.inbound(name, "default/backend-1")

        assert (result.seen, result.answered) == (commands.STRANGER[4], True)
        assert "172.18.18.242" not in {packet.source for packet in commands.seen(name)}


def test_a_node_without_a_way_out_says_so_as_before(tmp_path: Path) -> None:
    """Its route for reverse path filtering is no way out: unselected workloads get the same answer with our rules."""
    command = ["python3", "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 2)"]
    with lab_of("excluded-cidrs") as (name, _):
        before = commands.run_in(name, "default/backend-2", command).stderr.splitlines()[-1]
        apply_all(name, bundle_of("excluded-cidrs", tmp_path))
        excluded = [*command[:2], command[2].replace("192.0.2.1", "198.51.100.1")]
        after = commands.run_in(name, "default/backend-2", excluded).stderr.splitlines()[-1]

        assert before == "OSError: [Errno 101] Network is unreachable"
        assert after == before
        assert commands.seen(name) == ()


def test_with_no_suitable_node_nothing_leaves(tmp_path: Path) -> None:
    with lab_of("no-suitable-node") as (name, _):
        apply_all(name, bundle_of("no-suitable-node", tmp_path))
        commands.clear_seen(name)

        for workload in ("default/backend-1", "default/backend-2"):
            assert commands.request(name, workload, OUTSIDE, protocol="tcp", timeout=SHORT) is None
            assert commands.request(name, workload, OUTSIDE, protocol="udp", timeout=SHORT) is None

        assert [packet for packet in commands.seen(name) if packet.destination == OUTSIDE] == []


def test_a_virtual_ip_outlives_its_master(tmp_path: Path) -> None:
    before, after = bundle_of("failover-before", tmp_path), bundle_of("failover-after", tmp_path)
    with lab_of("failover-before") as (name, _):
        apply_all(name, before)
        assert commands.request(name, "default/backend-1", OUTSIDE) == "172.18.18.242"
        commands.fail(name, "egress-1")
        assert commands.request(name, "default/backend-1", OUTSIDE, timeout=SHORT) is None

        apply_all(name, after)

        assert commands.request(name, "default/backend-1", OUTSIDE) == "172.18.18.242"
        assert commands.request(name, "default/frontend-1", OUTSIDE) == "172.18.18.2"


@pytest.mark.parametrize("seed", range(4))
def test_between_the_applies_of_the_nodes_no_third_address_is_seen(seed: int, tmp_path: Path) -> None:
    """Two plans that exchange the gateways of the workloads, applied node by node in random order."""
    before = bundle_of("two-gateways", tmp_path)
    text = (GOLDEN / "two-gateways" / "input" / "egress.yaml").read_text()
    for old, new in (
        ("egressGatewayName: egress-gw-1", "@"),
        ("egressGatewayName: egress-gw-2", "egressGatewayName: egress-gw-1"),
    ):
        text = text.replace(old, new)
    changed = tmp_path / "changed.yaml"
    changed.write_text(text.replace("@", "egressGatewayName: egress-gw-2"))
    result = compile_cluster(cluster_of(changed, GOLDEN / "two-gateways" / "input" / "cluster.yaml"))
    assert result.files is not None
    after = tmp_path / "after"
    write_bundle(result.files, after)
    allowed = {"172.18.18.242", "172.18.18.2"}
    with lab_of("two-gateways") as (name, _):
        apply_all(name, before)
        commands.clear_seen(name)
        order = list(open_bundle(before).manifest.nodes)
        random.Random(seed).shuffle(order)  # noqa: S311  # an order, not a secret
        for node in order:
            assert _apply_one(name, after, node) == 0
            for workload in ("default/backend-1", "default/backend-2", "default/frontend-1"):
                commands.request(name, workload, OUTSIDE, timeout=SHORT)

        assert {packet.source for packet in commands.seen(name) if packet.destination == OUTSIDE} <= allowed
        assert commands.request(name, "default/backend-1", OUTSIDE) == "172.18.18.242"
        assert commands.request(name, "default/frontend-1", OUTSIDE) == "172.18.18.2"


def _apply_one(name: str, bundle: Path, node: str) -> int:
    namespace = state.load_complete(name).plan.node(node).namespace
    return apply_node(bundle, node, str(NETNS / namespace), dry_run=False, out=io.StringIO(), err=io.StringIO())
