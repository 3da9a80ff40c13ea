"""A story as text, for a terminal."""

from typing import Final

from bundle.text import printable
from compiler.simulate.story import Story, Table

_SHOWN: Final = 25


def story_text(story: Story) -> str:
    """Returns the headline first, then notes and tables; of long tables the first rows, and how many more there are."""
    parts = ["\n".join(printable(line) for line in (story.headline, *story.notes)), *map(_table, story.tables)]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    rows = [tuple(map(printable, row)) for row in (table.columns, *table.rows[:_SHOWN])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    more = len(table.rows) - _SHOWN
    if more > 0:
        lines.append(f"and {more} more")
    return "\n".join((f"{table.title}:", *(f"  {line}" for line in lines)))
