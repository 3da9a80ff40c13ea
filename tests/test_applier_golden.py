"""The applier with what the compiler makes: on one kernel, from every golden node to every other."""

import io
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from applier_bundles import NODE, next_hop, write_bundle
from applier_bundles import State as Written
from conftest import GOLDEN, GOLDEN_CASES
from kernel_fixtures import Netns, fresh, netns
from written import TRACE, Notices, notices, traced_writes

from applier.cli import run
from applier.netns import entered
from bundle.directory import NodePart, open_bundle
from bundle.ruleset import Ruleset
from compiler.files import write_bundle as write_files
from compiler.pipeline import compile_cluster, read_cluster

pytestmark = pytest.mark.kernel
__all__ = ["netns"]

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Goal:
    """A node of a bundle."""

    directory: Path
    part: NodePart

    def __str__(self) -> str:
        return f"{self.directory.name}:{self.part.node}"


@pytest.fixture(scope="module")
def goals(tmp_path_factory: pytest.TempPathFactory) -> list[Goal]:
    """Every node of every golden case."""
    home = tmp_path_factory.mktemp("bundles")
    found = []
    for case in GOLDEN_CASES:
        reading = read_cluster([str(GOLDEN / case / "input")])
        assert reading.cluster is not None
        files = compile_cluster(reading.cluster).files
        assert files is not None
        write_files(files, home / case)
        bundle = open_bundle(home / case)
        found += [Goal(home / case, bundle.node(node)) for node in bundle.manifest.nodes]
    return found


@pytest.fixture
def empty(tmp_path: Path) -> Goal:
    """A node that is to hold nothing but an empty table."""
    directory = write_bundle(tmp_path / "empty", Written({}, {}))
    return Goal(directory, open_bundle(directory).node(NODE))


@contextmanager
def foreign_node() -> Iterator[Netns]:
    """A network namespace with addresses of no node in any case: no node is its own next hop."""
    with fresh() as namespace:
        for old, new in (("172.18.4.11/24", "172.18.4.99/24"), ("fd00:4::11/64", "fd00:4::99/64")):
            namespace.run(f"ip address delete {old} dev eth0")
            namespace.run(f"ip address add {new} dev eth0{' nodad' if ':' in new else ''}")
        yield namespace


def reach(namespace: Netns, goal: Goal, *ends: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    status = run(goal.directory, goal.part.node, namespace.name, dry_run=False, out=out, err=err)

    assert (status, err.getvalue()) == (0, ""), goal
    assert out.getvalue().endswith(ends), (goal, out.getvalue())


def stay(namespace: Netns, goal: Goal, heard: Notices) -> None:
    """Applies again what is applied: that writes nothing."""
    for _ in range(3):  # what the kernel itself has left to do may come late; what an apply does comes every time
        heard.take()
        reach(namespace, goal, "nothing to do\n")
        kinds = heard.take()
        if not kinds:
            return
    pytest.fail(f"{goal}: the second apply was followed by notices of netlink types {kinds}")


def state(namespace: Netns, goal: Goal) -> frozenset[str]:
    """All that the node holds, as lines; of settings those that the plan names, since no plan takes others back."""
    table, foreign, rules4, rules6, routes4, routes6, addresses, _ = namespace.dump()
    with entered(namespace.name):
        settings = [f"{item.name} = {Path('/proc/sys', item.name).read_text()}" for item in goal.part.routing.sysctls]
    # The kernel has anycast routes of its own while it forwards IPv6.
    routes = [line for line in (*routes4, *routes6) if not line.startswith("anycast ")]
    return frozenset([*table_lines(table), foreign, *rules4, *rules6, *routes, *addresses, *settings])


def table_lines(table: Ruleset | None) -> Iterator[str]:
    assert table is not None
    yield str(table.others)
    for chain in table.chains.values():
        yield f"chain {chain.name} {chain.hook}"
        yield from (f"chain {chain.name} {number} {rule}" for number, rule in enumerate(chain.rules))
    for item in table.sets.values():
        yield f"{item.kind} {item.name} {item.spec}"
        yield from (f"{item.kind} {item.name} {key} : {value}" for key, value in item.elements.items())


def every_ordered_pair(count: int, seed: int) -> list[int]:
    """A walk over the numbers below `count` that steps from each to each other exactly once (Hierholzer's way)."""
    chance = random.Random(seed)  # noqa: S311  # an order, always the same
    ways = {here: chance.sample([there for there in range(count) if there != here], count - 1) for here in range(count)}
    path, walk = [0], []
    while path:
        if ways[path[-1]]:
            path.append(ways[path[-1]].pop())
        else:
            walk.append(path.pop())
    return walk[::-1]


def test_the_walk_takes_every_step_once() -> None:
    walk = every_ordered_pair(7, seed=1)

    assert sorted(pairwise(walk)) == [(a, b) for a in range(7) for b in range(7) if a != b]


def gateways(goals: list[Goal]) -> list[Goal]:
    """Of each case the node that translates most, by number of virtual IPs, then of translations."""

    def weight(goal: Goal) -> tuple[int, int]:
        return (len(goal.part.addresses.addresses), len(goal.part.ruleset.sets["translation"].elements))

    return [max((goal for goal in goals if goal.directory.name == case), key=weight) for case in GOLDEN_CASES]


def workers(goals: list[Goal]) -> list[Goal]:
    """Of each case the node with most next hops."""
    return [
        max((goal for goal in goals if goal.directory.name == case), key=lambda goal: len(goal.part.routing.rules))
        for case in GOLDEN_CASES
    ]


CHOICES: dict[str, Callable[[list[Goal]], list[Goal]]] = {"gateways": gateways, "workers": workers, "all": list}


@pytest.mark.parametrize("kind", ["gateways", "workers", *(["all"] if os.environ.get("EGRESSC_LONG") else [])])
def test_every_golden_state_is_reached_from_every_other(kind: str, goals: list[Goal], empty: Goal) -> None:
    chosen = [empty, *CHOICES[kind](goals)]
    expected = []
    for goal in chosen:
        with foreign_node() as namespace:
            reach(namespace, goal, "step\n", "steps\n")
            expected.append(state(namespace, goal))
    walk = every_ordered_pair(len(chosen), seed=1)
    with foreign_node() as namespace, notices(namespace.name) as heard:
        for before, number in zip([None, *walk], walk, strict=False):
            goal = chosen[number]
            reach(namespace, goal, "step\n", "steps\n", "nothing to do\n")

            assert sorted(state(namespace, goal) ^ expected[number]) == [], f"{chosen[before or 0]} to {goal}"
            stay(namespace, goal, heard)


def test_a_next_hop_without_an_interface_goes_where_the_kernel_would_send_it(netns: Netns, tmp_path: Path) -> None:
    for number, device in enumerate(("eth0", None)):
        rules, routes = next_hop(5, "172.18.18.1", device)
        directory = write_bundle(tmp_path / str(number), Written({}, {}, rules, routes))
        reach(netns, Goal(directory, open_bundle(directory).node(NODE)), "step\n", "steps\n")

    assert "via 172.18.18.1 dev eth1 " in netns.run("ip route show table 7305")


def test_a_second_apply_of_every_golden_node_sends_and_writes_nothing(goals: list[Goal], tmp_path: Path) -> None:
    """Counted on the netlink sockets, and on every other way to the kernel, by a trace of the process."""
    if not shutil.which(TRACE[0]):
        pytest.skip("strace is not installed")
    log = tmp_path / "trace"
    random.Random(1).shuffle(goals)  # noqa: S311  # an order, always the same
    with foreign_node() as namespace:
        command = [sys.executable, str(ROOT / "tests" / "traced_applies.py"), namespace.name]
        states = [f"{goal.directory}:{goal.part.node}" for goal in goals]
        done = subprocess.run([*TRACE, "-o", str(log), *command, *states], capture_output=True, text=True, check=False)
    writes = traced_writes(log.read_text())

    assert (done.returncode, done.stderr) == (0, "")
    assert len(writes) == 2 * len(goals)
    assert [writes[f"{number} second"] for number in range(len(goals))] == [[]] * len(goals)
    # And the trace sees the writes that there are: a gateway's apply has all kinds of them.
    firsts = "\n".join(line for number in range(len(goals)) for line in writes[f"{number} first"])
    for sign in (
        "nlmsg_type=0xa",
        "nlmsg_type=0x14,",
        "nlmsg_type=0x18,",
        "nlmsg_type=0x20,",
        "/proc/sys/net/",
        '"\\377',
    ):
        assert sign in firsts, sign
