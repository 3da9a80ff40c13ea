"""A verdict as text and JSON."""

from typing import Final

from bundle.style import PLAIN, Style
from bundle.text import json_text, printable
from compiler.outputs import FailureOutput, PacketOutput, VerdictOutput
from compiler.verify.failure import Failure
from compiler.verify.verify import Verdict

_SHOWN: Final = 50  # more than that nobody reads; the JSON has them all


def verdict_text(verdict: Verdict, style: Style = PLAIN) -> str:
    """Returns the verdict for people: each failure with the packet that shows it, or how much was proved."""
    if not verdict.failures:
        return (
            f"{style.good('verified')}: {verdict.nodes} nodes, {verdict.workloads} workloads, "
            f"{verdict.classes} classes of workload and destination\n"
        )
    text = "".join(_text(failure, style) for failure in verdict.failures[:_SHOWN])
    more = len(verdict.failures) - _SHOWN
    last = f"{len(verdict.failures)} failures{f', {more} of them not shown' if more > 0 else ''}"
    return f"{text}{style.error(last)}\n"


def verdict_json(verdict: Verdict) -> str:
    """Returns the verdict as a JSON object."""
    data: VerdictOutput = {
        "verified": not verdict.failures,
        "nodes": verdict.nodes,
        "workloads": verdict.workloads,
        "classes": verdict.classes,
        "failures": [_failure(failure) for failure in verdict.failures],
    }
    return json_text(data)


def _text(failure: Failure, style: Style) -> str:
    lines = [f"{style.strong(printable(failure.file))}: {printable(failure.message)}"]
    if example := failure.example:
        packet = f"{example.workload} ({example.source}) on {example.node} to {example.destination}"
        lines.append(f"  packet: {printable(packet)}")
        lines.append(f"  must:   {style.added(printable(example.expected))}")
        lines.append(f"  is:     {style.removed(printable(failure.actual))}")
    return "".join(f"{line}\n" for line in lines)


def _failure(failure: Failure) -> FailureOutput:
    example = failure.example
    packet: PacketOutput | None = None
    if example is not None:
        packet = {
            "from": str(example.source),
            "workload": example.workload,
            "node": example.node,
            "to": str(example.destination),
            "expected": example.expected,
            "actual": failure.actual,
        }
    return {"file": failure.file, "message": failure.message, "packet": packet}
