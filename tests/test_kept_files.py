"""Compiling into a bundle again: files that stay the same are the same files, and nothing of anybody else's gets in."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import cluster, dump, gateway, pod, policy

from compiler.cli import main

WORKERS = "nodes/worker-1/ruleset.nft"


def states(bundle: Path) -> dict[str, tuple[int, int]]:
    found = {path.relative_to(bundle).as_posix(): path.stat() for path in bundle.rglob("*") if path.is_file()}
    return {path: (state.st_ino, state.st_mtime_ns) for path, state in found.items()}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "input.yaml").write_text(dump(*cluster(gateway(), policy())))
    assert main(["compile", str(tmp_path / "input.yaml"), "-o", str(tmp_path / "bundle")]) == 0
    return tmp_path / "bundle"


def again(bundle: Path) -> int:
    return main(["compile", str(bundle.parent / "input.yaml"), "-o", str(bundle)])


def test_nothing_is_written_again_where_nothing_changed(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = states(bundle)
    capsys.readouterr()

    assert again(bundle) == 0

    assert states(bundle) == before
    assert capsys.readouterr().err == f"wrote 0 files to {bundle}; {len(before)} others are the same as before\n"


def test_only_what_changed_is_written(bundle: Path) -> None:
    before = states(bundle)
    more = cluster(gateway(), policy(), pod("another", "egress-1", 9))
    (bundle.parent / "input.yaml").write_text(dump(*more))

    assert again(bundle) == 0

    after = states(bundle)
    changed = {path for path in after if after[path] != before[path]}
    rulesets = {f"nodes/egress-{number}/ruleset.nft" for number in (1, 2)}
    assert rulesets | {"manifest.json", "workloads.json"} <= changed
    assert not any("worker-1" in path for path in changed)


def _link_to_a_file(bundle: Path) -> None:
    foreign = bundle.parent / "foreign"
    (bundle / WORKERS).rename(foreign)
    (bundle / WORKERS).symlink_to(foreign)


def _link_to_a_directory(bundle: Path) -> None:
    foreign = bundle.parent / "foreign"
    (bundle / "nodes" / "worker-1").rename(foreign)
    (bundle / "nodes" / "worker-1").symlink_to(foreign)


def _unreadable_for_others(bundle: Path) -> None:
    (bundle / WORKERS).chmod(0o600)


@pytest.mark.parametrize("harm", [_link_to_a_file, _link_to_a_directory, _unreadable_for_others])
def test_a_file_that_is_not_as_a_new_one_would_be_is_written_anew(bundle: Path, harm: Callable[[Path], None]) -> None:
    fresh = stat.S_IMODE((bundle / WORKERS).stat().st_mode)
    text = (bundle / WORKERS).read_bytes()
    harm(bundle)
    before = (bundle / WORKERS).stat().st_ino

    assert again(bundle) == 0

    written = bundle / WORKERS
    assert (written.stat().st_ino != before, written.is_symlink()) == (True, False)
    assert os.path.realpath(written) == str(written.resolve())
    assert (written.read_bytes(), stat.S_IMODE(written.stat().st_mode)) == (text, fresh)
    assert not (bundle / "nodes" / "worker-1").is_symlink()
