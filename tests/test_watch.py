"""`egressc apply --watch`: what somebody changes is back within a second, and new bundles are taken as they come."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from applier_bundles import NODE, State, state_a, state_b, write_bundle
from kernel_fixtures import Netns
from kernel_fixtures import netns as netns  # noqa: PLC0414  # a fixture is found under its name
from prometheus_client.parser import text_string_to_metric_families

from compiler.cli import main

pytestmark = pytest.mark.kernel

_PATIENCE = 20.0
"""Seconds until a test gives up; how quick it really is, the log tells."""


class Watcher:
    """A process that watches a namespace, and what it says."""

    def __init__(self, netns: Netns, folder: Path, process: "subprocess.Popen[str]") -> None:
        self._netns = netns
        self._log = folder / "log"
        self.folder = folder
        self.process = process

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def wait_for(self, name: str, count: int = 1) -> dict[str, Any]:
        """Waits until an event was logged so often; returns the last one."""
        event: dict[str, Any] = until(lambda: [each for each in self.events() if each["event"] == name][count - 1 :])[0]
        return event

    def offer(self, state: State) -> None:
        """Puts a new bundle where the old one was, as a tool does that replaces a link."""
        number = len(list(self.folder.iterdir()))
        new = write_bundle(self.folder / f"bundle-{number}", state)
        (self.folder / "link").unlink(missing_ok=True)
        (self.folder / "link").symlink_to(new)
        (self.folder / "link").rename(self.folder / "bundle")

    def metrics(self) -> dict[str, float]:
        families = text_string_to_metric_families((self.folder / "egressc.prom").read_text())
        return {sample.name: sample.value for family in families for sample in family.samples}


def until(find: Callable[[], list[Any]]) -> list[Any]:
    deadline = time.monotonic() + _PATIENCE
    while not (found := find()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
    return found


@contextmanager
def watching(netns: Netns, folder: Path, state: State | None) -> Iterator[Watcher]:
    folder.mkdir(exist_ok=True)
    code = "import sys; from compiler.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "apply", str(folder / "bundle"), "--node", NODE, "--netns", netns.name]
    command += ["--watch", "--log-format", "json", "--state-dir", str(folder / "state")]
    command += ["--metrics", str(folder / "egressc.prom")]
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log, text=True)
    watcher = Watcher(netns, folder, process)
    try:
        if state:
            watcher.offer(state)
            watcher.wait_for("applied")
        yield watcher
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(_PATIENCE) == 0, watcher.events()


DRIFT = {
    "rule": "ip rule delete priority 7300",
    "route": "ip route delete default table 7305 metric 100",
    "next hop": "ip route replace default via 172.18.4.200 dev eth0 table 7305 metric 100 proto 173",
    "address": "ip address delete 172.18.18.241/32 dev eth1",
    "table": "nft delete table inet egressc",
    "everything": "nft flush ruleset",
    "element": "nft delete element inet egressc source4 { 10.1.0.5 }",
    "foreign rule": "nft insert rule inet egressc guard accept",
    "foreign chain": "nft add chain inet egressc stranger",
    "setting": "sysctl -q -w net.ipv4.ip_forward=0",
    "interface": "sh -c 'ip link set eth0 down; ip link set eth0 up; ip address add fd00:4::11/64 dev eth0 nodad'",
}


def test_what_somebody_changes_is_back_within_a_second_and_logged(netns: Netns, tmp_path: Path) -> None:
    slowest: dict[str, float] = {}
    with watching(netns, tmp_path / "w", state_a()) as watcher:
        first = netns.dump()
        for number, (name, command) in enumerate(DRIFT.items(), 1):
            start = time.monotonic()
            netns.run(command)
            event = watcher.wait_for("drift_repaired", number)
            slowest[name] = time.monotonic() - start

            assert event["level"] == "warning"
            assert event["fields"]["steps"], name
            until(lambda: [True] if netns.dump() == first else [])
        metrics = watcher.metrics()
    assert metrics["egressc_drift_repairs_total"] == len(DRIFT)
    assert metrics["egressc_last_apply_success"] == 1
    assert metrics["egressc_virtual_ips_held"] == metrics["egressc_virtual_ips_wanted"] == 2
    # Of all, the most; one may have met a machine that was busy.
    assert sorted(slowest.values())[len(slowest) // 2] < 1, slowest


def test_a_rule_that_is_changed_and_keeps_its_comment_is_noticed(netns: Netns, tmp_path: Path) -> None:
    with watching(netns, tmp_path / "w", state_a()) as watcher:
        first = netns.dump()
        listing = netns.run("nft -a list chain inet egressc class_a")
        line = next(line for line in listing.splitlines() if "counter" in line)
        comment, handle = line.split('"')[1], line.rsplit(" ", 1)[1]
        netns.nft(f'replace rule inet egressc class_a handle {handle} counter accept comment "{comment}"')
        watcher.wait_for("drift_repaired")

        assert netns.dump() == first


def test_what_others_do_is_none_of_its_business(netns: Netns, tmp_path: Path) -> None:
    with watching(netns, tmp_path / "w", state_a()) as watcher:
        netns.nft("add table ip theirs; add chain ip theirs c { type filter hook forward priority 0; }")
        netns.run("ip route add 198.51.100.0/24 via 172.18.4.99")
        netns.run("ip rule add priority 99 fwmark 0x1/0xff lookup 99")
        netns.run("ip rule delete priority 7300")  # after which all of the above was heard too
        watcher.wait_for("drift_repaired")
        before = netns.dump()
        time.sleep(0.5)

        assert netns.dump() == before
        assert [event["event"] for event in watcher.events()].count("drift_repaired") == 1


def test_a_new_bundle_is_taken_and_a_bad_one_is_not(netns: Netns, tmp_path: Path) -> None:
    with watching(netns, tmp_path / "w", state_a()) as watcher:
        watcher.offer(state_b())
        watcher.wait_for("applied", 2)
        held = netns.dump()
        watcher.offer(state_a())
        watcher.wait_for("applied", 3)
        watcher.offer(state_b())
        watcher.wait_for("applied", 4)
        assert netns.dump() == held
        # A copy of which half has come.
        target = watcher.folder / "bundle-half"
        shutil.copytree(write_bundle(watcher.folder / "whole", state_a()), target)
        (target / "gateways.json").unlink()
        (watcher.folder / "link").symlink_to(target)
        (watcher.folder / "link").rename(watcher.folder / "bundle")
        assert "gateways.json" in watcher.wait_for("bundle_refused")["message"]
        netns.run("ip address delete 172.18.18.242/32 dev eth1")
        watcher.wait_for("drift_repaired")
        assert netns.dump() == held
        shutil.copy(watcher.folder / "whole" / "gateways.json", target)  # and the rest
        watcher.wait_for("applied", 5)

        assert netns.dump() != held


def go_on_and_back(watcher: Watcher, netns: Netns, capsys: pytest.CaptureFixture[str]) -> tuple[object, ...]:
    """Offers another bundle and rolls back from it; returns what was there before both."""
    first = netns.dump()
    watcher.offer(state_b())
    watcher.wait_for("applied", 2)
    state = str(watcher.folder / "state")
    assert main(["rollback", "--node", NODE, "--netns", netns.name, "--state-dir", state]) == 0, capsys.readouterr()
    return first


def test_what_was_rolled_back_is_not_brought_back(
    netns: Netns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with watching(netns, tmp_path / "w", state_a()) as watcher:
        first = go_on_and_back(watcher, netns, capsys)
        netns.run("ip rule delete priority 7300")
        watcher.wait_for("drift_repaired")

        assert netns.dump() == first


def test_what_was_held_is_held_again_after_a_boot_though_no_bundle_is_there(netns: Netns, tmp_path: Path) -> None:
    with watching(netns, tmp_path / "w", state_a()):
        first = netns.dump()
    (tmp_path / "w" / "bundle").unlink()
    assert main(["remove", "--node", NODE, "--netns", netns.name]) == 0  # what a boot does to the kernel
    with watching(netns, tmp_path / "w", None) as watcher:
        watcher.wait_for("drift_repaired")

        assert netns.dump() == first


def test_what_was_held_is_held_though_the_bundle_that_is_there_is_refused(
    netns: Netns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with watching(netns, tmp_path / "w", state_a()) as watcher:
        first = go_on_and_back(watcher, netns, capsys)
    assert main(["remove", "--node", NODE, "--netns", netns.name]) == 0  # what a boot does to the kernel
    with watching(netns, tmp_path / "w", None) as watcher:
        watcher.wait_for("apply_refused")
        watcher.wait_for("drift_repaired")

        assert netns.dump() == first


def test_what_was_taken_away_is_not_brought_back(netns: Netns, tmp_path: Path) -> None:
    with watching(netns, tmp_path / "w", state_a()) as watcher:
        # Stopped before it looks a first time at what it has just applied.
        watcher.process.send_signal(signal.SIGSTOP)
        state = str(watcher.folder / "state")
        assert main(["remove", "--node", NODE, "--netns", netns.name, "--state-dir", state]) == 0
        before = netns.dump()
        watcher.process.send_signal(signal.SIGCONT)
        time.sleep(1)

        assert netns.dump() == before
        assert netns.table() is None
        watcher.offer(state_b())
        watcher.wait_for("applied", 2)


def test_it_stops_when_asked_and_leaves_the_node_as_it_is(netns: Netns, tmp_path: Path) -> None:
    with watching(netns, tmp_path / "w", state_a()) as watcher:
        first = netns.dump()
        os.kill(watcher.process.pid, signal.SIGTERM)
        assert watcher.process.wait(_PATIENCE) == 0

        assert watcher.events()[-1]["event"] == "stopped"
        assert netns.dump() == first
