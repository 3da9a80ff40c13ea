"""A bundle that will not do is refused on the command line, and the kernel hears nothing of it."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from applier_bundles import NODE, next_hop, state_a, state_b, write_bundle
from kernel_fixtures import Netns
from kernel_fixtures import netns as netns  # noqa: PLC0414  # a fixture is found under its name
from kernel_watch import watched
from test_hostile_bundle import renew

from bundle.directory import MANIFEST, SIGNED
from compiler.cli import main

pytestmark = pytest.mark.kernel

OWN = f"nodes/{NODE}"


def edit(bundle: Path, path: str, old: str, new: str) -> None:
    text = (bundle / path).read_text()
    assert old in text
    (bundle / path).write_text(text.replace(old, new))


def altered(bundle: Path) -> str:
    edit(bundle, f"{OWN}/ruleset.nft", "10.1.0.5", "10.1.0.9")
    return f"{OWN}/ruleset.nft: was altered"


def truncated(bundle: Path) -> str:
    os.truncate(bundle / OWN / "routing.json", 100)
    return f"{OWN}/routing.json: was altered"


def truncated_before_it_was_packed(bundle: Path) -> str:
    path = bundle / OWN / "ruleset.nft"
    os.truncate(path, path.stat().st_size // 2)
    renew(bundle)
    return f"{OWN}/ruleset.nft: line "


def truncated_manifest(bundle: Path) -> str:
    os.truncate(bundle / MANIFEST, 200)
    return f"{MANIFEST}: not valid JSON"


def missing(bundle: Path) -> str:
    (bundle / OWN / "addresses.json").unlink()
    return f"{OWN}/addresses.json: No such file or directory"


def foreign_file(bundle: Path) -> str:
    (bundle / OWN / "extra.nft").write_text("flush ruleset\n")
    return f"{OWN}/extra.nft: not a file of this bundle"


def made_for_another_node(bundle: Path) -> str:
    edit(bundle, f"{OWN}/addresses.json", f'"{NODE}"', '"node-2"')
    renew(bundle)
    return ": the files of node 'node-1' were made for another node"


def unknown_format(bundle: Path) -> str:
    edit(bundle, MANIFEST, '"formatVersion": 1', '"formatVersion": 2')
    return f"{MANIFEST}: format version 2 is not 1"


def node_that_leads_out(bundle: Path) -> str:
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["nodes"] = ["../.."]
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    return f"{MANIFEST}: nodes[0]: expected the name of a Kubernetes object"


def path_that_leads_out(bundle: Path) -> str:
    edit(bundle, MANIFEST, f"{OWN}/ruleset.nft", f"{OWN}/../../../ruleset.nft")
    return f"{MANIFEST}: the list of files does not fit the list of nodes"


def link_that_leads_out(bundle: Path) -> str:
    (bundle / OWN).rename(bundle.parent / "elsewhere")
    (bundle / OWN).symlink_to(bundle.parent / "elsewhere")
    return f"{OWN}/"


def pipe(bundle: Path) -> str:
    (bundle / OWN / "ruleset.nft").unlink()
    os.mkfifo(bundle / OWN / "ruleset.nft")
    return f"{OWN}/ruleset.nft: is not a regular file"


def signature_that_leads_out(bundle: Path) -> str:
    (bundle / SIGNED).symlink_to("/etc/passwd")
    return f"{SIGNED}: is a link that leads out of the bundle"


HARM = [
    altered, truncated, truncated_before_it_was_packed, truncated_manifest, missing, foreign_file,
    made_for_another_node, unknown_format, node_that_leads_out, path_that_leads_out, link_that_leads_out, pipe,
    signature_that_leads_out,
]  # fmt: skip


def harmed_bundle(directory: Path) -> Path:
    """A bundle that would change all there is to change."""
    rules, routes = next_hop(9, "172.18.4.9")
    state = state_b()
    return write_bundle(directory, replace(state, rules=(*state.rules, *rules), routes=(*state.routes, *routes)))


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
def test_what_is_refused_touches_nothing(
    harm: Callable[[Path], str], netns: Netns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", str(write_bundle(tmp_path / "a", state_a())), "--node", NODE, "--netns", netns.name]) == 0
    bundle = harmed_bundle(tmp_path / "bundle")
    expected = harm(bundle)
    capsys.readouterr()
    with watched(netns, tmp_path) as watch:
        before = netns.dump()

        status = main(["apply", str(bundle), "--node", NODE, "--netns", netns.name])

        assert (netns.dump(), watch.changes()) == (before, [])
    output, errors = capsys.readouterr()
    assert (status, output) == (2, "")
    assert errors.startswith(f"egressc apply: {bundle}")
    assert expected in errors


@pytest.mark.parametrize("node", ["node-2", "../node-1", "node-1/../node-1", "NODE-1", ""])
def test_a_node_that_the_bundle_does_not_have_touches_nothing(
    node: str, netns: Netns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path / "a", state_a())
    with watched(netns, tmp_path) as watch:
        before = netns.dump()

        status = main(["apply", str(bundle), "--node", node, "--netns", netns.name])

        assert (netns.dump(), watch.changes()) == (before, [])
    assert status == 2
    assert f"has no node {node!r}; nodes in it: node-1" in capsys.readouterr().err


def test_the_watch_sees_what_a_good_bundle_changes(netns: Netns, tmp_path: Path) -> None:
    bundle = harmed_bundle(tmp_path / "bundle")
    with watched(netns, tmp_path) as watch:
        assert main(["apply", str(bundle), "--node", NODE, "--netns", netns.name]) == 0

        changes = watch.changes()

    for part in ("transactions of nftables: ", "172.18.18.242", "blackhole default", "lookup"):
        assert any(part in line for line in changes), part
