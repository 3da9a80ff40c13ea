"""A connection that our rules bound never leaves by another way with that binding when its policy is taken away.

`workload-on-master` has both sorts: on the gateway itself, backend-1's connections are bound to the gateway's address;
on the standby, backend-2's are bound to its own, which the node's masquerade then leaves alone.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from conftest import GOLDEN
from test_packets import OUTSIDE, apply_all, bundle_of, cluster_of, lab_of

from bundle.directory import RULESET, node_path, open_bundle
from compiler.files import write_bundle
from compiler.pipeline import compile_cluster
from lab import commands
from lab.traffic import Packet

pytestmark = pytest.mark.kernel

CASE: Final = "workload-on-master"
GATEWAY: Final = "172.18.18.242"
WORKLOADS: Final = {
    "default/backend-1": ("egress-1", "10.111.1.5", "172.18.18.1"),
    "default/backend-2": ("egress-3", "10.111.3.5", "172.18.18.3"),
}
"""Their nodes, own addresses, and the addresses that they leave with where no policy decides."""
PORTS: Final = {"default/backend-1": 5005, "default/backend-2": 5006}
"""Source ports of the steady flows, by which they are told from new connections, and which no translation changes."""
FLOWS: Final = f"""
import socket, sys, time
port = int(sys.argv[1])
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("", port))
u.connect(("{OUTSIDE}", 8080))
t = socket.socket()
t.bind(("", port))
t.connect(("{OUTSIDE}", 8080))
t.setblocking(False)
while True:
    for s in (u, t):
        try:
            s.send(b"x")
        except OSError:
            pass
    time.sleep(0.01)
"""
"""A steady UDP flow and a TCP connection, for as long as somebody lets them."""


def without_policy(tmp_path: Path) -> Path:
    text = (GOLDEN / CASE / "input" / "egress.yaml").read_text(encoding="utf-8")
    (tmp_path / "gateway.yaml").write_text(text.partition("---\n")[0], encoding="utf-8")
    result = compile_cluster(cluster_of(tmp_path / "gateway.yaml", GOLDEN / CASE / "input" / "cluster.yaml"))
    assert result.files is not None, result.findings
    write_bundle(result.files, tmp_path / "without")
    return tmp_path / "without"


@contextmanager
def flows(name: str) -> Iterator[None]:
    """Runs the steady flows of all workloads."""
    start = ["sh", "-c", 'python3 -c "$1" "$2" >/dev/null 2>&1 </dev/null & echo $!', "sh", FLOWS]
    pids = {
        workload: commands.run_in(name, workload, [*start, str(port)]).stdout.strip()
        for workload, port in PORTS.items()
    }
    try:
        yield
    finally:
        for workload, pid in pids.items():
            commands.run_in(name, workload, ["kill", pid])


def steady(name: str) -> list[Packet]:
    return [item for item in commands.seen(name) if item.destination == OUTSIDE and item.source_port in PORTS.values()]


def all_flow(name: str) -> bool:
    """Whether outside has seen some packets of each flow."""
    count = Counter((item.source_port, item.protocol) for item in steady(name))
    return len(count) == 2 * len(PORTS) and min(count.values()) > 5


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def load(name: str, bundle: Path, change: Callable[[str], str] = str) -> None:
    """Loads the rulesets of a bundle over the live ones with nft alone, so that they must do without the applier."""
    for node in open_bundle(bundle).manifest.nodes:
        path = bundle / node_path(node, RULESET)
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
        loaded = commands.run_in(name, node, ["nft", "-f", str(path)])
        assert (loaded.status, loaded.stderr) == (0, "")


def refused(name: str, node: str) -> int:
    """The packets that the guard of a node took for those of a bound connection without policy, and dropped."""
    listed = commands.run_in(name, node, ["nft", "list", "chain", "inet", "egressc", "outdated"]).stdout
    return int(listed.partition("counter packets ")[2].partition(" ")[0])


def without_the_rule(text: str) -> str:
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if "goto outdated" not in line]
    assert len(kept) == len(lines) - 1
    return "".join(kept)


@contextmanager
def bound(tmp_path: Path) -> Iterator[str]:
    """A lab in which the steady flows of both workloads leave by the gateway."""
    with lab_of(CASE) as (name, _):
        apply_all(name, bundle_of(CASE, tmp_path))
        with flows(name):
            wait_for(lambda: all_flow(name))
            assert {item.source for item in steady(name)} == {GATEWAY}
            yield name


def test_the_rules_alone_let_no_packet_of_a_bound_connection_out(tmp_path: Path) -> None:
    with bound(tmp_path) as name:
        load(name, without_policy(tmp_path))
        commands.clear_seen(name)
        wait_for(lambda: all(refused(name, node) > 20 for node, _, _ in WORKLOADS.values()))

        assert steady(name) == []
        for workload, (_, _, ordinary) in WORKLOADS.items():
            assert commands.request(name, workload, OUTSIDE) == ordinary
            assert commands.request(name, workload, OUTSIDE, protocol="udp") == ordinary


def test_applied_to_all_nodes_only_the_ordinary_address_is_seen(tmp_path: Path) -> None:
    with bound(tmp_path) as name:
        after = without_policy(tmp_path)
        before = len(commands.seen(name))
        apply_all(name, after)
        during = commands.seen(name)[before:]
        commands.clear_seen(name)
        for workload, (_, _, ordinary) in WORKLOADS.items():
            assert commands.request(name, workload, OUTSIDE) == ordinary
        time.sleep(0.5)

        own = {address for _, address, _ in WORKLOADS.values()}
        assert not own & {item.source for item in (*during, *commands.seen(name))}
        # Late TCP packets to the virtual IP find no connection any more, and the node that has it resets them.
        assert GATEWAY not in {item.source for item in commands.seen(name) if item.protocol == "udp"}


def test_without_the_rule_the_bound_address_leaves(tmp_path: Path) -> None:
    """What the tests above rely on: that they could fail."""
    with bound(tmp_path) as name:
        load(name, without_policy(tmp_path), without_the_rule)
        commands.clear_seen(name)

        wait_for(lambda: len({item.source for item in steady(name)}) > 1)

        assert {item.source for item in steady(name)} == {GATEWAY, WORKLOADS["default/backend-2"][1]}


def test_a_policy_that_comes_back_finds_its_connections_again(tmp_path: Path) -> None:
    with bound(tmp_path) as name:
        load(name, without_policy(tmp_path))
        wait_for(lambda: all(refused(name, node) > 0 for node, _, _ in WORKLOADS.values()))
        commands.clear_seen(name)
        load(name, tmp_path / CASE)
        wait_for(lambda: all_flow(name))

        assert {item.source for item in steady(name)} == {GATEWAY}


def test_rules_load_over_those_of_a_version_that_did_not_mark_connections(tmp_path: Path) -> None:
    def older(text: str) -> str:
        lines = [line for line in text.splitlines() if "outdated" not in line and "ct mark" not in line]
        start = next(index for index, line in enumerate(lines) if line.startswith("\t# Bound while a policy"))
        end = lines.index("\t}", start)
        return "\n".join([*lines[:start], *lines[end + 1 :], ""])

    with lab_of(CASE) as (name, _):
        bundle = bundle_of(CASE, tmp_path)
        apply_all(name, bundle)
        newer = {node: (bundle / node_path(node, RULESET)).read_text() for node in open_bundle(bundle).manifest.nodes}
        listing = ["nft", "-s", "list", "table", "inet", "egressc"]
        expected = {node: sorted(commands.run_in(name, node, listing).stdout.splitlines()) for node in newer}
        for node in newer:
            commands.run_in(name, node, ["nft", "delete", "table", "inet", "egressc"])
        load(name, bundle, older)
        for node, text in newer.items():
            (bundle / node_path(node, RULESET)).write_text(text)
        load(name, bundle)
        load(name, bundle)

        found = {node: sorted(commands.run_in(name, node, listing).stdout.splitlines()) for node in newer}
        assert found == expected
