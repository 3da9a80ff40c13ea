"""Findings as workflow commands of GitHub Actions, which show them beside the lines of a pull request."""

from collections.abc import Iterable, Mapping

from bundle.text import printable
from compiler.diagnostics import Diagnostic
from compiler.report import find_all
from compiler.source import Position


def findings_github(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> str:
    """Returns findings as `::error file=…,line=…,col=…,title=…::message`, a line each."""
    findings = tuple(findings)
    positions = find_all(findings, sources)
    return "".join(_command(finding, positions.get(finding.place)) for finding in findings)


def _command(finding: Diagnostic, position: Position | None) -> str:
    place = finding.place
    properties = {}
    if place.file != "-":  # standard input is no file of the repository
        properties["file"] = place.file
        if position is not None:
            properties |= {"line": str(position.line), "col": str(position.column)}
    properties["title"] = finding.code
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    field = f"{place.field}: " if place.field else ""
    return f"::{finding.severity.value} {given}::{_data(printable(field + finding.message))}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
