"""What tells how far long work is; who listens is not for those who tell."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

_Item = TypeVar("_Item")


class Progress(Protocol):
    """Is called when another stage begins, and within it as often as one likes: both cost next to nothing."""

    def __call__(self, stage: str, done: int = 0, total: int = 0, /) -> None:
        """Tells where the work is.

        Args:
            stage: What is being done, such as `verifying nodes`.
            done: How many are done.
            total: Of how many; 0 where there is nothing to count.
        """


def silent(_stage: str, _done: int = 0, _total: int = 0, /) -> None:
    """Tells nobody."""


def counted(items: Sequence[_Item], stage: str, progress: Progress) -> Iterator[_Item]:
    """Yields the items, and tells which one is asked for: a stage that is given this knows nothing of progress."""
    for done, item in enumerate(items):
        progress(stage, done, len(items))
        yield item
