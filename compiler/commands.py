"""The commands of the compiler: read, call the stages, print. With `cli`, the only printers."""

import argparse
import sys
from collections.abc import Iterable, Mapping
from typing import Final

from bundle.directory import GATEWAYS, open_bundle
from bundle.model import Gateways
from bundle.text import json_text, printable_lines
from compiler import cases, report
from compiler.diagnostics import Diagnostic, Severity
from compiler.explain import Explainer, ExplainError
from compiler.files import OutputError, read_sources, write_bundle
from compiler.pipeline import Compiled, Reading, compile_cluster, read_cluster, sort, understand

OK: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2


def compile_inputs(arguments: argparse.Namespace) -> int:
    """`egressc compile`."""
    compiled = _compile(read_cluster(_names(arguments)))
    if compiled.files is None:
        return BAD_INPUT
    try:
        write_bundle(compiled.files, arguments.output)
    except OutputError as fault:
        return _fail(str(fault))
    gateways = open_bundle(arguments.output).decode(Gateways, GATEWAYS)
    sys.stdout.write(report.summary(gateways))
    _say(f"wrote {len(compiled.files)} files to {arguments.output}")
    return OK


def check(arguments: argparse.Namespace) -> int:
    """`egressc check`."""
    reading = read_cluster(_names(arguments))
    findings = reading.findings
    if reading.cluster is not None:
        findings = sort(findings + compile_cluster(reading.cluster).findings)
    form = report.findings_json if arguments.format == "json" else report.findings_text
    sys.stdout.write(form(findings, reading.sources))
    _say_counts(findings)
    return BAD_INPUT if report.count(findings, Severity.ERROR) else OK


def explain(arguments: argparse.Namespace) -> int:
    """`egressc explain`."""
    try:
        fate = Explainer.open(arguments.bundle).explain(arguments.source, arguments.to)
    except ExplainError as fault:
        return _fail(str(fault))
    sys.stdout.write(fate.json() if arguments.format == "json" else fate.text())
    return OK


def test(arguments: argparse.Namespace) -> int:
    """`egressc test`."""
    sources, findings = read_sources(arguments.inputs)
    found, rest, faults = cases.split(sources)
    findings += faults
    if findings:
        _print_findings(findings, sources)
        return BAD_INPUT
    if not found:
        return _fail("no file with a list `cases` among the arguments")
    compiled = _compile(understand({name: sources[name] for name in rest}), quiet=True)
    if compiled.files is None:
        return BAD_INPUT
    results = cases.run(found, Explainer.of(compiled.files))
    if arguments.format == "json":
        sys.stdout.write(json_text([result.as_json() for result in results]))
    else:
        sys.stdout.write("".join(result.text() for result in results if not result.passed))
        failed = sum(not result.passed for result in results)
        sys.stdout.write(f"{len(results) - failed} passed, {failed} failed\n")
    return OK if all(result.passed for result in results) else FAILED


def _names(arguments: argparse.Namespace) -> list[str]:
    return [*arguments.inputs, *([arguments.config] if arguments.config else [])]


def _compile(reading: Reading, *, quiet: bool = False) -> Compiled:
    compiled = Compiled(None, ())
    if reading.cluster is not None:
        compiled = compile_cluster(reading.cluster)
    findings = sort(reading.findings + compiled.findings)
    if compiled.files is None or not quiet:
        _print_findings(findings, reading.sources)
        if reading.passed_over:
            _say(f"passed over {reading.passed_over} objects of kinds that egressc does not read")
    return compiled


def _print_findings(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> None:
    findings = tuple(findings)
    sys.stderr.write(report.findings_text(findings, sources))
    if findings:
        _say_counts(findings)


def _say_counts(findings: Iterable[Diagnostic]) -> None:
    findings = tuple(findings)
    errors, warnings = (report.count(findings, severity) for severity in (Severity.ERROR, Severity.WARNING))
    _say(f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _say(text: str) -> None:
    sys.stderr.write(f"{printable_lines(text)}\n")


def _fail(text: str) -> int:
    _say(f"egressc: {text}")
    return BAD_INPUT
