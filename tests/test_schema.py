"""The files of `schemas/` are those of the classes, and what egressc reads and writes fits them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from builders import cluster, config, dump, gateway, policy
from conftest import CONFORMANCE, GOLDEN, GOLDEN_CASES, ROOT
from pydantic import BaseModel

import compiler.inputs.base
import compiler.inputs.cases
import compiler.inputs.egress
import compiler.inputs.kubernetes
from compiler.cli import main
from compiler.inputs.egress import KINDS
from compiler.schema import ENTRIES, files
from compiler.schema.classes import BUNDLE_FILES
from compiler.source import read_documents

MODULES = (compiler.inputs.base, compiler.inputs.cases, compiler.inputs.egress, compiler.inputs.kubernetes)
MODELS = [
    item
    for module in MODULES
    for item in vars(module).values()
    if isinstance(item, type) and issubclass(item, BaseModel) and item.__module__ == module.__name__
]
JSON_SCHEMAS = [name for name, entry in ENTRIES.items() if entry.file.endswith(".json")]
INPUTS = [*sorted(GOLDEN.glob("*/input/*.yaml")), *sorted(CONFORMANCE.glob("*.input.yaml"))]
CASES = [*sorted(GOLDEN.glob("*/packets.yaml")), *sorted(CONFORMANCE.glob("*.cases.yaml"))]


def validator(name: str) -> Any:  # noqa: ANN401  # one of jsonschema's classes
    schema = json.loads(ENTRIES[name].make())
    return jsonschema.validators.validator_for(schema)(schema)


def faults(name: str, data: object) -> list[str]:
    return [f"{fault.json_path}: {fault.message}" for fault in validator(name).iter_errors(data)]


def objects(path: Path) -> Iterator[Any]:
    return (item.data for item in read_documents(path.name, path.read_bytes())[0])


def test_files_are_not_stale() -> None:
    present = {f"schemas/{path.name}": path.read_text() for path in (ROOT / "schemas").iterdir()}
    present["docs/reference.md"] = (ROOT / "docs" / "reference.md").read_text()

    assert present == files(), "run `make schemas` and read the diff"


@pytest.mark.parametrize("name", JSON_SCHEMAS)
def test_schemas_are_valid_themselves(name: str) -> None:
    schema = json.loads(ENTRIES[name].make())

    dialect = jsonschema.validators.validator_for(schema)
    assert schema["$schema"] == dialect.META_SCHEMA["$schema"]
    dialect.check_schema(schema)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_has_a_description(model: type[BaseModel]) -> None:
    without = {name for name, field in model.model_fields.items() if not (field.description or "").endswith(".")}

    assert (without, (model.__doc__ or "").strip() != "") == (set(), True)


@pytest.mark.parametrize("name", ["egressgateway", "egressgatewaypolicy", "egresscompilerconfig", "cases"])
def test_descriptions_reach_the_schema(name: str) -> None:
    def bare(schema: Any, path: str) -> Iterator[str]:  # noqa: ANN401  # JSON
        for key, value in schema.get("properties", {}).items():
            if not value.get("description"):
                yield f"{path}.{key}"
            yield from bare(value, f"{path}.{key}")
        if "items" in schema:
            yield from bare(schema["items"], f"{path}[]")

    assert list(bare(json.loads(ENTRIES[name].make()), "")) == []


# inputs


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_inputs_fit_their_schemas(path: Path) -> None:
    for item in objects(path):
        assert faults("input", item) == []
        if item["kind"] in KINDS:
            assert faults(item["kind"].lower(), item) == []


def test_there_are_inputs_of_each_kind() -> None:
    assert {item["kind"] for path in INPUTS for item in objects(path)} >= {"EgressGateway", "EgressGatewayPolicy"}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_cases_fit_their_schema(path: Path) -> None:
    for item in objects(path):
        assert faults("cases", item) == []


@pytest.mark.parametrize(
    "spec",
    [
        {"agent": {"enabled": False}},
        {"clusterRanges": {"podCIDRs": ["10.111.0.0/16"], "extraCIDRs": ["fd00::/8"]}},
        {"datapath": {"markMask": "0x00ff0000", "rulePriority": 1, "tableBase": 9000}},
    ],
)
def test_configurations_fit_their_schema(spec: dict[str, Any]) -> None:
    assert faults("egresscompilerconfig", config(**spec)) == faults("input", config(**spec)) == []


@pytest.mark.parametrize(
    ("name", "data", "path"),
    [
        ("input", policy(to=["10.0.0.0"]), "$.spec.destinationCIDRs[0]"),
        ("input", {**gateway(), "spc": {}}, "$"),
        ("egressgateway", policy(), "$.kind"),
        ("egresscompilerconfig", config(datapath={"rulePriority": 40000}), "$.spec.datapath.rulePriority"),
        ("cases", {"cases": [{"from": "a/b", "to": "192.0.2.1", "expect": {"verdict": "pass"}}]}, "$.cases[0].expect"),
    ],
)
def test_schemas_refuse_what_is_wrong(name: str, data: object, path: str) -> None:
    assert any(fault.startswith(path) for fault in faults(name, data))


# outputs


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_golden_files_fit_their_schemas(case: str) -> None:
    for path in sorted((GOLDEN / case / "expected").rglob("*.json")):
        assert path.stem in BUNDLE_FILES
        assert faults(path.stem, json.loads(path.read_text())) == []


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_output_of_explain_and_test_fits_its_schema(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packets = yaml.safe_load((GOLDEN / case / "packets.yaml").read_text())["cases"]
    assert main(["compile", str(GOLDEN / case / "input"), "-o", str(tmp_path / "bundle")]) == 0
    for packet in packets:
        capsys.readouterr()
        main(["explain", str(tmp_path / "bundle"), "--from", packet["from"], "--to", packet["to"], "--format", "json"])
        assert faults("explain-output", json.loads(capsys.readouterr().out)) == []

    main(["test", str(GOLDEN / case / "input"), str(GOLDEN / case / "packets.yaml"), "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert (len(found), faults("test-output", found)) == (len(packets), [])


def test_output_of_test_fits_its_schema_when_a_case_cannot_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = {"from": "default/nobody", "to": "203.0.113.10", "expect": {"verdict": "egress", "sourceIP": "192.0.2.1"}}
    (tmp_path / "cases.yaml").write_text(json.dumps({"cases": [case]}))

    assert main(["test", str(GOLDEN / "dual-stack" / "input"), str(tmp_path / "cases.yaml"), "--format", "json"]) == 1
    assert faults("test-output", json.loads(capsys.readouterr().out)) == []


@pytest.mark.parametrize(
    "text",
    [
        dump(*cluster(gateway(), policy("a", "nobody", to=["10.0.0.1/8"]))),
        dump(*cluster(gateway(), policy(selectors=[]))),
        "kind: [\n",
        "",
    ],
)
def test_output_of_check_fits_its_schema(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "input.yaml").write_text(text)

    main(["check", str(tmp_path / "input.yaml"), "--format", "json"])

    found = json.loads(capsys.readouterr().out)
    assert (found != [], faults("check-output", found)) == (True, [])


# egressc schema


@pytest.mark.parametrize("name", ENTRIES)
def test_schema_prints_the_file(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", name]) == 0
    assert capsys.readouterr().out == (ROOT / "schemas" / ENTRIES[name].file).read_text()


def test_schema_lists_the_names_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0

    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [(name, about) for name, about in lines] == [(name, entry.about) for name, entry in ENTRIES.items()]


def test_schema_of_an_unknown_name_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "manifests"]) == 2
    assert capsys.readouterr() == ("", "egressc: there is no schema manifests; did you mean manifest?\n")
