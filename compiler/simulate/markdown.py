"""A story as Markdown, for a comment on a pull request: GitHub's and GitLab's tables, and no longer than they take."""

import re
from typing import Final

from bundle.text import printable
from compiler.simulate.story import Story, Table

_LIMIT: Final = 60_000
"""Bytes; GitHub refuses comments of more than 65,536 characters."""

_SHOWN: Final = (50, 20, 8, 2)
"""Rows of each table that are shown; fewer and fewer, until the whole is short enough."""

_LONGEST: Final = 300
"""Letters of a cell; names have up to 253, messages that list several may have any number."""

_MEANS_SOMETHING: Final = re.compile(r"[\\`*_{}\[\]<>#|&~$@]")
"""What Markdown, its tables, HTML in it, mentions or formulas might take for theirs; all may be escaped by `\\`."""


def story_markdown(story: Story) -> str:
    """Returns the headline in bold, then notes and tables."""
    written = (_lay_out(story, shown) for shown in _SHOWN)
    return next((text for text in written if len(text.encode()) <= _LIMIT), _lay_out(story, 0))


def _lay_out(story: Story, shown: int) -> str:
    notes = "\n".join(f"- {escaped(note)}" for note in story.notes)
    tables = (_table(table, shown) for table in story.tables)
    return "\n\n".join(filter(None, (f"**{escaped(story.headline)}**", notes, *tables))) + "\n"


def _table(table: Table, shown: int) -> str:
    rows = (_row(row) for row in table.rows[:shown])
    more = len(table.rows) - shown
    lines = (
        f"#### {escaped(table.title)}",
        "",
        *((_row(table.columns), _row(["---"] * len(table.columns)), *rows) if shown else ()),
        *(("", f"and {more} more") if more > 0 else ()),
    )
    return "\n".join(lines)


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cell if cell == '---' else escaped(cell) for cell in cells)} |"


def escaped(text: str) -> str:
    """Returns text on one line that Markdown shows as it is, cut where it is very long."""
    cut = f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text
    return _MEANS_SOMETHING.sub(r"\\\g<0>", printable(cut))
