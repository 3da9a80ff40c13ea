"""The rules of apiextensions v1 for a CustomResourceDefinition, one function a group, as its documentation tells them.

The API server refuses a definition that breaks one; what it asks of single fields is checked against its own OpenAPI
schema elsewhere. Nothing of the compiler is used here.
"""

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

TYPES = {"object", "array", "string", "integer", "number", "boolean"}
FORBIDDEN = {
    "$ref", "$schema", "additionalItems", "definitions", "dependencies", "deprecated", "discriminator", "id",
    "patternProperties", "readOnly", "uniqueItems", "writeOnly", "xml", "const", "examples", "if", "then", "else",
    "propertyNames",
}  # fmt: skip
LOGIC = ("allOf", "anyOf", "oneOf")
NOT_IN_LOGIC = {"description", "type", "default", "additionalProperties", "nullable", "title"}
COLUMN_TYPES = {"integer", "number", "string", "boolean", "date"}
LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def faults(definition: dict[str, Any]) -> list[str]:
    """What the API server would hold against a definition; empty when it takes it."""
    return [*_names(definition), *_versions(definition)]


def _names(definition: dict[str, Any]) -> Iterator[str]:
    spec = definition["spec"]
    names = spec["names"]
    if definition["metadata"]["name"] != f"{names['plural']}.{spec['group']}":
        yield "metadata.name must be PLURAL.GROUP"
    words = [names["plural"], names["singular"], *names.get("shortNames", ()), *names.get("categories", ())]
    words += [names["kind"].lower(), names["listKind"].lower()]
    yield from (f"names: {word!r} is not a label" for word in words if not LABEL.fullmatch(word))
    if names["kind"] == names["listKind"]:
        yield "names: kind and listKind must differ"


def _versions(definition: dict[str, Any]) -> Iterator[str]:
    versions = definition["spec"]["versions"]
    if sum(version["storage"] for version in versions) != 1:
        yield "exactly one version must be stored"
    for version in versions:
        root = version["schema"]["openAPIV3Schema"]
        yield from _columns(version.get("additionalPrinterColumns", ()), root)
        if root.get("type") != "object":
            yield "the root must be an object"
        if set(root.get("properties", {}).get("metadata", {})) - {"type", "properties", "description"}:
            yield "metadata: only its name may be restricted"
        if "status" in version.get("subresources", {}) and "status" not in root["properties"]:
            yield "a status subresource needs a status"
        yield from _schema(root, "")


def _columns(columns: Any, root: Schema) -> Iterator[str]:  # noqa: ANN401  # YAML
    names = [column["name"] for column in columns]
    if len(names) != len(set(names)):
        yield "columns: a name is given twice"
    for column in columns:
        if column["type"] not in COLUMN_TYPES:
            yield f"columns: {column['name']} has no type of a column"
        part = root
        for word in column["jsonPath"].removeprefix(".").split("."):
            if part is root and word == "metadata":
                break
            part = part.get("properties", {}).get(word)
            if part is None:
                yield f"columns: {column['name']} shows what does not exist"
                break


def _schema(schema: Schema, path: str) -> Iterator[str]:
    """Structural schemas: a type everywhere, once, and value validation beside it."""
    yield from (f"{path}: {word} is not allowed" for word in sorted(FORBIDDEN & set(schema)))
    if schema.get("type") not in TYPES:
        yield f"{path}: a type is needed"
    yield from _values(schema, path)
    yield from _logic(schema, schema, path)
    yield from _extensions(schema, path)
    for name, inner in schema.get("properties", {}).items():
        yield from _schema(inner, f"{path}.{name}")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _schema(schema["additionalProperties"], f"{path}.*")
    if isinstance(schema.get("items"), dict):
        yield from _schema(schema["items"], f"{path}[]")
    elif schema.get("type") == "array":
        yield f"{path}: an array needs one schema of its items"


def _values(schema: Schema, path: str) -> Iterator[str]:
    if not schema.get("enum", True):
        yield f"{path}: an enumeration cannot be empty"
    try:
        re.compile(schema.get("pattern", ""))
    except re.error as fault:
        yield f"{path}: not a regular expression: {fault}"
    if "properties" in schema and "additionalProperties" in schema:
        yield f"{path}: properties and additionalProperties exclude each other"
    if schema.get("additionalProperties") is False:
        yield f"{path}: additionalProperties cannot be false"
    if set(schema.get("required", ())) - set(schema.get("properties", {})):
        yield f"{path}: what is required must be a property"


def _logic(schema: Schema, outside: Schema, path: str) -> Iterator[str]:
    """What stands in allOf, anyOf, oneOf or not may only narrow down what stands outside of them."""
    parts = [part for word in LOGIC for part in schema.get(word, ())]
    parts += [schema["not"]] if "not" in schema else []
    for part in parts:
        words = {word for word in part if word in NOT_IN_LOGIC or word.startswith("x-kubernetes-")}
        yield from (f"{path}: {word} cannot stand inside of logic" for word in sorted(words | FORBIDDEN & set(part)))
        yield from _narrows(part, outside, path)
        yield from _logic(part, outside, path)


def _narrows(part: Schema, outside: Schema, path: str) -> Iterator[str]:
    for name, inner in part.get("properties", {}).items():
        if name not in outside.get("properties", {}):
            yield f"{path}.{name}: must be defined outside of logic too"
        else:
            yield from _narrows(inner, outside["properties"][name], f"{path}.{name}")
    if "items" in part:
        if "items" not in outside:
            yield f"{path}[]: must be defined outside of logic too"
        else:
            yield from _narrows(part["items"], outside["items"], f"{path}[]")


def _extensions(schema: Schema, path: str) -> Iterator[str]:
    kind = schema.get("type")
    list_type, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys")
    if list_type is not None and (kind != "array" or list_type not in {"atomic", "set", "map"}):
        yield f"{path}: not a type of a list"
    if (list_type == "map") != (keys is not None):
        yield f"{path}: a list that is a map has keys, and no other has"
    if list_type == "map" and keys:
        items = schema.get("items", {})
        without = [key for key in keys if key not in items.get("properties", {}) or key not in items["required"]]
        yield from (f"{path}: key {key} must be a required property" for key in without)
    if schema.get("x-kubernetes-map-type", "atomic") not in {"atomic", "granular"} or (
        "x-kubernetes-map-type" in schema and kind != "object"
    ):
        yield f"{path}: not a type of a map"
    for rule in schema.get("x-kubernetes-validations", ()):
        if not rule.get("rule", "").strip() or not rule.get("message", "").strip() or "\n" in rule["message"]:
            yield f"{path}: a rule needs a text, and a message on one line"
        if len(rule["message"]) > 2048:
            yield f"{path}: a message is too long"
