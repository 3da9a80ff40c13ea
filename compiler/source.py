"""Load, first half: YAML or JSON text to plain data, and a field's path back to line and column.

Values are only strings, numbers, booleans, None, lists and dicts with string keys. Positions are not kept: they are
found by reading the text again when a finding needs one.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from compiler.diagnostics import Diagnostic, Place, error

Data = Any
"""Plain data as JSON knows it; checked by the validate stage."""

LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's loader, in C where it was built so; only its events are used."""
_MAX_DEPTH: Final = 100
MAX_DIGITS: Final = 40
"""Of a whole number."""
_MAX_TAG_DIRECTIVES: Final = 100
_ALIAS_ALLOWANCE: Final = 10_000

# YAML 1.1 less its traps: no sexagesimal numbers (`1:20` and `::1` are text), no dates.
_BOOL = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+|0o?[0-7]+)$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$")


# libyaml compares each `%TAG` with all before it.
_TAG_DIRECTIVE = re.compile(r"(?:^|[\n\r\x85\u2028\u2029])%TAG")
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Possessive, so that a string of a hundred megabytes leaves nothing to go back to.
_JSON_STRING = r'"(?:[^"\\]++|\\.)*+"'
_JSON_CONSTANT = re.compile(rf"{_JSON_STRING}|NaN|-?Infinity")
_JSON_LONG_NUMBER = re.compile(rf"{_JSON_STRING}|-?[0-9]{{{MAX_DIGITS},}}")
_JSON_TOKEN = re.compile(rf"({_JSON_STRING})(\s*:)?|[\[\]{{}}]")
_JSON_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file; `place` has an empty path."""

    data: Data
    place: Place


@dataclass(frozen=True, slots=True)
class Position:
    """Line and column, both from 1."""

    line: int
    column: int


class _Fault(Exception):  # noqa: N818  # never leaves this module
    """What is wrong with a text, and where: an index in it, or a line and column where that is what a reader tells."""

    def __init__(self, code: str, message: str, position: Position | int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.position = position


def read_documents(name: str, raw: bytes) -> tuple[tuple[Document, ...], tuple[Diagnostic, ...]]:
    """Turns the bytes of one file into documents.

    Args:
        name: File name for places; `-` for standard input.
        raw: UTF-8 text, with or without a byte order mark.

    Returns:
        The documents that could be read, and what was wrong with the others.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        column = fault.start - raw.rfind(b"\n", 0, fault.start)
        return (), (_finding(name, 0, _Fault("EG102", "not UTF-8; save the file as UTF-8", Position(line, column))),)
    if text.lstrip()[:1] in ("{", "["):
        try:
            return (Document(_parse_json(text), Place(name)),), ()
        except _Fault as fault:
            if fault.code != "EG102" or text.lstrip().startswith('{"'):
                return (), (_finding(name, 0, fault),)
            # YAML may begin with a brace too: `{apiVersion: v1}`.
    # Counting is quick, and few files have even one.
    if (
        text.count("%TAG") > _MAX_TAG_DIRECTIVES
        and len(found := list(_TAG_DIRECTIVE.finditer(text))) > _MAX_TAG_DIRECTIVES
    ):
        message = f"more than {_MAX_TAG_DIRECTIVES} %TAG directives; write the tags out"
        return (), (_finding(name, 0, _Fault("EG102", message, _at(text, found[_MAX_TAG_DIRECTIVES].end() - 4))),)
    return _read_yaml(name, text)


def _read_yaml(name: str, text: str) -> tuple[tuple[Document, ...], tuple[Diagnostic, ...]]:
    documents: list[Document] = []
    try:
        events = iter(yaml.parse(text, Loader=LOADER))
        starts = (event for event in events if isinstance(event, yaml.DocumentStartEvent))
        for index, _ in enumerate(starts):
            # Without aliases every value takes at least one character of the text.
            builder = _Builder(events, len(text) + _ALIAS_ALLOWANCE)
            data = builder.build(next(events))
            if data is not None:
                documents.append(Document(data, Place(name, index)))
    except _Fault as fault:
        if isinstance(fault.position, int):
            fault.position = _at(text, fault.position)
        return tuple(documents), (_finding(name, len(documents), fault),)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        if mark and "nesting depth" in str(fault.problem):
            # Some libyaml have a limit of their own, far beyond ours, and look ahead to it; we stop at ours.
            return _read_yaml(name, text[: mark.index])
        found = _Fault("EG102", f"not valid YAML: {fault.problem or fault.context}", _marked(mark, text))
        return tuple(documents), (_finding(name, len(documents), found),)
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        found = _Fault("EG102", f"not valid YAML: {str(fault).splitlines()[0]}", _first_match(_UNPRINTABLE, text))
        return tuple(documents), (_finding(name, len(documents), found),)
    return tuple(documents), ()


def _marked(mark: Any, text: str) -> Position | None:  # noqa: ANN401  # PyYAML has no types
    if mark is None:
        return None
    # Not by its own line: libyaml ends lines at more letters than editors do.
    return _at(text, min(mark.index, len(text)))


def _finding(name: str, document: int, fault: _Fault) -> Diagnostic:
    position = fault.position if isinstance(fault.position, Position) else Position(0, 0)
    return error(fault.code, Place(name, document, (), position.line, position.column), str(fault))


def _start(event: Any) -> int:  # noqa: ANN401  # PyYAML has no types
    """Returns the index at which an event of PyYAML begins."""
    index: int = event.start_mark.index
    return index


def _first_match(pattern: re.Pattern[str], text: str) -> Position | None:
    """Returns where the first match that is no quoted string begins."""
    found = next((match for match in pattern.finditer(text) if not match[0].startswith('"')), None)
    return None if found is None else _at(text, found.start())


def _at(text: str, index: int) -> Position:
    return Position(text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


class _JsonHooks:
    """What the JSON reader asks about each part; a fault ends the reading."""

    def __init__(self, text: str) -> None:
        self._text = text

    def unique(self, pairs: list[tuple[str, Data]]) -> dict[str, Data]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise _double_key(self._text)
        return result

    def constant(self, value: str) -> Data:
        raise _Fault("EG102", f"{value} is not JSON", _first_match(_JSON_CONSTANT, self._text))

    def integer(self, value: str) -> int:
        if len(value) > MAX_DIGITS:
            message = f"a number of more than {MAX_DIGITS} digits"
            raise _Fault("EG102", message, _first_match(_JSON_LONG_NUMBER, self._text))
        return int(value)

    def real(self, value: str) -> float:
        if math.isinf(number := float(value)):
            raise _Fault("EG102", "a number too large", _at(self._text, self._text.find(value)))
        return number


def _parse_json(text: str) -> Data:
    hooks = _JsonHooks(text)
    try:
        data = json.loads(
            text,
            object_pairs_hook=hooks.unique,
            parse_constant=hooks.constant,
            parse_int=hooks.integer,
            parse_float=hooks.real,
        )
        half = _JSON_HALF_CHARACTER.search(text)
        if half is not None and _holds_surrogate(data):
            message = "half a character: an escape such as \\ud800 without its other half"
            raise _Fault("EG102", message, _at(text, half.start()))
    except json.JSONDecodeError as fault:
        message = f"not valid JSON: {fault.msg}"
        raise _Fault("EG102", message, Position(fault.lineno, fault.colno)) from None
    except RecursionError:
        raise _Fault("EG102", f"nested deeper than {_MAX_DEPTH} levels", _too_deep(text)) from None
    return data


def _holds_surrogate(data: Data) -> bool:
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _double_key(text: str) -> _Fault:
    """Returns the fault of the first key that is given twice; the JSON reader does not tell where it was."""
    keys: list[set[str] | None] = []
    for token in _JSON_TOKEN.finditer(text):
        match token[0]:
            case "{":
                keys.append(set())
            case "[":
                keys.append(None)
            case "}" | "]":
                keys.pop()
            case _ if token[2] and keys and (known := keys[-1]) is not None:
                key = json.loads(token[1])
                if key in known:
                    message = f"key {key!r} is given twice in one object; keep one of them"
                    return _Fault("EG103", message, _at(text, token.start()))
                known.add(key)
    raise AssertionError("no key is given twice")  # the reader has seen one


def _too_deep(text: str) -> Position | None:
    """Returns where JSON passes the depth that YAML may have."""
    depth = 0
    for token in _JSON_TOKEN.finditer(text):
        depth += token[0] in "{["
        depth -= token[0] in "}]"
        if depth > _MAX_DEPTH + 1:
            return _at(text, token.start())
    return None


class _Builder:
    """Builds plain data from the events of one document.

    Not from PyYAML's node tree, whose composer recurses in C without a limit: deep nesting would end the process.
    """

    def __init__(self, events: Iterator[Any], limit: int) -> None:
        self._events = events
        self._limit = limit
        self._built = 0
        self._anchors: dict[str, tuple[Data, int] | None] = {}

    def build(self, event: Any, depth: int = 0) -> Data:  # noqa: ANN401  # PyYAML has no types
        self._count(1, event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > _MAX_DEPTH:
            raise _Fault("EG102", f"nested deeper than {_MAX_DEPTH} levels", _start(event))
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        before = self._built
        if isinstance(event, yaml.ScalarEvent):
            data = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            data = []
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                data.append(self.build(item, depth + 1))
        else:
            data = self._mapping(depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (data, self._built - before + 1)
        return data

    def _count(self, values: int, event: Any) -> None:  # noqa: ANN401  # PyYAML has no types
        self._built += values
        if self._built > self._limit:
            message = "the aliases of this document expand without end; write the values out"
            raise _Fault("EG104", message, _start(event))

    def _alias(self, event: Any) -> Data:  # noqa: ANN401  # PyYAML has no types
        if event.anchor not in self._anchors:
            raise _Fault("EG102", f"not valid YAML: no anchor &{event.anchor} before this alias", _start(event))
        anchor = self._anchors[event.anchor]
        if anchor is None:
            raise _Fault("EG104", "an alias refers to the value that contains it; write the value out", _start(event))
        self._count(anchor[1], event)
        return anchor[0]

    def _mapping(self, depth: int) -> dict[str, Data]:
        merged: dict[str, Data] = {}
        own: dict[str, Data] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise _Fault("EG102", "a key must be a text; put quotes around it", _start(key))
            value = self.build(next(self._events), depth + 1)
            if key.value == "<<" and not key.style:
                for source in value if isinstance(value, list) else [value]:
                    if not isinstance(source, dict):
                        raise _Fault(
                            "EG102", "`<<` merges mappings only; give it a mapping or a list of them", _start(key)
                        )
                    for name, item in source.items():
                        merged.setdefault(name, item)
            elif key.value in own:
                message = f"key {key.value!r} is given twice in one mapping; keep one of them"
                raise _Fault("EG103", message, _start(key))
            else:
                own[key.value] = value
        return {**merged, **own}


def _scalar(event: Any) -> Data:  # noqa: ANN401  # PyYAML has no types
    text: str = event.value
    if event.style or event.tag == "tag:yaml.org,2002:str":
        return text
    if event.tag == "tag:yaml.org,2002:binary":
        raise _Fault("EG102", "binary values are not supported; write a text", _start(event))
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if (word := text.lower()) in _BOOL and text in (word, word.capitalize(), word.upper()):
        return _BOOL[word]
    if _INT.match(text):
        return _integer(text, event)
    if _FLOAT.match(text):
        number = float(text)
        if math.isinf(number):
            raise _Fault("EG102", "a number too large; put it in quotes", _start(event))
        return number
    return text


def _integer(text: str, event: Any) -> int:  # noqa: ANN401  # PyYAML has no types
    digits = text.lstrip("+-").lower()
    if len(digits) > MAX_DIGITS:
        raise _Fault("EG102", f"a number of more than {MAX_DIGITS} digits; put it in quotes", _start(event))
    if digits.startswith("0x"):
        value = int(digits, 16)
    elif digits.startswith("0") and digits != "0":
        value = int(digits.replace("o", ""), 8)
    else:
        value = int(digits)
    return -value if text.startswith("-") else value
