"""Runs a function in a child under strace, which fails or kills it at a system call of a given number, from outside."""

import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CALLS: Final = "sendto,sendmsg,write"
"""What an apply does to a kernel: netlink by pyroute2 and ours, by libnftables, and settings under /proc/sys."""

_CALL: Final = re.compile(r"^\d+ +(sendto|sendmsg|write)\(")
_READS: Final = ("NLM_F_REQUEST|0x300", "NLM_F_REQUEST|0x500", "nlmsg_flags=NLM_F_REQUEST,")
"""Dumps, and requests that ask for no acknowledgement."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A system call by which an apply asks a kernel for something.

    Attributes:
        name: Of the call.
        number: How many calls of this name there have been, with it; so strace counts.
        changes: Whether it may change something.
    """

    name: str
    number: int
    changes: bool


@dataclass(frozen=True, slots=True)
class Ending:
    """How a traced child ended.

    Attributes:
        status: What its function returned; minus the signal's number if it was killed.
        log: strace's lines, one a system call.
    """

    status: int
    log: str

    def operations(self) -> list[Operation]:
        """Returns the calls of `CALLS`, in order."""
        found: list[Operation] = []
        numbers = dict.fromkeys(CALLS.split(","), 0)
        for line in self.log.splitlines():
            if match := _CALL.match(line):
                numbers[match[1]] += 1
                changes = match[1] != "sendto" or not any(mark in line for mark in _READS)
                found.append(Operation(match[1], numbers[match[1]], changes))
        return found


def traced(function: Callable[[], int], log: Path, fault: str | None = None, at: Operation | None = None) -> Ending:
    """Runs a function in a forked child under strace.

    Args:
        function: Returns an exit status.
        log: Where strace writes.
        fault: What happens instead of a call, as strace's `-e inject=` has it: `error=ENOBUFS`, `signal=KILL`.
        at: Which call; None only watches.
    """
    waiting, release = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.close(release)
            os.read(waiting, 1)
            status = function()
        finally:
            os._exit(status)
    os.close(waiting)
    command = ["strace", "-qq", "-f", "-s", "64", "-o", str(log), "-e", f"trace={CALLS}", "-e", "signal=none"]
    command += ["-e", f"inject={at.name}:{fault}:when={at.number}"] if at else []
    tracer = subprocess.Popen([*command, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    while tracer.poll() is None and not _is_traced(pid):
        time.sleep(0.002)
    os.write(release, b"!")
    os.close(release)
    _, ended = os.waitpid(pid, 0)
    _, errors = tracer.communicate()
    assert tracer.returncode == 0, errors
    return Ending(os.waitstatus_to_exitcode(ended), log.read_text())


def _is_traced(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return "TracerPid:\t0\n" not in status
