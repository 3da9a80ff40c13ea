"""What an API server answers to an object of one of our kinds, with a real JSON Schema validator and a real CEL engine.

As in the API server, regular expressions are RE2's, null stands for an absent field, unknown fields are refused (what
kubectl asks for), and rules are looked at only when the schema has nothing to say. `status` is another request's.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import jsonschema
import yaml
from cel_expr_python import cel
from conftest import ROOT

Schema = dict[str, Any]


def definition(kind: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "schemas" / f"crd-{kind.lower()}.yaml").read_text())
    return loaded


@cache
def root_schema(kind: str) -> Schema:
    schema: Schema = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def refusals(given: dict[str, Any]) -> list[str]:
    """Why an object is refused; empty when it is taken."""
    schema = root_schema(given["kind"])
    item = stored(given)
    found = [*unknown(item, schema, ""), *(f"{e.json_path}: {e.message}" for e in _VALIDATOR(schema).iter_errors(item))]
    return found or [f"{place.path}: {place.message}" for place, holds in asked(given) if not holds]


def stored(given: dict[str, Any]) -> Any:  # noqa: ANN401  # JSON
    """What of an object comes to be looked at."""
    return pruned({key: value for key, value in given.items() if key != "status"}, root_schema(given["kind"]))


def pruned(data: Any, schema: Schema) -> Any:  # noqa: ANN401  # JSON
    """A copy without the null values of fields and of entries of mappings."""
    if isinstance(data, dict):
        inner = {key: schema.get("properties", {}).get(key, schema.get("additionalProperties")) for key in data}
        return {
            key: pruned(value, inner[key] or {}) for key, value in data.items() if value is not None or not inner[key]
        }
    if isinstance(data, list):
        return [pruned(item, schema.get("items", {})) for item in data]
    return data


def unknown(data: Any, schema: Schema, path: str) -> Iterator[str]:  # noqa: ANN401  # JSON
    if isinstance(data, dict) and "properties" in schema:
        for key, value in data.items():
            if key not in schema["properties"]:
                yield f"{path}.{key}: unknown field"
            else:
                yield from unknown(value, schema["properties"][key], f"{path}.{key}")
    if isinstance(data, list) and "items" in schema:
        for item in data:
            yield from unknown(item, schema["items"], f"{path}[]")


class Place(NamedTuple):
    """A rule of a schema: where it stands, the schema of its value, and how often it may have to be looked at."""

    path: str
    rule: str
    message: str
    schema: Schema
    times: int

    def holds(self, value: object) -> bool:
        result = compiled(self.rule, cel_type(self.schema)).eval(data={"self": value})
        assert result.type() == cel.Type.BOOL, f"{self.rule} of {value}: {result.value()}"
        return bool(result.value())


def rules(schema: Schema, path: str = "", times: int = 1) -> Iterator[Place]:
    for told in schema.get("x-kubernetes-validations", ()):
        yield Place(path, told["rule"], told["message"], schema, times)
    for name, inner in schema.get("properties", {}).items():
        yield from rules(inner, f"{path}.{name}", times)
    if "items" in schema:
        yield from rules(schema["items"], f"{path}[]", times * schema.get("maxItems", 1_000_000))


def asked(given: dict[str, Any]) -> Iterator[tuple[Place, bool]]:
    """Every rule that is looked at for an object, and whether it holds; none for one that does not fit the schema."""
    schema, item = root_schema(given["kind"]), stored(given)
    if not _VALIDATOR(schema).is_valid(item):
        return
    for place in rules(schema):
        for value in _values(item, re.findall(r"\w+|\[\]", place.path)):
            yield place, place.holds(value)


def _values(data: object, path: list[str]) -> Iterator[object]:
    if not path:
        yield data
    elif path[0] == "[]" and isinstance(data, list):
        for item in data:
            yield from _values(item, path[1:])
    elif isinstance(data, dict) and path[0] in data:
        yield from _values(data[path[0]], path[1:])


def cel_type(schema: Schema) -> str:
    if schema["type"] == "object":
        return "map" if "properties" not in schema else "object"
    return str(schema["type"])


_TYPES = {
    "string": cel.Type.STRING,
    "map": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    "object": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
}


@cache
def compiled(rule: str, kind: str) -> cel.Expression:
    return cel.NewEnv(variables={"self": _TYPES[kind]}).compile(rule)


@cache
def _matcher() -> cel.Expression:
    environment = cel.NewEnv(variables={"text": cel.Type.STRING, "pattern": cel.Type.STRING})
    return environment.compile("text.matches(pattern)")


def matches(pattern: str, text: str) -> bool:
    """Whether RE2 finds a pattern in a text."""
    result = _matcher().eval(data={"text": text, "pattern": pattern})
    assert result.type() == cel.Type.BOOL, f"{pattern}: {result.value()}"
    return bool(result.value())


def _pattern(_validator: object, pattern: str, text: object, _schema: object) -> Iterator[jsonschema.ValidationError]:
    if isinstance(text, str) and not matches(pattern, text):
        yield jsonschema.ValidationError(f"{text!r} does not match {pattern}")


_VALIDATOR = jsonschema.validators.extend(  # type: ignore[no-untyped-call]  # jsonschema's
    jsonschema.Draft4Validator, {"pattern": _pattern}
)
