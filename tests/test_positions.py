"""From a field's path to line and column, compared with the node tree that PyYAML composes of the same text."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from node_tree import composed

from compiler.diagnostics import Place
from compiler.positions import find_positions
from compiler.source import Position, read_documents

Path = tuple[str | int, ...]

WORDS = st.text("aZ9 .:-/{}[]'\"#,&*字é\u0301😀\t", max_size=8)
LEAVES = st.one_of(WORDS, st.integers(-5, 5), st.booleans(), st.none())
VALUES = st.recursive(
    LEAVES,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(WORDS.filter(bool), below, max_size=4)),
    max_leaves=20,
)
OBJECTS = st.dictionaries(WORDS.filter(bool), VALUES, min_size=1, max_size=4)


def paths(data: Any, at: Path = ()) -> list[Path]:  # noqa: ANN401  # YAML
    """The path of every value below `data`."""
    found = [at] if at else []
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return found + [path for key, value in entries for path in paths(value, (*at, key))]


def yaml_text(documents: list[Any], *, flow: bool, width: int) -> str:
    text: str = yaml.safe_dump_all(
        documents, default_flow_style=flow, width=width, allow_unicode=True, sort_keys=False, explicit_start=True
    )
    return text


@given(st.lists(OBJECTS, min_size=1, max_size=3), st.booleans(), st.sampled_from([20, 1000]), st.booleans(), st.data())
def test_yaml_positions_are_those_of_the_node_tree(
    documents: list[Any],
    flow: bool,
    width: int,
    crlf: bool,
    data: st.DataObject,
) -> None:
    text = yaml_text(documents, flow=flow, width=width)
    if crlf:
        text = text.replace("\n", "\r\n")
    index = data.draw(st.integers(0, len(documents) - 1))
    place = Place("f", index, data.draw(st.sampled_from(paths(documents[index]))), of_key=data.draw(st.booleans()))

    node = list(yaml.compose_all(text, yaml.SafeLoader))[index]
    assert find_positions(text, [place]) == {place: composed(text, node, documents[index], place)}


@given(OBJECTS, st.sampled_from([None, 0, 2, "\t"]), st.booleans(), st.booleans(), st.data())
def test_json_positions_are_those_of_the_node_tree(
    item: Any,  # noqa: ANN401  # JSON
    indent: int | str | None,
    ascii_only: bool,
    crlf: bool,
    data: st.DataObject,
) -> None:
    text = json.dumps(item, indent=indent, ensure_ascii=ascii_only)
    if crlf:
        text = text.replace("\n", "\r\n")
    place = Place("f", 0, data.draw(st.sampled_from(paths(item))), of_key=data.draw(st.booleans()))
    # YAML knows neither tabs as indentation nor half characters, which are JSON's way to write whole ones; equally long
    # blanks and letters take their places.
    plain = "\n".join(" " * (len(line) - len(line.lstrip("\t"))) + line.lstrip("\t") for line in text.split("\n"))
    expected = composed(text, yaml.compose(plain.replace("\\ud", "\\u0"), yaml.SafeLoader), item, place)

    assert find_positions(text, [place]) == {place: expected}


@given(st.lists(OBJECTS, min_size=1, max_size=3), st.booleans())
def test_all_fields_of_a_file_are_found_in_one_pass_as_alone(documents: list[Any], flow: bool) -> None:
    text = yaml_text(documents, flow=flow, width=80)
    places = [Place("f", index, path) for index, item in enumerate(documents) for path in paths(item)]

    together = find_positions(text, places)

    assert together == {place: find_positions(text, [place])[place] for place in places}


ALIASES = """\
base: &base
  to: [10.0.0.1]
  by: &by [x]
one:
  <<: *base
  own: 1
two:
  own: 2
  <<: [*base]
  by: *by
three:
  to: [a]
  <<: {to: [b]}
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("base", "to", 0), (2, 8)),
        (("one", "own"), (6, 8)),
        (("one", "to"), (5, 7)),
        (("one", "to", 0), (5, 7)),
        (("two", "to", 0), (9, 7)),
        (("two", "by", 0), (10, 7)),
        (("two", "missing"), (9, 7)),
        (("three", "to", 0), (12, 8)),
        (("missing", "too"), (1, 1)),
    ],
)
def test_what_an_alias_brings_is_where_the_alias_stands(path: Path, expected: tuple[int, int]) -> None:
    place = Place("f", 0, path)

    assert find_positions(ALIASES, [place]) == {place: Position(*expected)}


@pytest.mark.parametrize(
    ("text", "document", "path", "expected"),
    [
        ("kind: List\nitems:\n- kind: A\n- kind: B\n  to: x\n", 0, ("items", 1), (4, 3)),
        ("kind: List\nitems:\n- kind: A\n- kind: B\n  to: x\n", 0, ("items", 1, "to"), (5, 7)),
        ("# head\n---\n# nothing\n---\nkind: A\n", 1, (), (5, 1)),
        ("---\nkind: A\n...\n---\nto:\n  - y\n", 1, ("to", 0), (6, 5)),
        ('{"kind":"A","to":["x","y"]}', 0, ("to", 1), (1, 23)),
        ('{"kind":"A","to":["x","y"]}', 0, ("to",), (1, 13)),
        ('\t{\n\t\t"to": "x"\n\t}', 0, ("to",), (2, 9)),
        ("{kind: A, to: x}", 0, ("to",), (1, 15)),
        ("to:\nkind: A\n", 0, ("to",), (1, 1)),
        ("to: |\n  text\n  more\nkind: A\n", 0, ("to",), (1, 5)),
        ("? to\n: x\n", 0, ("to",), (2, 3)),
        ('"to": "x"\n', 0, ("to",), (1, 7)),
    ],
)
def test_position_in_text_of_many_shapes(text: str, document: int, path: Path, expected: tuple[int, int]) -> None:
    place = Place("f", document, path)

    assert find_positions(text, [place]) == {place: Position(*expected)}


def test_documents_have_the_number_under_which_they_are_read() -> None:
    text = "# nothing\n---\n---\nkind: A\n---\n~\n---\nkind: B\n"

    documents, _ = read_documents("f", text.encode())
    found = find_positions(text, [item.place for item in documents])

    assert [found[item.place] for item in documents] == [Position(4, 1), Position(8, 1)]
