"""What each command prints in each of its formats is what `golden/outputs/change/expected/` holds.

`make golden` renews it. A new command, or a new format of one, needs a row here: a run in a copy of the directory that
has the bundles `old` and `new` too.
"""

import shutil
from pathlib import Path

import pytest
from conftest import GOLDEN
from golden_files import OutputFiles
from syrupy.assertion import SnapshotAssertion

from compiler.cli import main

HOME = GOLDEN / "outputs" / "change"

# File of `expected/`: what is run, and its exit status. Standard output is compared, and of a file named `*.err`
# standard error.
RUNS = {
    "check.txt": ("check after cluster.yaml", 0),
    "check.json": ("check after cluster.yaml --format json", 0),
    "check.sarif": ("check after cluster.yaml --format sarif", 0),
    "check.github": ("check after cluster.yaml --format github", 0),
    "compile.txt": ("compile after cluster.yaml -o made", 0),
    "compile.err": ("compile after cluster.yaml -o made", 0),
    "explain.txt": ("explain new --from other/reports-1 --to 203.0.113.10", 0),
    "explain.json": ("explain new --from other/reports-1 --to 203.0.113.10 --format json", 0),
    "schema.txt": ("schema", 0),
    "test.txt": ("test after cluster.yaml cases.yaml", 1),
    "test.json": ("test after cluster.yaml cases.yaml --format json", 1),
    "test.junit.xml": ("test after cluster.yaml cases.yaml --format junit", 1),
    "never.txt": ("test after cluster.yaml never.yaml", 1),
    "never.json": ("test after cluster.yaml never.yaml --format json", 1),
    "never.junit.xml": ("test after cluster.yaml never.yaml cases.yaml --format junit", 1),
    "verify.txt": ("verify new after cluster.yaml", 0),
    "verify.json": ("verify new after cluster.yaml --format json", 0),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the inputs, with both bundles."""
    made = tmp_path_factory.mktemp("outputs") / "home"
    shutil.copytree(HOME, made, ignore=shutil.ignore_patterns("expected", "README.md"))
    for name, inputs in (("old", "before"), ("new", "after")):
        assert main(["compile", str(made / inputs), str(made / "cluster.yaml"), "-o", str(made / name)]) == 0
    return made


@pytest.mark.parametrize("name", RUNS)
def test_a_command_prints_what_it_did(
    name: str,
    home: Path,
    snapshot: SnapshotAssertion,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command, expected = RUNS[name]
    monkeypatch.chdir(home)

    status = main(command.split())
    printed = capsys.readouterr()

    assert status == expected, printed.err
    text = printed.err if name.endswith(".err") else printed.out
    assert text.encode() == snapshot.use_extension(OutputFiles)(name=f"outputs/change/expected/{name}")


def test_no_expected_file_is_left_from_a_run_that_is_gone() -> None:
    assert {path.name for path in (HOME / "expected").iterdir()} == set(RUNS)
