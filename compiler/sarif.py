"""Findings as SARIF 2.1.0, for code scanning services and editors.

Paths are given as they were on the command line: a relative one is relative to where the compiler was called, which
consumers know as the root of the sources.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import bundle
from bundle.text import printable
from compiler.diagnostics import CODES, Diagnostic, Place
from compiler.report import find_all
from compiler.source import Position

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
_FINGERPRINT: Final = "egresscFinding/v1"


def findings_sarif(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> str:
    """Returns findings as a SARIF log with one run."""
    findings = tuple(findings)
    positions = find_all(findings, sources)
    index = {code: number for number, code in enumerate(CODES)}
    seen: Counter[str] = Counter()
    results = []
    for finding in findings:
        digest = _digest(finding)
        seen[digest] += 1
        results.append(
            {
                "ruleId": finding.code,
                "ruleIndex": index[finding.code],
                "level": finding.severity.value,
                "message": {"text": _message(printable(finding.message))},
                "locations": [_location(finding.place, positions.get(finding.place))],
                "partialFingerprints": {_FINGERPRINT: f"{digest}:{seen[digest]}"},
            }
        )
    driver = {
        "name": "egressc",
        "version": bundle.__version__,
        "rules": [
            {
                "id": name,
                "shortDescription": {"text": code.meaning},
                "help": {"text": code.remedy, "markdown": code.remedy},
                "defaultConfiguration": {"level": code.severity.value},
            }
            for name, code in CODES.items()
        ],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _location(place: Place, position: Position | None) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": _artifact(place.file)}
    if position is not None:
        physical["region"] = {"startLine": position.line, "startColumn": position.column}
    location: dict[str, Any] = {"physicalLocation": physical}
    if place.field:
        kind = "value" if isinstance(place.path[-1], int) else "property"
        location["logicalLocations"] = [{"fullyQualifiedName": printable(place.field), "kind": kind}]
    return location


def _artifact(name: str) -> dict[str, Any]:
    if name == "-":
        return {"uri": "-", "description": {"text": "standard input"}}
    # A file name may hold any bytes but NUL; Python keeps those that are not UTF-8 as surrogates.
    path = "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in name.encode("utf-8", "surrogateescape")
    )
    return {"uri": f"file://{path}"} if path.startswith("/") else {"uri": path, "uriBaseId": "%SRCROOT%"}


def _message(text: str) -> str:
    # Braces mark placeholders, and a bracket before a parenthesis a link; values from an input must be neither.
    return text.replace("{", "{{").replace("}", "}}").replace("](", "\\](")


def _digest(finding: Diagnostic) -> str:
    """Names a finding by what stays when lines, documents or list entries are added before it."""
    place = finding.place
    path = [part for part in place.path if not isinstance(part, int)]
    text = json.dumps([finding.code, place.file, path, finding.message])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
