"""Changes of nodes as lines of text, as Markdown and as values for JSON.

Text and Markdown show so much that a person reads it, and say how much they leave out; JSON has everything.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

from compiler.diff.change import KINDS, Change, Sign
from compiler.diff.groups import Group, Pattern, pattern
from compiler.markdown import fenced, folded
from compiler.outputs import NodeChangeOutput, NodeGroupOutput

GROUPS: Final = 20
"""Groups that text shows: those with the most nodes."""
LINES: Final = 40
"""Lines that are shown of a group."""
_NAMED: Final = 3
_WORDING: Final = "only the wording of the files differs: what they do is the same"
_LEFT_OUT: Final = 300
"""Bytes of Markdown that are kept for saying what was left out."""

_ABOUT: Final = {
    "map source": "workloads to their classes",
    "map remoteroute": "by destination",
    "map remoteclass": "other nodes' classes to their buckets",
    "map remote": "other nodes' workloads to their classes",
    "map route": "by destination",
    "map translation": "the translation of a mark",
    "set cluster": "destinations that are never redirected",
    "set stray": "workloads' addresses that may come from other nodes",
    "set nexthop": "the next hop of a mark",
    "set translated": "the source address of a mark",
    "set owned": "source addresses of gateways",
    "set masqueraded": "the interface on which a mark is masqueraded",
    "mark": "numbers of next hops and gateways, as this node hands them out",
    "class": "workloads of this node (local) and of others (remote), by their policies",
    "InternalIP": "addresses under which other nodes hand packets to this one",
}
"""What stands at a place, by how its name begins."""

_VERDICTS: Final = {
    "return": "its ordinary way",
    "goto to_": "sent to that node",
    "goto gateway_": "leaves here",
    "goto drop_no_gateway": "dropped: the gateway has no node",
    "goto drop_no_source": "dropped: the gateway has no source address of this family",
    "goto drop_no_next_hop": "dropped: no way to the gateway's node",
    "goto drop_stray": "dropped: not let out here",
    "goto drop_contested": "dropped: the address is another workload's too",
}
_REST: Final = ("return", "goto drop_stray")
"""What is done with destinations that no policy decides, at the workload's node and at the gateway's."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line for people.

    Attributes:
        sign: `+`, `-`, `~`, `!` for what is grave, or a space where the line is no change.
        depth: How far it is indented.
        text: Without both.
    """

    sign: Sign | Literal[" ", "!"]
    depth: int
    text: str

    def __str__(self) -> str:
        return "  " * self.depth + (self.text if self.sign == " " else f"{self.sign} {self.text}")


def nodes_text(groups: Sequence[Group], *, shown: int = GROUPS, lines: int = LINES) -> tuple[Line, ...]:
    """Returns the groups for people, each after a line that names its nodes.

    Args:
        groups: From `group`.
        shown: How many groups.
        lines: How many lines of each.
    """
    result = [line for item in groups[:shown] for line in _cut(group_lines(item), lines)]
    if rest := groups[shown:]:
        result.append(Line(" ", 0, f"{_more(rest)} not shown; --format json has them all"))
    return tuple(result)


def nodes_markdown(groups: Sequence[Group], budget: int, *, lines: int = LINES) -> str:
    """Returns the groups as Markdown that is folded, group by group.

    Args:
        groups: From `group`.
        budget: Bytes that the result may have.
        lines: How many lines of each group.
    """
    parts: list[str] = []
    left_out: list[Group] = []
    left = budget - _LEFT_OUT
    for item in groups:
        part = _details(item, lines)
        if (size := len(part.encode())) > left:
            part = _details(item, 0)
            size = len(part.encode())
        if size > left:
            left_out.append(item)
            continue
        parts.append(part)
        left -= size
    if left_out:
        parts.append(f"{_more(left_out)} left out here for want of room; `--format json` has them all.\n")
    text = "\n".join(parts)
    return text if len(text.encode()) <= budget else ""


def nodes_json(groups: Iterable[Group]) -> list[NodeGroupOutput]:
    """Returns the groups as they stand in JSON, with all that there is."""
    return [
        {
            "state": item.state,
            "nodes": [node for node, _ in item.nodes],
            "changes": [change_json(change) for change in item.changes],
            "own": {node: [change_json(change) for change in own] for node, own in item.nodes if own},
        }
        for item in groups
    ]


def change_json(change: Change) -> NodeChangeOutput:
    """Returns a change as it stands in JSON."""
    return {
        "kind": change.kind,
        "place": change.place,
        "subject": change.subject,
        "before": change.before,
        "after": change.after,
        "note": change.note,
    }


def group_lines(item: Group) -> Iterator[Line]:
    """Yields all that there is to say of a group, the names of its nodes first."""
    signs: dict[str, Sign] = {"added": "+", "removed": "-", "changed": "~"}
    yield Line(signs[item.state], 0, _title(item))
    sections = [*_own(item), *_sections(item.changes)]
    if not sections:
        yield Line(" ", 1, _WORDING)
    for section in sorted(sections, key=lambda section: section.order):
        yield from section.lines


def change_lines(changes: Iterable[Change]) -> Iterator[Line]:
    """Yields the changes of one node under the places where they are."""
    for section in _sections(changes):
        yield from section.lines


@dataclass(frozen=True, slots=True)
class _Section:
    """What there is to say of one place."""

    order: int
    lines: tuple[Line, ...]


def _sections(changes: Iterable[Change]) -> Iterator[_Section]:
    for place, found in groupby(changes, key=lambda change: change.place):
        items = list(found)
        yield _Section(KINDS.index(items[0].kind), tuple(_of_place(place, items)))


def _of_place(place: str, items: list[Change]) -> Iterator[Line]:
    if items[0].subject:
        yield Line(" ", 1, _heading(place))
    else:  # the place itself comes, goes or becomes another
        yield Line(items[0].sign, 1, _statement(place, items.pop(0)))
    filling = Counter((item.sign, item.after or item.before) for item in items if _is_rest(item))
    for (sign, verdict), number in filling.items():
        if number > 1:
            yield Line(sign, 2, f"{number} ranges that no policy decides: {_shown(items[0], verdict)}")
    for item in items:
        if not _is_rest(item) or filling[item.sign, item.after or item.before] == 1:
            yield Line(item.sign, 2, _line(item))


def coloured(lines: Iterable[Line]) -> str:
    """Returns lines as a code block of Markdown; the sign at the front of each gives its colour."""
    return fenced(f"{line.sign}{'  ' * line.depth}{line.text}" for line in lines)


def _is_rest(change: Change) -> bool:
    return change.kind == "decision" and change.sign != "~" and (change.after or change.before) in _REST


def _line(change: Change) -> str:
    if change.kind == "class":
        subject = _arrow(change)
        return f"{subject} ({change.note})" if change.note else subject
    return _statement(f"{change.subject} ({change.note})" if change.note else change.subject, change)


def _statement(subject: str, change: Change) -> str:
    values = _arrow(change)
    return f"{subject}: {values}" if values else subject


def _arrow(change: Change) -> str:
    shown = [_shown(change, value) for value in (change.before, change.after) if value is not None]
    return " -> ".join(text or "nothing" for text in shown) if any(shown) else ""


def _shown(change: Change, value: str | None) -> str:
    if change.kind != "decision" or value is None:
        return value or ""
    words = next((words for verdict, words in _VERDICTS.items() if value.startswith(verdict)), "")
    return f"{value} ({words})" if words else value


def _heading(place: str) -> str:
    about = next((words for start, words in _ABOUT.items() if place.startswith(start)), "")
    return f"{place}: {about}" if about else place


def _title(item: Group) -> str:
    count = f"{len(item.nodes):,} nodes" if len(item.nodes) > 1 else "1 node"
    kind = {"added": "new ", "removed": "gone ", "changed": ""}[item.state]
    names = ", ".join(node for node, _ in item.nodes[:_NAMED])
    more = f" and {len(item.nodes) - _NAMED:,} more" if len(item.nodes) > _NAMED else ""
    return f"{count.replace(' ', f' {kind}', 1)}: {names}{more}"


def _own(item: Group) -> Iterator[_Section]:
    """Yields what is the nodes' own: as it is where all have it, else summed up."""
    common = set(item.nodes[0][1]).intersection(*(own for _, own in item.nodes[1:]))
    numbers: Counter[Change | Pattern] = Counter()
    examples: dict[Change | Pattern, tuple[str, Change]] = {}
    for node, own in item.nodes:
        for change in own:
            key = change if change in common else pattern(change)
            numbers[key] += 1
            examples.setdefault(key, (node, change))
    rows = sorted(numbers, key=lambda key: (KINDS.index(examples[key][1].kind), examples[key][1].place))
    for place, keys in groupby(rows, key=lambda key: examples[key][1].place):
        lines = [Line(" ", 1, _heading(place))]
        for key in keys:
            node, change = examples[key]
            text = _line(change) if change in common else _summary(node, change, numbers[key])
            lines.append(Line(change.sign, 2, text))
        yield _Section(KINDS.index(change.kind), tuple(lines))


def _summary(node: str, change: Change, number: int) -> str:
    if change.kind == "mark":
        return f"{_line(change)} on {node}, and not the same on all nodes"
    example = f"{change.subject} ({change.note})" if change.note else change.subject
    subject = f"{number:,} such as {example} on {node}" if number > 1 else f"{example} on {node}"
    return _statement(subject, change)


def _cut(lines: Iterable[Line], most: int) -> Iterator[Line]:
    """Yields the title and so many lines after it, and how many there are more."""
    title, *rest = lines
    yield title
    yield from rest[:most]
    if more := sum(line.sign != " " for line in rest[most:]):
        yield Line(" ", 1, f"… and {more:,} more lines; --format json has all of it")


def _details(item: Group, lines: int) -> str:
    """Returns a group as one folded block; its text stands in a fence that nothing in it can end."""
    title, *rest = _cut(group_lines(item), lines)
    return folded(title.text, coloured(rest))


def _more(groups: Sequence[Group]) -> str:
    nodes = sum(len(item.nodes) for item in groups)
    changes = sum(len(item.changes) * len(item.nodes) + sum(len(own) for _, own in item.nodes) for item in groups)
    what = "group" if len(groups) == 1 else "groups"
    return f"… {len(groups):,} more {what} of {nodes:,} nodes with {changes:,} changes are"
