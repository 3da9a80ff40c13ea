"""Schemas of what users write, from the pydantic models that read it: for editors, and for the API server.

Everything is written in place: a structural schema takes no `$ref`, and a reader follows none.
"""

import inspect
import typing
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from compiler.inputs.base import Model
from compiler.inputs.constraints import ApiServer, Keywords, OrText, Rule, Shown

Schema = dict[str, Any]
"""A JSON Schema; the one place where a value is whatever JSON allows."""

Reader = Literal["editor", "api-server"]


def editor_schema(model: type[BaseModel]) -> Schema:
    """Returns the schema of a kind or a file for editors."""
    return {"description": about(model), **_object(model, "editor")}


def one_of_kinds(models: Mapping[str, type[BaseModel]]) -> Schema:
    """Returns a schema for editors of files that hold objects of several kinds; further kinds are left alone."""
    cases = [
        {"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": editor_schema(model)}
        for kind, model in models.items()
    ]
    return {"type": "object", "allOf": cases}


def structural_schema(model: type[BaseModel]) -> Schema:
    """Returns the schema of a kind for the API server, which checks all but `spec` and `status` itself."""
    schema = {"description": about(model), **_object(model, "api-server")}
    for name in ("apiVersion", "kind"):
        schema["properties"][name] = {"description": schema["properties"][name]["description"], "type": "string"}
    schema["properties"]["metadata"] = {"type": "object"}
    schema["required"] = ["spec"]
    return schema


def about(model: type[BaseModel]) -> str:
    """Returns what the model's docstring says first."""
    return inspect.cleandoc(model.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("\n", " ")


def bare(kind: Any) -> Any:  # noqa: ANN401  # a type hint
    """Returns a type hint without its annotations, and without None."""
    if typing.get_origin(kind) in (UnionType, typing.Union):
        (kind,) = (argument for argument in typing.get_args(kind) if argument is not type(None))
    return bare(typing.get_args(kind)[0]) if typing.get_origin(kind) is typing.Annotated else kind


def written_name(name: str, field: FieldInfo) -> str:
    """Returns the name of a field as users write it."""
    return field.alias or name


def _object(model: type[BaseModel], reader: Reader) -> Schema:
    properties: dict[str, Schema] = {}
    for name, field in model.model_fields.items():
        schema = _value(field.annotation, field.metadata, reader)
        properties[written_name(name, field)] = {"description": field.description, **schema, **_hints(field, reader)}
    required = [written_name(name, field) for name, field in model.model_fields.items() if field.is_required()]
    schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if model.model_config.get("extra") == "forbid" and reader == "editor":
        schema["additionalProperties"] = False
    rules = model.rules if issubclass(model, Model) else ()
    return _ruled(schema, rules, reader)


def _hints(field: FieldInfo, reader: Reader) -> Schema:
    if reader == "api-server":
        return {}
    hints: Schema = {}
    default = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
    if default and not isinstance(default, BaseModel):
        hints["default"] = default
    if field.examples:
        hints["examples"] = field.examples
    return hints


def _value(kind: Any, annotations: Iterable[Any], reader: Reader) -> Schema:  # noqa: ANN401  # a type hint
    """Returns the schema of a type hint; its annotations may stand in it, or beside it as pydantic keeps them."""
    annotations = list(annotations)
    if typing.get_origin(kind) in (UnionType, typing.Union):
        (kind,) = (argument for argument in typing.get_args(kind) if argument is not type(None))
    if typing.get_origin(kind) is typing.Annotated:
        kind, *own = typing.get_args(kind)
        return _value(kind, [*own, *annotations], reader)
    kind = next((item.model for item in annotations if isinstance(item, Shown)), kind)
    schema = _type(kind, reader)
    for item in annotations:
        if isinstance(item, Keywords) or (isinstance(item, ApiServer) and reader == "api-server"):
            schema.update(item.words)
    schema = _ruled(schema, [item for item in annotations if isinstance(item, Rule)], reader)
    return {"anyOf": [{"type": "string"}, schema]} if any(isinstance(item, OrText) for item in annotations) else schema


def _type(kind: Any, reader: Reader) -> Schema:  # noqa: ANN401  # a type hint
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        atomic = {"x-kubernetes-list-type": "atomic"} if reader == "api-server" else {}
        return {"type": "array", **atomic, "items": _value(arguments[0], (), reader)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _value(arguments[1], (), reader)}
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _object(kind, reader)
    return {"type": {str: "string", int: "integer", bool: "boolean"}[kind]}


def _ruled(schema: Schema, rules: Iterable[Rule], reader: Reader) -> Schema:
    rules = list(rules)
    if not rules:
        return schema
    if reader == "api-server":
        told = [{"rule": rule.cel, "message": rule.message} for rule in rules]
        return {**schema, "x-kubernetes-validations": told}
    if len(rules) == 1 and not schema.keys() & rules[0].schema.keys():
        return {**schema, **rules[0].schema}
    return {**schema, "allOf": [*schema.get("allOf", ()), *(dict(rule.schema) for rule in rules)]}
