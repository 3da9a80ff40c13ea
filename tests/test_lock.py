"""One apply at a time in a namespace: who comes second waits, gives up clearly, and is not kept out by the dead."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from applier_bundles import NODE, state_a, write_bundle
from kernel_fixtures import Netns
from kernel_fixtures import netns as netns  # noqa: PLC0414  # a fixture is found under its name
from kernel_fixtures import run as run_command

from applier.lock import locked
from applier.netns import entered
from compiler.cli import main

pytestmark = pytest.mark.kernel


@contextmanager
def holder(namespace: str) -> Iterator[int]:
    """A process that holds the lock of a namespace for as long as it lives; gives its number."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with entered(namespace), locked(0):
                os.write(tell, b"!")
                time.sleep(60)
        finally:
            os._exit(1)
    try:
        assert os.read(ready, 1) == b"!"
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_the_second_gives_up_with_a_clear_message_and_touches_nothing(
    netns: Netns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path / "bundle", state_a())
    before = netns.dump()
    with holder(netns.name) as pid:
        for command in (["apply", str(bundle)], ["apply", str(bundle), "--dry-run"], ["remove"]):
            assert main([*command, "--node", NODE, "--netns", netns.name, "--wait", "0.1"]) == 2
            out, err = capsys.readouterr()
            assert out == ""
            assert err.startswith(
                f"egressc {command[0]}: another egressc is applying to this node (process {pid}), and"
            )
            assert err.endswith("did not end within 0.1 s; nothing was touched, try again\n")
    assert netns.dump() == before


def test_the_second_waits_until_the_first_ends_even_if_it_is_killed(netns: Netns, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", state_a())
    with holder(netns.name) as pid:
        killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
        killer.start()
        start = time.monotonic()
        status = main(["apply", str(bundle), "--node", NODE, "--netns", netns.name, "--wait", "30"])
        killer.join()

        assert status == 0
        assert time.monotonic() - start > 0.25


def test_another_namespace_is_another_node(netns: Netns, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", state_a())
    other = f"{netns.name}-other"
    run_command(["ip", "netns", "add", other])
    try:
        with holder(other):
            assert main(["apply", str(bundle), "--node", NODE, "--netns", netns.name, "--wait", "0"]) == 0
    finally:
        run_command(["ip", "netns", "delete", other])


def test_many_at_once_leave_what_one_of_them_wanted(netns: Netns, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", state_a())
    children = []
    for _ in range(6):
        pid = os.fork()
        if pid == 0:
            status = 99
            try:
                status = main(["apply", str(bundle), "--node", NODE, "--netns", netns.name, "--wait", "60"])
            finally:
                os._exit(status)
        children.append(pid)

    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 6
    assert main(["apply", str(bundle), "--node", NODE, "--netns", netns.name, "--dry-run"]) == 0
