"""The schemas in `schemas/` are those of the classes, and every golden file fits its schema."""

import json

import jsonschema
import pytest
from conftest import GOLDEN, GOLDEN_CASES, ROOT

from compiler.schema import BUNDLE_FILES, schemas


def test_schemas_are_not_stale() -> None:
    present = {path.name: path.read_text() for path in (ROOT / "schemas").iterdir()}

    assert present == schemas(), "run `make schemas` and read the diff"


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_golden_files_fit_their_schemas(case: str) -> None:
    texts = schemas()
    for path in sorted((GOLDEN / case / "expected").rglob("*.json")):
        assert path.stem in BUNDLE_FILES

        schema = json.loads(texts[f"{path.stem}.schema.json"])
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(json.loads(path.read_text()), schema, jsonschema.Draft202012Validator)
