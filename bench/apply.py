"""What one workload more or less costs on a gateway node, beside loading everything, at sizes that take turns.

Everything happens in a network namespace of its own: run it as root, `unshare -n python -m bench.apply`.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, cast

from applier.kernel import Kernel, LinuxKernel
from applier.record import Records
from applier.session import Session
from bench.tables import Options, Row, Table, measured, run
from bundle.directory import MANIFEST, RULESET, Bundle, node_path, open_bundle
from bundle.ruleset import format_classid
from compiler.model import Family
from compiler.naming import digits
from compiler.nodeplan import LocalClass, NodePlan, RemoteClass, RemoteSources, Routes, Span
from compiler.pipeline import compile_cluster, read_cluster
from compiler.render import render

GOLDEN: Final = Path(__file__).parent.parent / "golden" / "two-gateways"
NODE: Final = "egress-1"
GATEWAYS: Final = ("goto gateway_egress-gw-1", "goto gateway_egress-gw-2")
_LINKS: Final = """
link set lo up
link add eth0 type veth peer name peer0
link add eth1 type veth peer name peer1
link set eth0 up
link set eth1 up
link set peer0 up
link set peer1 up
"""
_NETWORKS: Final = 5
"""Destinations of a class: with what is between them, 11 intervals."""
_CHANGES: Final = 3
"""Workloads that come and go after each load."""


@dataclass(frozen=True, slots=True)
class Size:
    """Workloads of other nodes on a gateway node, the classes that they are of, and classes of the node's own."""

    workloads: int
    classes: int
    local: int = 0

    def __str__(self) -> str:
        own = f" and {self.local:,} of its own" if self.local else ""
        return f"{self.workloads:,} in {self.classes:,} classes{own}"


SIZES: Final = (Size(1_000, 5), Size(1_000, 5_000), Size(150_000, 5_000), Size(150_000, 5_000, 100))
FLOOR, LOAD, MORE, LESS, SAME = "nft -f", "load all", "one more", "one less", "no change"
TRANSACTIONS: Final = {LOAD: "load all, in nft", MORE: "one more, in nft", LESS: "one less, in nft"}
"""What of it is spent in nft's transactions, which is most of what the kernel does."""


def measure_applies(sizes: Iterable[Size], rounds: int) -> dict[Size, dict[str, tuple[float, ...]]]:
    """Measures each size once a round, in a network namespace that has nothing yet.

    Returns:
        Seconds of each thing done, by its name.
    """
    subprocess.run(["ip", "-batch", "-"], input=_LINKS, text=True, check=True)  # noqa: S607  # where PATH says
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(LinuxKernel()) as kernel:
        benches = {size: _Bench(kernel, Path(folder) / str(number), size) for number, size in enumerate(sizes)}
        for _ in range(rounds):
            for bench in benches.values():
                bench.round()
        return {size: {name: tuple(found) for name, found in bench.seconds.items()} for size, bench in benches.items()}


class _Bench:
    """One size, with a bundle of it and one of a workload more."""

    def __init__(self, kernel: LinuxKernel, folder: Path, size: Size) -> None:
        (folder / "run").mkdir(parents=True)
        self._bundle, self._more = (_bundle(folder / str(more), size, more) for more in (0, 1))
        self._timed = _Timed(kernel)
        self._session = Session(cast("Kernel", self._timed), Records(folder / "run"))
        self.seconds: dict[str, list[float]] = {}

    def round(self) -> None:
        self._note(FLOOR, lambda: _nft("-f", str(self._bundle.directory / node_path(NODE, RULESET))))
        _nft("delete", "table", "inet", "egressc")
        self._note(LOAD, lambda: self._apply(self._bundle))
        for _ in range(_CHANGES):
            self._note(MORE, lambda: self._apply(self._more))
            self._note(LESS, lambda: self._apply(self._bundle))
            self._note(SAME, lambda: self._apply(self._bundle))
        self._session.remove({}, lambda _: None)

    def _note(self, name: str, work: Callable[[], None]) -> None:
        self._timed.seconds = 0.0
        start = time.perf_counter()
        work()
        self.seconds.setdefault(name, []).append(time.perf_counter() - start)
        if name in TRANSACTIONS:
            self.seconds.setdefault(TRANSACTIONS[name], []).append(self._timed.seconds)

    def _apply(self, bundle: Bundle) -> None:
        outcome = self._session.apply(self._session.part(bundle, NODE), lambda _: None)
        if outcome.status:
            sys.exit(outcome.message)


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


def _nft(*arguments: str) -> None:
    subprocess.run(["nft", *arguments], check=True)  # noqa: S603, S607  # our own, where PATH says


def _bundle(target: Path, size: Size, more: int) -> Bundle:
    """Makes a bundle of so many workloads of other nodes, and `more`."""
    shutil.copytree(GOLDEN / "expected", target, ignore=shutil.ignore_patterns("*.txt"))
    path = node_path(NODE, RULESET)
    text = render(_plan(size, more)).encode()
    (target / path).write_bytes(text)
    manifest = json.loads((target / MANIFEST).read_text())
    manifest["files"][path] = sha256(text).hexdigest()
    (target / MANIFEST).write_text(json.dumps(manifest))
    return open_bundle(target)


@cache
def _golden() -> NodePlan:
    cluster = read_cluster([str(GOLDEN / "input")]).cluster
    plans = compile_cluster(cluster).plans if cluster else ()
    return next(plan for plan in plans if plan.node == NODE)


def _plan(size: Size, more: int) -> NodePlan:
    """Returns what the node has in the golden case, and with it the classes of a size."""
    numbers = [_number(index) for index in range(size.classes)]
    count = size.workloads + more
    remotes = (
        RemoteClass(
            number,
            f"class {index}",
            RemoteSources(number, {Family.IPV4: tuple(map(_address, range(index, count, size.classes)))}),
            Routes(f"{format_classid(number)} . ", {Family.IPV4: _spans(index)}),
        )
        for index, number in enumerate(numbers)
    )
    locals_ = tuple(
        LocalClass(f"local_{digits(number)}", number, f"class {index}", Routes("", {Family.IPV4: _spans(index)}))
        for index, number in enumerate(numbers[: size.local])
    )
    sources = {Family.IPV4: tuple(f"10.111.1.{index} : goto {item.chain}" for index, item in enumerate(locals_))}
    return replace(_golden(), remotes=tuple(remotes), classes=locals_, sources=sources)


def _address(number: int) -> str:
    return str(IPv4Address(int(IPv4Address("10.128.0.0")) + number))


def _spans(index: int) -> tuple[Span, ...]:
    """Returns what is done for a class: with networks of its own, and with what is between them."""
    spans: list[Span] = []
    low = 0
    for number in range(_NETWORKS):
        start = int(IPv4Address(f"{40 * (number + 1)}.0.0.0")) + (index << 8)
        spans += [(low, start - 1, "goto drop_stray"), (start, start + 255, GATEWAYS[number % len(GATEWAYS)])]
        low = start + 256
    return (*spans, (low, (1 << 32) - 1, "goto drop_stray"))


def _number(index: int) -> int:
    """Returns the number of a class: as those of a cluster, they are in all buckets alike."""
    return (index + 1) << 16 | 0x100 | index & 0xFF


def tables(options: Options) -> Iterator[Table]:
    """Measures all sizes; each thing beside the load of all."""
    groups = []
    for size, found in measure_applies(SIZES, options.rounds).items():
        order = [LOAD, *(name for name in found if name != LOAD)]
        groups.append([Row(f"{size}: {name}", {"s": found[name]}) for name in order])
    yield measured("small changes of a gateway node", groups)


if __name__ == "__main__":
    sys.exit(run(__doc__, tables, rounds=5))
