"""The examples of `docs/testing-policies.md` do what the page says."""

import re
import shutil
from pathlib import Path

import pytest
from conftest import GOLDEN, ROOT

from compiler.cli import main

BLOCKS = re.findall(
    r"^```(\w+)\n(.*?)^```$", (ROOT / "docs" / "testing-policies.md").read_text(), re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize("number", [0, 1])
def test_an_example_prints_what_follows_it(
    number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (one, cases), (other, expected) = BLOCKS[2 * number : 2 * number + 2]
    assert (one, other) == ("yaml", "text")
    name = cases.partition(":")[0] + ".yaml"
    shutil.copytree(GOLDEN / "outputs" / "change", tmp_path / "home")
    (tmp_path / "home" / name).write_text(cases)
    monkeypatch.chdir(tmp_path / "home")

    assert main(["test", "after", "cluster.yaml", name]) == 1
    assert capsys.readouterr().out == expected


def test_every_example_was_run() -> None:
    assert len(BLOCKS) == 4
