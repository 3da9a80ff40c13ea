"""Golden cases: the bytes of the whole bundle, what is said about it, and the packets that prove it."""

import subprocess
from functools import cache
from pathlib import Path

import pytest
from conftest import GOLDEN, GOLDEN_CASES
from examined import assertions_of, failures_of
from golden_files import GoldenFiles
from syrupy.assertion import SnapshotAssertion

from bundle.codec import decode
from bundle.directory import GATEWAYS
from bundle.model import Gateways
from compiler import report
from compiler.files import write_bundle
from compiler.pipeline import compile_cluster, read_cluster, sort

CASE_FILES = {"summary.txt", "diagnostics.txt"}


@cache
def compiled(case: str) -> dict[str, bytes]:
    """All files of the case's `expected/`, as they are compiled now."""
    reading = read_cluster([str(GOLDEN / case / "input")])
    assert reading.cluster is not None, reading.findings
    result = compile_cluster(reading.cluster)
    assert result.files is not None, result.findings
    findings = report.findings_text(sort(reading.findings + result.findings), reading.sources)
    return {
        **result.files,
        "summary.txt": report.summary(decode(Gateways, result.files[GATEWAYS])).encode(),
        "diagnostics.txt": findings.replace(f"{GOLDEN / case}/", "").encode(),
    }


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_bundle_is_the_golden_one(case: str, snapshot: SnapshotAssertion, request: pytest.FixtureRequest) -> None:
    golden = snapshot.use_extension(GoldenFiles)
    expected = GOLDEN / case / "expected"

    for path, content in compiled(case).items():
        assert content == golden(name=f"{case}/expected/{path}")
    if not request.config.option.update_snapshots:
        present = {path.relative_to(expected).as_posix() for path in expected.rglob("*") if path.is_file()}
        assert present == set(compiled(case))


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_packets_meet_their_fate_in_the_emitted_files(case: str) -> None:
    reading = read_cluster([str(GOLDEN / case / "input")])
    assert reading.cluster is not None, reading.findings
    packets = (GOLDEN / case / "packets.yaml").read_bytes()

    assert assertions_of(packets)
    assert failures_of(reading.cluster, packets) == ""


@pytest.mark.kernel
@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_every_ruleset_loads_on_an_empty_node_and_over_itself(case: str, tmp_path: Path) -> None:
    files = {path: content for path, content in compiled(case).items() if path not in CASE_FILES}
    write_bundle(files, tmp_path / "bundle")
    script = """
        for ruleset in "$1"/nodes/*/ruleset.nft; do
            nft --check --file "$ruleset" && nft --file "$ruleset" && nft --stateless list ruleset >"$1.first" &&
            nft --file "$ruleset" && nft --stateless list ruleset >"$1.second" &&
            cmp "$1.first" "$1.second" && nft flush ruleset || exit 1
        done
    """
    command = ["unshare", "--net", "sh", "-c", script, "sh", str(tmp_path / "bundle")]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
