"""What an apply came to as a textfile for Prometheus' node_exporter: `render` is pure, `write` puts it in its place."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from applier.counters import Traffic

SUFFIX: Final = ".prom"
"""What the textfile collector reads; it passes over all other files."""

_MODE = 0o644  # the exporter runs as another user
_SHORTENED = "names of more than 60 letters are shortened and end in a digest, as the chain that counts"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

Row = tuple[dict[str, str], int | float]
"""Labels and value of a sample."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """What is told of a node.

    Attributes:
        node: Its name.
        version: Of egressc.
        digest: SHA-256 of the manifest of the bundle that the node holds; None if it holds none.
        serial: What orders bundles in time; None if the bundle has none.
        applied_at: When the node last came to hold a bundle or was found to hold it, in seconds since 1970; None for
            never.
        attempted_at: When an apply last ended, well or not.
        status: Exit status of that apply: 0 done, 2 refused, 3 failed.
        changes: Steps that it did.
        repairs: How often drift was repaired since the process started.
        wanted_addresses: Virtual IPs that the plan puts on this node.
        held_addresses: Those of them that are on it.
        traffic: What the counters of the rules say.
    """

    node: str
    version: str
    digest: str | None
    serial: int | None
    applied_at: float | None
    attempted_at: float
    status: int
    changes: int
    repairs: int
    wanted_addresses: int
    held_addresses: int
    traffic: Traffic = field(default_factory=Traffic)


def render(metrics: Metrics) -> str:
    """Returns the text exposition format, version 0.0.4.

    Format: https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    return "".join(f"{line}\n" for family in _families(metrics) for line in family)


def _families(metrics: Metrics) -> Iterator[Iterator[str]]:
    yield _gauge("build_info", "Version of egressc.", [({"version": metrics.version}, 1)])
    if metrics.digest is not None:
        labels = {"node": metrics.node, "digest": metrics.digest}
        labels |= {} if metrics.serial is None else {"serial": str(metrics.serial)}
        yield _gauge("applied_info", "The bundle that the node holds, by the SHA-256 of its manifest.", [(labels, 1)])
    if metrics.applied_at is not None:
        text = "When an apply last succeeded, also one that found nothing to do."
        yield _gauge("last_success_timestamp_seconds", text, [({}, metrics.applied_at)])
    for name, text, value in (
        ("last_apply_timestamp_seconds", "When an apply last ended, well or not.", metrics.attempted_at),
        ("last_apply_success", "1 if the last apply was done, 0 if not.", int(metrics.status == 0)),
        ("last_apply_status", "Exit status of the last apply: 0 done, 2 refused, 3 failed.", metrics.status),
        ("last_apply_changes", "Steps that the last apply did.", metrics.changes),
        ("virtual_ips_wanted", "Virtual IPs that the plan puts on this node.", metrics.wanted_addresses),
        ("virtual_ips_held", "Those of them that are on it.", metrics.held_addresses),
    ):
        yield _gauge(name, text, [({}, value)])
    text = "How often drift was repaired since the process started."
    yield _family("drift_repairs_total", "counter", text, [({}, metrics.repairs)])
    traffic = metrics.traffic
    yield from _traffic("gateway", "gateway", f"that leave by this node; {_SHORTENED}", traffic.gateways)
    yield from _traffic("next_hop", "next_hop", f"sent to a gateway node; {_SHORTENED}", traffic.next_hops)
    yield from _traffic("dropped", "reason", "dropped", traffic.drops)


def _traffic(kind: str, label: str, what: str, rows: tuple[tuple[str, int, int], ...]) -> Iterator[Iterator[str]]:
    end = ". Starts anew when the rules are written."
    packets = [({label: name}, packets) for name, packets, _ in rows]
    sizes = [({label: name}, size) for name, _, size in rows]
    yield _family(f"{kind}_packets_total", "counter", f"Packets of workloads {what}{end}", packets)
    yield _family(f"{kind}_bytes_total", "counter", f"Bytes of packets of workloads {what}{end}", sizes)


def _gauge(name: str, text: str, rows: Iterable[Row]) -> Iterator[str]:
    return _family(name, "gauge", text, rows)


def _family(name: str, kind: Literal["gauge", "counter"], text: str, rows: Iterable[Row]) -> Iterator[str]:
    yield f"# HELP egressc_{name} {text}"
    yield f"# TYPE egressc_{name} {kind}"
    for labels, value in rows:
        inside = ",".join(f'{label}="{content.translate(_ESCAPES)}"' for label, content in labels.items())
        yield f"egressc_{name}{f'{{{inside}}}' if inside else ''} {value}"


def write(path: Path, text: str) -> None:
    """Puts the text in its place, so that a reader sees the old or the new one and never a part.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")  # another suffix, which the collector does not read
    try:
        with part.open("w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), _MODE)  # whatever the umask
            file.write(text)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
