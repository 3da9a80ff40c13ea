"""The CustomResourceDefinitions are such as an API server takes: by its OpenAPI schema and by the rules beside it."""

import json
import math
import re
import subprocess
from typing import Any

import kubernetes_validate
import pytest
from api_server import Place, asked, cel_type, compiled, definition, root_schema, rules
from cel_expr_python import cel
from conftest import ROOT
from crd_corpus import ACCEPTED, REFUSED
from structural import faults

KINDS = ("EgressGateway", "EgressGatewayPolicy")
VALIDATOR = ROOT / "build" / "crd-validator"
VERSIONS = ("1.25", kubernetes_validate.latest_version())
RULES = [(kind, place) for kind in KINDS for place in rules(root_schema(kind))]
SPEC = "spec.versions.0.schema.openAPIV3Schema.properties.spec"
SOURCE = f"{SPEC}.properties.sourceIP"
CONDITIONS = "spec.versions.0.schema.openAPIV3Schema.properties.status.properties.conditions"

BROKEN: tuple[tuple[str, object], ...] = (
    ("metadata.name", "egressgateway.network.deckhouse.io"),
    ("spec.names.shortNames", ["EGW"]),
    ("spec.names.listKind", "EgressGateway"),
    ("spec.versions.0.storage", False),
    ("spec.versions.0.additionalPrinterColumns.0.jsonPath", ".spec.mode"),
    ("spec.versions.0.additionalPrinterColumns.0.type", "text"),
    ("spec.versions.0.additionalPrinterColumns.0.name", "Age"),
    ("spec.versions.0.schema.openAPIV3Schema.type", ...),
    ("spec.versions.0.schema.openAPIV3Schema.properties.metadata.maxProperties", 5),
    ("spec.versions.0.schema.openAPIV3Schema.properties.status", ...),
    (f"{SOURCE}.type", ...),
    (f"{SOURCE}.$ref", "#/definitions/a"),
    (f"{SOURCE}.additionalProperties", {"type": "string"}),
    (f"{SPEC}.properties.nodeSelector.additionalProperties", False),
    (f"{SPEC}.properties.nodeSelector.additionalProperties.type", ...),
    (f"{SPEC}.properties.nodeSelector.x-kubernetes-map-type", "set"),
    (f"{SPEC}.properties.nodeSelector.additionalProperties.pattern", "("),
    (f"{SPEC}.required", ["sourceIp"]),
    (f"{SOURCE}.properties.mode.enum", []),
    (f"{SOURCE}.allOf", [{"properties": {"other": {"minLength": 1}}}]),
    (f"{SOURCE}.anyOf", [{"type": "object"}]),
    (f"{SOURCE}.not", {"description": "a"}),
    (f"{SOURCE}.x-kubernetes-validations.0.message", " "),
    (f"{SOURCE}.x-kubernetes-list-type", "atomic"),
    (f"{CONDITIONS}.items", ...),
    (f"{CONDITIONS}.items.required", ["status"]),
    (f"{CONDITIONS}.x-kubernetes-list-map-keys", ...),
    (f"{CONDITIONS}.items.uniqueItems", True),
)
"""Parts of EgressGateway's definition, and what must not stand there."""
LENIENT = [
    "spec.versions.0.additionalPrinterColumns.0.jsonPath",
    "spec.versions.0.additionalPrinterColumns.0.name",
    "spec.versions.0.schema.openAPIV3Schema.properties.status",
    f"{SPEC}.properties.nodeSelector.additionalProperties",
    f"{SPEC}.required",
    f"{SOURCE}.properties.mode.enum",
    f"{SOURCE}.allOf",
    f"{SOURCE}.x-kubernetes-validations.0.message",
]
"""Of these, what the API server of Kubernetes 1.20 lets pass, or does not know yet: rules came with 1.23."""

# What an API server allows one rule, and all of a definition together, to cost.
MOST_OF_A_RULE = 10_000_000
MOST_OF_ALL = 100_000_000
BOUNDS = ("maxItems", "maxProperties", "maxLength")
BYTES = 4  # at most, of a character
LONGEST_KEY = 320  # 253, a slash and 63; the API server itself counts nothing for keys


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_definitions_fit_the_schema_of_definitions(kind: str, version: str) -> None:
    kubernetes_validate.validate(definition(kind), version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_that_schema_refuses_a_misspelt_keyword(version: str) -> None:
    broken = changed("EgressGateway", f"{SOURCE}.maxItem", 5)

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, version, strict=True)


@pytest.mark.parametrize("kind", KINDS)
def test_definitions_are_structural(kind: str) -> None:
    assert faults(definition(kind)) == []


def changed(kind: str, path: str, value: object) -> dict[str, Any]:
    """The definition of a kind with one part replaced, or taken out when the value is `...`."""
    copy: dict[str, Any] = json.loads(json.dumps(definition(kind)))
    *heads, last = path.split(".")
    part: Any = copy
    for head in heads:
        part = part[int(head) if head.isdigit() else head]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return copy


@pytest.mark.parametrize(("path", "value"), BROKEN)
def test_what_is_not_structural_is_found(path: str, value: object) -> None:
    assert faults(changed("EgressGateway", path, value)) != []


@pytest.mark.parametrize("place", [place for _, place in RULES], ids=lambda place: place.path)
def test_every_rule_compiles_to_a_condition(place: Place) -> None:
    assert compiled(place.rule, cel_type(place.schema)).return_type() == cel.Type.BOOL


def test_every_rule_holds_for_some_object_and_refuses_another() -> None:
    seen = {
        (row.item["kind"], place.path, place.rule, holds)
        for row in (*ACCEPTED, *REFUSED)
        for place, holds in asked(row.item)
    }

    assert seen == {(kind, place.path, place.rule, holds) for kind, place in RULES for holds in (True, False)}


def cost(place: Place) -> int:
    """More than the API server estimates: it takes a tenth for each byte of a text, a quarter for each of a pattern."""
    words = {word: [int(n) for n in re.findall(rf'"{word}": (\d+)', json.dumps(place.schema))] for word in BOUNDS}
    many = max(words["maxItems"] + words["maxProperties"], default=1) if ".all(" in place.rule else 1
    longest = LONGEST_KEY if "additionalProperties" in place.schema else BYTES * max(words["maxLength"], default=0)
    patterns = re.findall(r"matches\(r'([^']*)'\)", place.rule)
    once = sum(math.ceil((longest + 1) / 10) * math.ceil(len(pattern) / 4) for pattern in patterns) + 100
    return once * many * place.times


def test_rules_cost_less_than_an_api_server_allows() -> None:
    for kind in KINDS:
        costs = {place.path + place.rule: cost(place) for place in rules(root_schema(kind))}

        assert {path: number for path, number in costs.items() if number > MOST_OF_A_RULE} == {}
        assert sum(costs.values()) < MOST_OF_ALL


# the API server's own code


def held_against(*definitions: dict[str, Any]) -> list[list[str]]:
    if not VALIDATOR.exists():
        pytest.skip("no build/crd-validator: make it with .ci/crd-validator")
    done = subprocess.run([VALIDATOR], input=json.dumps(definitions), capture_output=True, text=True, check=True)
    found: list[list[str]] = json.loads(done.stdout)
    return found


def test_the_api_server_takes_the_definitions() -> None:
    assert held_against(*map(definition, KINDS)) == [[], []]


def test_the_api_server_refuses_what_is_not_structural() -> None:
    found = held_against(*(changed("EgressGateway", path, value) for path, value in BROKEN))

    assert [path for (path, _), told in zip(BROKEN, found, strict=True) if not told] == LENIENT
