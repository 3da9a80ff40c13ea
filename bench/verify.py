"""How long `egressc compile` and `egressc verify` take, and how much memory, on a cluster of a given size."""

import argparse
import sys
import tempfile
from pathlib import Path

from bench.clusters import SIZES, make_cluster
from bench.measure import measure


def main() -> int:
    """Prints a row for each command and size; returns the exit status of the first command that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=list(SIZES), help=f"of {', '.join(SIZES)}; all by default")
    print(f"{'size':5} {'nodes':>6} {'workloads':>10} {'policies':>9}  {'command':8} {'seconds':>8} {'MiB':>6}")
    for name in parser.parse_args().sizes:
        size = SIZES[name]
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            (home / "cluster.json").write_text(make_cluster(size), encoding="utf-8")
            for command in (
                ["compile", str(home / "cluster.json"), "-o", str(home / "bundle")],
                ["verify", str(home / "bundle")],
            ):
                run = measure(command)
                counts = f"{size.nodes:6} {size.workloads:10} {size.policies:9}"
                print(f"{name:5} {counts}  {command[0]:8} {run.seconds:8.1f} {run.mebibytes:6.0f}", flush=True)
                if run.status:
                    return run.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
