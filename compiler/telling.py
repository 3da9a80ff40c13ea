"""What commands have in common: their exit statuses, and what they say on standard error beside their results."""

import sys
from collections.abc import Iterable, Mapping
from typing import Final

from bundle.text import printable_lines
from compiler import report
from compiler.console import Console
from compiler.diagnostics import Diagnostic, Severity
from compiler.pipeline import Reading
from compiler.sides import Side

OK: Final = 0
DIFFERENT: Final = 1
"""A difference was found, or a test or a proof failed."""
BAD_INPUT: Final = 2


def fail(text: str) -> int:
    """Says what is wrong with arguments or inputs; returns the exit status for it."""
    sys.stderr.write(f"{printable_lines(f'egressc: {text}')}\n")
    return BAD_INPUT


def tell_reading(read: Reading | Side, console: Console) -> None:
    """Says with `-v` what was read and how it was understood."""
    for name, content in read.sources.items():
        console.detail(f"read {name}: {len(content)} bytes")
    if cluster := read.cluster:
        console.detail(
            f"understood {len(cluster.gateways)} gateways, {len(cluster.policies)} policies, "
            f"{len(cluster.nodes)} nodes, {len(cluster.workloads)} workloads"
        )


def tell_findings(findings: Iterable[Diagnostic], sources: Mapping[str, bytes], console: Console) -> None:
    """Prints findings with their lines and how many there are; with `-q` errors only."""
    shown = tuple(item for item in findings if item.severity is Severity.ERROR or not console.quiet)
    sys.stderr.write(report.findings_text(shown, sources, console.err))
    if shown:
        console.note(report.counts(shown))
