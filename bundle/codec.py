"""Frozen dataclass to JSON text and back, strictly, with the standard library alone."""

import dataclasses
import json
import re
import types
import typing
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeVar, cast

from bundle.text import printable

_T = TypeVar("_T")

_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
_LONGEST_MESSAGE: Final = 300
_NUMBERS: Final = 1 << 32


class DecodeError(ValueError):
    """The text is not JSON, or not of the expected shape; the message names the field."""


def encode(value: object) -> str:
    """Returns `value`, a dataclass, as indented JSON with a final newline; keys in the order of the fields."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n"


def decode(cls: type[_T], text: str | bytes) -> _T:
    """Reads JSON text as an instance of the dataclass `cls`.

    Nothing is coerced, no field may be missing or unknown, no key may be given twice.

    Raises:
        DecodeError: The text does not fit.
    """
    try:
        whole = text if isinstance(text, str) else text.decode()
        data = json.loads(whole, object_pairs_hook=_unique, parse_constant=_no_constant)
        if _HALF_CHARACTER.search(whole):
            json.dumps(data, ensure_ascii=False).encode()
    except RecursionError:
        raise DecodeError("not valid JSON: nested too deep") from None
    except ValueError as error:
        raise DecodeError(_shown(f"not valid JSON: {error}")) from None
    return cast("_T", _build(cls, data, ""))


def camel(name: str) -> str:
    """Returns the JSON name of a field: `active_node_name` gives `activeNodeName`, `source_ips` gives `sourceIPs`."""
    return re.sub(r"_([a-z])", lambda m: m[1].upper(), name).replace("Ips", "IPs").replace("Cidrs", "CIDRs")


@cache
def _fields(cls: type) -> tuple[tuple[str, str, Any], ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple((f.name, camel(f.name), hints[f.name]) for f in dataclasses.fields(cls))


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {key: _plain(getattr(value, name)) for name, key, _ in _fields(type(value))}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in sorted(value.items())}
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        count = Counter(key for key, _ in pairs)
        raise ValueError(f"key {max(count, key=count.__getitem__)!r} is given twice")
    return result


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


def _build(kind: Any, data: object, path: str) -> object:  # noqa: ANN401  # a type hint, which has no better type
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(cast("type", kind), data, path)
    if origin is tuple:
        _expect(isinstance(data, list), path, "a list", data)
        return tuple(_build(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(cast("list[object]", data)))
    if origin is Mapping:
        _expect(isinstance(data, dict), path, "an object", data)
        items = cast("dict[str, object]", data).items()
        return {
            cast("str", _build(arguments[0], key, path)): _build(arguments[1], item, f"{path}.{key}")
            for key, item in items
        }
    if origin in (types.UnionType, typing.Union):
        return None if data is None else _build(arguments[0], data, path)
    return _build_scalar(kind, data, path)


def _build_scalar(kind: Any, data: object, path: str) -> object:  # noqa: ANN401  # a type hint
    if typing.get_origin(kind) is typing.Literal:
        allowed = typing.get_args(kind)
        _expect(type(data) is str and data in allowed, path, " or ".join(map(repr, allowed)), data)
    elif typing.get_origin(kind) is typing.Annotated:
        check = typing.get_args(kind)[1]
        _expect(type(data) is str and check.holds(data), path, check.wanted, data)
    else:
        _expect(type(data) is kind, path, {str: "a string", int: "a whole number", bool: "a boolean"}[kind], data)
        # Neither a line of its own nor a colour, in whatever is printed of it; and what a kernel's field can take.
        _expect(kind is not str or cast("str", data).isprintable(), path, "text on one line", data)
        _expect(kind is not int or 0 <= cast("int", data) < _NUMBERS, path, "a number of 32 bits", data)
    return data


def _build_dataclass(cls: type, data: object, path: str) -> object:
    _expect(isinstance(data, dict), path, "an object", data)
    rest = dict(cast("dict[str, object]", data))
    values = {}
    for name, key, kind in _fields(cls):
        if key not in rest:
            raise DecodeError(_shown(f"{(path + '.' + key).lstrip('.')}: is missing"))
        values[name] = _build(kind, rest.pop(key), f"{path}.{key}".lstrip("."))
    if rest:
        raise DecodeError(_shown(f"{(path + '.' + min(rest)).lstrip('.')}: unknown field"))
    return cls(**values)


def _expect(holds: bool, path: str, wanted: str, data: object) -> None:
    if not holds:
        raise DecodeError(_shown(f"{path or 'the document'}: expected {wanted}, found {_part(data)}"))


def _part(data: object) -> str:
    if isinstance(data, (dict, list)):
        return ("an object" if isinstance(data, dict) else "a list") if data else json.dumps(data)
    return json.dumps(data[:40] if isinstance(data, str) else data)[:40]


def _shown(message: str) -> str:
    text = printable(message[:_LONGEST_MESSAGE])
    return text if len(message) <= _LONGEST_MESSAGE else f"{text}…"
