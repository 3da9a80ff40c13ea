"""How long the applier takes to start, beside what it stands on, and how large it is.

The commands take turns, so that a machine that is busy for a while is busy for all of them.
"""

import argparse
import importlib.metadata
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deploy.pyz import DEPENDENCY, build

_REFUSED = 2  # an apply of a folder that is no bundle: it has loaded all that it needs when it finds out


def main() -> int:
    """Prints a row for each command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=20)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "egressc-node.pyz"
        archive.write_bytes(build())
        apply = ["apply", folder, "--node", "none"]
        commands = {
            "python -c pass": ([sys.executable, "-c", "pass"], 0),
            "python -c 'import pyroute2'": ([sys.executable, "-c", "import pyroute2"], 0),
            "python -m applier apply": ([sys.executable, "-m", "applier", *apply], _REFUSED),
            "egressc-node.pyz apply": ([sys.executable, str(archive), *apply], _REFUSED),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, (command, expected) in commands.items():
                wall, processor, status = _run(command)
                if status != expected:
                    print(f"{name}: exit status {status}")
                    return 1
                times[name].append((wall, processor))
        print(f"{'command':28} {'ms':>6} {'ms of processor':>16}   median of {rounds}")
        for name, pairs in times.items():
            wall, processor = (1000 * statistics.median(values) for values in zip(*pairs, strict=True))
            print(f"{name:28} {wall:6.0f} {processor:16.0f}")
        print(f"egressc-node.pyz: {archive.stat().st_size >> 10} KiB")
    sizes = (file.size or 0 for file in importlib.metadata.files(DEPENDENCY) or () if file.suffix == ".py")
    print(f"{DEPENDENCY}, installed, without byte code: {sum(sizes) >> 10} KiB")
    return 0


def _run(command: list[str]) -> tuple[float, float, int]:
    """Runs a command; returns seconds of wall-clock time and of the processor, and its exit status."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  # our own
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, process.returncode


if __name__ == "__main__":
    sys.exit(main())
