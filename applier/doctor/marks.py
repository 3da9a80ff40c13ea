"""What an expression of nft's JSON does with the bits of a mark, as arithmetic on known and unknown bits. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from applier.doctor.facts import EVERY_BIT

MarkName = Literal["packet", "connection"]

Json = Any
"""Whatever nft prints: its expressions nest without end."""

_NAMES: Mapping[str, MarkName] = {"meta": "packet", "ct": "connection"}


@dataclass(frozen=True, slots=True)
class Bits:
    """Bits of a mark after it was set: those kept from before, those that are 1, those that nobody can tell."""

    kept: int = 0
    ones: int = 0
    unknown: int = 0

    @property
    def written(self) -> int:
        """Returns the bits that may differ from before."""
        return (~self.kept | self.ones) & EVERY_BIT

    @property
    def may_set(self) -> int:
        """Returns the bits that may be 1, of those that were not kept."""
        return self.ones | self.unknown


def mark_of(expression: Json) -> MarkName | None:
    """Returns which mark an expression is; None if it is none."""
    if isinstance(expression, dict):
        for kind, name in _NAMES.items():
            if isinstance(expression.get(kind), dict) and expression[kind].get("key") == "mark":
                return name
    return None


def bits(expression: Json, own: MarkName) -> Bits:
    """Returns what setting the mark `own` to an expression makes of its bits."""
    if isinstance(expression, int):
        return Bits(ones=expression)
    if mark_of(expression) == own:
        return Bits(kept=EVERY_BIT)
    if isinstance(expression, dict) and len(expression) == 1:
        ((operator, operands),) = expression.items()
        if operator in ("&", "|", "^") and isinstance(operands, list):
            result = bits(operands[0], own)
            for operand in operands[1:]:
                if not isinstance(operand, int):
                    return Bits(unknown=EVERY_BIT)
                result = _combined(operator, result, operand)
            return result
    return Bits(unknown=EVERY_BIT)


def _combined(operator: str, left: Bits, number: int) -> Bits:
    if operator == "&":
        return Bits(left.kept & number, left.ones & number, left.unknown & number)
    if operator == "|":
        return Bits(left.kept & ~number, left.ones | number, left.unknown & ~number)
    return Bits(left.kept, left.ones ^ number, left.unknown)


def looks(expression: Json) -> Iterator[tuple[MarkName, int]]:
    """Yields each mark that an expression looks at, with the bits that count."""
    if isinstance(expression, list):
        for item in expression:
            yield from looks(item)
        return
    if not isinstance(expression, dict):
        return
    if name := mark_of(expression):
        yield name, EVERY_BIT
        return
    for key, value in expression.items():
        if key == "mangle":
            yield from _looks_to_set(value)
        elif key == "&" and isinstance(value, list) and (name := mark_of(value[0])) and isinstance(value[-1], int):
            yield name, value[-1]
        elif key == "match" and mark_of(value.get("left")) and "prefix" in _dict(value.get("right")):
            length = value["right"]["prefix"]["len"]
            yield mark_of(value["left"]) or "packet", EVERY_BIT << (32 - length) & EVERY_BIT
        else:
            yield from looks(value)


def _looks_to_set(statement: Json) -> Iterator[tuple[MarkName, int]]:
    # A mark that is kept in part, or copied to the other one, decides nothing.
    own = mark_of(statement.get("key"))
    if own is None:
        yield from looks(statement.get("value"))


def _dict(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}
