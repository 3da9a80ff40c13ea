"""What one workload more costs on a gateway, beside loading all, at two sizes that take turns in one run.

Everything happens in a network namespace of its own: run it as root, `unshare -n python -m bench.apply`.
"""

import argparse
import contextlib
import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from applier.kernel import LinuxKernel
from applier.record import Records
from applier.session import Session
from bundle.directory import Bundle, open_bundle

GOLDEN = Path(__file__).parent.parent / "golden" / "two-gateways" / "expected"
NODE = "egress-1"
_LINKS = """
link set lo up
link add eth0 type veth peer name peer0
link add eth1 type veth peer name peer1
link set eth0 up
link set eth1 up
link set peer0 up
link set peer1 up
"""


def main() -> int:
    """Prints a row for each size; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[1_000, 150_000])
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    subprocess.run(["ip", "-batch", "-"], input=_LINKS, text=True, check=True)  # noqa: S607  # where PATH says
    print(
        f"{'elements':>9} {'load all':>10} {'one more':>10} {'transactions':>13} {'no change':>10}   seconds, medians"
    )
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            print(_row(Path(folder), size, arguments.rounds))
    return 0


def _row(folder: Path, size: int, rounds: int) -> str:
    first, second = (_bundle(folder / str(more), size + more) for more in (0, 1))
    (folder / "run").mkdir()
    with contextlib.closing(LinuxKernel()) as kernel:
        timed = _Timed(kernel)
        session = Session(timed, Records(folder / "run"))  # type: ignore[arg-type]  # a kernel with a clock
        load = _time(lambda: _apply(session, first))
        changes, transactions, nothing = [], [], []
        for number in range(rounds):
            bundle = second if number % 2 == 0 else first
            timed.seconds = 0.0
            changes.append(_time(lambda bundle=bundle: _apply(session, bundle)))  # type: ignore[misc]
            transactions.append(timed.seconds)
            nothing.append(_time(lambda bundle=bundle: _apply(session, bundle)))  # type: ignore[misc]
        session.remove({}, lambda _: None)
    middle = statistics.median
    return f"{size:9} {load:10.3f} {middle(changes):10.3f} {middle(transactions):13.4f} {middle(nothing):10.3f}"


class _Timed:
    """A kernel that adds up the time in nft transactions."""

    def __init__(self, kernel: LinuxKernel) -> None:
        self._kernel = kernel
        self.seconds = 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self._kernel, name)

    def run_nft(self, script: str) -> None:
        start = time.perf_counter()
        self._kernel.run_nft(script)
        self.seconds += time.perf_counter() - start


def _apply(session: Session, bundle: Bundle) -> None:
    outcome = session.apply(session.part(bundle, NODE), io.StringIO().write)  # type: ignore[arg-type]
    if outcome.status:
        sys.exit(outcome.message)


def _time(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _bundle(target: Path, size: int) -> Bundle:
    shutil.copytree(GOLDEN, target, ignore=shutil.ignore_patterns("*.txt"))
    path = target / "nodes" / NODE / "ruleset.nft"
    line = "\t\t\t10.111.11.5 : goto remote_3de2d73f,\n"
    more = (f"\t\t\t10.{128 + (i >> 16)}.{i >> 8 & 255}.{i & 255} : goto remote_3de2d73f,\n" for i in range(size))
    text = path.read_text().replace(line, line + "".join(more))
    path.write_text(text)
    manifest = json.loads((target / "manifest.json").read_text())
    manifest["files"][f"nodes/{NODE}/ruleset.nft"] = sha256(text.encode()).hexdigest()
    (target / "manifest.json").write_text(json.dumps(manifest))
    return open_bundle(target)


if __name__ == "__main__":
    sys.exit(main())
