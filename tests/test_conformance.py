"""Every conformance case, through compile and explain."""

from pathlib import Path

import pytest
from conftest import CONFORMANCE
from examined import failures_of

from compiler.pipeline import read_cluster

INPUTS = sorted(CONFORMANCE.glob("*.input.yaml"))


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name.removesuffix(".input.yaml"))
def test_conformance(path: Path) -> None:
    reading = read_cluster([str(path)])
    assert reading.cluster is not None, reading.findings
    cases = Path(str(path).replace(".input.", ".cases.")).read_bytes()

    assert failures_of(reading.cluster, cases) == ""


def test_there_are_conformance_cases() -> None:
    assert len(INPUTS) >= 24
