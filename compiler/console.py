"""How much a command says beside its results, and how it looks: `-q`, `-v`, `--color`, and a line of progress.

Results go to standard output by the command itself. Everything here goes to standard error.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock, Timer
from typing import Final, TextIO

from bundle.style import Style
from bundle.text import printable_lines
from compiler.progress import Progress, silent

PATIENCE: Final = 1.0
"""Seconds of work that need no explanation."""

PAUSE: Final = 0.1
"""Seconds between two drawings of the line, which nobody could read faster."""

_ERASE: Final = "\r\x1b[K"


@dataclass(frozen=True, slots=True)
class Console:
    """What the options of a command say about its output.

    Attributes:
        quiet: Say nothing but results and errors.
        verbose: Say more than is needed.
        out: How standard output looks.
        err: How standard error looks.
    """

    quiet: bool
    verbose: bool
    out: Style
    err: Style

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Console":
        """Reads the options that every command of the compiler has."""
        choice: str = arguments.color
        return cls(
            arguments.quiet,
            arguments.verbose,
            Style(_takes_colour(sys.stdout, choice)),
            Style(_takes_colour(sys.stderr, choice)),
        )

    def note(self, text: str) -> None:
        """Says what is good to know; not with `-q`."""
        if not self.quiet:
            sys.stderr.write(f"{printable_lines(text)}\n")

    def detail(self, text: str) -> None:
        """Says what is asked for by `-v` only."""
        if self.verbose:
            sys.stderr.write(f"{printable_lines(text)}\n")

    @contextmanager
    def working(self) -> Iterator[Progress]:
        """Shows how far the work inside is: on a terminal a line that comes after a second and is gone at the end.

        With `-v` each stage and its seconds stay. Nothing else may be printed inside.
        """
        live = not self.quiet and _obeys(sys.stderr)
        if not live and not self.verbose:
            yield silent
            return
        line = _Line(sys.stderr, live=live, stages=self.verbose)
        try:
            yield line
        finally:
            line.close()


def _takes_colour(stream: TextIO, choice: str) -> bool:
    if choice != "auto":
        return choice == "always"
    return _obeys(stream) and not os.environ.get("NO_COLOR")


def _obeys(stream: TextIO) -> bool:
    """Whether a stream is a terminal that does what an escape sequence says."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class _Line:
    """The line of progress on a terminal, and with `-v` the lines of the stages that have ended."""

    def __init__(self, stream: TextIO, *, live: bool, stages: bool) -> None:
        self._stream = stream
        self._stages = stages
        self._lock = Lock()
        self._stage = ""
        self._text = ""
        self._began = time.monotonic()
        self._drawn = 0.0
        self._visible = False
        self._open = False
        # A stage may take its time before it tells anything more.
        self._timer = Timer(PATIENCE, self._appear) if live else None
        if self._timer:
            self._timer.daemon = True
            self._timer.start()

    def __call__(self, stage: str, done: int = 0, total: int = 0, /) -> None:
        now = time.monotonic()
        with self._lock:
            if stage != self._stage:
                self._end_stage(now)
                self._stage = stage
            elif not self._open or now - self._drawn < PAUSE:
                return
            self._text = f"{stage}: {done} of {total}" if total else stage
            if self._open:
                self._draw(now)

    def close(self) -> None:
        """Erases the line, and says how long the last stage took."""
        if self._timer:
            self._timer.cancel()
        with self._lock:
            self._open = False
            self._end_stage(time.monotonic())
            self._erase()
            with suppress(OSError):
                self._stream.flush()

    def _appear(self) -> None:
        with self._lock:
            if self._timer and not self._timer.finished.is_set():
                self._open = True
                self._draw(time.monotonic())

    def _end_stage(self, now: float) -> None:
        if self._stages and self._stage:
            self._erase()
            self._stream.write(f"{self._stage}: {now - self._began:.2f} s\n")
        self._began = now

    def _draw(self, now: float) -> None:
        width = _columns(self._stream)
        with suppress(OSError):  # a terminal that has gone away ends nothing
            self._stream.write(f"{_ERASE}{self._text[: width - 1]}")
            self._stream.flush()
        self._visible, self._drawn = True, now

    def _erase(self) -> None:
        if self._visible:
            with suppress(OSError):
                self._stream.write(_ERASE)
            self._visible = False


def _columns(stream: TextIO) -> int:
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or 80
    return 80
