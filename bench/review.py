"""How long `egressc diff` and `egressc simulate` take on a whole cluster, and how much memory."""

import argparse
import sys
import tempfile
from pathlib import Path

from bench.clusters import SIZES, changed_cluster, make_cluster
from bench.measure import measure

_DONE = (0, 1)  # that something differs is no failure


def main() -> int:
    """Prints a row for each command and size; returns the exit status of the first command that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=list(SIZES), help=f"of {', '.join(SIZES)}; all by default")
    print(f"{'size':5} {'nodes':>6} {'workloads':>10} {'policies':>9}  {'command':40} {'seconds':>8} {'MiB':>6}")
    for name in parser.parse_args().sizes:
        size = SIZES[name]
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            text = make_cluster(size)
            for side, content in (("old", text), ("new", changed_cluster(text))):
                (home / f"{side}.json").write_text(content, encoding="utf-8")
                if status := measure(["compile", str(home / f"{side}.json"), "-o", str(home / side)]).status:
                    return status
            for shown, command in _commands(home).items():
                run = measure(command)
                counts = f"{size.nodes:6} {size.workloads:10} {size.policies:9}"
                print(f"{name:5} {counts}  {shown:40} {run.seconds:8.1f} {run.mebibytes:6.0f}", flush=True)
                if run.status not in _DONE:
                    return run.status
    return 0


def _commands(home: Path) -> dict[str, list[str]]:
    old, new = str(home / "old"), str(home / "new")
    return {
        "diff OLD NEW": ["diff", old, new],
        "diff OLD NEW --format markdown": ["diff", old, new, "--format", "markdown"],
        "diff OLD NEW --format json": ["diff", old, new, "--format", "json"],
        "diff OLD OLD": ["diff", old, old],
        "diff of inputs": ["diff", f"{old}.json", f"{new}.json"],
        "simulate --all-single-failures": ["simulate", f"{old}.json", "--all-single-failures"],
        "simulate --down": ["simulate", f"{old}.json", "--down", "node-00000"],
    }


if __name__ == "__main__":
    sys.exit(main())
