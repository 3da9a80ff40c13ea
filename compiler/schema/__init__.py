"""All of `schemas/`, made from the classes and models that read and write what they describe.

`make schemas` writes them, and `docs/reference.md` beside them; a test fails when one there is stale. Schemas of inputs
are of draft 7, which editors know best; those of outputs are of 2020-12.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bundle.checkup import Checkup
from compiler import outputs
from compiler.inputs import cases, egress
from compiler.schema import crd
from compiler.schema.classes import BUNDLE_FILES, class_schema, list_schema
from compiler.schema.models import Schema, editor_schema, one_of_kinds
from compiler.schema.reference import reference
from compiler.simulate.outputs import SimulationOutput

_DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"
_DRAFT_2020: Final = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Entry:
    """One schema: its name, its file in `schemas/`, a line about it, and how its text is made."""

    name: str
    file: str
    about: str
    make: Callable[[], str]


def _json(name: str, about: str, draft: str, make: Callable[[], Schema]) -> Entry:
    def text() -> str:
        return json.dumps({"$schema": draft, "title": about, **make()}, indent=2, ensure_ascii=False) + "\n"

    return Entry(name, f"{name}.schema.json", about, text)


def _entries() -> tuple[Entry, ...]:
    kinds = egress.KINDS
    output = "output of egressc {} --format json"
    return (
        *(
            Entry(f"crd-{kind.lower()}", f"crd-{kind.lower()}.yaml", f"CustomResourceDefinition of {kind}", make)
            for kind, make in (("EgressGateway", crd.gateway), ("EgressGatewayPolicy", crd.policy))
        ),
        _json(
            "input", "any of the following kinds, for files that hold several", _DRAFT_7, partial(one_of_kinds, kinds)
        ),
        *(_json(kind.lower(), kind, _DRAFT_7, partial(editor_schema, model)) for kind, model in kinds.items()),
        _json("cases", "file of cases for egressc test", _DRAFT_7, partial(editor_schema, cases.CasesInput)),
        _json("check-output", output.format("check"), _DRAFT_2020, partial(list_schema, outputs.FindingOutput)),
        _json("explain-output", output.format("explain"), _DRAFT_2020, partial(class_schema, outputs.FateOutput)),
        _json("test-output", output.format("test"), _DRAFT_2020, partial(list_schema, outputs.CaseOutput)),
        _json("verify-output", output.format("verify"), _DRAFT_2020, partial(class_schema, outputs.VerdictOutput)),
        _json("diff-output", output.format("diff"), _DRAFT_2020, partial(class_schema, outputs.DiffOutput)),
        _json(
            "diff-live-output", output.format("diff --live"), _DRAFT_2020, partial(class_schema, outputs.LiveDiffOutput)
        ),
        _json("simulate-output", output.format("simulate"), _DRAFT_2020, partial(class_schema, SimulationOutput)),
        _json("doctor-output", output.format("doctor"), _DRAFT_2020, partial(class_schema, Checkup)),
        *(
            _json(name, f"egressc bundle: {name}.json", _DRAFT_2020, partial(class_schema, cls))
            for name, cls in BUNDLE_FILES.items()
        ),
    )


ENTRIES: Final = {entry.name: entry for entry in _entries()}
"""All schemas by name."""


def files() -> dict[str, str]:
    """Returns the text of every file that `make schemas` writes, by its path in the repository."""
    return {
        **{f"schemas/{entry.file}": entry.make() for entry in ENTRIES.values()},
        "docs/reference.md": reference(),
    }
