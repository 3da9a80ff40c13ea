"""A verdict as text and JSON."""

from typing import Final

from bundle.text import json_text, printable
from compiler.outputs import FailureOutput, PacketOutput, VerdictOutput
from compiler.verify.failure import Failure
from compiler.verify.verify import Verdict

_SHOWN: Final = 50  # more than that nobody reads; the JSON has them all


def verdict_text(verdict: Verdict) -> str:
    """Returns the verdict for people: each failure with the packet that shows it, or how much was proved."""
    if not verdict.failures:
        return (
            f"verified: {verdict.nodes} nodes, {verdict.workloads} workloads, "
            f"{verdict.classes} classes of workload and destination\n"
        )
    lines = [line for failure in verdict.failures[:_SHOWN] for line in _lines(failure)]
    more = len(verdict.failures) - _SHOWN
    lines.append(f"{len(verdict.failures)} failures{f', {more} of them not shown' if more > 0 else ''}")
    return "".join(f"{printable(line)}\n" for line in lines)


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


def _lines(failure: Failure) -> list[str]:
    lines = [f"{failure.file}: {failure.message}"]
    if example := failure.example:
        lines.append(f"  packet: {example.workload} ({example.source}) on {example.node} to {example.destination}")
        lines.append(f"  must:   {example.expected}")
        lines.append(f"  is:     {failure.actual}")
    return lines


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
