"""How long `egressc verify` takes beside the compile of what it verifies, and how much memory."""

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.clusters import SIZES, make_cluster
from bench.measure import measure_egressc, time_and_memory
from bench.tables import Options, Table, interleaved, measured, run


def tables(options: Options) -> Iterator[Table]:
    """Measures the sizes, each by itself."""
    groups = []
    for name in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            snapshot, bundle = Path(folder) / "cluster.json", Path(folder) / "bundle"
            snapshot.write_text(make_cluster(SIZES[name]), encoding="utf-8")
            commands = {
                "compile": ["compile", str(snapshot), "-o", str(bundle)],
                "verify": ["verify", str(bundle)],
            }
            runs = {label: partial(measure_egressc, command) for label, command in commands.items()}
            found = interleaved(options.rounds, runs)
        groups.append([time_and_memory(f"{name}: {label}", taken) for label, taken in found.items()])
    yield measured("egressc verify", groups)


if __name__ == "__main__":
    sys.exit(run(__doc__, tables, sizes=("S", "M")))
