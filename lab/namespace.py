"""Entering namespaces: children that do work somewhere else and hand back a value. The only user of setns(2)."""

import contextlib
import ctypes
import os
import pickle
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from lab.model import LabError

NETNS = Path("/run/netns")
"""Where `ip netns` keeps its names; iproute2 has the path built in."""

_NEWNS = 0x00020000
_NEWUSER = 0x10000000
_NEWNET = 0x40000000
_BIND, _RECURSIVE = 0x1000, 0x4000

# os.setns exists from Python 3.12.
_libc = ctypes.CDLL(None, use_errno=True)

_T = TypeVar("_T")


def enter_network(namespace: str) -> None:
    """Moves the calling thread, and what it starts from now on, into a named network namespace.

    Raises:
        LabError: It does not exist or may not be entered.
    """
    _setns((NETNS / namespace, _NEWNET))


def enter_holder(pid: int) -> None:
    """Moves this process into the user, mount and network namespaces of another; it must have one thread.

    Raises:
        LabError: The process is gone, or may not be entered.
    """
    directory = Path.cwd()
    base = Path(f"/proc/{pid}/ns")
    _setns((base / "user", _NEWUSER), (base / "mnt", _NEWNS), (base / "net", _NEWNET))
    with contextlib.suppress(OSError):  # entering a mount namespace leaves one at its root
        os.chdir(directory)


def _setns(*targets: tuple[Path, int]) -> None:
    with contextlib.ExitStack() as stack:
        opened = []
        for path, kind in targets:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise LabError(f"cannot enter {path}: {error.strerror}; is the lab still up?") from None
            stack.callback(os.close, descriptor)
            opened.append((path, descriptor, kind))
        for path, descriptor, kind in opened:
            if _libc.setns(descriptor, kind) != 0:
                reason = os.strerror(ctypes.get_errno())
                raise LabError(f"cannot enter {path}: {reason}; use the user that brought the lab up")


def own_run_directory() -> None:
    """Puts a fresh /run over the machine's, inside a mount namespace of ours, with its directories still in it.

    `ip netns` and iptables keep names and locks in /run, where an ordinary user may not write.

    Raises:
        LabError: The kernel refuses.
    """
    machine = os.open("/run", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    entries = [entry.name for entry in os.scandir("/run") if entry.is_dir(follow_symlinks=False)]
    entries = [name for name in entries if name != NETNS.name]  # root's names are not ours
    _mount("tmpfs", "/run", "tmpfs", 0)
    for name in entries:
        target = Path("/run", name)
        target.mkdir()
        try:
            _mount(f"/proc/self/fd/{machine}/{name}", str(target), None, _BIND | _RECURSIVE)
        except LabError:
            target.rmdir()  # not ours to see, so nothing that the lab needs
    os.close(machine)
    NETNS.mkdir()


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    encoded = None if kind is None else kind.encode()
    if _libc.mount(source.encode(), target.encode(), encoded, ctypes.c_ulong(flags), None) != 0:
        raise LabError(f"cannot mount over {target}: {os.strerror(ctypes.get_errno())}; run the lab as root")


@dataclass(frozen=True, slots=True)
class Child(Generic[_T]):
    """A forked copy of this process that computes one value."""

    pid: int
    pipe: int

    def result(self) -> _T:
        """Waits for the child and returns its value.

        Raises:
            LabError: The child raised it, or was killed.
        """
        try:
            with os.fdopen(self.pipe, "rb") as stream:
                data = stream.read()
        finally:
            os.waitpid(self.pid, 0)
        if not data:
            raise LabError("a part of the lab was killed while it worked; see the message above, or try again")
        value = pickle.loads(data)  # noqa: S301  # written by our own child
        if isinstance(value, LabError):
            raise value
        return value  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Ends the child if its value was not asked for; otherwise there is nothing left to end."""
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(self.pid, os.WNOHANG) == (0, 0):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            os.close(self.pipe)


def start(function: Callable[[], _T]) -> Child[_T]:
    """Runs a function in a forked child: namespaces that it enters are its own.

    Forking costs a few milliseconds, a new interpreter ten times that.

    Raises:
        LabError: The kernel has no room for another process.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Python 3.12 warns when the program has other threads; the child only makes system calls and exits.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            pid = os.fork()
        except OSError as error:
            os.close(reading)
            os.close(writing)
            raise LabError(f"cannot start a process: {error.strerror}; build fewer nodes and workloads") from None
    if pid:
        os.close(writing)
        return Child(pid, reading)
    status = 1
    try:
        os.close(reading)
        try:
            value: object = function()
        except LabError as error:
            value = error
        with os.fdopen(writing, "wb") as stream:
            stream.write(pickle.dumps(value))
        status = 0
    except KeyboardInterrupt:
        pass  # the parent was interrupted too, and says so
    except BaseException:  # noqa: BLE001  # the copy must never run on in its parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def call(function: Callable[[], _T]) -> _T:
    """Runs a function in a forked child and returns its value.

    Raises:
        LabError: The function raised it.
    """
    return start(function).result()


def parallel(functions: Sequence[Callable[[], _T]]) -> Iterator[_T]:
    """Runs functions in children, a few at a time, and yields their values in order.

    Raises:
        LabError: One of them raised it; those not started yet are not run.
    """
    width = 2 * (os.cpu_count() or 1)
    running: list[Child[_T]] = []
    try:
        for function in functions:
            if len(running) == width:
                yield running.pop(0).result()
            running.append(start(function))
        while running:
            yield running.pop(0).result()
    finally:
        for child in running:
            with contextlib.suppress(LabError):
                child.result()


def privileged() -> bool:
    """Tells whether this process can make network namespaces and name them in /run as it is."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
    needed = 1 << 12 | 1 << 21  # CAP_NET_ADMIN, CAP_SYS_ADMIN
    return effective & needed == needed and os.access("/run", os.W_OK)
