"""The applier stopped at each of its operations, by an error and by SIGKILL from outside, while packets flow."""

import io
import mmap
import os
import shutil
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from conftest import GOLDEN
from faults import Ending, Operation, traced
from test_packets import apply_all, lab_of

from applier.cli import run
from applier.live import settled
from bundle.ruleset import parse
from compiler.files import write_bundle
from compiler.pipeline import compile_cluster, read_cluster
from lab import commands, state
from lab.namespace import NETNS, enter_network

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: apt-get install strace"),
]

LONG: Final = bool(os.environ.get("EGRESSC_LONG"))
STEADY, FRESH = 9001, 9002
"""Ports outside: of one flow that goes on, and of flows that have one packet each."""

# What is undone: one policy goes, another comes; the master of the virtual IP is not ready any more.
_AFTER = """
apiVersion: network.deckhouse.io/v1alpha1
kind: EgressGatewayPolicy
metadata:
  name: to-a-bank
spec:
  destinationCIDRs: [198.51.100.0/24]
  egressGatewayName: egress-gw-1
  selectors:
    - podSelector: {matchLabels: {app: backend}}
"""
WORKLOADS: Final = ("default/backend-1", "default/backend-2", "default/frontend-1")


@dataclass(frozen=True, slots=True)
class Scene:
    """A lab under traffic, and the two bundles between which a node is stopped on its way.

    Attributes:
        name: The lab.
        spaces: Node to its network namespace.
        old: The bundle that all nodes have at first.
        new: The bundle that is applied.
        sent: Counts what each workload has sent, as 64-bit numbers.
        directory: For strace's logs.
    """

    name: str
    spaces: dict[str, str]
    old: Path
    new: Path
    sent: mmap.mmap
    directory: Path

    def apply(self, bundle: Path, node: str) -> int:
        err = io.StringIO()
        status = run(bundle, node, str(NETNS / self.spaces[node]), dry_run=False, out=io.StringIO(), err=err)
        if status == 2:
            sys.stderr.write(err.getvalue())
        return status

    def must_apply(self, bundle: Path, node: str) -> None:
        assert self.apply(bundle, node) == 0

    def trace(self, node: str, fault: str | None = None, at: Operation | None = None) -> Ending:
        return traced(lambda: self.apply(self.new, node), self.directory / "strace.log", fault, at)

    def dump(self, node: str) -> tuple[object, ...]:
        """Returns the whole state of a node, without counters; our table in normal form, as its order may differ."""
        script = "nft -s list table ip cni; ip -4 rule; ip -6 rule; ip -4 route show table all; "
        script += "ip -6 route show table all; ip -o address; "
        script += (
            "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/rp_filter; nft -sy list table inet egressc"
        )
        text = commands.run_in(self.name, node, ["sh", "-c", script]).stdout
        rest, _, table = text.partition("table inet egressc {")
        ruleset = settled(parse(f"table inet egressc {{{table}", "inet egressc"))
        return (
            *sorted(rest.splitlines()),
            *(item for group in (ruleset.chains, ruleset.sets) for _, item in sorted(group.items())),
        )

    def fates(self) -> tuple[frozenset[str], ...]:
        """Returns, of packets of new flows sent from now on, the source addresses that outside sees, by workload."""
        commands.clear_seen(self.name)
        before = self._counts()
        deadline = time.monotonic() + 10
        while any(now < then + 6 for now, then in zip(self._counts(), before, strict=True)):
            assert time.monotonic() < deadline, "the workloads do not send"
            time.sleep(0.002)
        time.sleep(0.01)
        # The first may have been sent before the call.
        arrived = [item for item in commands.seen(self.name) if item.destination_port == FRESH][3:]
        return tuple(
            frozenset(item.source for item in arrived if item.destination == target(index))
            for index in range(len(WORKLOADS))
        )

    def _counts(self) -> list[int]:
        return list(struct.unpack_from(f"={len(WORKLOADS)}Q", self.sent))

    def wrong(self, *allowed: tuple[frozenset[str], ...]) -> list[str]:
        """Returns the packets seen since the last look whose source address is in none of the plans; forgets all."""
        found = []
        for item in commands.seen(self.name):
            for index, workload in enumerate(WORKLOADS):
                if item.destination == target(index) and item.source not in frozenset().union(
                    *(a[index] for a in allowed)
                ):
                    found.append(f"{workload} left as {item.source}, port {item.destination_port}")
        commands.clear_seen(self.name)
        return found


def target(index: int) -> str:
    return f"203.0.113.{100 + index}"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("faults")
    old, new = directory / "old", directory / "new"
    before, after = (GOLDEN / case / "input" for case in ("failover-before", "failover-after"))
    texts = (after / "egress.yaml").read_text().split("---\n")
    (directory / "egress.yaml").write_text("---\n".join([*(t for t in texts if "name: frontend" not in t), _AFTER]))
    for bundle, inputs in ((old, [before]), (new, [after / "cluster.yaml", directory / "egress.yaml"])):
        reading = read_cluster([str(path) for path in inputs])
        assert reading.cluster is not None, reading.findings
        result = compile_cluster(reading.cluster)
        assert result.files is not None, result.findings
        write_bundle(result.files, bundle)
    with lab_of("failover-before") as (name, _):
        apply_all(name, old)
        lab = state.load_complete(name)
        sent = mmap.mmap(-1, 8 * len(WORKLOADS))
        spaces = {node.name: node.namespace for node in lab.plan.nodes}
        with _sending(name, sent):
            yield Scene(name, spaces, old, new, sent, directory)


@contextmanager
def _sending(name: str, sent: mmap.mmap) -> Iterator[None]:
    lab = state.load_complete(name)
    children = []
    try:
        for index, workload in enumerate(WORKLOADS):
            space = lab.plan.workload(workload).namespace
            pid = os.fork()
            if pid == 0:
                try:
                    _send_for_ever(space, index, sent)
                finally:
                    os._exit(1)
            children.append(pid)
        yield
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _send_for_ever(space: str, index: int, sent: mmap.mmap) -> None:
    enter_network(space)
    steady = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    count = 0
    while True:
        for port in (STEADY, FRESH):
            # An error is such as "unreachable", told by a node.
            with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as fresh:
                (steady if port == STEADY else fresh).sendto(b"x" * 20, (target(index), port))
        count += 1
        struct.pack_into("=Q", sent, 8 * index, count)
        time.sleep(0.004)


@dataclass(frozen=True, slots=True)
class Way:
    """From the old bundle to the new one on a node.

    Attributes:
        old: The fates of workloads by the old bundle.
        new: The same by the new one.
        states: The node's state before and after.
        operations: What an apply does.
    """

    old: tuple[frozenset[str], ...]
    new: tuple[frozenset[str], ...]
    states: tuple[tuple[object, ...], tuple[object, ...]]
    operations: list[Operation]


def way(scene: Scene, node: str) -> Way:
    """Goes it once, and comes back."""
    scene.must_apply(scene.old, node)
    old, first = scene.fates(), scene.dump(node)
    ending = scene.trace(node)
    assert ending.status == 0
    new, second = scene.fates(), scene.dump(node)
    scene.must_apply(scene.old, node)
    scene.wrong(old, new)
    operations = ending.operations()
    assert len([operation for operation in operations if operation.changes]) >= 5
    return Way(old, new, (first, second), operations)


NODES = ("worker-1", "egress-1", "egress-3")


@pytest.mark.parametrize("node", NODES)
def test_an_apply_that_is_killed_anywhere_leaves_the_old_or_the_new_plan(scene: Scene, node: str) -> None:
    there = way(scene, node)
    killed = 0
    for place, operation in enumerate(there.operations):
        if not (operation.changes or LONG or place % 12 == 0):
            continue  # nothing happens between two readings
        ending = scene.trace(node, "signal=KILL", operation)

        assert ending.status in (0, -signal.SIGKILL), operation  # how many connections there are to forget varies
        killed += ending.status != 0
        assert scene.wrong(there.old, there.new) == [], operation
        assert scene.fates() in (there.old, there.new), operation
        assert scene.apply(scene.new, node) == 0, operation
        assert scene.dump(node) == there.states[1], operation
        assert scene.wrong(there.old, there.new) == [], operation
        scene.must_apply(scene.old, node)
        assert scene.dump(node) == there.states[0], operation
        assert scene.wrong(there.old, there.new) == [], operation
    assert killed >= 10


@pytest.mark.parametrize("node", NODES)
def test_an_operation_that_fails_leaves_the_node_as_it_was_or_as_planned(scene: Scene, node: str) -> None:
    there = way(scene, node)
    failed = 0
    for place, operation in enumerate(there.operations):
        if not (operation.changes or LONG or place % 8 == 0):
            continue
        ending = scene.trace(node, "error=ENOBUFS", operation)

        assert ending.status in (0, 3), operation
        failed += ending.status != 0
        assert scene.dump(node) == there.states[ending.status == 0], operation
        assert scene.wrong(there.old, there.new) == [], operation
        assert scene.apply(scene.new, node) == 0, operation
        assert scene.dump(node) == there.states[1], operation
        scene.must_apply(scene.old, node)
        assert scene.wrong(there.old, there.new) == [], operation
    assert failed >= 10
