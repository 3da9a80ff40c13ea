"""Every conformance case, through compile and explain."""

from pathlib import Path

import pytest
from conftest import CONFORMANCE

from compiler import cases
from compiler.explain import Explainer
from compiler.pipeline import compile_cluster, read_cluster

INPUTS = sorted(CONFORMANCE.glob("*.input.yaml"))


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name.removesuffix(".input.yaml"))
def test_conformance(path: Path) -> None:
    reading = read_cluster([str(path)])
    assert reading.cluster is not None, reading.findings
    result = compile_cluster(reading.cluster)
    assert result.files is not None, result.findings
    name = str(path).replace(".input.", ".cases.")
    found, _, findings = cases.split({name: Path(name).read_bytes()})
    assert findings == ()

    failed = [item.text() for item in cases.run(found, Explainer.of(result.files)) if not item.passed]

    assert failed == []


def test_there_are_conformance_cases() -> None:
    assert len(INPUTS) >= 24
