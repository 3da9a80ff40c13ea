"""The commands of the compiler: read, call the stages, print. With `cli`, the only printers."""

import argparse
import sys
from pathlib import Path
from typing import Final

from bundle.directory import GATEWAYS, open_account, open_bundle
from bundle.model import Gateways
from compiler import report
from compiler.console import Console
from compiler.diagnostics import Diagnostic, Severity
from compiler.elect import NOTHING_EARLIER, Earlier
from compiler.explain import Explainer, ExplainError
from compiler.files import OutputError, write_bundle
from compiler.github import findings_github
from compiler.pipeline import Compiled, Reading, account_for, compile_cluster, read_cluster, sort
from compiler.resources import resource
from compiler.sarif import findings_sarif
from compiler.schema import ENTRIES
from compiler.sides import masters
from compiler.telling import BAD_INPUT, DIFFERENT, OK, fail, tell_findings, tell_reading
from compiler.text import counted, did_you_mean
from compiler.verify.report import verdict_json, verdict_text
from compiler.verify.verify import verify as verify_bundle

_NEEDS_BALANCED: Final = "--rebalance needs spec.election.algorithm: balanced in an EgressCompilerConfig"

_FORMS: Final = {
    "json": report.findings_json,
    "sarif": findings_sarif,
    "github": findings_github,
}


def compile_inputs(arguments: argparse.Namespace) -> int:
    """`egressc compile`."""
    console = Console.of(arguments)
    try:
        earlier = _earlier(arguments, arguments.output, console)
    except _UsageError as fault:
        return fail(str(fault))
    with console.working() as progress:
        reading = read_cluster(_names(arguments), keep_going=arguments.keep_going, progress=progress)
    tell_reading(reading, console)
    if _useless(arguments, reading):
        return fail(_NEEDS_BALANCED)
    compiled = _compile(reading, earlier, console, keep_going=arguments.keep_going)
    if compiled.account is None:
        return BAD_INPUT
    _tell(report.balance(compiled.moves, compiled.masters, asked=earlier.rebalance), console)
    sys.stderr.write(report.left_out(reading.left_out))
    try:
        with console.working() as progress:
            written = write_bundle(compiled.stream(progress), arguments.output)
    except OutputError as fault:
        return fail(str(fault))
    sys.stdout.write(report.summary(compiled.account.gateways))
    kept = f"; {written.kept} others are the same as before" if written.kept else ""
    console.note(f"wrote {counted(written.new, 'file')} to {arguments.output}{kept}")
    return OK


def check(arguments: argparse.Namespace) -> int:
    """`egressc check`."""
    console = Console.of(arguments)
    try:
        earlier = _earlier(arguments, None, console)
    except _UsageError as fault:
        return fail(str(fault))
    with console.working() as progress:
        reading = read_cluster(_names(arguments), keep_going=arguments.keep_going, progress=progress)
    tell_reading(reading, console)
    if _useless(arguments, reading):
        return fail(_NEEDS_BALANCED)
    findings = reading.findings
    if reading.cluster is None:
        findings = sort(findings + _of_draft(reading))
    else:
        with console.working() as progress:
            compiled = compile_cluster(reading.cluster, earlier, keep_going=arguments.keep_going, progress=progress)
        findings = sort(findings + compiled.findings)
        _tell(report.balance(compiled.moves, compiled.masters, asked=earlier.rebalance), console)
        sys.stderr.write(report.left_out(reading.left_out))
    if arguments.format == "text":
        sys.stdout.write(report.findings_text(findings, reading.sources, console.out))
    else:
        sys.stdout.write(_FORMS[arguments.format](findings, reading.sources))
    console.note(report.counts(findings))
    return BAD_INPUT if report.count(findings, Severity.ERROR) else OK


def explain(arguments: argparse.Namespace) -> int:
    """`egressc explain`."""
    console = Console.of(arguments)
    try:
        with console.working() as progress:
            progress("reading the bundle")
            explainer = Explainer.open(arguments.bundle)
            progress("following the packet")
            fate = explainer.explain(arguments.source, arguments.to)
    except ExplainError as fault:
        return fail(str(fault))
    sys.stdout.write(fate.json() if arguments.format == "json" else fate.text())
    return OK


def verify(arguments: argparse.Namespace) -> int:
    """`egressc verify`."""
    console = Console.of(arguments)
    names = _names(arguments)
    with console.working() as progress:
        progress("reading the bundle")
        bundle = open_bundle(arguments.bundle)
        reading = read_cluster(names, keep_going=arguments.keep_going, progress=progress) if names else None
    expected = None
    if reading:
        tell_reading(reading, console)
        if reading.cluster is None:
            tell_findings(reading.findings, reading.sources, console)
            return BAD_INPUT
    with console.working() as progress:
        if reading and reading.cluster:
            progress("resolving policies")
            expected = account_for(reading.cluster, masters(bundle.decode(Gateways, GATEWAYS)))
        verdict = verify_bundle(bundle, expected, progress)
    if arguments.format == "json":
        sys.stdout.write(verdict_json(verdict))
    else:
        sys.stdout.write(verdict_text(verdict, console.out))
    return DIFFERENT if verdict.failures else OK


def schema(arguments: argparse.Namespace) -> int:
    """`egressc schema`."""
    if arguments.name is None:
        width = max(map(len, ENTRIES))
        sys.stdout.write("".join(f"{name.ljust(width)}  {entry.about}\n" for name, entry in ENTRIES.items()))
        return OK
    if arguments.name not in ENTRIES:
        return fail(f"there is no schema {arguments.name}{did_you_mean(arguments.name, list(ENTRIES))}")
    sys.stdout.write(resource("schemas", ENTRIES[arguments.name].file))
    return OK


def _names(arguments: argparse.Namespace) -> list[str]:
    return [*arguments.inputs, *([arguments.config] if arguments.config else [])]


class _UsageError(Exception):
    """The options do not go together or name what is not there; the message says what to do."""


def _earlier(arguments: argparse.Namespace, output: Path | None, console: Console) -> Earlier:
    """Reads who was master in the earlier bundle.

    Raises:
        _UsageError: There is none where one must be.
        BundleError: It is not whole.
    """
    previous: Path | None = arguments.previous
    if previous is None:
        if arguments.rebalance:
            raise _UsageError("--rebalance needs --previous DIR: it moves the masters of an earlier bundle")
        return NOTHING_EARLIER
    try:
        missing = not previous.is_dir() or not any(previous.iterdir())
    except OSError as fault:
        raise _UsageError(f"{previous}: cannot be read: {fault.strerror}") from None
    if missing:
        # A pipeline says `-o DIR --previous DIR` every time, also the first; any other DIR that is not there is a slip,
        # and to take it for a first compile would move masters.
        if output is None or previous.resolve() != output.resolve():
            raise _UsageError(f"{previous}: there is no earlier bundle; for the first compile, leave --previous out")
        console.note(f"no earlier bundle in {previous}: every master is new")
        return Earlier({}, rebalance=arguments.rebalance)
    return Earlier(masters(open_account(previous).decode(Gateways, GATEWAYS)), rebalance=arguments.rebalance)


def _useless(arguments: argparse.Namespace, reading: Reading) -> bool:
    """Whether a rebalance is asked for that would not be one."""
    return bool(arguments.rebalance and reading.cluster and reading.cluster.config.election != "balanced")


def _compile(reading: Reading, earlier: Earlier, console: Console, *, keep_going: bool = False) -> Compiled:
    compiled = Compiled(())
    if reading.cluster is not None:
        with console.working() as progress:
            compiled = compile_cluster(reading.cluster, earlier, keep_going=keep_going, progress=progress)
    findings = sort(reading.findings + compiled.findings + _of_draft(reading))
    tell_findings(findings, reading.sources, console)
    if reading.passed_over:
        console.note(f"passed over {reading.passed_over} objects of kinds that egressc does not read")
    return compiled


def _of_draft(reading: Reading) -> tuple[Diagnostic, ...]:
    """Returns what there is to say about the rest where gateways and policies have errors."""
    return compile_cluster(reading.draft).findings if reading.draft is not None else ()


def _tell(text: str, console: Console) -> None:
    if text:
        console.note(text.removesuffix("\n"))
