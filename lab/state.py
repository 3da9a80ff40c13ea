"""What a lab leaves on disk to be found again: its plan, its processes and the outside's log."""

import contextlib
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bundle.codec import DecodeError, decode, encode
from lab.model import LabError, LabPlan

LOG = "seen.log"
SOCKET = "outside.sock"
ERRORS = "outside.err"
_FILE = "lab.json"


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process: its number and when it started, in clock ticks after boot, since numbers are used again."""

    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class LabState:
    """One lab.

    Attributes:
        plan: What is built, or was about to be.
        masquerade: What the nodes' CNI does.
        complete: Whether `up` came to its end.
        holder: Holds the user and mount namespace of a lab without root; None with root.
        server: Outside's server.
    """

    plan: LabPlan
    masquerade: str
    complete: bool
    holder: ProcessId | None
    server: ProcessId | None


def directory(name: str) -> Path:
    """Returns the state directory of a lab; it may not exist.

    `EGRESSC_LAB_DIR` decides, else root has /run/egressc-lab, and others `XDG_RUNTIME_DIR` or a directory in /tmp.
    """
    if chosen := os.environ.get("EGRESSC_LAB_DIR"):
        base = Path(chosen).resolve()
    elif os.geteuid() == 0 and os.access("/run", os.W_OK):
        base = Path("/run/egressc-lab")
    elif (runtime := os.environ.get("XDG_RUNTIME_DIR")) and os.access(runtime, os.W_OK):
        base = Path(runtime) / "egressc-lab"
    else:
        base = Path(tempfile.gettempdir()) / f"egressc-lab-{os.geteuid()}"
    return base / name


def create(name: str) -> Path:
    """Makes the state directory of a new lab.

    Raises:
        LabError: It is there, or cannot be made, or others may write beside it.
    """
    path = directory(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent.stat().st_uid != os.geteuid():
            raise LabError(f"{path.parent} belongs to somebody else; set EGRESSC_LAB_DIR to a directory of yours")
        path.mkdir(mode=0o700)
    except FileExistsError:
        raise LabError(f"lab {name!r} is already up; take it down with: egressc lab down --name {name}") from None
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}; set EGRESSC_LAB_DIR to a directory of yours") from None
    return path


def save(state: LabState) -> None:
    """Writes a lab's state; readers see the old or the new one."""
    path = directory(state.plan.name) / _FILE
    fresh = path.with_suffix(".new")
    fresh.write_text(encode(state), encoding="utf-8")
    fresh.replace(path)


def load(name: str) -> LabState:
    """Reads a lab's state.

    Raises:
        LabError: There is no such lab, or its file cannot be read.
    """
    path = directory(name) / _FILE
    try:
        return decode(LabState, path.read_bytes())
    except FileNotFoundError:
        raise LabError(f"no lab {name!r} is up; bring one up with: egressc lab up INPUT… --name {name}") from None
    except (OSError, DecodeError) as error:
        raise LabError(f"{path}: {error}; take the lab down with: egressc lab down --name {name}") from None


def load_complete(name: str) -> LabState:
    """Reads the state of a lab that is up.

    Raises:
        LabError: There is no such lab, or bringing it up was cut short.
    """
    state = load(name)
    if not state.complete:
        raise LabError(f"lab {name!r} is half-built; take it down with: egressc lab down --name {name}")
    return state


def remove(name: str) -> None:
    """Removes the state directory, and its parent when it holds no other lab."""
    path = directory(name)
    shutil.rmtree(path, ignore_errors=True)
    if "EGRESSC_LAB_DIR" not in os.environ:
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def identify(pid: int) -> ProcessId | None:
    """Returns the identity of a running process; None when there is none, or only its corpse."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = re.sub(r"^.*\) ", "", text, flags=re.DOTALL).split()  # the name may hold spaces and brackets
    return None if fields[0] in "ZX" else ProcessId(pid, int(fields[19]))


def alive(process: ProcessId) -> bool:
    """Tells whether this very process still runs."""
    return identify(process.pid) == process


def kill(processes: Iterable[ProcessId], timeout: float = 5.0) -> None:
    """Kills processes and waits until they are gone, at most `timeout` seconds."""
    targets = [process for process in processes if alive(process)]
    for process in targets:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + timeout
    while any(alive(process) for process in targets) and time.monotonic() < deadline:
        time.sleep(0.005)
