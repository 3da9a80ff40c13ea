"""The systemd units: systemd understands them, they are hardened, and the applier works under what they forbid."""

import ctypes.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from kernel_fixtures import Netns, netns
from units import allowed_calls, read_unit

__all__ = ["netns"]

UNITS = ROOT / "deploy" / "systemd"
SERVICES = ("egressc-apply.service", "egressc.service")
FILES = sorted(path.name for path in UNITS.iterdir() if path.suffix in {".service", ".path", ".timer"})
# What the two services are to differ in; all else restricts and is to be the same.
OWN = {"Type", "ExecStart", "Restart", "RestartSec", "TimeoutStartSec"}

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: install systemd, which need not run"
)


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which("systemd-analyze") or "", *arguments], capture_output=True, text=True, check=False
    )


@needs_systemd
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for name in FILES:
        # It looks for the program, which on a machine of a developer may be elsewhere.
        text = (UNITS / name).read_text().replace("/usr/bin/python3", sys.executable)
        (tmp_path / name).write_text(text)

    done = analyze("verify", *(tmp_path / name for name in FILES))

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_services_are_little_exposed(name: str) -> None:
    # What is left is what the applier is for: root's files, netlink, raw frames, the host's network.
    done = analyze("security", "--no-pager", "--offline=yes", "--threshold=20", UNITS / name)

    assert done.returncode == 0, done.stdout + done.stderr


def test_both_services_are_restricted_alike() -> None:
    first, second = (
        sorted(item for item in read_unit(UNITS / name).settings if item[0] == "Service" and item[1] not in OWN)
        for name in SERVICES
    )

    assert first == second


def test_the_rules_are_there_before_workloads_are_started() -> None:
    unit = read_unit(UNITS / "egressc-apply.service")

    assert {"kubelet.service", "k3s.service", "k3s-agent.service"} <= set(unit.words("Unit", "Before"))
    assert unit.values("Service", "Type") == ["oneshot"]
    assert unit.values("Install", "WantedBy") == ["multi-user.target"]
    assert not unit.values("Service", "RemainAfterExit")  # the path and the timer start it again


@pytest.mark.parametrize("name", SERVICES)
def test_services_start_the_program_for_nodes(name: str) -> None:
    (start,) = read_unit(UNITS / name).values("Service", "ExecStart")

    assert start.startswith(
        "/usr/bin/python3 -I /usr/local/sbin/egressc apply ${EGRESSC_BUNDLE} --node ${EGRESSC_NODE} "
    )
    assert start.endswith(" $EGRESSC_OPTIONS")
    assert (" --watch " in start) == (name == "egressc.service")


def why_no_sandbox() -> str:
    if shutil.which("systemd-analyze") is None:
        return "systemd-analyze is missing, which knows groups of system calls: install systemd, which need not run"
    if ctypes.util.find_library("seccomp") is None:
        return "libseccomp is missing: install libseccomp2"
    if "EGRESSC_NO_NETWORK" in os.environ:
        return "in a user namespace mounts of others cannot be made read-only"
    return ""


needs_sandbox = pytest.mark.skipif(bool(why_no_sandbox()), reason=why_no_sandbox())


def sandboxed(unit: str, folder: Path, namespace: Netns, *command: str) -> subprocess.CompletedProcess[str]:
    calls = folder.parent / "calls"
    calls.write_text("\n".join(sorted(allowed_calls(read_unit(UNITS / unit)))))
    sandbox = [sys.executable, str(ROOT / "tests" / "sandbox.py"), str(UNITS / unit), str(calls), str(folder)]
    inside = ["ip", "netns", "exec", namespace.name, "unshare", "--mount"]
    whole = [*inside, *sandbox, sys.executable, "-I", *command]
    return subprocess.run(whole, capture_output=True, text=True, check=False, cwd="/")


@pytest.fixture
def folder(tmp_path: Path, made: Path) -> Path:
    """The program for nodes and a bundle."""
    target = tmp_path / "mnt"
    subprocess.run([sys.executable, "-m", "deploy.pyz", target / "egressc"], cwd=ROOT, check=True, capture_output=True)
    shutil.copytree(made, target / "bundle")
    return target


FORBIDDEN = """
import ctypes, mmap, os, socket, sys
sys.path.insert(0, "/srv/egressc")
from pathlib import Path
from applier.metrics import write

def tried(name, action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        print(name, type(error).__name__, error.strerror)
    else:
        print(name, "done")

libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

tried("usr", write, Path("/usr/egressc.prom"), "x")
tried("etc", write, Path("/etc/egressc.prom"), "x")
tried("sysctl", Path("/proc/sys/kernel/hostname").write_text, "x")
tried("net-sysctl", Path("/proc/sys/net/ipv4/ip_forward").write_text, "0")
tried("state", write, Path("/var/lib/egressc/x"), "x")
tried("lock", write, Path("/run/egressc/x"), "x")
tried("metrics", write, Path("/var/lib/prometheus/node-exporter/egressc.prom"), "x")
tried("tmp", write, Path("/tmp/x"), "x")
tried("inet", socket.socket, socket.AF_INET)
tried("netlink", socket.socket, socket.AF_NETLINK, socket.SOCK_RAW)
tried("packet", socket.socket, socket.AF_PACKET, socket.SOCK_RAW)
tried("chown", os.chown, "/run/egressc", 1, 1)
tried("unshare", call, "unshare", 0x20000000)
tried("mount", call, "mount", b"none", b"/srv", b"tmpfs", 0, None)
tried("memory", mmap.mmap, -1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_WRITE | mmap.PROT_EXEC)
"""
OUTCOME = """\
usr OSError Read-only file system
etc OSError Read-only file system
sysctl OSError Read-only file system
net-sysctl done
state done
lock done
metrics done
tmp done
inet OSError Address family not supported by protocol
netlink done
packet done
chown PermissionError Operation not permitted
unshare PermissionError Operation not permitted
mount PermissionError Operation not permitted
memory PermissionError Operation not permitted
"""


@pytest.mark.kernel
@needs_sandbox
@pytest.mark.parametrize("unit", SERVICES)
def test_the_restrictions_are_those_of_the_unit(unit: str, folder: Path, netns: Netns) -> None:
    done = sandboxed(unit, folder, netns, "-c", FORBIDDEN)

    assert (done.stdout, done.stderr) == (OUTCOME, "")


@pytest.mark.kernel
@needs_sandbox
@pytest.mark.parametrize("node", ["worker-1", "egress-2"])
def test_the_applier_works_under_the_restrictions(folder: Path, netns: Netns, node: str) -> None:
    # The node's own next hop must not be an address of the namespace.
    netns.run("ip address delete 172.18.4.11/24 dev eth0")
    netns.run("ip address add 172.18.4.99/24 dev eth0")
    unit = SERVICES[0]
    (start,) = read_unit(UNITS / unit).values("Service", "ExecStart")
    settings = {"${EGRESSC_BUNDLE}": "/srv/bundle", "${EGRESSC_NODE}": node, "/usr/local/sbin/egressc": "/srv/egressc"}
    words = [settings.get(word, word) for word in start.split() if word != "$EGRESSC_OPTIONS"]
    assert words[:2] == ["/usr/bin/python3", "-I"]

    first = sandboxed(unit, folder, netns, *words[2:])
    second = sandboxed(unit, folder, netns, *words[2:])

    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.endswith("steps\n")
    assert "sysctl net/ipv4/conf/eth0/rp_filter = 2 (was 0)" in first.stdout
    assert "announce" in first.stdout or node == "worker-1"
    assert (second.returncode, second.stdout, second.stderr) == (0, "nothing to do\n", "")
    assert netns.table() is not None
