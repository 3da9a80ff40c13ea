"""The benchmarks run, on the smallest size; what they measure is not tested."""

import subprocess
import sys
from subprocess import CompletedProcess

import pytest
from conftest import ROOT


def _bench(*arguments: str) -> CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def _rows(printed: str) -> list[str]:
    """Returns what the rows of tables are about."""
    lines = [line for line in printed.splitlines() if line.startswith("| ")]
    labels = [line.split("|")[1].strip() for line in lines]
    return [label for label in labels if label not in ("what", "from .. to") and label.strip("-")]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("compile", 5),
        ("verify", 2),
        ("review", 8),
        ("start", 4),
    ],
)
def test_a_benchmark_prints_a_row_for_all_that_it_measures(name: str, rows: int) -> None:
    done = _bench(f"bench.{name}", "--sizes", "S", "--rounds", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(_rows(done.stdout)) == rows


def test_a_change_of_one_workload_writes_a_few_files_and_no_change_writes_none() -> None:
    done = _bench("bench.previous", "--sizes", "S", "--rounds", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    written = [int(line.split("|")[6]) for line in done.stdout.splitlines() if line.startswith("| S: ")]
    assert written[0] > written[2] > written[1] == 0
    assert written[2] > 2, "beside the manifest and the list of workloads the nodes that it concerns"


def test_the_frame_names_the_machine_and_then_prints_what_is_named() -> None:
    done = _bench("bench", "start", "--rounds", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("- ")
    assert " cores" in done.stdout.splitlines()[0]
    assert f"Python {sys.version.split()[0]}" in done.stdout.splitlines()[1]
    assert [line for line in done.stdout.splitlines() if line.startswith("#")] == ["### start"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "no benchmark 'nothing'"),
        (["start", "--rounds", "0"], "at least 1"),
        (["start", "--write", "page.md"], "name no benchmarks"),
        (["--write", "nowhere.md"], "nowhere.md"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(arguments: list[str], said: str) -> None:
    done = _bench("bench", *arguments)

    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.kernel
def test_small_changes_of_a_small_gateway_are_measured() -> None:
    script = (
        "from bench.apply import Size, measure_applies; size = Size(20, 3); "
        "print(*measure_applies([size], 1)[size], sep=';')"
    )
    command = ["unshare", "-n", sys.executable, "-c", script]

    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 0, done.stdout + done.stderr
    assert {"nft -f", "load all", "one more, in nft", "one less"} <= set(done.stdout.strip().split(";"))
