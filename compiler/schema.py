"""JSON Schemas of the bundle's files, made from the very classes that read and write them.

`make schemas` writes them to `schemas/`; a test fails when one there is stale.
"""

import dataclasses
import inspect
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, Final

from bundle import model
from bundle.codec import camel

BUNDLE_FILES: Final = {
    "manifest": model.Manifest,
    "gateways": model.Gateways,
    "policies": model.Policies,
    "workloads": model.Workloads,
    "routing": model.Routing,
    "addresses": model.Addresses,
}
"""Name of the schema, which is that of the file too, to the class."""

Schema = dict[str, Any]
"""A JSON Schema; the one place where a value is whatever JSON allows."""


def schemas() -> dict[str, str]:
    """Returns the text of every schema by file name, such as `routing.schema.json`."""
    return {f"{name}.schema.json": _text(name, cls) for name, cls in BUNDLE_FILES.items()}


def _text(name: str, cls: type) -> str:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"egressc bundle: {name}.json",
        **_dataclass(cls),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _dataclass(cls: type) -> Schema:
    hints = typing.get_type_hints(cls)
    described = _attributes(cls)
    properties: dict[str, Schema] = {}
    for field in dataclasses.fields(cls):
        schema = _schema(hints[field.name])
        if field.name in described:
            schema = {"description": described[field.name], **schema}
        properties[camel(field.name)] = schema
    description = inspect.cleandoc(cls.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("\n", " ")
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _schema(kind: Any) -> Schema:  # noqa: ANN401  # a type hint, which has no better type
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind)
    if origin is tuple:
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
