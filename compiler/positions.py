"""From the path of a field back to line and column, for all findings of a file in one pass.

Only what leads to a finding is looked into; in JSON the rest is skipped at the speed of the C reader, so that a finding
in a snapshot of tens of megabytes costs about what reading it did.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from compiler.diagnostics import Place
from compiler.source import LOADER, Position, position_of

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

    def all_places(self) -> Iterator[Place]:
        """Returns the places here and below."""
        yield from self.places
        for wanted in self.below.values():
            yield from wanted.all_places()


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
    _walk_yaml(text, documents, found)
    last = 1 + sum(map(text.count, "\n\r\x85\u2028\u2029")) - text.count("\r\n")
    # At its end libyaml counts a line that the text does not have.
    return {place: here if here.line <= last else Position(last, 1) for place, here in found.items()}


class _Json:
    """Walks JSON text from value to value."""

    def __init__(self, text: str, found: dict[Place, Position]) -> None:
        self._text = text
        self._found = found
        self._decode = json.JSONDecoder().raw_decode
        self._lines = [match.start() for match in re.finditer("\n", text)]

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
        here = self._position(index if key is None or opening not in "{[" else key)
        self._found.update(dict.fromkeys(wanted.all_places(), here))
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

    def _position(self, index: int) -> Position:
        line = bisect_left(self._lines, index)
        return Position(line + 1, index - (self._lines[line - 1] if line else -1))


def _walk_yaml(text: str, documents: dict[int, _Wanted], found: dict[Place, Position]) -> None:
    try:
        events = iter(yaml.parse(text, Loader=LOADER))
        starts = (event for event in events if isinstance(event, yaml.DocumentStartEvent))
        for index, _ in enumerate(starts):
            if index in documents:
                _walk_event(next(events), events, documents.pop(index), found, None)
            if not documents:
                return
    except (yaml.YAMLError, ValueError, RecursionError, StopIteration):
        return


def _walk_event(  # what a recursion carries along
    event: Any,  # noqa: ANN401  # PyYAML has no types
    events: Iterator[Any],
    wanted: _Wanted,
    found: dict[Place, Position],
    key: Position | None,
) -> None:
    """Finds what is wanted in the value that begins with `event`, whose key is at `key`, and reads past it."""
    here = key if key and isinstance(event, yaml.CollectionStartEvent) else position_of(event)
    found.update(dict.fromkeys(wanted.all_places(), here))
    if isinstance(event, yaml.MappingStartEvent):
        while not isinstance(name := next(events), yaml.MappingEndEvent):
            below = wanted.below.get(getattr(name, "value", 0))
            _skip(name, events)
            if below is None:
                _skip(next(events), events)
            else:
                _walk_event(next(events), events, below, found, position_of(name))
    elif isinstance(event, yaml.SequenceStartEvent):
        number = 0
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            if number in wanted.below:
                _walk_event(item, events, wanted.below[number], found, None)
            else:
                _skip(item, events)
            number += 1


def _skip(event: Any, events: Iterator[Any]) -> None:  # noqa: ANN401  # PyYAML has no types
    depth = int(isinstance(event, yaml.CollectionStartEvent))
    while depth:
        event = next(events)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
