"""How long a command of ours takes and how much memory, in a process of its own."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run took.

    Attributes:
        seconds: Of wall-clock time.
        mebibytes: Of resident memory, at most.
        status: Exit status.
    """

    seconds: float
    mebibytes: float
    status: int


def measure(command: list[str]) -> Measured:
    """Runs `egressc` with these arguments; what it prints is thrown away."""
    start = time.perf_counter()
    script = "import sys; from compiler.cli import main; sys.exit(main(sys.argv[1:]))"
    whole = [sys.executable, "-c", script, *command]
    process = subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  # our own
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Measured(time.perf_counter() - start, usage.ru_maxrss / 1024, process.returncode)
