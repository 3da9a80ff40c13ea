"""Markdown as pull requests show it: folded blocks whose text cannot end them, and a budget of bytes for all."""

import html
import re
from collections.abc import Iterable
from typing import Final

from bundle.text import printable

LARGEST: Final = 60_000
"""Bytes of a comment on a pull request; GitHub takes 65,536 letters."""

_TICKS: Final = re.compile("`+")
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|~&@])")


def fenced(lines: Iterable[str], language: str = "diff") -> str:
    """Returns lines in a fence that nothing in them can end."""
    body = [printable(line) for line in lines]
    longest = max((len(run) for line in body for run in _TICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join((f"{fence}{language}", *body, fence, ""))


def folded(summary: str, body: str, *, unfolded: bool = False) -> str:
    """Returns a block that a click opens.

    Args:
        summary: The line that is always seen, as plain text.
        body: Markdown.
        unfolded: Whether it is open from the start.
    """
    tag = "<details open>" if unfolded else "<details>"
    return f"{tag}<summary>{html.escape(printable(summary))}</summary>\n\n{body}\n</details>\n"


def escaped(text: str) -> str:
    """Returns text that Markdown shows as it is, on one line that begins with something else."""
    return _SPECIAL.sub(r"\\\1", printable(text))
