"""Enters a network namespace for the current thread and comes back."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_NAMED = Path("/run/netns")


@contextmanager
def entered(netns: str | None) -> Iterator[None]:
    """Runs the body in the network namespace; sockets that it opens and `/proc/sys/net` belong to that one.

    Args:
        netns: A path, such as `/proc/1/ns/net`, or the name of one under `/run/netns`; None stays where we are.

    Raises:
        OSError: There is no such namespace, or entering it is not allowed.
    """
    if netns is None:
        yield
        return
    with (
        Path("/proc/thread-self/ns/net").open("rb") as home,
        (Path(netns) if "/" in netns else _NAMED / netns).open("rb") as target,
    ):
        _setns(target.fileno())
        try:
            yield
        finally:
            _setns(home.fileno())


def _setns(descriptor: int) -> None:
    # os.setns exists from Python 3.12 only.
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
