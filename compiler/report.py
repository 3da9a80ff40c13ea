"""Findings and results as text and JSON, for people and for programs; `sarif` and `github` have further forms."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bundle.model import GatewayReport, Gateways
from bundle.style import PLAIN, Style
from bundle.text import json_text, printable
from compiler.balance import Move
from compiler.diagnostics import Diagnostic, Place, Severity
from compiler.positions import find_positions
from compiler.source import Position
from compiler.text import counted

_SHOWN: Final = 20
_LINE_END: Final = re.compile(r"\n|\Z")
_LONGEST_LINE: Final = 200
_BEFORE: Final = 60  # what is shown of a longer line, such as of a minified file, before the column, and after it
_AFTER: Final = 100


def findings_text(findings: Iterable[Diagnostic], sources: Mapping[str, bytes], style: Style = PLAIN) -> str:
    """Returns findings as `file:line:column: severity[code] field: message`, each with its line and a caret."""
    findings = tuple(findings)
    positions = find_all(findings, sources)
    lines = _lines(positions, sources)
    return "".join(_finding_text(f, positions.get(f.place), lines, style) for f in findings)


def findings_json(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> str:
    """Returns findings as a JSON list of objects."""
    items = []
    findings = tuple(findings)
    positions = find_all(findings, sources)
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


def counts(findings: Iterable[Diagnostic]) -> str:
    """Says how many errors and warnings there are."""
    findings = tuple(findings)
    errors, warnings = (count(findings, severity) for severity in (Severity.ERROR, Severity.WARNING))
    return f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"


def summary(gateways: Gateways) -> str:
    """Returns a table of gateways for people: master, source addresses, standbys, and who is left out and why."""
    rows = [("GATEWAY", "MASTER", "SOURCE", "STANDBY", "LEFT OUT")]
    rows.extend(_row(gateway) for gateway in gateways.gateways)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def balance(moves: Sequence[Move], masters: int, *, asked: bool) -> str:
    """Says which masters a rebalance moves, or would move if it were asked for; nothing when masters are even."""
    if not moves:
        return "--rebalance moves no master: they are as even as they can be\n" if asked else ""
    count = f"{len(moves)} of {masters} masters"
    what = (
        f"--rebalance moves {count}, which cuts the connections through them"
        if asked
        else f"masters are uneven; --rebalance would move {count} and cut the connections through them"
    )
    lines = (f"  EgressGateway {move.gateway}: from {move.source} to {move.target}\n" for move in moves)
    return f"{what}:\n{''.join(lines)}"


def left_out(names: Sequence[str]) -> str:
    """Says how many broken objects were left out, and which."""
    if not names:
        return ""
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    counted = "1 object is" if len(names) == 1 else f"{len(names)} objects are"
    return printable(f"{counted} left out because of errors: {', '.join(names[:_SHOWN])}{more}") + "\n"


def _row(gateway: GatewayReport) -> tuple[str, str, str, str, str]:
    addresses = [a for a in (gateway.source_ips.ipv4, gateway.source_ips.ipv6) if a]
    out = [f"{name} ({', '.join(report.reasons)})" for name, report in gateway.nodes.items() if report.reasons]
    return (
        gateway.name,
        gateway.active_node_name or "none: dropped",
        ", ".join(addresses) or ("-" if gateway.active_node_name is None else "of the node"),
        ", ".join(gateway.standby_node_names) or "-",
        ", ".join(out) or "-",
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8-sig", errors="replace")


def find_all(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> dict[Place, Position]:
    """Finds line and column of all findings, as far as they have a place in a text."""
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
        for number, end in enumerate(_LINE_END.finditer(text), 1):
            if number in numbers:
                result[name, number] = text[start : end.start()].removesuffix("\r")
            if number == last:
                break
            start = end.end()
    return result


def _finding_text(
    finding: Diagnostic, position: Position | None, lines: Mapping[tuple[str, int], str], style: Style
) -> str:
    where = style.strong(printable(finding.place.file) + (f":{position.line}:{position.column}" if position else ""))
    field = f"{printable(finding.place.field)}: " if finding.place.field else ""
    what = f"{finding.severity.value}[{finding.code}]"
    what = style.error(what) if finding.severity is Severity.ERROR else style.warning(what)
    text = f"{where}: {what} {field}{printable(finding.message)}\n"
    line = lines.get((finding.place.file, position.line)) if position else None
    if position is None or line is None:
        return text
    shown, before = _window(line, position.column - 1)
    number, margin = style.faint(f"{position.line:>6} |"), style.faint("       |")
    return f"{text}{number} {shown}\n{margin} {' ' * before}{style.caret('^')}\n"


def _window(line: str, index: int) -> tuple[str, int]:
    """Returns what is shown of a line, and how many cells of a terminal stand before the character at `index`."""
    start, end = 0, len(line)
    if len(line) > _LONGEST_LINE:
        start, end = max(0, index - _BEFORE), min(len(line), index + _AFTER)
    head, tail = "…" if start else "", "…" if end < len(line) else ""
    shown = "".join(letter if letter.isprintable() else " " for letter in line[start:end])
    return f"{head}{shown}{tail}".rstrip(), len(head) + sum(map(_cells, shown[: index - start]))


def _cells(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
