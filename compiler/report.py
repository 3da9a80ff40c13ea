"""Findings and results as text and JSON, for people and for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bundle.model import GatewayReport, Gateways
from compiler.balance import Move
from compiler.diagnostics import Diagnostic, Place, Severity
from compiler.positions import find_positions
from compiler.source import Position
from compiler.text import printable

_SHOWN: Final = 20
_LONGEST_LINE: Final = 200  # to show a line of a minified file helps nobody


def findings_text(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> str:
    """Returns findings as `file:line:column: severity[code] field: message`, each with its line and a caret."""
    findings = tuple(findings)
    positions = _positions(findings, sources)
    lines = {name: _text(raw).splitlines() for name, raw in sources.items() if name in {f.place.file for f in findings}}
    return "".join(_finding_text(f, positions.get(f.place), lines.get(f.place.file, [])) for f in findings)


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


def _finding_text(finding: Diagnostic, position: Position | None, lines: list[str]) -> str:
    where = printable(finding.place.file) + (f":{position.line}:{position.column}" if position else "")
    field = f"{printable(finding.place.field)}: " if finding.place.field else ""
    text = f"{where}: {finding.severity.value}[{finding.code}] {field}{printable(finding.message)}\n"
    if position is None or position.line > len(lines) or len(lines[position.line - 1]) > _LONGEST_LINE:
        return text
    shown = "".join(letter if letter.isprintable() else " " for letter in lines[position.line - 1])
    return f"{text}{position.line:>6} | {shown}\n       | {' ' * (position.column - 1)}^\n"
