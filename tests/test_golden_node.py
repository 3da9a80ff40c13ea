"""What the commands of a node print is what `golden/outputs/node/expected/` holds: the change of `outputs/change`.

The node is worker-1, a namespace with its interfaces. What `doctor` prints depends on the machine and is not here.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from commonmark import opened_right
from conftest import GOLDEN, ROOT
from golden_files import NodeOutputFiles
from jsonschema import Draft202012Validator
from kernel_fixtures import Netns, fresh
from syrupy.assertion import SnapshotAssertion

from compiler.cli import main

pytestmark = pytest.mark.kernel

EXPECTED = GOLDEN / "outputs" / "node" / "expected"

# In this order, each after the ones before: file, command, exit status. `{}` is the namespace.
RUNS = {
    "apply-dry-run.txt": ("apply old --node worker-1 --netns {} --dry-run", 1),
    "apply.txt": ("apply old --node worker-1 --netns {} --state-dir state", 0),
    "apply-again.txt": ("apply old --node worker-1 --netns {} --state-dir state", 0),
    "diff-live-same.txt": ("diff --live old --node worker-1 --netns {}", 0),
    "diff-live.txt": ("diff --live new --node worker-1 --netns {}", 1),
    "diff-live.md": ("diff --live new --node worker-1 --netns {} --format markdown", 1),
    "diff-live.json": ("diff --live new --node worker-1 --netns {} --format json", 1),
    "apply-change.txt": ("apply new --node worker-1 --netns {} --state-dir state", 0),
    "rollback.txt": ("rollback --node worker-1 --netns {} --state-dir state --dry-run", 1),
    "remove.txt": ("remove --node worker-1 --netns {} --state-dir state", 0),
}

# A namespace may begin with what the machine has.
SETTINGS = "ipv4.ip_forward=0 ipv6.conf.all.forwarding=0 ipv4.conf.all.rp_filter=1 ipv4.conf.eth0.rp_filter=1"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[int, str]]]:
    """The exit status and standard output of each run."""
    home = tmp_path_factory.mktemp("node")
    change = GOLDEN / "outputs" / "change"
    for name, inputs in (("old", "before"), ("new", "after")):
        assert main(["compile", str(change / inputs), str(change / "cluster.yaml"), "-o", str(home / name)]) == 0
    before = Path.cwd()
    os.chdir(home)
    try:
        with fresh() as netns:
            for setting in SETTINGS.split():
                netns.run(f"sysctl -q -w net.{setting}")
            yield {name: _run(command.format(netns.name), status, netns) for name, (command, status) in RUNS.items()}
    finally:
        os.chdir(before)
        shutil.rmtree(home)


def _run(command: str, status: int, netns: Netns) -> tuple[int, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("applier.cli.AGAIN", ())
        out = Path("out")
        with out.open("w") as stream:
            patch.setattr("sys.stdout", stream)
            found = main(command.split())
    text = out.read_text()
    assert found == status, text
    return found, text.replace(netns.name, "NETNS")


@pytest.mark.parametrize("name", RUNS)
def test_a_command_prints_what_it_did(
    name: str, printed: dict[str, tuple[int, str]], snapshot: SnapshotAssertion
) -> None:
    assert printed[name][1].encode() == snapshot.use_extension(NodeOutputFiles)(name=f"outputs/node/expected/{name}")


def test_what_is_compared_with_the_kernel_is_in_form() -> None:
    schema = json.loads((ROOT / "schemas" / "diff-live-output.schema.json").read_text())

    Draft202012Validator(schema).validate(json.loads((EXPECTED / "diff-live.json").read_text()))
    opened_right((EXPECTED / "diff-live.md").read_text())


def test_no_expected_file_is_left_from_a_run_that_is_gone() -> None:
    assert {path.name for path in EXPECTED.iterdir()} == set(RUNS)
