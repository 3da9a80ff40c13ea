"""YAML and JSON text to plain data: the traps of both, and where a field stands."""

import json
from pathlib import Path

import pytest
from builders import outcome
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.diagnostics import Diagnostic, Place
from compiler.positions import find_positions
from compiler.source import Data, Position, read_documents

FEW = settings(max_examples=150, deadline=None, derandomize=True)


def read(text: str | bytes) -> list[Data]:
    documents, findings = read_documents("input.yaml", text if isinstance(text, bytes) else text.encode())
    assert findings == ()
    return [document.data for document in documents]


def fault(text: str | bytes) -> Diagnostic:
    _, findings = read_documents("input.yaml", text if isinstance(text, bytes) else text.encode())
    assert len(findings) == 1
    return findings[0]


def at(finding: Diagnostic) -> tuple[str, int, int]:
    return finding.code, finding.place.line, finding.place.column


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("1:20", "1:20"),
        ("22:22:22", "22:22:22"),
        ("::1", "::1"),
        ("1::2", "1::2"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0", 10.0),
        ("1e3", 1000.0),
        ("1_000", "1_000"),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("08", "08"),
        ("-5", -5),
        ("+5", 5),
        ("yes", True),
        ("No", False),
        ("ON", True),
        ("oFF", "oFF"),
        ("y", "y"),
        ("n", "n"),
        ("true", True),
        ("'yes'", "yes"),
        ('"5"', "5"),
        ("!!str 5", "5"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'~'", "~"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("=", "="),
        ("!!python/object:os.system x", "x"),
        ("|\n  two\n  lines", "two\nlines\n"),
        ("[a, 1, {b: c}]", ["a", 1, {"b": "c"}]),
        ("{}", {}),
    ],
)
def test_scalars_are_what_a_reader_of_the_file_expects(text: str, expected: object) -> None:
    actual = read(f"value: {text}\n")[0]["value"]

    assert (type(expected), expected) == (type(actual), actual)


@pytest.mark.parametrize("key", ["yes", "1", "null", "2024-01-01", "1.5"])
def test_keys_are_always_text(key: str) -> None:
    assert read(f"{key}: x\n") == [{key: "x"}]


def test_anchors_and_aliases_are_the_values_they_stand_for() -> None:
    assert read("a: &x {k: [1]}\nb: *x\n") == [{"a": {"k": [1]}, "b": {"k": [1]}}]


def test_an_anchor_may_be_given_anew() -> None:
    assert read("- &x 1\n- *x\n- &x 2\n- *x\n") == [[1, 1, 2, 2]]


def test_merge_keys_fill_in_what_is_not_given() -> None:
    text = "base: &b {x: 1, y: 1}\nmore: &m {y: 2, z: 2}\nuse:\n  <<: [*b, *m]\n  x: 3\n"

    assert read(text)[0]["use"] == {"x": 3, "y": 1, "z": 2}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read('"<<": {x: 1}\n') == [{"<<": {"x": 1}}]


def test_anchors_do_not_reach_into_the_next_document() -> None:
    assert at(fault("a: &x 1\n---\nb: *x\n")) == ("EG102", 3, 4)


def test_empty_documents_are_no_documents_but_count() -> None:
    documents, findings = read_documents("input.yaml", b"---\n---\n# nothing\n---\nkind: Pod\n...\n")

    assert findings == ()
    assert [(document.data, document.place.document) for document in documents] == [({"kind": "Pod"}, 2)]


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "\ufeff"])
def test_nothing_is_no_document(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize("text", ["kind: Pod\nname: a\n", '{"kind": "Pod", "name": "a"}', "{kind: Pod, name: a}"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_mark_do_not_matter(text: str, newline: str, mark: str) -> None:
    assert read(mark + text.replace("\n", newline)) == [{"kind": "Pod", "name": "a"}]


def test_json_may_be_indented_with_tabs() -> None:
    assert read('{\n\t"a": [\n\t\t1\n\t]\n}\n') == [{"a": [1]}]


def test_json_numbers_and_texts_stay_what_they_are() -> None:
    assert read('{"a": "yes", "b": 1.0, "c": 1, "d": "2024-01-01", "e": null}') == [
        {"a": "yes", "b": 1.0, "c": 1, "d": "2024-01-01", "e": None}
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc<>:", max_size=4), inner, max_size=3),
    max_leaves=12,
)


@FEW
@given(data=st.lists(JSON, max_size=4) | st.dictionaries(st.text("abc", max_size=4), JSON, max_size=4))
@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_is_read_as_any_json_reader_does(indent: int | str | None, data: object) -> None:
    assert read(json.dumps(data, indent=indent)) == [data]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ("EG103", 3, 1)),
        ("x:\n  - a: 1\n    a: 1\n", ("EG103", 3, 5)),
        ("{a: 1, a: 2}\n", ("EG103", 1, 8)),
        ("a: &x [*x]\n", ("EG104", 1, 8)),
        ("a: &x {k: {l: *x}}\n", ("EG104", 1, 15)),
        ("a: *x\n", ("EG102", 1, 4)),
        ("a: 1\n\tb: 2\n", ("EG102", 2, 1)),
        ("a: [1\nb: 2\n", ("EG102", 2, 2)),
        ("? [a]\n: 1\n", ("EG102", 1, 3)),
        ("a:\n  <<: 5\n", ("EG102", 2, 3)),
        ("a: !!binary aGVsbG8=\n", ("EG102", 1, 4)),
        ("a: 1e999\n", ("EG102", 1, 4)),
        (f"a: {'9' * 5000}\n", ("EG102", 1, 4)),
        (f"a: {'[' * 5000}{']' * 5000}\n", ("EG102", 1, 104)),
        (f"a: {'[' * 200_000}\n", ("EG102", 1, 104)),
        ("\n".join(" " * depth + "a:" for depth in range(3000)), ("EG102", 102, 102)),
        (b"a: 1\nb: \xe9\n", ("EG102", 2, 4)),
        ("kind: Pod\n".encode("utf-16"), ("EG102", 1, 1)),
        ('{"a": 1 "b": 2}', ("EG102", 1, 9)),
        ('{"a": 1}\n{"b": 2}\n', ("EG102", 2, 1)),
        ('{"a"\n: tru}', ("EG102", 2, 3)),
    ],
)
def test_faults_of_the_text_have_code_line_and_column(text: str | bytes, expected: tuple[str, int, int]) -> None:
    assert expected == at(fault(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1,\n "a": 2}', ("EG103", 2, 2)),
        ('{"x": [\n  {"b": 1, "b": 2}]}', ("EG103", 2, 12)),
        ('{"a":\n  NaN}', ("EG102", 2, 3)),
        (f'{{"a":\n  {"9" * 5000}}}', ("EG102", 2, 3)),
        ("a: 1\nb: \0\n", ("EG102", 2, 4)),
    ],
)
def test_faults_found_late_have_line_and_column_too(text: str, expected: tuple[str, int, int]) -> None:
    assert expected == at(fault(text))


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "a0: &a0 {x: 1}\n" + "".join(f"a{i + 1}: &a{i + 1} {{l: *a{i}, r: *a{i}}}\n" for i in range(60)),
    ],
    ids=["lists", "mappings"],
)
def test_aliases_that_expand_without_end_are_refused(text: str) -> None:
    assert fault(text).code == "EG104"


def test_aliases_in_a_measure_that_people_write_are_taken() -> None:
    text = "labels: &l {app: a, tier: b}\nitems:\n" + "  - *l\n" * 1000

    assert read(text)[0]["items"] == [{"app": "a", "tier": "b"}] * 1000


def test_documents_before_a_broken_one_are_kept() -> None:
    documents, findings = read_documents("input.yaml", b"kind: A\n---\nkind: B\n---\nkind: [\n")

    assert [document.data for document in documents] == [{"kind": "A"}, {"kind": "B"}]
    assert [finding.code for finding in findings] == ["EG102"]


@pytest.mark.parametrize(
    "text",
    ['{"a": ' * 5000 + "1" + "}" * 5000, "[" * 100_000, '{"a":' + "[" * 985 + "]" * 985 + "}"],
    ids=["objects", "lists", "near-the-limit"],
)
def test_deep_json_does_not_end_in_an_exception(text: str) -> None:
    _, findings = read_documents("input.json", text.encode())

    assert [finding.code for finding in findings] in (["EG102"], [])


POSITIONS = """\
# a comment
kind: First
---
kind: Second
spec:
  list:
    - one
    - key: two
      other: {flow: [a, bb]}
  text: |
    first line
  "quoted": 'x'
  empty:
"""


def position(text: str, place: Place) -> Position | None:
    return find_positions(text, [place]).get(place)


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        (0, ("kind",), (2, 7)),
        (0, (), (2, 1)),
        (1, (), (4, 1)),
        (1, ("kind",), (4, 7)),
        (1, ("spec",), (5, 1)),
        (1, ("spec", "list"), (6, 3)),
        (1, ("spec", "list", 0), (7, 7)),
        (1, ("spec", "list", 1), (8, 7)),
        (1, ("spec", "list", 1, "key"), (8, 12)),
        (1, ("spec", "list", 1, "other", "flow", 1), (9, 25)),
        (1, ("spec", "text"), (10, 9)),
        (1, ("spec", "quoted"), (12, 13)),
        (1, ("spec", "missing"), (5, 1)),
        (1, ("spec", "list", 7), (6, 3)),
        (1, ("spec", "list", 0, "below", "a", "scalar"), (7, 7)),
    ],
)
def test_position_of_a_field_in_yaml(document: int, path: tuple[str | int, ...], expected: tuple[int, int]) -> None:
    assert Position(*expected) == position(POSITIONS, Place("input.yaml", document, path))


@pytest.mark.parametrize("blank", ["  ", "\t"])
@pytest.mark.parametrize(
    ("path", "line", "shown"),
    [
        ((), 1, "{"),
        (("kind",), 2, '"Pod",'),
        (("items",), 3, '"items": ['),
        (("items", 0, "cidr"), 5, '"10.0.0.0/8"'),
        (("items", 1), 7, "{"),
        (("items", 1, "cidr"), 8, '"::/0"'),
    ],
)
def test_position_of_a_field_in_json(blank: str, path: tuple[str | int, ...], line: int, shown: str) -> None:
    text = json.dumps({"kind": "Pod", "items": [{"cidr": "10.0.0.0/8"}, {"cidr": "::/0"}]}, indent=blank)

    found = position(text, Place("input.json", 0, path))

    column = text.splitlines()[line - 1].index(shown) + 1
    assert Position(line, column) == found


def test_there_is_no_position_in_a_document_that_is_not_there() -> None:
    assert position("kind: Pod\n", Place("input.yaml", 3)) is None


def test_cluster_of_a_broken_file_is_refused_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "input.yaml"
    path.write_bytes(b"kind: A\napiVersion: v1\n---\nkind: [\n")

    files, findings = outcome(path)

    assert files is None
    assert "EG102" in [finding.code for finding in findings]
