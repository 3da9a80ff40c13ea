"""JUnit XML of `egressc test`: what readers take, whatever stands in names."""

from ipaddress import IPv4Network
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from builders import cluster, dump, gateway, policy
from hypothesis import given
from hypothesis import strategies as st

from compiler.cli import main
from compiler.diagnostics import Place
from compiler.testing.cases import Assertion, Source
from compiler.testing.examine import Breach, Result
from compiler.testing.junit import results_junit

# What Jenkins' xUnit plugin, the strictest of the known readers, takes of each element (its junit-10.xsd): attributes
# that must be there, those that may, and elements below.
TAKEN: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
        {"testcase", "properties", "system-out", "system-err"},
    ),
    "testcase": ({"name"}, {"time", "classname", "group"}, {"failure", "error", "skipped", "system-out", "system-err"}),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
}


def parsed(text: str) -> ET.Element:
    """The document, every element of which is as it is taken."""
    root = ET.fromstring(text)  # noqa: S314  # our own
    assert root.tag == "testsuites"
    for element in root.iter():
        needed, may, below = TAKEN[element.tag]
        assert needed <= set(element.attrib) <= needed | may
        assert {child.tag for child in element} <= below
    return root


def result(name: str, file: str = "cases.yaml", index: int = 0, reason: str = "", error: str = "") -> Result:
    source = Source("default/a", workload="default/a")
    place = Place(file, 0, ("cases", index))
    assertion = Assertion("case", name, place, source, (IPv4Network("192.0.2.0/24"),), {"verdict": ("drop",)})
    breaches = (Breach(("default/a",), ("192.0.2.0/24",), ("192.0.2.0/24",), None, reason),) if reason else ()
    return Result(assertion, 1, breaches, error)


def test_a_file_is_a_suite_and_an_entry_a_test_case() -> None:
    results = [
        result("good"),
        result("bad", index=1, reason="of this"),
        result("lost", index=2, error="nobody is there"),
        result("other", "policies/more.cases.yaml"),
    ]

    root = parsed(results_junit(results, {results[1].assertion.place: 7}))

    counts = [(s.get("name"), s.get("tests"), s.get("failures"), s.get("errors"), s.get("file")) for s in root]
    assert counts == [
        ("cases.yaml", "3", "1", "1", "cases.yaml"),
        ("policies/more.cases.yaml", "1", "0", "0", "policies/more.cases.yaml"),
    ]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "1", "1")
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert cases["other"].get("classname") == "policies.more_cases"
    assert [child.tag for child in cases["good"]] == []
    (failure,) = cases["bad"]
    assert (failure.tag, failure.get("message")) == ("failure", "of this")
    assert failure.text == (
        "cases.yaml:7 cases[1]: bad: default/a to 192.0.2.0/24\n  192.0.2.0/24 from default/a:\n    because: of this\n"
    )
    (error,) = cases["lost"]
    assert (error.tag, error.get("message")) == ("error", "nobody is there")


def test_entries_of_one_name_are_told_apart() -> None:
    root = parsed(results_junit([result("same"), result("same", index=1), result("one", index=2)], {}))

    assert [case.get("name") for case in root.iter("testcase")] == ["same (cases[0])", "same (cases[1])", "one"]


HOSTILE = st.text(st.characters(), max_size=20) | st.sampled_from(
    [
        "]]>",
        "<![CDATA[",
        "\x00\x1b[31m",
        "\ufffe\uffff",
        "\ud800",
        "a\nb\r\t",
        "&quot;\"'",
        "<!--",
        "\U0001fffe",
        "\x85\u2028",
    ]
)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_any_name_gives_well_formed_xml(name: str, file: str, reason: str) -> None:
    text = results_junit(
        [result(name, file or "f", reason=reason or "r"), result(name, "z", 1, error=reason or "e")], {}
    )

    parsed(text.encode().decode())
    assert all(letter == "\n" or letter.isprintable() for letter in text)


def test_the_file_is_written_beside_any_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "input.yaml").write_text(dump(*cluster(gateway(), policy())), encoding="utf-8")
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump({"never": [{"verdict": "egress"}]}), encoding="utf-8")
    command = ["test", str(tmp_path / "input.yaml"), str(tmp_path / "cases.yaml")]

    assert main([*command, "--junit", str(tmp_path / "junit.xml")]) == 1
    assert capsys.readouterr().out.endswith("0 passed, 1 failed\n")
    main([*command, "--format", "junit"])
    assert capsys.readouterr().out == (tmp_path / "junit.xml").read_text(encoding="utf-8")
    parsed((tmp_path / "junit.xml").read_text(encoding="utf-8"))

    assert main([*command, "--junit", str(tmp_path / "none" / "junit.xml")]) == 2
    assert capsys.readouterr().err.endswith("junit.xml: cannot be written: No such file or directory\n")
