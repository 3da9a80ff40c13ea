"""From the path of a field back to line and column, for all findings of a file in one pass.

Only what leads to a finding is looked into; in JSON the rest is skipped at the speed of the C reader, so that a finding
in a snapshot of tens of megabytes costs about what reading it did.

A line ends with a line feed, as for editors; libyaml ends one at U+2028 and the like too, so its lines are not used.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from compiler.diagnostics import Place
from compiler.source import LOADER, Position

_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(slots=True)
class _Wanted:
    """A field that findings speak of, or that leads to one."""

    places: list[Place] = field(default_factory=list)
    below: dict[str | int, "_Wanted"] = field(default_factory=dict)

    def add(self, place: Place) -> None:
        """Adds a place below this document."""
        node = self
        for part in place.path:
            node = node.below.setdefault(part, _Wanted())
        node.places.append(place)

    def found(self, value: Position, key: Position | None) -> Iterator[tuple[Place, Position]]:
        """Returns positions for the places here and, until they are found themselves, for those below.

        Args:
            value: Where the value begins.
            key: Where its key stands, None for an entry of a list and for a document.
        """
        for place in self.places:
            yield place, key if key and place.of_key else value
        for wanted in self.below.values():
            yield from wanted.found(value, None)


class _Lines:
    """From an index in a text to line and column."""

    def __init__(self, text: str) -> None:
        self._ends = [match.start() for match in re.finditer("\n", text)]

    def position(self, index: int) -> Position:
        """Returns line and column of the character at an index."""
        line = bisect_left(self._ends, index)
        return Position(line + 1, index - (self._ends[line - 1] if line else -1))


def find_positions(text: str, places: Iterable[Place]) -> dict[Place, Position]:
    """Finds the line and column of fields, or of the closest enclosing ones that exist.

    Args:
        text: The whole file.
        places: Places in this file.

    Returns:
        A position for each place, save those in documents that the file does not have or that cannot be read.
    """
    found = {place: Position(place.line, place.column) for place in places if place.line}
    documents: dict[int, _Wanted] = {}
    for place in places:
        if not place.line:
            documents.setdefault(place.document, _Wanted()).add(place)
    if not documents:
        return found
    if text.lstrip()[:1] in ("{", "[") and _Json(text, found).walk(documents):
        return found
    _Yaml(text, found).walk(documents)
    last = text.count("\n") + 1
    # At its end libyaml counts a line that the text does not have.
    return {place: here if here.line <= last else Position(last, 1) for place, here in found.items()}


class _Json:
    """Walks JSON text from value to value."""

    def __init__(self, text: str, found: dict[Place, Position]) -> None:
        self._text = text
        self._found = found
        self._decode = json.JSONDecoder().raw_decode
        self._lines = _Lines(text)

    def walk(self, documents: dict[int, _Wanted]) -> bool:
        """Finds what is wanted; returns False when the text is not one JSON value."""
        try:
            if 0 in documents:
                end = self._skip_space(self._value(self._skip_space(0), documents[0], None))
                return end == len(self._text)
        except (ValueError, IndexError, RecursionError):
            return False
        return False

    def _skip_space(self, index: int) -> int:
        match = _SPACE.match(self._text, index)
        return match.end() if match else index

    def _value(self, index: int, wanted: _Wanted, key: int | None) -> int:
        """Finds what is wanted in the value at `index`, whose key is at `key`; returns the index after it."""
        opening = self._text[index]
        name = None if key is None else self._lines.position(key)
        here = name if name and opening in "{[" else self._lines.position(index)
        self._found.update(wanted.found(here, name))
        if not wanted.below or opening not in "{[":
            return self._decode(self._text, index)[1]
        return self._members(index, wanted, is_object=opening == "{")

    def _members(self, index: int, wanted: _Wanted, *, is_object: bool) -> int:
        index = self._skip_space(index + 1)
        number = 0
        while self._text[index] not in "}]":
            part: str | int = number
            key = None
            if is_object:
                key = index
                part, index = self._decode(self._text, index)
                index = self._skip_space(self._skip_space(index) + 1)
            if part in wanted.below:
                index = self._value(index, wanted.below[part], key)
            else:
                index = self._decode(self._text, index)[1]
            index = self._skip_space(index)
            if self._text[index] == ",":
                index = self._skip_space(index + 1)
            number += 1
        return index + 1


class _Yaml:
    """Walks the events of YAML text from value to value."""

    def __init__(self, text: str, found: dict[Place, Position]) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=LOADER))
        self._found = found
        self._lines = _Lines(text)

    def walk(self, documents: dict[int, _Wanted]) -> None:
        """Finds what is wanted, as far as the text is YAML."""
        try:
            starts = (event for event in self._events if isinstance(event, yaml.DocumentStartEvent))
            for index, _ in enumerate(starts):
                if index in documents:
                    self._value(next(self._events), documents.pop(index), None)
                if not documents:
                    return
        except (yaml.YAMLError, ValueError, RecursionError, StopIteration):
            return

    def _value(self, event: Any, wanted: _Wanted, key: Position | None) -> None:  # noqa: ANN401  # PyYAML has no types
        """Finds what is wanted in the value that begins with `event`, whose key is at `key`, and reads past it."""
        written = isinstance(event, yaml.AliasEvent) or (isinstance(event, yaml.ScalarEvent) and _width(event) > 0)
        here = self._position(event) if written or key is None else key
        self._found.update(wanted.found(here, key))
        if isinstance(event, yaml.MappingStartEvent):
            self._mapping(wanted)
        elif isinstance(event, yaml.SequenceStartEvent):
            number = 0
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                if number in wanted.below:
                    self._value(item, wanted.below[number], None)
                else:
                    self._skip(item)
                number += 1

    def _mapping(self, wanted: _Wanted) -> None:
        own: set[str] = set()
        while not isinstance(name := next(self._events), yaml.MappingEndEvent):
            text = getattr(name, "value", "")
            key = self._position(name)
            self._skip(name)
            value = next(self._events)
            if text == "<<":
                # What is merged is written elsewhere; what stands here is the merging.
                for part, below in wanted.below.items():
                    if part not in own:
                        self._found.update(below.found(self._position(value), None))
            if text in wanted.below:
                own.add(text)
                self._value(value, wanted.below[text], key)
            else:
                self._skip(value)

    def _position(self, event: Any) -> Position:  # noqa: ANN401  # PyYAML has no types
        return self._lines.position(event.start_mark.index)

    def _skip(self, event: Any) -> None:  # noqa: ANN401  # PyYAML has no types
        depth = int(isinstance(event, yaml.CollectionStartEvent))
        while depth:
            event = next(self._events)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)


def _width(event: Any) -> int:  # noqa: ANN401  # PyYAML has no types
    width: int = event.end_mark.index - event.start_mark.index
    return width
