"""Findings and results as text and JSON, for people and for programs."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from bundle.model import GatewayReport, Gateways
from bundle.text import json_text, printable
from compiler.diagnostics import Diagnostic, Place, Severity
from compiler.positions import find_positions
from compiler.source import Position

_LONGEST_LINE: Final = 200  # to show a line of a minified file helps nobody
_LINE_FEED = re.compile(r"\n|\Z")
_LINE_END = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]|\Z")


def findings_text(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> str:
    """Returns findings as `file:line:column: severity[code] field: message`, each with its line and a caret."""
    findings = tuple(findings)
    positions = _positions(findings, sources)
    lines = _lines(positions, sources)
    return "".join(_finding_text(f, positions.get(f.place), lines) for f in findings)


def findings_json(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> str:
    """Returns findings as a JSON list of objects."""
    items = []
    findings = tuple(findings)
    positions = _positions(findings, sources)
    for finding in findings:
        position = positions.get(finding.place, Position(0, 0))
        items.append(
            {
                "severity": finding.severity.value,
                "code": finding.code,
                "message": finding.message,
                "file": finding.place.file,
                "line": position.line,
                "column": position.column,
                "field": finding.place.field,
            }
        )
    return json_text(items)


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


def _text(raw: bytes) -> str:
    return raw.decode("utf-8-sig", errors="replace")


def _positions(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> dict[Place, Position]:
    by_file: dict[str, list[Place]] = {}
    for finding in findings:
        if finding.place.file in sources:
            by_file.setdefault(finding.place.file, []).append(finding.place)
    found: dict[Place, Position] = {}
    for name, places in by_file.items():
        found.update(find_positions(_text(sources[name]), places))
    return found


def _lines(positions: Mapping[Place, Position], sources: Mapping[str, bytes]) -> dict[tuple[str, int], str]:
    """Returns the lines at which something was found, by file and number."""
    wanted: dict[str, set[int]] = {}
    for place, position in positions.items():
        wanted.setdefault(place.file, set()).add(position.line)
    result = {}
    for name, numbers in wanted.items():
        text, start, last = _text(sources[name]), 0, max(numbers)
        for number, end in enumerate(_line_ends(text), 1):
            if number in numbers:
                result[name, number] = text[start : end.start()].removesuffix("\r")
            if number == last:
                break
            start = end.end()
    return result


def _line_ends(text: str) -> Iterator[re.Match[str]]:
    # A JSON reader counts line feeds alone, YAML's counts all that Unicode calls an end of line.
    return (_LINE_FEED if text.lstrip()[:1] in ("{", "[") else _LINE_END).finditer(text)


def _finding_text(finding: Diagnostic, position: Position | None, lines: Mapping[tuple[str, int], str]) -> str:
    where = printable(finding.place.file) + (f":{position.line}:{position.column}" if position else "")
    field = f"{printable(finding.place.field)}: " if finding.place.field else ""
    text = f"{where}: {finding.severity.value}[{finding.code}] {field}{printable(finding.message)}\n"
    line = lines.get((finding.place.file, position.line)) if position else None
    if position is None or line is None or len(line) > _LONGEST_LINE:
        return text
    shown = "".join(letter if letter.isprintable() else " " for letter in line)
    return f"{text}{position.line:>6} | {shown}\n       | {' ' * (position.column - 1)}^\n"
