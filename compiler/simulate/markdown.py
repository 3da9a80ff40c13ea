"""A story as Markdown, for a comment on a pull request: tables, and no longer than such a comment may be."""

from collections.abc import Sequence
from typing import Final

from compiler.gates import Gate
from compiler.markdown import LARGEST, escaped
from compiler.simulate.story import Story, Table

_SHOWN: Final = (50, 20, 8, 2)
"""Rows of each table that are shown; fewer and fewer, until the whole is short enough."""

_LONGEST: Final = 300
"""Letters of a cell; names have up to 253, messages that list several may have any number."""


def story_markdown(story: Story, met: frozenset[Gate] = frozenset()) -> str:
    """Returns the headline, then notes and tables.

    Args:
        story: What there is to tell.
        met: Those gates of `--fail-on` that are met.
    """
    written = (_lay_out(story, met, shown) for shown in _SHOWN)
    return next((text for text in written if len(text.encode()) <= LARGEST), _lay_out(story, met, 0))


def _lay_out(story: Story, met: frozenset[Gate], shown: int) -> str:
    stopped = f"**Stopped by** {', '.join(f'`{gate}`' for gate in sorted(met))}" if met else ""
    notes = "\n".join(f"- {_cell(note)}" for note in story.notes)
    tables = (_table(table, shown) for table in story.tables)
    return "\n\n".join(filter(None, (f"### egressc: {_cell(story.headline)}", stopped, notes, *tables))) + "\n"


def _table(table: Table, shown: int) -> str:
    more = len(table.rows) - shown
    lines = [f"#### {_cell(table.title)}", ""]
    if shown:
        lines += [_row(table.columns), f"|{'---|' * len(table.columns)}", *map(_row, table.rows[:shown])]
    if more > 0:
        lines += ["", f"and {more:,} more"]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return escaped(f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text)
