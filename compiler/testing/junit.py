"""Results of cases as JUnit XML, which Jenkins, GitLab and others show beside a pipeline's run.

Of the many dialects it is the narrowest, that of Jenkins' xUnit plugin (`junit-10.xsd`): no attribute that any reader
refuses. It has no place for the line of a test case, so that the first line of each failure tells it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import PurePath
from xml.etree import ElementTree as ET

from bundle.text import printable
from compiler.testing.examine import Result
from compiler.testing.verdicts import Lines, body, heading


def results_junit(results: Iterable[Result], lines: Lines) -> str:
    """Returns an XML document with a test suite for each file of cases."""
    results = tuple(results)
    root = ET.Element("testsuites", _counts("egressc test", results))
    for file, group in groupby(results, key=lambda result: result.assertion.place.file):
        _suite(root, file, tuple(group), lines)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(root: ET.Element, file: str, results: Sequence[Result], lines: Lines) -> None:
    suite = ET.SubElement(root, "testsuite", {**_counts(file, results), "skipped": "0", "file": printable(file)})
    titles = Counter(result.assertion.title for result in results)
    for result in results:
        title = result.assertion.title
        # Readers know a test by its name, and show one of those that share it.
        name = title if titles[title] == 1 else f"{title} ({result.assertion.place.field})"
        case = ET.SubElement(suite, "testcase", {"classname": _class_name(file), "name": printable(name)})
        if result.passed:
            continue
        kind = "error" if result.error else "failure"
        message = result.error or result.breaches[0].reason
        fault = ET.SubElement(case, kind, {"type": str(result.assertion.place.path[0]), "message": printable(message)})
        fault.text = f"{heading(result, lines)}\n{body(result, lines)}"


def _counts(name: str, results: Sequence[Result]) -> dict[str, str]:
    errors = sum(bool(result.error) for result in results)
    failures = sum(not result.passed for result in results) - errors
    return {"name": printable(name), "tests": str(len(results)), "failures": str(failures), "errors": str(errors)}


def _class_name(file: str) -> str:
    """Returns the path as a dotted name, since readers take what is before the last dot for a package."""
    path = PurePath(file)
    parts = [part.replace(".", "_") for part in path.with_suffix("").parts if part not in ("/", "..")]
    return printable(".".join(parts)) or "cases"
