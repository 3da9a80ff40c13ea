"""How long the applier takes to start, beside what it stands on, and how large it is."""

import importlib.metadata
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.measure import measure
from bench.tables import Options, Row, Table, interleaved, measured, run
from deploy.pyz import DEPENDENCY, build

_REFUSED = 2  # an apply of a folder that is no bundle: it has loaded all that it needs when it finds out


def tables(options: Options) -> Iterator[Table]:
    """Measures each command."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "egressc-node.pyz"
        archive.write_bytes(build())
        apply = ["apply", folder, "--node", "none"]
        runs = {
            "python -c pass": partial(measure, [sys.executable, "-c", "pass"]),
            "python -c 'import pyroute2'": partial(measure, [sys.executable, "-c", "import pyroute2"]),
            "python -m applier apply": partial(measure, [sys.executable, "-m", "applier", *apply], (_REFUSED,)),
            "egressc-node.pyz apply": partial(measure, [sys.executable, str(archive), *apply], (_REFUSED,)),
        }
        found = interleaved(options.rounds, runs)
        size = archive.stat().st_size >> 10
    files = (file.size or 0 for file in importlib.metadata.files(DEPENDENCY) or () if file.suffix == ".py")
    note = f"egressc-node.pyz has {size} KiB; {DEPENDENCY}, installed, without byte code: {sum(files) >> 10} KiB."
    rows = [
        Row(
            label,
            {
                "ms": tuple(1000 * item.seconds for item in taken),
                "ms of processor": tuple(1000 * item.processor for item in taken),
            },
        )
        for label, taken in found.items()
    ]
    yield measured("start of the applier", [rows], (note,))


if __name__ == "__main__":
    sys.exit(run(__doc__, tables, rounds=20))
