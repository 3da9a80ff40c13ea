"""How long a command takes and how much memory, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bench.tables import BenchError, Row


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run took.

    Attributes:
        seconds: Of wall-clock time.
        processor: Seconds of processor time, of all cores together.
        mebibytes: Of resident memory, at most.
    """

    seconds: float
    processor: float
    mebibytes: float


def measure(command: list[str], statuses: Collection[int] = (0,)) -> Measured:
    """Runs a program, the first of the words as a path; its standard output is thrown away.

    Raises:
        BenchError: It ends with another status than these.
    """
    watch = [sys.executable, "-I", "-S", str(Path(__file__).with_name("watch.py"))]
    done = subprocess.run([*watch, *command], capture_output=True, text=True, check=False)  # noqa: S603  # our own
    if done.returncode:
        raise BenchError(done.stderr)
    taken = json.loads(done.stdout)
    if taken["status"] not in statuses:
        raise BenchError(f"{' '.join(command)}: exit status {taken['status']}\n{done.stderr}")
    return Measured(taken["seconds"], taken["processor"], taken["mebibytes"])


def measure_egressc(arguments: list[str], statuses: Collection[int] = (0,)) -> Measured:
    """Runs `egressc` with these arguments.

    Raises:
        BenchError: It ends with another status than these.
    """
    script = "import sys; from compiler.cli import main; sys.exit(main(sys.argv[1:]))"
    return measure([sys.executable, "-c", script, *arguments], statuses)


def time_and_memory(label: str, runs: tuple[Measured, ...]) -> Row:
    """Makes a row of what the runs of a command took."""
    return Row(label, {"s": tuple(run.seconds for run in runs), "MiB": tuple(run.mebibytes for run in runs)})
