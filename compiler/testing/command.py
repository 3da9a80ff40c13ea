"""`egressc test`: cases held against inputs, and what came of them in the form that was asked for."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from compiler.console import Console
from compiler.diagnostics import Place, has_errors
from compiler.explain import Explainer
from compiler.files import Sources, read_sources
from compiler.model import Cluster
from compiler.pipeline import compile_cluster, sort, understand
from compiler.positions import find_positions
from compiler.progress import Progress, counted
from compiler.telling import BAD_INPUT, DIFFERENT, OK, fail, tell_findings, tell_reading
from compiler.testing.cases import Assertion, split
from compiler.testing.examine import Examiner, Result
from compiler.testing.junit import results_junit
from compiler.testing.verdicts import Lines, places, results_json, results_text

_FORMS: Final = {"json": results_json, "junit": results_junit}


@dataclass(frozen=True, slots=True)
class Prepared:
    """Inputs that compile, and the cases to hold against them.

    Attributes:
        cluster: The inputs as they were understood.
        files: The bundle made of them.
        examiner: Ready to be asked about it.
        assertions: In the order of the files.
        sources: The text of inputs and cases.
    """

    cluster: Cluster
    files: Mapping[str, bytes]
    examiner: Examiner
    assertions: tuple[Assertion, ...]
    sources: Sources

    def examine(self, progress: Progress) -> tuple[Result, ...]:
        """Proves or refutes every assertion."""
        return tuple(map(self.examiner.examine, counted(self.assertions, "examining cases", progress)))


class CasesError(Exception):
    """There is nothing to test; what is wrong was said."""


def main(arguments: argparse.Namespace) -> int:
    """`egressc test`."""

    def examine(prepared: Prepared, console: Console) -> tuple[Result, ...]:
        with console.working() as progress:
            return prepared.examine(progress)

    return run(arguments, examine)


def run(arguments: argparse.Namespace, examine: Callable[[Prepared, Console], Iterable[Result]]) -> int:
    """Reads, examines, prints.

    Args:
        arguments: Of `egressc test`.
        examine: What to do with the cases.

    Returns:
        The exit status.
    """
    console = Console.of(arguments)
    try:
        prepared = _prepare(arguments.inputs, console)
    except CasesError:
        return BAD_INPUT
    results = tuple(examine(prepared, console))
    lines = _lines(results, prepared.sources)
    if arguments.junit is not None:
        try:
            arguments.junit.write_text(results_junit(results, lines), encoding="utf-8")
        except OSError as fault:
            return fail(f"{arguments.junit}: cannot be written: {fault.strerror}")
    if arguments.format == "text":
        sys.stdout.write(results_text(results, lines, console.out))
    else:
        sys.stdout.write(_FORMS[arguments.format](results, lines))
    return OK if all(result.passed for result in results) else DIFFERENT


def _prepare(inputs: Sequence[str], console: Console) -> Prepared:
    """Reads inputs and cases, and compiles the inputs.

    Raises:
        CasesError: Something is wrong with them.
    """
    sources, findings = read_sources(inputs)
    assertions, rest, faults = split(sources)
    findings += faults
    tell_findings(findings, sources, console)
    if has_errors(findings):
        raise CasesError
    if len(rest) == len(sources):
        fail("no file with a list `cases` or `never` among the arguments")
        raise CasesError
    with console.working() as progress:
        reading = understand({name: sources[name] for name in rest}, progress=progress)
    tell_reading(reading, console)
    cluster = reading.cluster or reading.draft
    if cluster is None:
        tell_findings(reading.findings, sources, console)
        raise CasesError
    with console.working() as progress:
        compiled = compile_cluster(cluster, progress=progress)
    if reading.cluster is None or compiled.files is None or compiled.account is None:
        tell_findings(sort(reading.findings + compiled.findings), sources, console)
        raise CasesError
    examiner = Examiner(cluster, compiled.account, Explainer.of(compiled.files))
    return Prepared(cluster, compiled.files, examiner, assertions, sources)


def _lines(results: Iterable[Result], sources: Sources) -> Lines:
    by_file: dict[str, list[Place]] = {}
    for place in dict.fromkeys(places(results)):
        by_file.setdefault(place.file, []).append(place)
    found: dict[Place, int] = {}
    for name, wanted in by_file.items():
        positions = find_positions(sources[name].decode("utf-8-sig", errors="replace"), wanted)
        found.update((place, position.line) for place, position in positions.items())
    return found
