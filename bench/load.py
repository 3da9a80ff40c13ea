"""How long a gateway node's whole part takes to load: by the applier, and by `nft -f` alone, which is the floor.

Everything happens in a network namespace of its own: it is run as root, `unshare -n python -m bench.load`.
"""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from applier.kernel import LinuxKernel
from applier.record import Records
from applier.session import Session
from bench.clusters import SIZES, make_cluster
from bench.measure import measure_egressc
from bench.tables import BenchError, Options, Row, Table, interleaved, measured, run
from bundle.directory import RULESET, Bundle, node_path, open_bundle

_NODE: Final = "node-00000"
"""One of the first group of gateway nodes."""

_LINKS: Final = ("eth0", "eth1")


def tables(options: Options) -> Iterator[Table]:
    """Measures one node of each size."""
    groups = []
    for name in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            snapshot, bundle = home / "cluster.json", home / "bundle"
            text = make_cluster(SIZES[name])
            snapshot.write_text(text, encoding="utf-8")
            measure_egressc(["compile", str(snapshot), "-o", str(bundle)])
            with _interfaces(text):
                groups.append(_rows(name, home, bundle, options.rounds))
    yield measured("loading a gateway node", groups)


def _rows(name: str, home: Path, bundle: Path, rounds: int) -> list[Row]:
    ruleset = bundle / node_path(_NODE, RULESET)
    elements = sum(line.startswith("\t\t\t") for line in ruleset.read_text().splitlines())
    opened = open_bundle(bundle)
    (home / "run").mkdir()
    with contextlib.closing(LinuxKernel()) as kernel:
        session = Session(kernel, Records(home / "run"))
        runs = {"nft -f": lambda: _nft(ruleset), "the applier, all": lambda: _apply(session, opened)}
        results = interleaved(rounds, runs)
    return [Row(f"{name}, {elements:,} elements: {label}", {"s": samples}) for label, samples in results.items()]


def _nft(ruleset: Path) -> float:
    start = time.perf_counter()
    _run("nft", "-f", str(ruleset))
    seconds = time.perf_counter() - start
    _run("nft", "delete", "table", "inet", "egressc")
    return seconds


def _apply(session: Session, bundle: Bundle) -> float:
    start = time.perf_counter()
    outcome = session.apply(session.part(bundle, _NODE), io.StringIO().write)  # type: ignore[arg-type]  # nobody reads it
    seconds = time.perf_counter() - start
    if outcome.status:
        raise BenchError(f"the applier: {outcome.message}")
    session.remove({}, lambda _: None)
    return seconds


@contextlib.contextmanager
def _interfaces(text: str) -> Iterator[None]:
    """Gives the namespace the interfaces and addresses of the node, as its NodeNetworkState tells them."""
    state = next(
        item["status"]["currentState"]
        for item in json.loads(text)["items"]
        if item["kind"] == "NodeNetworkState" and item["metadata"]["name"] == _NODE
    )
    batch = ["link set lo up"]
    for link in _LINKS:
        batch += [f"link add {link} type veth peer name {link}p", f"link set {link} up", f"link set {link}p up"]
    for interface in state["interfaces"]:
        for family in ("ipv4", "ipv6"):
            for entry in interface[family]["address"]:
                batch.append(f"addr add {entry['ip']}/{entry['prefix-length']} dev {interface['name']}")
    _run("ip", "-batch", "-", given="\n".join(batch))
    yield
    _run("ip", "-batch", "-", given="\n".join(f"link del {link}" for link in _LINKS))


def _run(*command: str, given: str = "") -> None:
    done = subprocess.run(command, input=given, text=True, capture_output=True, check=False)  # noqa: S603  # our own
    if done.returncode:
        raise BenchError(f"{' '.join(command)}: {done.stderr}")


if __name__ == "__main__":
    sys.exit(run(__doc__, tables))
