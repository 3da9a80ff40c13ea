"""One apply at a time in a network namespace: an advisory lock that the kernel lets go when its holder dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from applier.directories import runtime_directory
from applier.errors import RefusedError

_PAUSE = 0.05  # seconds between two tries


@contextmanager
def locked(wait: float) -> Iterator[None]:
    """Runs the body while nobody else applies to the network namespace of the calling thread.

    Args:
        wait: Seconds to wait for another apply to end.

    Raises:
        RefusedError: Another apply was at work all that time.
    """
    own = Path("/proc/thread-self/ns/net")
    home = runtime_directory()
    # Without a directory of root's own the namespace itself is what is locked, which any process in it could hold.
    path = own if home is None else home / f"net-{own.stat().st_ino}.lock"
    flags = os.O_RDONLY if home is None else os.O_RDWR | os.O_CREAT
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RefusedError(f"{path}: the lock cannot be taken: {error.strerror}; nothing was touched") from None
    try:
        deadline = time.monotonic() + wait
        while not _try(descriptor):
            if time.monotonic() >= deadline:
                raise RefusedError(
                    f"another egressc is applying to this node{_holder(descriptor)}, and did not end within "
                    f"{wait:g} s; nothing was touched, try again"
                )
            time.sleep(_PAUSE)
        if home is not None:
            with suppress(OSError):  # it is for a message only
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    try:
        text = os.pread(descriptor, 20, 0).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return f" (process {text})" if text.isdigit() else ""
