"""Positions by the node tree that PyYAML composes of a text: a second opinion on `compiler.positions`."""

from typing import Any

import yaml

from compiler.diagnostics import Place
from compiler.source import Position


def position(text: str, index: int) -> Position:
    return Position(text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


def composed(text: str, node: Any, data: Any, place: Place) -> Position:  # noqa: ANN401  # PyYAML has no types
    """Where a place is by the node tree: values where they begin, what spans lines or is empty at its key."""
    key = node
    for part in place.path:
        if isinstance(data, dict):
            key, node = node.value[list(data).index(part)]
        else:
            node = key = node.value[part]
        data = data[part]
    empty = node.start_mark.index == node.end_mark.index
    by_key = place.of_key or empty or not isinstance(node, yaml.ScalarNode)
    return position(text, (key if by_key else node).start_mark.index)
