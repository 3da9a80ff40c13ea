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
from dataclasses import dataclass
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

GOLDEN: Final = Path(__file__).parent.parent / "golden" / "two-gateways" / "expected"
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
    """Workloads of other nodes on a gateway node, and the classes that they are of."""

    workloads: int
    classes: int

    def __str__(self) -> str:
        return f"{self.workloads:,} in {self.classes:,} classes"


SIZES: Final = (Size(1_000, 5), Size(1_000, 5_000), Size(150_000, 5_000))
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
    shutil.copytree(GOLDEN, target, ignore=shutil.ignore_patterns("*.txt"))
    path = node_path(NODE, RULESET)
    text = (target / path).read_text()
    text = _with_elements(text, "remote4", _workloads(size.workloads + more, size.classes))
    text = _with_elements(text, "remoteroute4", _routes(size.classes))
    (target / path).write_text(text)
    manifest = json.loads((target / MANIFEST).read_text())
    manifest["files"][path] = sha256(text.encode()).hexdigest()
    (target / MANIFEST).write_text(json.dumps(manifest))
    return open_bundle(target)


def _with_elements(text: str, name: str, elements: Iterable[str]) -> str:
    head, opening, tail = text.partition(f"\tmap {name} {{\n")
    before, brace, after = tail.partition("\t\telements = {\n")
    return "".join((head, opening, before, brace, *(f"\t\t\t{element},\n" for element in elements), after))


def _workloads(count: int, classes: int) -> Iterator[str]:
    first = int(IPv4Address("10.128.0.0"))
    return (f"{IPv4Address(first + i)} : {_class(i % classes)}" for i in range(count))


def _routes(classes: int) -> Iterator[str]:
    """Yields, for each class, networks of its own and what is between them."""
    for number in range(classes):
        low = 0
        for index in range(_NETWORKS):
            start = int(IPv4Address(f"{40 * (index + 1)}.0.0.0")) + (number << 8)
            yield f"{_class(number)} . {IPv4Address(low)}-{IPv4Address(start - 1)} : goto drop_stray"
            yield f"{_class(number)} . {IPv4Address(start)}/24 : {GATEWAYS[index % len(GATEWAYS)]}"
            low = start + 256
        yield f"{_class(number)} . {IPv4Address(low)}-255.255.255.255 : goto drop_stray"


def _class(number: int) -> str:
    return format_classid((number + 1) << 16 | 1)


def tables(options: Options) -> Iterator[Table]:
    """Measures all sizes; each thing beside the load of all."""
    groups = []
    for size, found in measure_applies(SIZES, options.rounds).items():
        order = [LOAD, *(name for name in found if name != LOAD)]
        groups.append([Row(f"{size}: {name}", {"s": found[name]}) for name in order])
    yield measured("small changes of a gateway node", groups)


if __name__ == "__main__":
    sys.exit(run(__doc__, tables, rounds=5))
