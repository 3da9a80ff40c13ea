"""What came of cases, as text for people and as JSON; `junit` has the form that pipelines read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from bundle.style import PLAIN, Style
from bundle.text import json_text, printable
from compiler.diagnostics import Place
from compiler.outputs import BreachOutput, CaseOutput
from compiler.testing.examine import Breach, Fate, Result
from compiler.text import counted, some_of

Lines = Mapping[Place, int]
"""Line of a place, from 1, as far as it is known."""

_WORKLOADS: Final = 3
_DESTINATIONS: Final = 8
_BREACHES: Final = 20
_EXAMPLES: Final = 10  # of JSON, whose readers are programs


def places(results: Iterable[Result]) -> Iterator[Place]:
    """Returns the places whose lines are shown."""
    for result in results:
        yield result.assertion.place
        yield from (breach.place for breach in result.breaches if breach.place)


def results_text(results: Sequence[Result], lines: Lines, style: Style = PLAIN) -> str:
    """Returns what failed and why, then the counts."""
    failed = [result for result in results if not result.passed]
    packets = sum(result.packets for result in results)
    sent = f"; {counted(packets, 'packet')} sent" if packets else ""
    counts = f"{len(results) - len(failed)} passed, {len(failed)} failed{sent}"
    word = style.error("FAILED")
    text = "".join(f"{word} {heading(result, lines)}\n{body(result, lines)}" for result in failed)
    return f"{text}{(style.error if failed else style.good)(counts)}\n"


def heading(result: Result, lines: Lines) -> str:
    """Returns where an assertion stands and what it says, on one line."""
    assertion = result.assertion
    name = f"{assertion.name}: " if assertion.name else ""
    return printable(f"{where(assertion.place, lines)} {assertion.place.field}: {name}{assertion.told}")


def where(place: Place, lines: Lines) -> str:
    """Returns the file of a place, and its line where that is known."""
    return f"{place.file}:{lines[place]}" if place in lines else place.file


def body(result: Result, lines: Lines) -> str:
    """Returns why an assertion failed, line by line."""
    if result.error:
        return f"  because: {printable(result.error)}\n"
    shown = [line for breach in result.breaches[:_BREACHES] for line in _breach(result, breach, lines)]
    if len(result.breaches) > _BREACHES:
        shown.append(f"  and {len(result.breaches) - _BREACHES} more such ranges; --format json has all")
    return "".join(f"{printable(line)}\n" for line in shown)


def _breach(result: Result, breach: Breach, lines: Lines) -> Iterator[str]:
    single = result.assertion.single
    indent = "  " if single else "    "
    if not single:
        yield f"  {some_of(breach.shown, _DESTINATIONS)} from {_whom(breach.workloads)}:"
    if breach.fate and result.assertion.never:
        yield f"{indent}what happens: {told(breach.fate)}"
    elif breach.fate:
        for name, values in result.assertion.wanted.items():
            found = breach.fate.of(name) or (breach.fate.unknown if name == "sourceIP" else "") or "none"
            if found not in values and not _follows(name, breach.fate, result):
                yield f"{indent}{name}: expected {' or '.join(values)}, is {found}"
    by = f" ({where(breach.place, lines)})" if breach.place else ""
    yield f"{indent}because: {breach.reason}{by}"


def _follows(name: str, fate: Fate, result: Result) -> bool:
    """Whether a difference goes without saying: what does not leave as expected has no source and another node."""
    expected = result.assertion.wanted.get("verdict", (fate.verdict,))
    return fate.verdict not in expected and name in {"node", "nodes", "sourceIP", "gateway"}


def told(fate: Fate) -> str:
    """Returns a fate as a part of a sentence."""
    if fate.verdict == "egress":
        source = fate.source or fate.unknown
        return f"leaves by gateway {fate.gateway} and node {fate.node} with source {source}"
    node = f" on node {fate.node}" if fate.node else ""
    return f"is dropped{node}" if fate.verdict == "drop" else f"goes its ordinary way{node}"


def _whom(workloads: Sequence[str]) -> str:
    if len(workloads) == 1:
        return workloads[0]
    return f"{counted(len(workloads), 'workload')} ({some_of(workloads, _WORKLOADS)})"


def results_json(results: Iterable[Result], lines: Lines) -> str:
    """Returns the results as a JSON list of objects."""
    return json_text([_output(result, lines) for result in results])


def _output(result: Result, lines: Lines) -> CaseOutput:
    assertion = result.assertion
    return {
        "kind": assertion.kind,
        "name": assertion.title,
        "file": assertion.place.file,
        "line": lines.get(assertion.place, 0),
        "from": assertion.source.text if assertion.source else "every workload",
        "to": assertion.to,
        "expected": assertion.expected,
        "actual": _actual(result),
        "workloads": result.workloads,
        "breaches": [_breach_output(breach, lines) for breach in result.breaches],
        "packets": result.packets,
        "pass": result.passed,
    }


def _actual(result: Result) -> dict[str, str | None]:
    if result.error:
        return {"verdict": "error", "reason": result.error}
    if result.breaches:
        first = result.breaches[0]
        return {**_fate(first.fate), "reason": first.reason}
    return {**_fate(result.fate), "reason": result.reason} if result.fate else {}


def _fate(fate: Fate | None) -> Mapping[str, str | None]:
    return fate.as_dict() if fate else {"verdict": "error"}


def _breach_output(breach: Breach, lines: Lines) -> BreachOutput:
    return {
        "workloads": len(breach.workloads),
        "examples": list(breach.workloads[:_EXAMPLES]),
        "destinations": list(breach.destinations),
        "actual": _fate(breach.fate),
        "reason": breach.reason,
        "file": breach.place.file if breach.place else "",
        "line": lines.get(breach.place, 0) if breach.place else 0,
    }
