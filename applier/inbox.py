"""The directory from which a watching applier takes bundles: looks whether it changed, and opens it with all checks."""

from collections.abc import Callable
from pathlib import Path

from bundle.directory import MANIFEST, Bundle

_Signature = tuple[tuple[int, int, int], ...]


class Inbox:
    """A bundle's directory, or a link to one, whose content others replace."""

    def __init__(self, directory: Path, check: Callable[[Path], Bundle | None], took: Callable[[Bundle], None]) -> None:
        """Takes what opens and checks a bundle, and what is told when one was applied."""
        self._directory = directory
        self._check = check
        self.took = took
        self._seen: _Signature | None = None

    def changed(self) -> bool:
        """Tells whether the manifest is another file than at the last call."""
        seen = self._look()
        changed, self._seen = seen != self._seen, seen
        return changed

    def open(self) -> Bundle | None:
        """Returns the bundle; None if it is one not to take.

        Raises:
            BundleError: It cannot be trusted. It is tried again when it changes: half of a copy is no bundle.
            RefusedError: The same.
        """
        return self._check(self._directory)

    def _look(self) -> _Signature:
        try:
            status = (self._directory / MANIFEST).stat()
        except OSError:
            return ()
        return ((status.st_ino, status.st_mtime_ns, status.st_size),)
