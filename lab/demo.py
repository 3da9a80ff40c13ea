"""The demo: the seed's example from YAML to packets, and what the death of a master changes.

Run by `make demo`, from a checkout. Every line beginning with `$` is the command that does the same by hand.
"""

import io
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TextIO

import yaml

from bundle.codec import decode
from bundle.directory import GATEWAYS
from bundle.model import Gateways
from compiler import report
from compiler.files import write_bundle
from compiler.pipeline import compile_cluster, read_cluster
from lab import commands
from lab.model import LabError

INPUT: Final = Path("golden/seed-example/input")
NAME: Final = "egl-demo"
OUTSIDE: Final = "203.0.113.10"
WORKLOADS: Final = {
    "default/backend-1": "policy egress-gw-policy, gateway egress-gw: the master's own address",
    "default/payments-1": "policy egress-vip-policy, gateway egress-vip: the virtual IP",
    "default/frontend-1": "no policy selects it: its node's own address, as ever",
}


def main(out: TextIO = sys.stdout) -> int:
    """Runs the demo; returns 0 when every answer was the one that the plan promised."""
    if not INPUT.is_dir():
        sys.stderr.write(f"egressc demo: {INPUT} is not here; run `make demo` in a checkout\n")
        return 2
    try:
        with tempfile.TemporaryDirectory() as directory:
            return _run(Path(directory), out)
    except LabError as fault:
        sys.stderr.write(f"egressc demo: {fault}\n")
        return 2
    finally:
        commands.down(NAME)


def _run(directory: Path, out: TextIO) -> int:
    def say(text: str = "") -> None:
        out.write(f"{text}\n")
        out.flush()

    say("1. Two gateways on the same nodes, one in each mode, and six nodes that could serve them.\n")
    before = _compile([INPUT], directory / "bundle", say)
    say("   One node is master, others stand by in the order in which they would take over; each left out says why.\n")

    say("2. The same input as a cluster of network namespaces, and the bundle applied to every node.\n")
    reading = read_cluster([str(INPUT)])
    assert reading.cluster is not None  # noqa: S101  # it was compiled above
    commands.down(NAME)
    commands.up(reading.cluster, NAME, "nft", _Indented(out, f"   $ egressc lab up {INPUT}\n"))
    _apply(directory / "bundle", say)

    say('3. Each workload asks a server outside "what is my address", as `curl ifconfig.me` does.\n')
    first = _ask(say)

    master = next(item.active_node_name for item in before.gateways if item.name == "egress-gw") or ""
    say(f"4. {master}, the master of both gateways, dies. The outside no longer hears from it:\n")
    commands.fail(NAME, master)
    say(f"   $ egressc lab fail {master}")
    lost = commands.request(NAME, "default/backend-1", OUTSIDE, timeout=1.0)
    say(f"   default/backend-1   {lost or 'no answer'}\n")
    say("   A new snapshot says NotReady. It is compiled and applied to the nodes that are left.\n")
    _snapshot_without(master, directory / "snapshot.yaml")
    after = _compile([INPUT / "egress.yaml", directory / "snapshot.yaml"], directory / "bundle", say)
    _apply(directory / "bundle", say)

    say("5. The same question again: the virtual IP stayed, the primary IP is the new master's.\n")
    second = _ask(say)

    promised = _promise(before), _promise(after)
    if (first, second) != promised:
        sys.stderr.write(f"egressc demo: seen {first}, then {second}; promised was {promised}\n")
        return 1
    say("All as planned. The lab is taken down and leaves nothing behind.")
    return 0


class _Indented(io.StringIO):
    """Writes what a command prints beneath its own line, indented."""

    def __init__(self, out: TextIO, first: str) -> None:
        super().__init__()
        self._out = out
        self._out.write(first)

    def write(self, text: str) -> int:
        self._out.write("".join(f"   {line}\n" for line in text.splitlines()) + ("\n" if text else ""))
        return len(text)


def _compile(inputs: list[Path], target: Path, say: Callable[[str], None]) -> Gateways:
    say(f"   $ egressc compile {' '.join(_shown(path) for path in inputs)} -o bundle")
    reading = read_cluster([str(path) for path in inputs])
    files = compile_cluster(reading.cluster).files if reading.cluster else None
    assert files is not None, reading.findings  # noqa: S101  # a golden case compiles
    write_bundle(files, target)
    gateways = decode(Gateways, files[GATEWAYS])
    say("".join(f"   {line}\n" for line in report.summary(gateways).splitlines()))
    return gateways


def _shown(path: Path) -> str:
    return path.name if path.is_absolute() else str(path)


def _apply(bundle: Path, say: Callable[[str], None]) -> None:
    said = io.StringIO()
    status = commands.apply(NAME, bundle, said)
    if status:
        raise LabError(f"the apply failed with exit status {status}:\n{said.getvalue()}")
    say("   $ egressc lab apply bundle")
    lines = [
        line for line in said.getvalue().splitlines() if ": done" in line or ": nothing" in line or "taken" in line
    ]
    say("".join(f"   {line}\n" for line in lines))


def _ask(say: Callable[[str], None]) -> Mapping[str, str | None]:
    answers = {}
    for workload, why in WORKLOADS.items():
        answers[workload] = commands.request(NAME, workload, OUTSIDE)
        say(f"   $ egressc lab request --from {workload} --to {OUTSIDE}")
        say(f"   {answers[workload] or 'no answer':<16} {why}\n")
    return answers


def _promise(gateways: Gateways) -> Mapping[str, str | None]:
    sources = {item.name: item.source_ips.ipv4 for item in gateways.gateways}
    return {
        "default/backend-1": sources["egress-gw"],
        "default/payments-1": sources["egress-vip"],
        "default/frontend-1": "172.18.4.11",
    }


def _snapshot_without(node: str, target: Path) -> None:
    """Writes the snapshot as it would be taken after a node was lost: Ready is Unknown."""
    documents = list(yaml.safe_load_all((INPUT / "cluster.yaml").read_text(encoding="utf-8")))
    for document in documents:
        if document["kind"] == "Node" and document["metadata"]["name"] == node:
            document["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    target.write_text(yaml.safe_dump_all(documents), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
