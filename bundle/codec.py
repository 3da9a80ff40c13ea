"""Frozen dataclass to JSON text and back, strictly, with the standard library alone."""

import dataclasses
import json
import re
import types
import typing
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from json.encoder import encode_basestring
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
    return _writer(cast("Any", type(value)), "")(value) + "\n"


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
    try:
        return cast("_T", _reader(cast("Any", cls))(data))
    except _MisfitError as fault:
        raise DecodeError(_shown(f"{''.join(fault.path).lstrip('.') or 'the document'}: {fault}")) from None


def camel(name: str) -> str:
    """Returns the JSON name of a field: `active_node_name` gives `activeNodeName`, `source_ips` gives `sourceIPs`."""
    return re.sub(r"_([a-z])", lambda m: m[1].upper(), name).replace("Ips", "IPs").replace("Cidrs", "CIDRs")


@cache
def _fields(cls: type) -> tuple[tuple[str, str, Any], ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple((f.name, camel(f.name), hints[f.name]) for f in dataclasses.fields(cls))


_Writer = Callable[[Any], str]
"""Turns a value of one kind into JSON text, at one depth."""


@cache
def _writer(kind: Any, indent: str) -> _Writer:  # noqa: ANN401  # as for `_reader`
    # Made once for each kind and depth: json.dumps has indented text written by Python code, which looks at each value
    # anew and takes six times as long.
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    inner = indent + "  "
    if dataclasses.is_dataclass(kind):
        return _dataclass_writer(cast("type", kind), indent, inner)
    if origin is tuple:
        return _list_writer(_writer(arguments[0], inner), indent, inner)
    if origin is Mapping:
        return _mapping_writer(_writer(arguments[1], inner), indent, inner)
    if origin in (types.UnionType, typing.Union):
        write = _writer(arguments[0], indent)
        return lambda value: "null" if value is None else write(value)
    if kind is bool:
        return lambda value: "true" if value else "false"
    return int.__repr__ if kind is int else encode_basestring


def _dataclass_writer(cls: type, indent: str, inner: str) -> _Writer:
    fields = tuple((name, _writer(kind, inner)) for name, _, kind in _fields(cls))
    lines = ",\n".join(f'{inner}"{key}": %s' for _, key, _ in _fields(cls))
    form = f"{{\n{lines}\n{indent}}}"
    return lambda value: form % tuple([write(getattr(value, name)) for name, write in fields])


def _list_writer(write: _Writer, indent: str, inner: str) -> _Writer:
    head, between, tail = f"[\n{inner}", f",\n{inner}", f"\n{indent}]"
    return lambda value: head + between.join(map(write, value)) + tail if value else "[]"


def _mapping_writer(write: _Writer, indent: str, inner: str) -> _Writer:
    head, between, tail = f"{{\n{inner}", f",\n{inner}", f"\n{indent}}}"

    def text(value: Mapping[str, object]) -> str:
        items = (f"{encode_basestring(key)}: {write(item)}" for key, item in sorted(value.items()))
        return head + between.join(items) + tail if value else "{}"

    return text


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        count = Counter(key for key, _ in pairs)
        raise ValueError(f"key {max(count, key=count.__getitem__)!r} is given twice")
    return result


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


class _MisfitError(Exception):
    """A value is not what it must be; `path` is where, and grows on the way out."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = [path]


_Reader = Callable[[object], object]
"""Turns plain data into a value of one kind, or raises `_MisfitError`."""


@cache
def _reader(kind: Any) -> _Reader:  # noqa: ANN401, PLR0911  # a type hint, which has no better type; one return a kind
    # Made once for each kind: a bundle may hold millions of values.
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(cast("type", kind))
    if origin is tuple:
        return _list_reader(_reader(arguments[0]))
    if origin is Mapping:
        return _mapping_reader(_reader(arguments[0]), _reader(arguments[1]))
    if origin in (types.UnionType, typing.Union):
        inner = _reader(arguments[0])
        return lambda data: None if data is None else inner(data)
    if origin is typing.Literal:
        return _text_reader(arguments.__contains__, " or ".join(map(repr, arguments)))
    if origin is typing.Annotated:
        return _text_reader(arguments[1].holds, arguments[1].wanted)
    return _scalar_reader(kind)


def _text_reader(holds: Callable[[str], bool], wanted: str) -> _Reader:
    def read(data: object) -> object:
        if type(data) is not str or not holds(data):
            raise _misfit(wanted, data)
        return data

    return read


def _scalar_reader(kind: type) -> _Reader:
    wanted = {str: "a string", int: "a whole number", bool: "a boolean"}[kind]

    def read(data: object) -> object:
        if type(data) is not kind:
            raise _misfit(wanted, data)
        # Neither a line of its own nor a colour, in whatever is printed of it; and what a kernel's field can take.
        if kind is str and not cast("str", data).isprintable():
            raise _misfit("text on one line", data)
        if kind is int and not 0 <= cast("int", data) < _NUMBERS:
            raise _misfit("a number of 32 bits", data)
        return data

    return read


def _list_reader(inner: _Reader) -> _Reader:
    def read(data: object) -> object:
        if not isinstance(data, list):
            raise _misfit("a list", data)
        result: list[object] = []
        try:
            result.extend(map(inner, data))
        except _MisfitError as fault:
            fault.path.insert(0, f"[{len(result)}]")
            raise
        return tuple(result)

    return read


def _mapping_reader(key_reader: _Reader, inner: _Reader) -> _Reader:
    def read(data: object) -> object:
        if not isinstance(data, dict):
            raise _misfit("an object", data)
        result = {}
        for key, item in data.items():
            key_reader(key)
            try:
                result[key] = inner(item)
            except _MisfitError as fault:
                fault.path.insert(0, f".{key}")
                raise
        return result

    return read


def _dataclass_reader(cls: type) -> _Reader:
    fields = tuple((name, key, _reader(kind)) for name, key, kind in _fields(cls))
    known = {key for _, key, _ in fields}

    def read(data: object) -> object:
        if not isinstance(data, dict):
            raise _misfit("an object", data)
        values = {}
        for name, key, reader in fields:
            if key not in data:
                raise _MisfitError("is missing", f".{key}")
            try:
                values[name] = reader(data[key])
            except _MisfitError as fault:
                fault.path.insert(0, f".{key}")
                raise
        if len(data) > len(fields):
            raise _MisfitError("unknown field", f".{min(data.keys() - known)}")
        return cls(**values)

    return read


def _misfit(wanted: str, data: object) -> _MisfitError:
    return _MisfitError(f"expected {wanted}, found {_part(data)}")


def _part(data: object) -> str:
    if isinstance(data, (dict, list)):
        return ("an object" if isinstance(data, dict) else "a list") if data else json.dumps(data)
    return json.dumps(data[:40] if isinstance(data, str) else data)[:40]


def _shown(message: str) -> str:
    text = printable(message[:_LONGEST_MESSAGE])
    return text if len(message) <= _LONGEST_MESSAGE else f"{text}…"
