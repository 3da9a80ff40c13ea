"""A diff as lines for a terminal, and as Markdown for a pull request; as a value for JSON, see `output`."""

from collections.abc import Iterator

from bundle.text import printable
from compiler.diff.difference import Difference
from compiler.diff.groups import group as group_nodes
from compiler.diff.nodeforms import Line, nodes_markdown, nodes_text
from compiler.diff.sections import Entry, Section, headline, sections
from compiler.gates import Gate
from compiler.markdown import LARGEST, escaped, fenced, folded

_MOST_LINES = 200
_LONGEST = 500
"""Letters of a line of Markdown."""
_FOR_PEOPLE = 30_000
"""Bytes of Markdown for what it means for traffic; the nodes get what is left."""


def diff_text(difference: Difference) -> Iterator[Line]:
    """Gives the lines: first what it means for traffic, then node by node."""
    yield _plain(f"{difference.old} -> {difference.new}: {headline(difference)}")
    for section in sections(difference):
        yield _plain("")
        yield _plain(f"{section.title}: {section.count}")
        yield from _cut(section, _MOST_LINES)
    if difference.nodes:
        yield _plain("")
        yield _plain("nodes' files")
        yield from nodes_text(group_nodes(difference.nodes))


def diff_markdown(difference: Difference, met: frozenset[Gate]) -> str:
    """Returns a comment for a pull request, of `LARGEST` bytes at most.

    Args:
        difference: What differs.
        met: Those gates of `--fail-on` that are met.
    """
    parts = [f"### egressc: {escaped(headline(difference))}\n", f"{_name(difference.old)} → {_name(difference.new)}\n"]
    if met:
        parts.append(f"**Stopped by** {', '.join(f'`{gate}`' for gate in sorted(met))}\n")
    found = list(sections(difference))
    if found:
        rows = "\n".join(f"| {escaped(section.title)} | {section.count} |" for section in found)
        parts.append(f"| what changes | how much |\n|---|---:|\n{rows}\n")
    left = _FOR_PEOPLE - sum(len(part.encode()) + 1 for part in parts)
    for index, section in enumerate(found):
        part = _folded(section, left // (len(found) - index), unfolded=index == 0)
        left -= len(part.encode()) + 1
        parts.append(part)
    if difference.nodes:
        head = "#### Nodes' files\n"
        budget = LARGEST - sum(len(part.encode()) + 1 for part in (*parts, head))
        parts += [head, nodes_markdown(group_nodes(difference.nodes), budget)]
    return "\n".join(parts)


def _plain(text: str) -> Line:
    return Line(" ", 0, text)


def _cut(section: Section, most: int) -> Iterator[Line]:
    """Gives so many lines of a section, and says how many entries are left out."""
    left = most
    for number, entry in enumerate(section.entries):
        left -= len(entry.lines) + 1
        if left < 0 and number:
            yield Line(" ", 1, f"… and {len(section.entries) - number:,} more; --format json has them all")
            return
        yield from _entry(entry)


def _entry(entry: Entry) -> Iterator[Line]:
    one_line = len(entry.lines) == 1 and not entry.lines[0][0]
    yield Line(entry.sign, 1, f"{entry.title}: {entry.lines[0][1]}" if one_line else entry.title)
    for word, text in () if one_line else entry.lines:
        yield Line(" ", 3, f"{word}: {text}" if word else text)


def _folded(section: Section, budget: int, *, unfolded: bool) -> str:
    """Returns a section in so many bytes, with as many of its lines as have room."""
    summary = f"{section.title}: {section.count}"
    most = _MOST_LINES
    while most:
        lines = [f"{line.sign}{'  ' * line.depth}{_shortened(line.text)}" for line in _cut(section, most)]
        part = folded(summary, fenced(lines), unfolded=unfolded)
        if len(part.encode()) <= budget:
            return part
        most //= 2
    return f"{escaped(summary)}: left out here for want of room; `--format json` has it.\n"


def _shortened(text: str) -> str:
    return f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text


def _name(side: str) -> str:
    return f"`{printable(side).replace('`', chr(39))}`"
