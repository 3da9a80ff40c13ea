"""What each command prints in each of its formats is what `golden/outputs/change/expected/` holds.

`make golden` renews it. A new command, or a new format of one, needs a row here: a run in a copy of the directory that
has the bundles `old` and `new` too, and `cordoned.yaml`, the cluster with its master cordoned.
"""

import json
import shutil
from pathlib import Path

import pytest
from commonmark import opened_right
from conftest import GOLDEN, ROOT
from golden_files import OutputFiles
from jsonschema import Draft202012Validator
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
    "diff.txt": ("diff old new", 1),
    "diff.md": ("diff old new --format markdown --fail-on new-drop,vip-move", 1),
    "diff.json": ("diff old new --format json", 1),
    "diff-gates.err": ("diff old new --fail-on new-drop,vip-move", 1),
    "diff-passes.err": ("diff old new --fail-on vip-move", 0),
    "diff-same.txt": ("diff before old --with cluster.yaml", 0),
    "diff-masters.txt": ("diff cluster.yaml cordoned.yaml --with after", 1),
    "diff-masters.md": ("diff cluster.yaml cordoned.yaml --with after --format markdown", 1),
    "explain.txt": ("explain new --from other/reports-1 --to 203.0.113.10", 0),
    "explain.json": ("explain new --from other/reports-1 --to 203.0.113.10 --format json", 0),
    "graph.dot": ("graph new -o - --format dot", 0),
    "graph.md": ("graph new -o - --format markdown", 0),
    "graph.mmd": ("graph new -o -", 0),
    "report.html": ("report new -o -", 0),
    "schema.txt": ("schema", 0),
    "simulate.txt": ("simulate after cluster.yaml --down egress-1", 1),
    "simulate.md": ("simulate after cluster.yaml --down egress-1 --format markdown", 1),
    "simulate.json": ("simulate after cluster.yaml --down egress-1 --format json", 1),
    "cordon.txt": ("simulate after cluster.yaml --cordon egress-1 egress-3", 1),
    "cordon.md": ("simulate after cluster.yaml --cordon egress-1 egress-3 --format markdown", 1),
    "cordon.json": ("simulate after cluster.yaml --cordon egress-1 egress-3 --format json", 1),
    "sweep.txt": ("simulate after cluster.yaml --all-single-failures", 1),
    "sweep.md": ("simulate after cluster.yaml --all-single-failures --format markdown", 1),
    "sweep.json": ("simulate after cluster.yaml --all-single-failures --format json", 1),
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
    cluster = (made / "cluster.yaml").read_text()
    cordoned = cluster.replace("    - 10.111.1.0/24\nstatus:", "    - 10.111.1.0/24\n  unschedulable: true\nstatus:", 1)
    assert cordoned != cluster
    (made / "cordoned.yaml").write_text(cordoned)
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


@pytest.mark.parametrize("name", [name for name in RUNS if name.endswith(".json")])
def test_json_fits_the_schema_of_its_command(name: str) -> None:
    command = RUNS[name][0].split()[0]
    schema = json.loads((ROOT / "schemas" / f"{command}-output.schema.json").read_text())

    Draft202012Validator(schema).validate(json.loads((HOME / "expected" / name).read_text()))


@pytest.mark.parametrize("name", [name for name in RUNS if name.endswith(".md")])
def test_markdown_opens_right_in_a_commonmark_renderer(name: str) -> None:
    opened_right((HOME / "expected" / name).read_text())


def test_no_expected_file_is_left_from_a_run_that_is_gone() -> None:
    assert {path.name for path in (HOME / "expected").iterdir()} == set(RUNS)
