"""The benchmarks run, on the smallest size; what they measure is not tested."""

import subprocess
import sys

import pytest
from conftest import ROOT


def test_a_small_cluster_is_compiled_and_verified() -> None:
    command = [sys.executable, "-m", "bench.verify", "S"]

    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 0, done.stderr
    assert [line.split()[4] for line in done.stdout.splitlines()[1:]] == ["compile", "verify"]


def test_a_change_of_a_small_cluster_is_reviewed() -> None:
    command = [sys.executable, "-m", "bench.review", "S"]

    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nS ") == 7


def test_the_start_of_the_applier_is_measured() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.start", "1"], capture_output=True, text=True, check=False, cwd=ROOT
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "egressc-node.pyz apply" in done.stdout


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
