"""What must hold of a field's value beyond its type, told to editors and to the API server.

pydantic passes these annotations over: the compiler itself says what is wrong in sentences of its own (`validate`).
A test holds that all three agree.

Annotations stand in unions and so need a hash; they are equal only to themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel

from compiler import patterns
from compiler.patterns import Text


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A condition in the two languages that it is told in.

    Attributes:
        cel: For the API server; `self` is the value.
        message: What the API server answers when it does not hold.
        schema: For editors, as keywords of JSON Schema.
    """

    cel: str
    message: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Keywords:
    """Keywords of JSON Schema for editors and the API server alike."""

    words: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class ApiServer:
    """Keywords that only the API server knows, and bounds that only it needs, to know what a rule may cost."""

    words: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Another model as the field's schema, where the compiler itself does not look inside."""

    model: type[BaseModel]


@dataclass(frozen=True, slots=True, eq=False)
class OrText:
    """The field's value may be written as one text instead; the model's own validator says what it is short for."""


def _text(text: Text, message: str) -> Rule:
    return Rule(text.cel(), message, text.schema())


def _labels(most: int, key: Text, message: str) -> tuple[ApiServer, Rule]:
    return (
        ApiServer({"maxProperties": most, "x-kubernetes-map-type": "atomic"}),
        Rule(f"self.all(key, {key.cel('key')})", message, {"propertyNames": key.schema()}),
    )


_KEY_MESSAGE = (
    "a label key is a name of at most 63 letters, digits, '-', '_' and '.', with or without a DNS prefix and '/'"
)

ObjectName = Annotated[str, Keywords({**patterns.NAME.schema(), "minLength": 1, "maxLength": 253})]
LabelValue = Annotated[str, Keywords({**patterns.LABEL_VALUE.schema(), "maxLength": 63})]
SelectorKey = Annotated[str, Keywords(patterns.SELECTOR_KEY.schema())]
NodeLabels = Annotated[dict[str, LabelValue], *_labels(16, patterns.LABEL_KEY, _KEY_MESSAGE)]
MatchLabels = Annotated[dict[str, LabelValue], *_labels(16, patterns.SELECTOR_KEY, _KEY_MESSAGE)]
Cidr = Annotated[
    str,
    _text(patterns.CIDR, "must be a CIDR with its prefix length, such as 10.20.0.0/16 or 2001:db8::/32"),
    ApiServer({"format": "cidr", "maxLength": 49}),
]
Unchecked = Annotated[str, ApiServer({"maxLength": 1024})]
"""Text that only a rule of the object around it looks at; the API server wants to know how long that can be."""
Cidrs = Annotated[list[Cidr], ApiServer({"maxItems": 1000})]
