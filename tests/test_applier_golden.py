"""The applier with what the compiler makes: every node of every golden case, one after the other on one kernel."""

import io
import random
from pathlib import Path

import pytest
from conftest import GOLDEN, GOLDEN_CASES
from kernel_fixtures import Netns, netns

from applier.cli import run
from bundle.directory import open_bundle
from compiler.cli import main

pytestmark = pytest.mark.kernel
__all__ = ["netns"]


def test_every_golden_node_is_reached_from_every_other_and_holds(
    netns: Netns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # An address of no node in any case: no node is its own next hop.
    for old, new in (("172.18.4.11/24", "172.18.4.99/24"), ("fd00:4::11/64", "fd00:4::99/64")):
        netns.run(f"ip address delete {old} dev eth0")
        netns.run(f"ip address add {new} dev eth0{' nodad' if ':' in new else ''}")
    states = []
    for case in GOLDEN_CASES:
        assert main(["compile", str(GOLDEN / case / "input"), "-o", str(tmp_path / case)]) == 0
        states += [(tmp_path / case, node) for node in open_bundle(tmp_path / case).manifest.nodes]
    capsys.readouterr()
    random.Random(1).shuffle(states)  # noqa: S311  # an order, always the same
    for directory, node in states:
        for expected in ("steps\n", "nothing to do\n"):
            out, err = io.StringIO(), io.StringIO()
            status = run(directory, node, netns.name, dry_run=False, out=out, err=err)

            assert (status, err.getvalue()) == (0, ""), f"{directory.name} {node}"
            assert out.getvalue().endswith(("step\n", expected)), f"{directory.name} {node}"
