"""Golden cases of `golden/diagnostics/`, one a code at least: what `egressc check` says of an input, in YAML and JSON.

The place of each finding is marked in the input itself, below the line: `#    ^ EG203` where the caret stands,
`#< EG106` in the first column. In JSON, made here of the same objects, PyYAML's node tree tells the place. A case
without a `cluster.yaml` of its own is read beside the common one.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import GOLDEN
from golden_files import DiagnosticFiles
from node_tree import composed
from syrupy.assertion import SnapshotAssertion

from compiler import report
from compiler.diagnostics import CODES, Diagnostic, Place
from compiler.github import findings_github
from compiler.pipeline import compile_cluster, read_cluster, sort
from compiler.sarif import findings_sarif
from compiler.source import read_documents

CASES = sorted(path.parent.name for path in GOLDEN.glob("diagnostics/*/input"))
COMMON = GOLDEN / "diagnostics" / "cluster.yaml"

# Faults of the text have no objects that JSON could be made of; two have cases whose input is JSON.
OF_THE_TEXT = ("EG102", "EG103", "EG104")
IN_JSON = {"EG102-json": ("egress.json", "}}}\n"), "EG103-json": ("egress.json", '"name": "egress-gateway"')}
# No file brings it about; see `test_a_path_that_cannot_be_read`.
NOT_BY_A_FILE = {"EG101"}
KEEP_GOING = ("EG320", "EG321", "EG322")  # these say what becomes of errors then
IN_ALL_FORMS = ("EG102", "EG203", "EG301", "EG307")

MARK = re.compile(r"#(?:<| *(\^)) (EG.+)")


def found(folder: Path, case: str) -> tuple[tuple[Diagnostic, ...], dict[str, bytes]]:
    """All findings about the inputs of a folder, under names relative to it, and those inputs."""
    own = (GOLDEN / "diagnostics" / case / "input" / "cluster.yaml").is_file()
    keep_going = case.startswith(KEEP_GOING)
    reading = read_cluster([str(folder / "input"), *([] if own else [str(COMMON)])], keep_going=keep_going)
    findings = reading.findings
    if reading.cluster is not None:
        findings = sort(findings + compile_cluster(reading.cluster, keep_going=keep_going).findings)
    short = {name: name.removeprefix(f"{folder}/").replace(str(COMMON), "cluster.yaml") for name in reading.sources}
    renamed = tuple(
        Diagnostic(item.severity, item.code, _renamed(item.message, short), _moved(item.place, short))
        for item in findings
    )
    return renamed, {short[name]: raw for name, raw in reading.sources.items()}


def _renamed(message: str, short: dict[str, str]) -> str:
    for name, text in short.items():
        message = message.replace(name, text)
    return message


def _moved(place: Place, short: dict[str, str]) -> Place:
    return Place(short[place.file], place.document, place.path, place.line, place.column, of_key=place.of_key)


@cache
def by_case(case: str) -> tuple[tuple[Diagnostic, ...], dict[str, bytes]]:
    return found(GOLDEN / "diagnostics" / case, case)


def as_json(case: str, folder: Path) -> tuple[tuple[Diagnostic, ...], dict[str, bytes]]:
    """The same for the case's objects as JSON, each file one List."""
    (folder / "input").mkdir()
    for path in sorted((GOLDEN / "diagnostics" / case / "input").iterdir()):
        documents, faults = read_documents(path.name, path.read_bytes())
        assert faults == ()
        items = {"apiVersion": "v1", "kind": "List", "items": [item.data for item in documents]}
        (folder / "input" / f"{path.stem}.json").write_text(json.dumps(items, indent=2) + "\n", encoding="utf-8")
    return found(folder, case)


def positions(findings: tuple[Diagnostic, ...], sources: dict[str, bytes]) -> list[tuple[str, int, int, str]]:
    """File, line, column and code of each finding."""
    shown = json.loads(report.findings_json(findings, sources))
    return sorted((item["file"], item["line"], item["column"], item["code"]) for item in shown)


def marks(sources: dict[str, bytes]) -> list[tuple[str, int, int, str]]:
    """The same as the inputs have it marked."""
    result: list[tuple[str, int, int, str]] = []
    for name, raw in sources.items():
        above = 0
        for number, line in enumerate(raw.decode().splitlines(), 1):
            if (match := MARK.fullmatch(line)) is None:
                above = number
                continue
            column = match.start(1) + 1 if match[1] else 1
            result.extend((name, above, column, code) for code in match[2].split())
    return sorted(result)


def texts(case: str, folder: Path) -> dict[str, str]:
    """All files of the case's `expected/`, as they are now."""
    findings, sources = by_case(case)
    result = {"check.txt": report.findings_text(findings, sources)}
    if not case.startswith(OF_THE_TEXT):
        result["check-json.txt"] = report.findings_text(*as_json(case, folder))
    if case in IN_ALL_FORMS:
        # The rest of the log is the table of codes, which grows and has tests of its own.
        results = json.loads(findings_sarif(findings, sources))["runs"][0]["results"]
        without_index = [{name: value for name, value in item.items() if name != "ruleIndex"} for item in results]
        result["check.sarif-results.json"] = json.dumps(without_index, indent=2) + "\n"
        result["check.json"] = report.findings_json(findings, sources)
        result["check.github.txt"] = findings_github(findings, sources)
    return result


@pytest.mark.parametrize("case", CASES)
def test_findings_are_the_golden_ones(
    case: str, snapshot: SnapshotAssertion, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    golden = snapshot.use_extension(DiagnosticFiles)
    expected = GOLDEN / "diagnostics" / case / "expected"
    made = texts(case, tmp_path)

    for name, text in made.items():
        assert text.encode() == golden(name=f"diagnostics/{case}/expected/{name}")
    if not request.config.option.update_snapshots:
        assert {path.name for path in expected.iterdir()} == set(made)


@pytest.mark.parametrize("case", [case for case in CASES if case not in IN_JSON])
def test_findings_are_where_the_input_has_their_mark(case: str) -> None:
    findings, sources = by_case(case)

    assert positions(findings, sources) == marks(sources)


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith(OF_THE_TEXT)])
def test_findings_in_json_are_the_same_and_where_the_node_tree_has_their_field(case: str, tmp_path: Path) -> None:
    in_yaml, _ = by_case(case)
    in_json, sources = as_json(case, tmp_path)

    assert sorted((item.code, field(item)) for item in in_json) == sorted((item.code, field(item)) for item in in_yaml)
    for item in in_json:
        text = sources[item.place.file].decode()
        node: Any = yaml.compose(text, yaml.SafeLoader)
        position = composed(text, node, json.loads(text), item.place)
        assert (item.place.file, position.line, position.column, item.code) in positions((item,), sources)


def field(finding: Diagnostic) -> str:
    """The field within its object."""
    return re.sub(r"^items\[[0-9]+\]\.?", "", finding.place.field)


@pytest.mark.parametrize("case", IN_JSON)
def test_faults_of_json_text_are_at_what_is_wrong(case: str) -> None:
    name, token = IN_JSON[case]
    findings, sources = by_case(case)
    text = sources[f"input/{name}"].decode()

    ((_, line, column, code),) = positions(findings, sources)

    assert code == case[:5]
    assert "\n".join(text.split("\n")[line - 1 :])[column - 1 :].startswith(token)


def test_every_code_has_a_case_that_shows_it() -> None:
    shown = {case[:5] for case in CASES if any(item.code == case[:5] for item in by_case(case)[0])}

    assert shown | NOT_BY_A_FILE == set(CODES)
    assert len(shown) == len({case[:5] for case in CASES})


@pytest.mark.parametrize("case", CASES)
def test_every_case_says_what_it_shows(case: str) -> None:
    folder = GOLDEN / "diagnostics" / case
    promise = folder / "CASE.md"
    first = [path.read_text(encoding="utf-8").split("\n", 1)[0] for path in sorted((folder / "input").iterdir())]

    assert promise.is_file() or any(re.fullmatch(r"# [A-Z].*\.", line) for line in first)


def test_a_path_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "empty").mkdir()

    for name, why in (
        ("nowhere.yaml", ": No such file"),
        ("loop.yaml", ": Too many levels"),
        ("empty", "holds no .yaml"),
    ):
        findings = read_cluster([str(tmp_path / name)]).findings
        text = report.findings_text([item for item in findings if item.code == "EG101"], {})
        assert text.startswith(f"{tmp_path / name}: error[EG101] ")
        assert why in text
