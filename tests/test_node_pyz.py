"""The program for nodes, one file: what is in it, and that it applies a bundle with nothing else at hand."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nftables
import pytest
from conftest import ROOT
from kernel_fixtures import TABLE, Netns, netns

from bundle.ruleset import parse

__all__ = ["netns"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, alone in an empty directory."""
    target = tmp_path_factory.mktemp("node") / "egressc-node.pyz"
    build(target, "0")
    shutil.copytree(Path(nftables.__file__).parent, target.parent / "python3-nftables" / "nftables")
    return target


def build(target: Path, seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    subprocess.run([sys.executable, "-m", "deploy.pyz", target], cwd=ROOT, env=environment, check=True)


def alone(archive: Path) -> dict[str, str]:
    """An environment in which nothing is installed but nftables' own module, as Debian's python3-nftables has it."""
    return {"PYTHONPATH": str(archive.parent / "python3-nftables")}


def run(archive: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-s", "-S", archive.name, *arguments]
    return subprocess.run(command, cwd=archive.parent, env=alone(archive), capture_output=True, text=True, check=False)


def test_the_archive_holds_the_applier_what_it_needs_and_the_licences(archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()

    assert {"__main__", "applier", "bundle", "pyroute2", "licenses"} == {
        name.partition("/")[0].partition(".")[0] for name in names
    }
    licences = {name for name in names if name.startswith("licenses/")}
    assert {"licenses/README", "licenses/egressc/LICENSE", "licenses/pyroute2.minimal/LICENSE.Apache-2.0"} <= licences
    own = {
        path.relative_to(ROOT).as_posix()
        for package in ("applier", "bundle")
        for path in (ROOT / package).rglob("*.py")
    }
    assert own <= set(names)


def test_the_archive_is_small(archive: Path) -> None:
    assert archive.stat().st_size < 2 << 20


def test_the_same_sources_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    build(tmp_path / "again.pyz", "1")

    assert (tmp_path / "again.pyz").read_bytes() == archive.read_bytes()


def test_the_archive_starts_without_compiling(archive: Path) -> None:
    code = f"import builtins, sys; sys.path.insert(0, {archive.name!r}); builtins.compile = None; import applier.kernel"

    subprocess.run([sys.executable, "-s", "-S", "-c", code], cwd=archive.parent, env=alone(archive), check=True)


def test_the_archive_has_a_nodes_commands_only(archive: Path) -> None:
    assert run(archive, "--version").stdout.startswith("egressc ")
    assert run(archive, "apply", "--help").returncode == 0
    refused = run(archive, "compile", "x")
    assert (refused.returncode, "invalid choice: 'compile'" in refused.stderr) == (2, True)


def test_what_is_no_bundle_is_refused(archive: Path, tmp_path: Path) -> None:
    done = run(archive, "apply", tmp_path, "--node", "worker-1")

    assert done.returncode == 2
    assert done.stderr == f"egressc apply: {tmp_path}/manifest.json: No such file or directory; is this a bundle?\n"


@pytest.mark.kernel
@pytest.mark.parametrize("node", ["worker-1", "egress-2"])
def test_the_archive_alone_applies_a_bundle(archive: Path, made: Path, netns: Netns, node: str) -> None:
    # The node's own next hop must not be an address of the namespace.
    netns.run("ip address delete 172.18.4.11/24 dev eth0")
    netns.run("ip address add 172.18.4.99/24 dev eth0")
    bundle = shutil.copytree(made, archive.parent / f"bundle-{node}")
    apply = (archive, "apply", bundle.name, "--node", node, "--netns", netns.name)

    first, second = run(*apply), run(*apply)

    assert (first.returncode, first.stderr) == (0, "")
    assert (second.returncode, second.stdout) == (0, "nothing to do\n")
    wanted = parse((bundle / "nodes" / node / "ruleset.nft").read_text(), TABLE)
    table = netns.table()
    assert table is not None
    assert {name: len(item.elements) for name, item in wanted.sets.items()} == {
        name: len(item.elements) for name, item in table.sets.items()
    }
    assert {name: len(chain.rules) for name, chain in wanted.chains.items()} == {
        name: len(chain.rules) for name, chain in table.chains.items()
    }
