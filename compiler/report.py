"""Findings and results as text and JSON, for people and for programs."""

import json
from collections.abc import Iterable, Mapping

from bundle.model import GatewayReport, Gateways
from compiler.diagnostics import Diagnostic, Severity
from compiler.source import find_position


def findings_text(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> str:
    """Returns findings as `file:line:column: severity[code] field: message`, each with its line and a caret."""
    return "".join(_finding_text(finding, sources) for finding in findings)


def findings_json(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> str:
    """Returns findings as a JSON list of objects."""
    items = []
    for finding in findings:
        position = _position(finding, sources)
        items.append(
            {
                "severity": finding.severity.value,
                "code": finding.code,
                "message": finding.message,
                "file": finding.place.file,
                "line": position[0],
                "column": position[1],
                "field": finding.place.field,
            }
        )
    return json.dumps(items, indent=2, ensure_ascii=False) + "\n"


def count(findings: Iterable[Diagnostic], severity: Severity) -> int:
    """Counts findings of one severity."""
    return sum(finding.severity is severity for finding in findings)


def summary(gateways: Gateways) -> str:
    """Returns a table of gateways for people: master, source addresses, standbys, and who is left out and why."""
    rows = [("GATEWAY", "MASTER", "SOURCE", "STANDBY", "LEFT OUT")]
    rows.extend(_row(gateway) for gateway in gateways.gateways)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def _row(gateway: GatewayReport) -> tuple[str, str, str, str, str]:
    addresses = [a for a in (gateway.source_ips.ipv4, gateway.source_ips.ipv6) if a]
    out = [
        f"{name} ({', '.join(report.reasons)})"
        for name, report in gateway.nodes.items()
        if report.reasons and report.reasons != ("SelectorMismatch",)
    ]
    return (
        gateway.name,
        gateway.active_node_name or "none: dropped",
        ", ".join(addresses) or ("-" if gateway.active_node_name is None else "of the node"),
        ", ".join(gateway.standby_node_names) or "-",
        ", ".join(out) or "-",
    )


def printable(text: str) -> str:
    """Returns text on one line: what comes from an input cannot forge lines or colours of ours."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _position(finding: Diagnostic, sources: Mapping[str, bytes]) -> tuple[int, int]:
    raw = sources.get(finding.place.file)
    if raw is None:
        return (0, 0)
    found = find_position(raw.decode("utf-8-sig", errors="replace"), finding.place)
    return (found.line, found.column) if found else (0, 0)


def _finding_text(finding: Diagnostic, sources: Mapping[str, bytes]) -> str:
    line, column = _position(finding, sources)
    where = printable(finding.place.file) + (f":{line}:{column}" if line else "")
    field = f"{printable(finding.place.field)}: " if finding.place.field else ""
    text = f"{where}: {finding.severity.value}[{finding.code}] {field}{printable(finding.message)}\n"
    if not line:
        return text
    lines = sources[finding.place.file].decode("utf-8-sig", errors="replace").splitlines()
    if line > len(lines) or len(lines[line - 1]) > 200:  # noqa: PLR2004  # a minified file helps nobody
        return text
    shown = "".join(letter if letter.isprintable() else " " for letter in lines[line - 1])
    return f"{text}{line:>6} | {shown}\n       | {' ' * (column - 1)}^\n"
