"""Cases: from, to and the fate expected, as YAML; `egressc test` runs them, and so do our own tests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from bundle.text import printable
from compiler.diagnostics import Diagnostic
from compiler.explain import Explainer, ExplainError
from compiler.inputs.cases import CaseInput, CasesInput
from compiler.load import Object
from compiler.outputs import CaseOutput
from compiler.shape import shape
from compiler.source import read_documents


@dataclass(frozen=True, slots=True)
class Case:
    """A case and the file that it stands in."""

    given: CaseInput
    file: str
    index: int


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of a case; `actual` is the whole fate, or the verdict `error` and a reason."""

    case: Case
    expected: Mapping[str, str]
    actual: Mapping[str, str | None]

    @property
    def passed(self) -> bool:
        """Whether every expected field is as expected."""
        return all(self.actual.get(key) == value for key, value in self.expected.items())

    def as_json(self) -> CaseOutput:
        """Returns the fields of the JSON output."""
        given = self.case.given
        return {
            "name": given.name or f"{given.source} to {given.to}",
            "file": self.case.file,
            "from": given.source,
            "to": given.to,
            "expected": dict(self.expected),
            "actual": dict(self.actual),
            "pass": self.passed,
        }

    def text(self) -> str:
        """Returns a failure for people."""
        given = self.case.given
        title = f"{given.name}: " if given.name else ""
        lines = [f"FAILED {self.case.file} cases[{self.case.index}]: {title}{given.source} to {given.to}"]
        lines.extend(
            f"  {key}: expected {value}, is {self.actual.get(key) or 'none'}"
            for key, value in self.expected.items()
            if self.actual.get(key) != value
        )
        lines.append(f"  because: {self.actual.get('reason')}")
        return "".join(f"{printable(line)}\n" for line in lines)


def split(sources: Mapping[str, bytes]) -> tuple[tuple[Case, ...], list[str], tuple[Diagnostic, ...]]:
    """Parts the files that hold `cases` from the inputs.

    Returns:
        The cases, the names of the other files, and what was wrong with the cases.
    """
    found: list[Case] = []
    rest: list[str] = []
    findings: list[Diagnostic] = []
    for name, raw in sources.items():
        documents, faults = read_documents(name, raw)
        lists = [item for item in documents if isinstance(item.data, dict) and "cases" in item.data]
        if not lists:
            rest.append(name)
            continue
        findings.extend(faults)
        for document in lists:
            read, faults = shape(CasesInput, Object("Cases", "", name, document.data, document.place))
            findings.extend(faults)
            if read is not None:
                found.extend(Case(given, name, index) for index, given in enumerate(read.cases))
    return tuple(found), rest, tuple(findings)


def run(cases: Iterable[Case], explainer: Explainer) -> tuple[CaseResult, ...]:
    """Runs every case against a bundle."""
    return tuple(_run(case, explainer) for case in cases)


def _run(case: Case, explainer: Explainer) -> CaseResult:
    given = case.given.expect.model_dump(by_alias=True)
    expected = {key: _canonical(value) for key, value in given.items() if value is not None}
    try:
        fate: Mapping[str, object] = explainer.explain(case.given.source, case.given.to).as_json()
    except ExplainError as fault:
        return CaseResult(case, expected, {"verdict": "error", "reason": str(fault)})
    actual = {key: value for key in (*given, "reason") if (value := fate[key]) is None or isinstance(value, str)}
    return CaseResult(case, expected, actual)


def _canonical(text: str) -> str:
    """Returns an address or a prefix as we print it, any other text as it is."""
    for parse in (ip_address, ip_network):
        try:
            return str(parse(text))
        except ValueError:
            continue
    return text
