"""The benchmarks run, on the smallest size; what they measure is not tested."""

import subprocess
import sys

from conftest import ROOT

from bench.clusters import Size, make_cluster


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


def test_the_same_numbers_give_the_same_cluster() -> None:
    size = Size(nodes=4, workloads=9, policies=3, gateways=2, gateway_nodes=3)

    assert make_cluster(size) == make_cluster(size)
    assert make_cluster(size) != make_cluster(size, seed=1)
