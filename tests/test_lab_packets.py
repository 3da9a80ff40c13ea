"""A lab in the kernel: packets go where they should, and taking it down leaves nothing."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import pytest
from lab_fixtures import ANYWHERE4, ANYWHERE6, cluster, worker, workload

from compiler.model import Family
from lab import commands, state
from lab.model import LabError, Limits, Masquerade
from lab.namespace import privileged
from lab.traffic import Protocol

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parent.parent
NAME = f"t{os.getpid()}"


@dataclass(frozen=True)
class Addresses:
    """What the fixture's cluster looks like in one family."""

    anywhere: str
    worker_1: str
    gateway_1: str
    pod_1: str
    pod_2: str


FAMILIES = pytest.mark.parametrize(
    "at",
    [
        Addresses(ANYWHERE4, "172.18.4.11", "172.18.18.21", "10.244.1.1", "10.244.2.2"),
        Addresses(ANYWHERE6, "fd00:4::11", "fd00:18::21", "fd00:244::1:1", "fd00:244::2:2"),
    ],
    ids=["ipv4", "ipv6"],
)
PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])


def machine() -> dict[str, object]:
    """What a lab must not change: namespaces, links, addresses, rules and the state directory's neighbours."""
    ip = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or "ip"

    def said(*arguments: str) -> str:
        done = subprocess.run([ip, *arguments], check=True, capture_output=True, text=True)  # fixed words
        return done.stdout

    return {
        "netns": sorted(line for line in said("netns").splitlines() if line.startswith(f"egl-{NAME}")),
        "links": sorted(link["ifname"] for link in json.loads(said("-json", "link", "show"))),
        "routes": said("route", "show", "table", "all"),
        "processes": ours(),
        "directory": state.directory(NAME).exists(),
    }


def ours() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(state.directory(NAME)) in line and "pytest" not in line:
                found.append(line)
    return found


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    before = machine()
    assert before["netns"] == []
    commands.up(cluster(), NAME, "nft", io.StringIO())
    try:
        yield NAME
    finally:
        commands.down(NAME)
    assert machine() == before


@pytest.fixture(autouse=True)
def _forgotten(request: pytest.FixtureRequest) -> None:
    if "lab" in request.fixturenames:
        commands.clear_seen(NAME)


@FAMILIES
@PROTOCOLS
def test_pods_reach_each_other_across_nodes_with_their_own_address(lab: str, protocol: Protocol, at: Addresses) -> None:
    assert commands.request(lab, "default/on-one", at.pod_2, protocol=protocol) == at.pod_1
    assert commands.request(lab, "default/on-gateway", at.pod_1, protocol=protocol) is not None
    assert commands.seen(lab) == ()


@FAMILIES
@PROTOCOLS
def test_masqueraded_pods_leave_with_their_nodes_address(lab: str, protocol: Protocol, at: Addresses) -> None:
    assert commands.request(lab, "default/on-one", at.anywhere, protocol=protocol) == at.worker_1
    assert commands.request(lab, "default/on-gateway", at.anywhere, protocol=protocol) == at.gateway_1
    assert {(p.source, p.destination, p.protocol, p.destination_port) for p in commands.seen(lab)} == {
        (at.worker_1, at.anywhere, protocol, 8080),
        (at.gateway_1, at.anywhere, protocol, 8080),
    }


@FAMILIES
def test_nodes_themselves_reach_outside(lab: str, at: Addresses) -> None:
    assert commands.request(lab, "worker-1", at.anywhere) == at.worker_1
    assert commands.request(lab, "gateway-1", at.anywhere) == at.gateway_1


@PROTOCOLS
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("target", ["default/on-one", "default/on-gateway"])
def test_a_connection_from_outside_is_answered(lab: str, protocol: Protocol, version: int, target: str) -> None:
    result = commands.inbound(lab, target, version=version, protocol=protocol)

    assert result.answered
    assert result.seen == commands.STRANGER[version]


def test_after_an_inbound_connection_outside_has_no_route_to_pods_again(lab: str) -> None:
    commands.inbound(lab, "default/on-one")

    assert commands.request(lab, "outside", "10.244.1.1", timeout=0.3) is None


def test_outside_answers_curl(lab: str) -> None:
    url = f"http://{ANYWHERE4}:8080/"
    code = f"import urllib.request as u; print(u.urlopen('{url}', timeout=2).read().decode(), end='')"
    result = commands.run_in(lab, "default/on-one", [sys.executable, "-c", code])

    assert (result.status, result.stdout) == (0, "172.18.4.11\n")


def test_outside_answers_from_the_address_that_was_asked(lab: str) -> None:
    code = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)\n"
        "s.sendto(b'x', ('198.51.100.7', 8080)); print(s.recvfrom(99)[1][0])"
    )
    result = commands.run_in(lab, "worker-1", [sys.executable, "-c", code])

    assert result.stdout == "198.51.100.7\n"


def test_a_node_taken_away_is_silent_until_it_is_back(lab: str) -> None:
    commands.fail(lab, "gateway-1")
    try:
        assert commands.status(lab).failed == ("gateway-1",)
        assert commands.request(lab, "default/on-gateway", ANYWHERE4, timeout=0.3) is None
        assert commands.request(lab, "default/on-one", "172.18.4.21", timeout=0.3) is None
        assert commands.request(lab, "default/on-one", ANYWHERE4) == "172.18.4.11"
    finally:
        commands.restore(lab, "gateway-1")

    assert commands.status(lab).failed == ()
    assert commands.request(lab, "default/on-gateway", ANYWHERE4, timeout=5) == "172.18.18.21"
    assert commands.request(lab, "default/on-one", "172.18.4.21", timeout=5) is not None


def test_nodes_filter_reverse_paths_strictly_and_forward(lab: str) -> None:
    names = ("all", "eth0", "eth1")
    paths = [f"/proc/sys/net/ipv4/conf/{name}/rp_filter" for name in names] + ["/proc/sys/net/ipv4/ip_forward"]
    result = commands.run_in(lab, "gateway-1", ["cat", *paths])

    assert result.stdout.split() == ["1"] * 4


def test_seen_shows_neighbours_talk_only_on_request(lab: str) -> None:
    commands.run_in(lab, "worker-1", ["ip", "neighbour", "flush", "all"])
    commands.request(lab, "worker-1", ANYWHERE4)

    assert "arp" not in {packet.protocol for packet in commands.seen(lab)}
    assert "arp" in {packet.protocol for packet in commands.seen(lab, chatter=True)}


def test_a_request_is_quick(lab: str) -> None:
    begin = time.monotonic()
    for _ in range(10):
        commands.request(lab, "default/on-one", ANYWHERE4)

    assert time.monotonic() - begin < 2


def test_up_twice_says_so_and_harms_nothing(lab: str) -> None:
    with pytest.raises(LabError, match="already up"):
        commands.up(cluster(), lab, "nft", io.StringIO())

    assert commands.request(lab, "default/on-one", ANYWHERE4) is not None


def test_unknown_names_are_refused_with_the_known_ones(lab: str) -> None:
    with pytest.raises(LabError, match="default/on-gateway, default/on-one, default/on-two"):
        commands.request(lab, "default/nobody", ANYWHERE4)
    with pytest.raises(LabError, match="worker-1, worker-2"):
        commands.fail(lab, "nobody")
    with pytest.raises(LabError, match="not an IP address"):
        commands.request(lab, "default/on-one", "somewhere")


def test_commands_run_inside_and_pass_on_their_status(lab: str) -> None:
    assert commands.execute(lab, "worker-1", ["sh", "-c", "exit 7"]) == 7
    assert commands.run_in(lab, "hub", ["ip", "-o", "link", "show", "br0"]).status == 0


@pytest.mark.parametrize("masquerade", get_args(Masquerade))
def test_each_kind_of_masquerade(masquerade: Masquerade) -> None:
    tool = {"nft": "nft", "none": "ip"}.get(masquerade, f"{masquerade}-restore")
    if shutil.which(tool, path="/usr/sbin:/sbin:" + os.environ.get("PATH", "")) is None:
        pytest.skip(f"{tool} is not installed")
    name = f"{NAME}m"
    commands.up(cluster(), name, masquerade, io.StringIO())
    try:
        for anywhere, own, pod in (
            (ANYWHERE4, "172.18.4.11", "10.244.1.1"),
            (ANYWHERE6, "fd00:4::11", "fd00:244::1:1"),
        ):
            for protocol in get_args(Protocol):
                commands.clear_seen(name)
                answer = commands.request(name, "default/on-one", anywhere, protocol=protocol, timeout=0.5)

                assert answer == (None if masquerade == "none" else own)
                assert {p.source for p in commands.seen(name)} == {pod if masquerade == "none" else own}
    finally:
        commands.down(name)


def test_a_lab_that_cannot_be_built_leaves_nothing() -> None:
    before = machine()
    clash = (workload("a", "worker-1", "1.1"), replace(workload("b", "worker-1", "1.1"), namespace="other"))

    with pytest.raises(LabError, match="ip refuses"):
        commands.up(cluster(workloads=clash), f"{NAME}f", "nft", io.StringIO())

    assert machine() == before


def test_down_removes_a_half_built_lab_and_what_runs_in_it() -> None:
    name = f"{NAME}h"
    commands.up(cluster(), name, "none", io.StringIO())
    lab = state.load(name)
    started = commands.run_in(name, "worker-1", ["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"])
    state.save(replace(lab, complete=False, server=None))

    with pytest.raises(LabError, match="half-built"):
        commands.request(name, "default/on-one", ANYWHERE4)
    assert commands.down(name)
    assert state.identify(int(started.stdout)) is None
    assert lab.server is not None
    assert not state.alive(lab.server)
    assert not commands.down(name)


def test_ten_nodes_are_up_within_two_seconds() -> None:
    nodes = tuple(worker(f"worker-{n}", n) for n in range(1, 11))
    pods = tuple(workload(f"pod-{n}", f"worker-{n % 10 + 1}", f"1.{n + 1}") for n in range(20))
    begin = time.monotonic()
    commands.up(cluster(nodes, pods), f"{NAME}t", "nft", io.StringIO())
    took = time.monotonic() - begin
    commands.down(f"{NAME}t")

    assert took < 2


def test_the_limits_can_be_met() -> None:
    nodes = tuple(worker(f"worker-{n}", n) for n in range(1, 65))
    pods = tuple(workload(f"pod-{n:03}", f"worker-{n % 64 + 1}", f"{n // 100 + 1}.{n % 100 + 1}") for n in range(129))
    out = io.StringIO()
    commands.up(cluster(nodes, pods), f"{NAME}l", "nft", out, limits=Limits())
    try:
        assert "129 workloads and the lab builds the first 128" in out.getvalue()
        assert commands.request(f"{NAME}l", "default/pod-000", str(pods[127].addresses[Family.IPV4])) is not None
    finally:
        commands.down(f"{NAME}l")


ROOTLESS = """
import io, sys
sys.path[:0] = [{root!r}, {tests!r}]
from lab import commands, state
from lab_fixtures import ANYWHERE4, ANYWHERE6, cluster
from pathlib import Path
name = {name!r}
commands.up(cluster(), name, "nft", io.StringIO())
try:
    lab = state.load(name)
    assert lab.holder is not None
    assert commands.request(name, "default/on-one", ANYWHERE4) == "172.18.4.11"
    assert commands.request(name, "default/on-gateway", ANYWHERE6, protocol="udp") == "fd00:18::21"
    assert commands.request(name, "default/on-one", "10.244.2.2") == "10.244.1.1"
    assert commands.inbound(name, "default/on-one").answered
    assert len(commands.seen(name)) > 0
    commands.fail(name, "worker-1")
    assert commands.status(name).failed == ("worker-1",)
    assert commands.request(name, "default/on-one", ANYWHERE4, timeout=0.3) is None
    commands.restore(name, "worker-1")
    assert commands.execute(name, "worker-1", ["true"]) == 0
finally:
    commands.down(name)
assert not state.alive(lab.holder) and not state.alive(lab.server)
assert not state.directory(name).exists()
assert not [n for n in Path("/proc").iterdir() if n.name.isdigit() and state.identify(int(n.name)) in (lab.holder,)]
print("whole")
"""


def test_an_ordinary_user_gets_the_same() -> None:
    if not privileged():
        pytest.skip("all of this module runs without root already")
    python = readable_python()
    code = ROOTLESS.format(root=str(ROOT), tests=str(ROOT / "tests"), name=f"{NAME}u")
    before = machine()
    done = as_nobody(python, "-B", "-c", code)

    assert (done.stdout, done.stderr) == ("whole\n", "")
    assert machine() == before


def as_nobody(*command: str) -> subprocess.CompletedProcess[str]:
    setpriv = shutil.which("setpriv") or "setpriv"
    return subprocess.run(  # our own words
        [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "env", *command],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
    )


def readable_python() -> str:
    """Finds an interpreter that an ordinary user may run; the lab needs its standard library only."""
    probe = f"import sys; assert sys.version_info >= (3, 11); open({__file__!r})"
    for python in (sys.executable, "/usr/bin/python3"):
        if as_nobody(python, "-c", probe).returncode == 0:
            return python
    pytest.skip("an ordinary user may not read Python or this checkout here")
