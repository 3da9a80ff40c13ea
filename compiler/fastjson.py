"""JSON the fast way: a list of objects, each of them checked and then kept as the slice of the file that it is.

What kubectl prints of a whole cluster is one list, and most of it is never looked at again. So an entry is decoded
once, to be checked and brought into its canonical form, and forgotten: plain data takes ten times the memory of text.

Whatever this reader does not take, or cannot see well enough to be sure of, is a `Doubt`: the reader of `source` then
reads the whole text, and it is that one which has words and positions for faults. It is never the other way round, that
this one takes what that one would refuse.
"""

import codecs
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from compiler.source import MAX_DIGITS, Data

Raw = msgspec.Raw
"""A value as the text that it was read from: a view into the bytes of the file, which costs no copy."""

_MAX_DEPTH: Final = 300
"""Levels of an entry; the reader in `source` takes some more, how many depends on the interpreter."""

_DIGITS_ALIKE: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * MAX_DIGITS
_ESCAPED_COLON: Final = re.compile(rb"\\u003[aA]")

_split: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_entries: Final = msgspec.json.Decoder(list[Raw]).decode
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class Doubt(Exception):  # noqa: N818  # no error: the other reader may take the text
    """The text is no list of objects, has a fault, or something that this reader cannot tell from one."""


@dataclass(frozen=True, slots=True)
class JsonList:
    """A `kind: List` or the like.

    Attributes:
        head: All of it but its items.
        items: As text; that they are JSON is not yet sure.
    """

    head: dict[str, Data]
    items: list[Raw]


def read_list(raw: bytes) -> JsonList:
    """Splits a list into its entries.

    Args:
        raw: A whole file.

    Raises:
        Doubt: It is not one JSON list of Kubernetes, or has something in its head that the slow reader must see.
    """
    text = raw.removeprefix(codecs.BOM_UTF8)
    try:
        parts = _split(text)
        kind = _decode(parts.get("kind", b"0"))
        items = _entries(parts.pop("items", b"0"))
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Doubt from fault
    if not isinstance(kind, str) or not kind.endswith("List") or _ESCAPED_COLON.search(text):
        raise Doubt
    # A key that is given twice is in the text and not in the parts.
    head = sum(key.count(":") + 1 + _colons(part) for key, part in parts.items())
    if head + 1 + sum(map(_colons, items)) != text.count(b":"):
        raise Doubt
    return JsonList({key: read_item(part)[0] for key, part in parts.items()}, items)


def read_item(raw: Raw) -> tuple[Data, bytes]:
    """Returns an entry of a list as plain data and in its canonical form.

    Raises:
        Doubt: It is not JSON, or may be something that the slow reader would not take.
    """
    text = bytes(raw)
    try:
        data = _decode(text)
        canonical = _encode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Doubt from fault
    # msgspec keeps the last of two equal keys in silence: then the text has a colon more than what was made of it. The
    # canonical form escapes no colon, and `read_list` sees to it that the text does not either.
    if text.count(b":") != canonical.count(b":") or _LONG_NUMBER in text.translate(_DIGITS_ALIKE):
        raise Doubt
    if text.count(b"{") + text.count(b"[") > _MAX_DEPTH and _is_deep(data):
        raise Doubt
    return data, canonical


def decode(raw: Raw) -> Data:
    """Returns what `read_item` has taken as plain data."""
    return _decode(raw)


def as_text(data: Data) -> Raw:
    """Returns a part of what `read_item` has taken as text, its keys in the order that they have."""
    return Raw(msgspec.json.encode(data))


def canonical_form(data: Data) -> bytes:
    """Returns plain data as bytes that are the same for equal content, whoever wrote it and how.

    Raises:
        RecursionError: It is nested too deep.
    """
    try:
        return _encode(data)
    except UnicodeEncodeError:  # half a character, which PyYAML takes where it was built without libyaml
        return json.dumps(data, sort_keys=True).encode()


def _colons(raw: Raw) -> int:
    return bytes(raw).count(b":")


def _is_deep(data: Any) -> bool:  # noqa: ANN401  # plain data
    level: list[Any] = [data]
    for _ in range(_MAX_DEPTH):
        level = [value for part in level for value in _below(part) if isinstance(value, (dict, list))]
    return bool(level)


def _below(data: Any) -> Iterable[Any]:  # noqa: ANN401  # plain data
    return data.values() if isinstance(data, dict) else data
