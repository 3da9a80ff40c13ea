"""`LabPlan` to a running lab, and back to nothing."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from lab import namespace, outside, script, state
from lab.model import LabError, LabPlan, Masquerade
from lab.script import Step
from lab.state import LabState, ProcessId

_PACKAGES = {"ip": "iproute2", "nft": "nftables", "unshare": "util-linux"}

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Result:
    """What a command in the lab ended with."""

    status: int
    stdout: str
    stderr: str


def build(plan: LabPlan, masquerade: Masquerade) -> None:
    """Builds a lab; what was built is gone again when this fails.

    Raises:
        LabError: It is up already, a tool is missing, or the kernel refuses.
    """
    rootless = not namespace.privileged()
    _require(plan, masquerade, rootless=rootless)
    state.create(plan.name)
    with contextlib.ExitStack() as undo:
        undo.callback(destroy, plan.name)
        current = LabState(plan, masquerade, complete=False, holder=None, server=None)
        state.save(current)
        if rootless:
            current = replace(current, holder=namespace.call(_start_holder))
            state.save(current)
            within(current, namespace.own_run_directory)
        within(current, lambda: _construct(plan, masquerade))
        path = state.directory(plan.name)
        current = replace(current, server=within(current, lambda: _start_server(plan, path)), complete=True)
        state.save(current)
        undo.pop_all()


def destroy(name: str) -> None:
    """Removes all of a lab, also of a half-built one: processes, namespaces, directory.

    Raises:
        LabError: The kernel refuses to remove a namespace.
    """
    try:
        found = state.load(name)
    except LabError:
        state.remove(name)
        return
    if found.holder is None:
        namespaces = [each for each in found.plan.namespaces if (namespace.NETNS / each).exists()]
        state.kill(_processes_within("net", [namespace.NETNS / each for each in namespaces]))
        namespace.call(lambda: ip_batch(f"netns delete {each}" for each in namespaces))
    elif state.alive(found.holder):
        # The namespaces live in the holder's mounts and go with the last process that has them.
        others = _processes_within("user", [Path(f"/proc/{found.holder.pid}/ns/user")])
        state.kill([*others, found.holder])
    if found.server is not None:
        state.kill([found.server])
    state.remove(name)


def within(lab: LabState, function: Callable[[], _T]) -> _T:
    """Runs a function in a child that sees the lab's namespaces by name, with or without root.

    Raises:
        LabError: The function raised it, or the lab's holder is gone.
    """
    return namespace.call(entering(lab, function))


def entering(lab: LabState, function: Callable[[], _T], network: str | None = None) -> Callable[[], _T]:
    """Returns a function for `namespace.start` that enters the lab, and a network namespace of it, first."""

    def enter() -> _T:
        if lab.holder is not None:
            if not state.alive(lab.holder):
                raise LabError(f"lab {lab.plan.name!r} has lost its holder process; take it down and up again")
            namespace.enter_holder(lab.holder.pid)
        if network is not None:
            namespace.enter_network(network)
        return function()

    return enter


def environment() -> dict[str, str]:
    """Returns our environment, with the directories that an ordinary user's PATH lacks."""
    return {**os.environ, "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}


def ip_batch(lines: Iterable[str]) -> None:
    """Runs lines of `ip -batch` in the namespace that the calling thread is in.

    Raises:
        LabError: One of them fails; the rest is not run.
    """
    listed = list(lines)
    if listed:
        _run(("ip", "-batch", "-"), "\n".join(listed) + "\n", listed)


def link_flags() -> dict[str, tuple[str, ...]]:
    """Returns the flags of every interface in the namespace that the calling thread is in.

    Raises:
        LabError: `ip` cannot say.
    """
    links = json.loads(_run(("ip", "-json", "link", "show"), ""))
    return {link["ifname"]: tuple(link["flags"]) for link in links}


def wait_for_carrier(names: Collection[str], timeout: float = 2.0) -> None:
    """Waits until the interfaces have a carrier: the kernel tells routes and bridges of it up to a second late.

    Raises:
        LabError: They have none after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        links = json.loads(_run(("ip", "-json", "link", "show"), ""))
        if set(names) <= {link["ifname"] for link in links if link["operstate"] == "UP"}:
            return
        time.sleep(0.01)
    raise LabError(f"the links {', '.join(sorted(names))} do not come up; take the lab down and up again")


def _run(command: Sequence[str], text: str, lines: Sequence[str] = ()) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # our own words
            command, input=text, text=True, capture_output=True, check=True, env=environment()
        )
    except OSError as error:
        raise LabError(f"cannot run {command[0]}: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        message = " ".join(error.stderr.split())
        failed = re.search(r"Command failed -:(\d+)", message)
        what = lines[int(failed[1]) - 1] if failed and lines else " ".join(command)
        raise LabError(f"{command[0]} refuses {what!r}: {message[:300]}") from None
    return done.stdout


def _require(plan: LabPlan, masquerade: Masquerade, *, rootless: bool) -> None:
    needed = {"ip", *(["unshare"] if rootless else []), *(["nft"] if masquerade == "nft" else [])}
    if masquerade.startswith("iptables"):
        versions = {6 if ":" in prefix else 4 for prefix in plan.pod_ranges}
        needed |= {script.restore_command(masquerade, version)[0] for version in versions}
    path = environment()["PATH"]
    for tool in sorted(needed):
        if shutil.which(tool, path=path) is None:
            raise LabError(f"the lab needs {tool}: install the package {_PACKAGES.get(tool, 'iptables')}")


def _construct(plan: LabPlan, masquerade: Masquerade) -> None:
    ip_batch(f"netns add {each}" for each in plan.namespaces)
    # Each thread of the pool has a network namespace of its own choice; this process ends with the work.
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        for stage in script.stages(plan, masquerade):
            for _ in pool.map(_perform, stage):
                pass
    namespace.enter_network(plan.hub)
    links = [*plan.outside.links, *(link for node in plan.nodes for link in node.links)]
    wait_for_carrier({link.port for link in links})


def _perform(step: Step) -> None:
    namespace.enter_network(step.namespace)
    for name, value in step.sysctls:
        path = Path("/proc/sys/net", name)
        try:
            path.write_text(value, encoding="ascii")
        except FileNotFoundError:
            continue  # a kernel without IPv6: `ip` says so if the cluster needs it
        except OSError as error:
            raise LabError(f"{path}: {error.strerror}; the lab needs a writable /proc/sys") from None
    ip_batch(step.batch)
    for command, text in step.commands:
        _run(command, text)


def _start_holder() -> ProcessId:
    command = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--propagation", "private")
    waiting = ("sh", "-c", "echo ready; exec sleep infinity >/dev/null 2>&1")
    return _start((*command, *waiting), "user namespaces are not to be had here: run the lab as root, or allow them")


def _start_server(plan: LabPlan, path: Path) -> ProcessId:
    namespace.enter_network(plan.outside.namespace)
    command = (sys.executable, "-I", "-S", str(Path(outside.__file__).resolve()), str(path))
    return _start(command, "outside's server does not start")


def _start(command: Sequence[str], complaint: str) -> ProcessId:
    """Starts a process that says `ready` and outlives us."""
    try:
        process = subprocess.Popen(  # noqa: S603  # our own words
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            start_new_session=True,
            cwd="/",
        )
    except OSError as error:
        raise LabError(f"cannot run {command[0]}: {error.strerror}") from None
    assert process.stdout is not None  # noqa: S101  # a pipe, as asked for
    if process.stdout.readline() != "ready\n":
        _, message = process.communicate()
        raise LabError(f"{complaint} ({' '.join(message.split())[-300:]})")
    identity = state.identify(process.pid)
    if identity is None:
        raise LabError(f"{complaint} (it ended at once)")
    return identity


def _processes_within(kind: str, namespaces: Sequence[Path]) -> list[ProcessId]:
    """Finds every process in one of the namespaces, ourselves excepted."""
    wanted = set()
    for path in namespaces:
        with contextlib.suppress(OSError):
            wanted.add(path.stat().st_ino)
    wanted.discard(Path("/proc/self/ns", kind).stat().st_ino)  # never the machine's own
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # gone, or somebody else's
            if (entry / "ns" / kind).stat().st_ino in wanted and (identity := state.identify(int(entry.name))):
                found.append(identity)
    return found
