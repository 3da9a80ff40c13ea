"""What changed in a network namespace while a test looked on, in the kernel's own words: the proof if nothing did."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kernel_fixtures import Netns

_MONITORS = {"nft": "nft monitor", "ip": "ip monitor address route rule"}
_PATIENCE = 60  # seconds for a message of the kernel to come through, on a slow machine


class Watch:
    """Two monitors of a namespace; beginning and end are marked in what they tell.

    Marks are tables `probe…` and addresses of 192.0.2.0/24 on `lo`.
    """

    def __init__(self, netns: Netns, logs: tuple[Path, ...]) -> None:
        self._netns = netns
        self._logs = logs
        self._marks = 0

    def begin(self) -> None:
        """Waits until both monitors listen: they miss what happens before."""
        end = time.monotonic() + _PATIENCE
        while not all("probe" in text or "192.0.2." in text for text in self._texts()):
            assert time.monotonic() < end, "the monitors tell nothing"
            self._mark()

    def changes(self) -> list[str]:
        """Returns all that was written since the beginning but the marks."""
        self._mark()
        last = (f"probe{self._marks}\n", f"192.0.2.{self._marks}/32")
        end = time.monotonic() + _PATIENCE
        while not all(mark in text for mark, text in zip(last, self._texts(), strict=True)):
            assert time.monotonic() < end, "the monitors do not tell the end"
        lines = [line for text in self._texts() for line in text.splitlines()]
        return [line for line in lines if not ("probe" in line or "192.0.2." in line or line.startswith(("#", " ")))]

    def _mark(self) -> None:
        self._marks += 1
        self._netns.nft(f"add table inet probe{self._marks}")
        self._netns.run(f"ip address add 192.0.2.{self._marks}/32 dev lo")

    def _texts(self) -> tuple[str, ...]:
        return tuple(log.read_text() for log in self._logs)


@contextmanager
def watched(netns: Netns, directory: Path) -> Iterator[Watch]:
    """Watches nftables, addresses, routes and rules of a namespace."""
    logs = tuple(directory / f"monitor-{name}" for name in _MONITORS)
    with ExitStack() as stack:
        for log, command in zip(logs, _MONITORS.values(), strict=True):
            with log.open("wb") as file:
                words = ["ip", "netns", "exec", netns.name, *command.split()]
                process = stack.enter_context(subprocess.Popen(words, stdout=file))
            stack.callback(process.kill)
        watch = Watch(netns, logs)
        watch.begin()
        yield watch
