"""What the last apply left in the kernel, kept beside it until the next boot: it saves work and is never the truth.

The kernel's generation of the ruleset tells whether anybody has changed anything since; if so, or if there is no
record, everything is read. A record belongs to one network namespace of one boot, by the kernel's own cookie for it.
"""

import contextlib
import hashlib
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from applier.directories import runtime_directory
from bundle.disk import replace_file

_SO_NETNS_COOKIE = 71  # Linux 5.14
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Record:
    """What held when an apply had ended.

    Attributes:
        generation: Of the ruleset, as the kernel counts.
        ruleset_text: The node's ruleset.nft.
        texts: Comment of each rule to how nft prints the rule.
    """

    generation: int
    ruleset_text: str
    texts: Mapping[str, str]


class Records:
    """The record of the network namespace in which this object is made; without a place for it, there is none."""

    def __init__(self, directory: Path | None = None) -> None:
        self._head: Path | None = None
        self._read: tuple[tuple[object, ...], Record | None] = ((), None)
        home = runtime_directory() if directory is None else directory
        with contextlib.suppress(OSError):
            self._boot = _BOOT.read_text("ascii").strip()
            with socket.socket(socket.AF_UNIX) as own:
                cookie = int.from_bytes(own.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8), "little")
            if home is not None:
                self._head = home / f"net-{cookie}.json"

    def load(self) -> Record | None:
        """Returns the record, None if there is none that can be believed."""
        if self._head is None:
            return None
        try:
            # Each save makes other files; what was read of these, which may be megabytes, need not be read again.
            seen = self._seen(self._head)
        except OSError:
            return None
        if seen != self._read[0]:
            self._read = (seen, self._load(self._head))
        return self._read[1]

    def _load(self, path: Path) -> Record | None:
        try:
            head = json.loads(path.read_text())
            text = path.with_suffix(".nft").read_text()
            if head["boot"] == self._boot and head["sha256"] == _digest(text):
                return Record(int(head["generation"]), text, dict(head["texts"]))
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    @staticmethod
    def _seen(path: Path) -> tuple[object, ...]:
        return tuple(_looks(each) for each in (path, path.with_suffix(".nft")))

    def save(self, record: Record) -> None:
        """Keeps a record; what cannot be kept is left, and the next apply reads everything."""
        if self._head is None:
            return
        head = {
            "boot": self._boot,
            "generation": record.generation,
            "sha256": _digest(record.ruleset_text),
            "texts": dict(record.texts),
        }
        with contextlib.suppress(OSError):
            replace_file(self._head.with_suffix(".nft"), record.ruleset_text.encode(), 0o600)
            replace_file(self._head, json.dumps(head).encode(), 0o600)
            self._read = (self._seen(self._head), record)

    def forget(self) -> None:
        """Drops the record."""
        if self._head is not None:
            with contextlib.suppress(OSError):
                self._head.unlink()
                self._head.with_suffix(".nft").unlink()


def _looks(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
