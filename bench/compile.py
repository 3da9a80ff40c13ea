"""How long `egressc compile` takes from a snapshot to a written bundle, how much memory, and how both grow."""

import math
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from bench.clusters import SIZES, Size, make_cluster, scaled
from bench.measure import Measured, measure_egressc, time_and_memory
from bench.tables import BenchError, Options, Table, interleaved, measured, number, run

_MOST: Final = 2.2
"""How many times the time and the memory twice the workloads may cost."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    measured: Measured
    digest: str


def tables(options: Options) -> Iterator[Table]:
    """Measures the sizes, and the largest of them with half and twice its workloads too."""
    *smaller, largest = options.sizes
    sizes = {name: SIZES[name] for name in smaller}
    sizes[f"{largest}/2"] = scaled(SIZES[largest], 1 / 2)
    sizes[largest] = SIZES[largest]
    sizes[f"2{largest}"] = scaled(SIZES[largest], 2)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name, size in sizes.items():
            _snapshot(home, name).write_text(make_cluster(size), encoding="utf-8")
        results = interleaved(options.rounds, {name: partial(_compile, home, name) for name in sizes})
    for name, found in results.items():
        if len({item.digest for item in found}) > 1:
            raise BenchError(f"{name}: the same snapshot gave different bundles")
    same = f"SHA-256 of all files of {largest}: `{results[largest][0].digest[:16]}`"
    same += f"; all {options.rounds} rounds of each size gave the same bytes." if options.rounds > 1 else "."
    taken = {name: tuple(item.measured for item in found) for name, found in results.items()}
    rows = [time_and_memory(_label(name, size), taken[name]) for name, size in sizes.items()]
    yield measured("egressc compile", [rows], (same,))
    middle = {name: _middle(found) for name, found in taken.items()}
    pairs = [*zip(options.sizes, options.sizes[1:], strict=False), (f"{largest}/2", largest), (largest, f"2{largest}")]
    yield Table(
        "what a doubling costs",
        ("from .. to", "workloads", "time", "memory"),
        tuple(
            (
                f"{one} .. {two}",
                f"x {number(sizes[two].workloads / sizes[one].workloads)}",
                *(
                    number(per_doubling(sizes[one], sizes[two], before, after))
                    for before, after in zip(middle[one], middle[two], strict=True)
                ),
            )
            for one, two in pairs
        ),
        (f"Times as much for twice the workloads; linear is 2, and {_MOST} is the most that it may be.",),
    )


def per_doubling(one: Size, two: Size, before: float, after: float) -> float:
    """Returns how many times as much twice the workloads cost, were the growth even all the way."""
    return float(2 ** (math.log(after / before) / math.log(two.workloads / one.workloads)))


def digest(bundle: Path) -> str:
    """Returns the SHA-256 of all files below a directory with their names."""
    total = sha256()
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(bundle)}\0{sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def _middle(found: tuple[Measured, ...]) -> tuple[float, float]:
    """Returns the medians of seconds and of memory."""
    return statistics.median(item.seconds for item in found), statistics.median(item.mebibytes for item in found)


def _snapshot(home: Path, name: str) -> Path:
    return home / f"{name.replace('/', '-')}.json"


def _label(name: str, size: Size) -> str:
    return f"{name}: {size.nodes:,} nodes, {size.workloads:,} workloads, {size.policies:,} policies"


def _compile(home: Path, name: str) -> _Compiled:
    bundle = home / "bundle"
    found = measure_egressc(["compile", str(_snapshot(home, name)), "-o", str(bundle)])
    result = _Compiled(found, digest(bundle))
    shutil.rmtree(bundle)
    return result


if __name__ == "__main__":
    sys.exit(run(__doc__, tables))
