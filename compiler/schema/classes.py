"""JSON Schemas of what egressc writes, from its classes: dataclasses for a bundle, typed dicts for output."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any, Final

from bundle import model
from bundle.codec import camel

BUNDLE_FILES: Final = {
    "manifest": model.Manifest,
    "signed": model.Statement,
    "gateways": model.Gateways,
    "policies": model.Policies,
    "workloads": model.Workloads,
    "cluster": model.Cluster,
    "routing": model.Routing,
    "addresses": model.Addresses,
}
"""Name of the schema, which is that of the file too, to the class."""

Schema = dict[str, Any]
"""A JSON Schema; the one place where a value is whatever JSON allows."""


def class_schema(cls: type) -> Schema:
    """Returns the schema of a dataclass or a typed dict."""
    hints = typing.get_type_hints(cls)
    names = {name: name for name in hints}
    if dataclasses.is_dataclass(cls):
        names = {field.name: camel(field.name) for field in dataclasses.fields(cls)}
    described = _attributes(cls)
    properties: dict[str, Schema] = {}
    for name, written in names.items():
        schema = _schema(hints[name])
        if name in described:
            schema = {"description": described[name], **schema}
        properties[written] = schema
    description = inspect.cleandoc(cls.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("\n", " ")
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def list_schema(cls: type) -> Schema:
    """Returns the schema of a list of a class."""
    return {"type": "array", "items": class_schema(cls)}


def _schema(kind: Any) -> Schema:  # noqa: ANN401  # a type hint, which has no better type
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and (dataclasses.is_dataclass(kind) or typing.is_typeddict(kind)):
        return class_schema(kind)
    if origin in (tuple, list):
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_schema(arguments[0]), {"type": "null"}]}
    return {"type": {str: "string", int: "integer", bool: "boolean"}[kind]}


def _attributes(cls: type) -> dict[str, str]:
    """Reads the `Attributes:` part of a docstring: name to description."""
    result: dict[str, str] = {}
    name = ""
    _, _, part = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
    for line in part.splitlines():
        text = line.strip()
        if line.startswith("    ") and not line.startswith("     ") and ": " in text:
            name, _, text = text.partition(": ")
            result[name] = text
        elif name and text:
            result[name] += f" {text}"
    return result
