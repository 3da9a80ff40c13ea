"""An object's data to its pydantic model, and pydantic's complaints to our own diagnostics.

pydantic's sentences change between its versions and speak to programmers; only its error types are used.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from compiler.diagnostics import Diagnostic, Place, error
from compiler.findings import LIMIT, Findings
from compiler.load import Object
from compiler.source import Data
from compiler.text import check_name, did_you_mean

_M = TypeVar("_M", bound=BaseModel)

_Path: TypeAlias = tuple[str | int, ...]

_MOST: Final = LIMIT - 1
"""Faults of one object that are told one by one."""

_WANTED = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "text_or_list": "a text or a list of texts",
    "text_or_mapping": "a text or a mapping",
}


def read_as(model: type[_M], item: Object, findings: Findings) -> _M | None:
    """Reads an object as `model` and checks what it is called; None when anything in it has the wrong shape."""
    read, faults = shape(model, item)
    findings.add(*faults)
    check_names(item, findings)
    return read


def check_names(item: Object, findings: Findings) -> None:
    """Checks the name and namespace of an object."""
    findings.check(item.place, check_name, item.name, "metadata", "name")
    if item.namespace:
        findings.check(item.place, check_name, item.namespace, "metadata", "namespace")


def shape(model: type[_M], item: Object) -> tuple[_M | None, tuple[Diagnostic, ...]]:
    """Reads an object as `model`; None when anything in it has the wrong shape, save fields that it does not have.

    Those are findings too, but must not hide what else is wrong.
    """
    try:
        return model.model_validate(item.data), ()
    except ValidationError as fault:
        entries: list[dict[str, Any]] = [dict(entry) for entry in fault.errors(include_url=False)]
    findings = tuple(_finding(model, item.place, entry) for entry in entries[:_MOST])
    if len(entries) > _MOST:
        first = _finding(model, item.place, entries[_MOST])
        message = f"and {len(entries) - _MOST} more faults of this object: {first.message}"
        findings += (replace(first, message=message),)
    unknown: set[_Path] = {tuple(entry["loc"]) for entry in entries if entry["type"] == "extra_forbidden"}
    if len(unknown) < len(entries):
        return None, findings
    holders = {path[:length] for path in unknown for length in range(len(path))}
    return model.model_validate(_without(item.data, unknown, holders)), findings


def _without(data: Data, paths: set[_Path], holders: set[_Path], at: _Path = ()) -> Data:
    """Copies data without what stands at the paths; looks only into what holds such, since the rest may be deep."""
    if at not in holders:
        return data
    if isinstance(data, dict):
        items = data.items()
        return {key: _without(item, paths, holders, (*at, key)) for key, item in items if (*at, key) not in paths}
    return [_without(item, paths, holders, (*at, index)) for index, item in enumerate(data)]


def _finding(model: type[BaseModel], place: Place, entry: Mapping[str, Any]) -> Diagnostic:
    path = tuple(part for part in entry["loc"] if part != "[key]")
    where = place.at(*path)
    kind, value = entry["type"], entry["input"]
    if kind == "missing":
        return error("EG201", place.at(*path[:-1]), f"{path[-1]} is missing; give it")
    if kind == "extra_forbidden":
        hint = did_you_mean(str(path[-1]), _known_fields(model, path[:-1]))
        advice = hint or "; take it out"
        return error("EG204", place.at_key(*path), f"there is no field {path[-1]!s} here{advice}")
    if kind == "literal_error":
        allowed = entry["ctx"]["expected"].replace("'", "")
        return error("EG205", where, f"must be {allowed}, not {_show(value)}")
    wanted = _WANTED.get(kind)
    if wanted is None:
        return error("EG202", where, f"has a value that does not fit: {_show(value)}")
    # Not the value: `0xff` was read as 255, and would be another text.
    quote = "; put quotes around it" if wanted == "a text" and isinstance(value, (int, float)) else ""
    return error("EG202", where, f"must be {wanted}, not {_show(value)}{quote}")


def _show(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = value[:61] if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:59] + "…"  # noqa: PLR2004  # what fits on a line with the rest


def _known_fields(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Returns the field names of the model found at `path` below `model`."""
    current = model
    for part in path:
        if isinstance(part, int):
            continue
        field = next((f for name, f in current.model_fields.items() if (f.alias or name) == part), None)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        current = inner
    return [field.alias or name for name, field in current.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401  # a type hint
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)
