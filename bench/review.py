"""How long `egressc diff` and `egressc simulate` take on a whole cluster beside its compile, and how much memory."""

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.clusters import SIZES, changed_cluster, make_cluster
from bench.measure import measure_egressc, time_and_memory
from bench.tables import Options, Table, interleaved, measured, run

_DONE = (0, 1)  # that something differs is no failure


def tables(options: Options) -> Iterator[Table]:
    """Measures the sizes, each by itself."""
    groups = []
    for name in options.sizes:
        text = make_cluster(SIZES[name])
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            for side, content in (("old", text), ("new", changed_cluster(text))):
                (home / f"{side}.json").write_text(content, encoding="utf-8")
                measure_egressc(["compile", str(home / f"{side}.json"), "-o", str(home / side)])
            runs = {label: partial(measure_egressc, command, _DONE) for label, command in _commands(home).items()}
            found = interleaved(options.rounds, runs)
        groups.append([time_and_memory(f"{name}: {label}", taken) for label, taken in found.items()])
    yield measured("egressc diff and simulate", groups)


def _commands(home: Path) -> dict[str, list[str]]:
    old, new = str(home / "old"), str(home / "new")
    return {
        "compile": ["compile", f"{old}.json", "-o", old],
        "diff OLD NEW": ["diff", old, new],
        "diff OLD NEW --format markdown": ["diff", old, new, "--format", "markdown"],
        "diff OLD NEW --format json": ["diff", old, new, "--format", "json"],
        "diff OLD OLD": ["diff", old, old],
        "diff of inputs": ["diff", f"{old}.json", f"{new}.json"],
        "simulate --all-single-failures": ["simulate", f"{old}.json", "--all-single-failures"],
        "simulate --down": ["simulate", f"{old}.json", "--down", "node-00000"],
    }


if __name__ == "__main__":
    sys.exit(run(__doc__, tables, sizes=("S", "M")))
