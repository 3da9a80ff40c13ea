"""How long a command takes and how much memory, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.tables import BenchError, Row, Table, measured


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


def time_and_memory(title: str, results: Mapping[str, Mapping[str, tuple[Measured, ...]]]) -> Iterator[Table]:
    """Makes a table of seconds and one of memory.

    Args:
        title: Of both.
        results: What each run took, by group and label; the first of a group is what the others are compared with.
    """
    for what, unit in (("time", "s"), ("memory", "MiB")):
        groups = [
            [
                Row(f"{group}: {label}", tuple(r.seconds if unit == "s" else r.mebibytes for r in runs), unit)
                for label, runs in found.items()
            ]
            for group, found in results.items()
        ]
        yield measured(f"{title}, {what}", groups)
