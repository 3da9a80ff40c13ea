"""A story as text, for a terminal."""

from typing import Final

from bundle.style import PLAIN, Style
from bundle.text import printable
from compiler.simulate.story import Story, Table

_SHOWN: Final = 25


def story_text(story: Story, style: Style = PLAIN) -> str:
    """Returns the headline first, then notes and tables; of long tables the first rows, and how many more there are."""
    first = "\n".join((style.strong(printable(story.headline)), *map(printable, story.notes)))
    return "\n\n".join((first, *(_table(table, style) for table in story.tables))) + "\n"


def _table(table: Table, style: Style) -> str:
    rows = [tuple(map(printable, row)) for row in (table.columns, *table.rows[:_SHOWN])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines[0] = style.faint(lines[0])
    more = len(table.rows) - _SHOWN
    if more > 0:
        lines.append(f"and {more:,} more")
    return "\n".join((style.strong(f"{table.title}:"), *(f"  {line}" for line in lines)))
