"""The forms of `egressc check`: SARIF against its schema, GitHub's escaping, long and wide lines."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from builders import cluster, dump, gateway, outcome, pod, policy
from conftest import ROOT

from compiler.cli import main
from compiler.diagnostics import CODES, Diagnostic, Place, error, warning
from compiler.github import findings_github
from compiler.report import findings_text
from compiler.sarif import findings_sarif

# The schema of errata 01, as OASIS publishes it.
SCHEMA = json.loads((ROOT / "tests" / "fixtures" / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
CHECKER = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.FormatChecker())

RAW = b"kind: A\nspec:\n  to:\n    - 10.0.0.1\n"
ENTRY = error("EG207", Place("in.yaml", 0, ("spec", "to", 0)), "'10.0.0.1' has no prefix length")


def results(findings: list[Diagnostic], sources: dict[str, bytes]) -> list[dict[str, Any]]:
    """The results of the SARIF form, which must be valid."""
    log = json.loads(findings_sarif(findings, sources))
    CHECKER.validate(log)
    found: list[dict[str, Any]] = log["runs"][0]["results"]
    return found


def test_sarif_has_rule_level_place_and_field() -> None:
    (result,) = results([ENTRY], {"in.yaml": RAW})

    assert (result["ruleId"], result["level"]) == ("EG207", "error")
    assert result["message"] == {"text": "'10.0.0.1' has no prefix length"}
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "in.yaml", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 4, "startColumn": 7},
            },
            "logicalLocations": [{"fullyQualifiedName": "spec.to[0]", "kind": "value"}],
        }
    ]


def test_sarif_explains_every_code() -> None:
    log = json.loads(findings_sarif([ENTRY], {"in.yaml": RAW}))

    driver = log["runs"][0]["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == list(CODES)
    assert driver["rules"][log["runs"][0]["results"][0]["ruleIndex"]]["id"] == "EG207"
    assert driver["rules"][0]["help"]["text"] == CODES["EG101"].remedy
    assert log["runs"][0]["columnKind"] == "unicodeCodePoints"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b/100%.yaml", {"uri": "a%20b/100%25.yaml", "uriBaseId": "%SRCROOT%"}),
        ("ü:x#y?.yaml", {"uri": "%C3%BC%3Ax%23y%3F.yaml", "uriBaseId": "%SRCROOT%"}),
        ("\udcff.yaml", {"uri": "%FF.yaml", "uriBaseId": "%SRCROOT%"}),
        ("/etc/a b.yaml", {"uri": "file:///etc/a%20b.yaml"}),
        ("-", {"uri": "-", "description": {"text": "standard input"}}),
    ],
)
def test_sarif_names_files_by_uri(name: str, expected: dict[str, Any]) -> None:
    (result,) = results([error("EG101", Place(name), "cannot be read")], {})

    assert result["locations"] == [{"physicalLocation": {"artifactLocation": expected}}]


def test_sarif_messages_hold_no_placeholders_links_or_control_letters() -> None:
    (result,) = results([error("EG204", Place("a"), "write podSelector: {0}, [x](http://a), \x1b[1m")], {})

    assert result["message"]["text"] == "write podSelector: {{0}}, [x\\](http://a), \\x1b[1m"


def test_sarif_fingerprint_stays_when_lines_documents_and_entries_come_before() -> None:
    moved = Diagnostic(ENTRY.severity, ENTRY.code, ENTRY.message, Place("in.yaml", 1, ("spec", "to", 1)))
    raw = b"# a comment\n---\nkind: B\n---\nkind: A\nspec:\n  to:\n    - 10.0.0.0/8\n    - 10.0.0.1\n"

    before = results([ENTRY], {"in.yaml": RAW})[0]["partialFingerprints"]
    after = results([moved], {"in.yaml": raw})[0]["partialFingerprints"]

    assert before == after


def test_sarif_fingerprints_of_like_findings_differ() -> None:
    other = Diagnostic(ENTRY.severity, ENTRY.code, ENTRY.message, Place("in.yaml", 0, ("spec", "to", 1)))

    first, second = (result["partialFingerprints"] for result in results([ENTRY, other], {"in.yaml": RAW}))

    assert first != second


def test_github_annotates_the_line() -> None:
    text = findings_github([ENTRY], {"in.yaml": RAW})

    assert text == "::error file=in.yaml,line=4,col=7,title=EG207::spec.to[0]: '10.0.0.1' has no prefix length\n"


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (warning("EG203", Place("a,b:c%.yaml"), "100%"), "::warning file=a%2Cb%3Ac%25.yaml,title=EG203::100%25\n"),
        (error("EG101", Place("a\nb"), "x:y,z"), "::error file=a%0Ab,title=EG101::x:y,z\n"),
        (error("EG208", Place("a"), "'\r\n::error::'"), "::error file=a,title=EG208::'\\r\\n::error::'\n"),
        (error("EG102", Place("-", 0, (), 3, 4), "not YAML"), "::error title=EG102::not YAML\n"),
    ],
)
def test_github_escapes_what_its_commands_are_made_of(finding: Diagnostic, expected: str) -> None:
    assert findings_github([finding], {}) == expected


def test_text_of_a_long_line_is_a_window_around_the_column() -> None:
    raw = json.dumps({"kind": "A", "pad": "x" * 300, "spec": {"to": ["10.0.0.1"]}, "more": "y" * 300}).encode()

    line, shown, caret = findings_text([ENTRY], {"in.yaml": raw}).splitlines()

    column = raw.index(b'"10.0.0.1"') + 1
    assert line.startswith(f"in.yaml:1:{column}: error[EG207] spec.to[0]: ")
    assert shown.removeprefix("     1 | ").startswith("…xxx")
    assert shown.endswith("y…")
    assert shown[caret.index("^") :].startswith('"10.0.0.1"')


@pytest.mark.parametrize(
    ("line", "cells"),
    [("{to: [10.0.0.1]}", 6), ("{字: 字, to: [10.0.0.1]}", 14), ("{e\u0301: 1, to: [10.0.0.1]}", 12)],
)
def test_caret_stands_below_the_letter_as_a_terminal_shows_it(line: str, cells: int) -> None:
    finding = error("EG207", Place("in.yaml", 0, ("to", 0)), "is no CIDR")

    shown = findings_text([finding], {"in.yaml": line.encode()}).splitlines()

    assert shown[2] == "       | " + " " * cells + "^"


def test_lines_end_where_editors_end_them() -> None:
    raw = "a: 'x\u2028y\x85z'\r\nto: [10.0.0.1]\r\n".encode()
    finding = error("EG207", Place("in.yaml", 0, ("to", 0)), "is no CIDR")

    shown = findings_text([finding], {"in.yaml": b"\xef\xbb\xbf" + raw}).splitlines()

    assert shown[0].startswith("in.yaml:2:6: ")
    assert shown[1] == "     2 | to: [10.0.0.1]"


@pytest.mark.parametrize("form", ["text", "github", "sarif"])
def test_labels_of_the_cluster_are_printed_on_one_line_without_colours(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = pod("odd", "worker-1", 6, labels={"app": "front\x1b[31m\n::error::end"})
    asked = policy(selectors=[{"podSelector": {"matchLabels": {"app": "front-31m-error-end"}}}])
    path = tmp_path / "input.json"
    path.write_text(json.dumps({"kind": "List", "items": [*cluster(odd, gateway()), asked]}), encoding="utf-8")

    assert main(["check", str(path), "--format", form]) == 0

    out = capsys.readouterr().out
    assert "did you mean app=front" in out
    assert "\x1b" not in out
    assert "\n::error::end" not in out


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github"])
@pytest.mark.parametrize("name", ["egress-gw", "nobody"])
def test_every_form_goes_to_standard_output_and_the_counts_do_not(
    form: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*cluster(gateway(), policy(gateway_name=name))), encoding="utf-8")

    status = main(["check", str(path), "--format", form])

    shown = capsys.readouterr()
    errors = [item for item in outcome(path)[1] if item.code == "EG301"]
    assert (status, shown.err) == ((2, "1 error, 0 warnings\n") if errors else (0, "0 errors, 0 warnings\n"))
    assert ("EG301" in shown.out) == (bool(errors) or form == "sarif")
    if form == "sarif":
        CHECKER.validate(json.loads(shown.out))
