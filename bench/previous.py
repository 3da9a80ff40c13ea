"""How long `egressc compile --previous` takes where little has changed, and how many files it writes."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.clusters import SIZES, grown_cluster, make_cluster
from bench.measure import measure_egressc
from bench.tables import Options, Row, Table, interleaved, measured, run


def tables(options: Options) -> Iterator[Table]:
    """Measures the sizes, each by itself."""
    groups = []
    for name in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            groups.append(_rows(Path(folder), name, options.rounds))
    yield measured("egressc compile -o DIR --previous DIR", groups)


def _rows(home: Path, name: str, rounds: int) -> list[Row]:
    text = make_cluster(SIZES[name])
    (home / "cluster.json").write_text(text, encoding="utf-8")
    (home / "grown.json").write_text(grown_cluster(text), encoding="utf-8")
    bundle = home / "bundle"

    def full() -> tuple[float, int]:
        shutil.rmtree(bundle, ignore_errors=True)
        return _compile(bundle, ["compile", str(home / "cluster.json"), "-o", str(bundle)])

    def again(snapshot: str) -> Callable[[], tuple[float, int]]:
        arguments = ["compile", str(home / snapshot), "-o", str(bundle), "--previous", str(bundle)]
        return lambda: _compile(bundle, arguments)

    runs = {
        "into an empty directory": full,
        "nothing changed": again("cluster.json"),
        "one workload more": again("grown.json"),
    }
    rows = []
    for label, taken in interleaved(rounds, runs).items():
        seconds, written = zip(*taken, strict=True)
        rows.append(Row(f"{name}: {label}", {"s": seconds, "files written": written}))
    return rows


def _compile(bundle: Path, arguments: list[str]) -> tuple[float, int]:
    """Returns seconds, and how many files of the bundle are not those of before."""
    before = _files(bundle)
    seconds = measure_egressc(arguments).seconds
    return seconds, sum(before.get(path) != state for path, state in _files(bundle).items())


def _files(bundle: Path) -> dict[Path, tuple[int, int]]:
    states = {path: path.stat() for path in bundle.rglob("*") if path.is_file()}
    return {path: (state.st_ino, state.st_mtime_ns) for path, state in states.items()}


if __name__ == "__main__":
    sys.exit(run(__doc__, tables, sizes=("M", "L")))
