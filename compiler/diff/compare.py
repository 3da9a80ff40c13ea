"""Compare: two meanings of one node to the changes between them. Pure, and the same either way, but mirrored.

A class that was renamed, since its policies are others, is the class that took over its workloads: then only what it
decides otherwise is told, and not each of its elements.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from bundle.ruleset import format_range
from compiler.diff.change import KINDS, Change
from compiler.diff.meaning import CLASS_RULES, Meaning
from compiler.intervals import merge
from compiler.verify.intervals import bounds

Elements = Mapping[str, str]
"""Ranges of addresses as nft prints them, each with its verdict."""

_Event = tuple[int, int, str]


def compare(old: Meaning, new: Meaning, describe: Callable[[str], str] = lambda _: "") -> tuple[Change, ...]:
    """Returns what is otherwise in `new`, in the order of `KINDS`.

    Args:
        old: What was.
        new: What is to be.
        describe: Says whose an address is; empty if it is nobody's.
    """
    renamed = dict(_pairs(old, new))
    sides = _Sides(_under_new_names(old, renamed), new)
    changes = (
        *_marks(sides),
        *_classes(renamed, sides),
        *_sources(sides, describe),
        *_spans(sides),
        *_facts(sides),
        *_rules(sides),
    )
    # A chain comes right before its rules.
    order = {kind: KINDS.index("chain" if kind == "rule" else kind) for kind in KINDS}
    return tuple(sorted(changes, key=lambda change: (order[change.kind], change.place)))


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both meanings, the old one with its classes under the names that they have in the new one."""

    old: Meaning
    new: Meaning


def _pairs(old: Meaning, new: Meaning) -> Iterator[tuple[str, str]]:
    """Yields classes that only the old side has with those, only of the new side, that took over their workloads."""
    gone = old.classes.keys() - new.classes.keys()
    come = new.classes.keys() - old.classes.keys()
    shared = Counter(
        (before, after)
        for key, before in old.sources.items()
        if before in gone and (after := new.sources.get(key)) in come and _scope(before) == _scope(after)
    )
    taken: set[str] = set()
    # Which of two that share as many comes first must not depend on which side is the old one.
    for before, after in sorted(shared, key=lambda pair: (-shared[pair], sorted(pair))):
        if before not in taken and after not in taken:
            taken.update((before, after))
            yield before, after


def _scope(name: str) -> str:
    return name[:6]  # `local` or `remote`, of a name or of a chain


def _under_new_names(old: Meaning, renamed: Mapping[str, str]) -> Meaning:
    if not renamed:
        return old
    return Meaning(
        marks=old.marks,
        classes={renamed.get(name, name): chain for name, chain in old.classes.items()},
        sources={key: renamed.get(name, name) for key, name in old.sources.items()},
        spans={(kind, place, renamed.get(name, name)): elements for (kind, place, name), elements in old.spans.items()},
        chains={renamed.get(name, name): rules for name, rules in old.chains.items()},
        facts={
            (kind, f"chain {renamed.get(name, name)}" if kind == "chain" else place, subject): value
            for (kind, place, subject), value in old.facts.items()
            for name in (place.removeprefix("chain "),)
        },
    )


def _marks(sides: _Sides) -> Iterator[Change]:
    for what in sorted(sides.old.marks.keys() | sides.new.marks.keys()):
        before, after = sides.old.marks.get(what), sides.new.marks.get(what)
        if before != after:
            yield Change("mark", "mark", what, before, after)


def _classes(renamed: Mapping[str, str], sides: _Sides) -> Iterator[Change]:
    formerly = {after: before for before, after in renamed.items()}
    for name in sorted(sides.old.classes.keys() | sides.new.classes.keys()):
        before, after = sides.old.classes.get(name), sides.new.classes.get(name)
        if before != after:
            was = formerly.get(name, name)
            shown = None if before is None else f"{was}, {before}"
            note = "" if before is None or after is None or _decides_otherwise(sides, name) else "decides the same"
            yield Change("class", "class", name, shown, None if after is None else f"{name}, {after}", note)


def _decides_otherwise(sides: _Sides, name: str) -> bool:
    old, new = sides.old.spans, sides.new.spans
    keys = {key for key in (*old, *new) if key[2] == name}
    return any(span_changes(old.get(key, {}), new.get(key, {})) for key in keys)


def _sources(sides: _Sides, describe: Callable[[str], str]) -> Iterator[Change]:
    old, new = sides.old.sources, sides.new.sources
    differing = [key for key in old.keys() | new.keys() if old.get(key) != new.get(key)]
    for key in sorted(differing, key=lambda key: (key[0], _in_order(key[1]))):
        place, address = key
        yield Change("source", place, address, old.get(key), new.get(key), describe(address))


def _in_order(text: str) -> tuple[int, int, str]:
    try:
        address = ip_address(text)
    except ValueError:
        return (0, 0, text)  # somebody's own, in the kernel
    return (address.version, int(address), "")


def _spans(sides: _Sides) -> Iterator[Change]:
    for key in sorted(sides.old.spans.keys() | sides.new.spans.keys()):
        before, after = sides.old.spans.get(key, {}), sides.new.spans.get(key, {})
        if before != after:
            kind, place, name = key
            for span, was, becomes in span_changes(before, after):
                yield Change(kind, f"{place}, {name}" if name else place, span, was, becomes)


def span_changes(old: Elements, new: Elements) -> list[tuple[str, str | None, str | None]]:
    """Returns each range on which two maps of ranges differ, in ascending order, with the verdict of either.

    How a range is cut into elements makes no difference; neighbours of one difference are one.
    """
    changes: list[tuple[str, str | None, str | None]] = []
    for version in (4, 6):
        edges: dict[int, list[_Event]] = {}
        for side, elements in enumerate((old, new)):
            for text, verdict in elements.items():
                if (":" in text) == (version == 6):  # noqa: PLR2004  # the IP version
                    low, high = bounds(text)
                    edges.setdefault(low, []).append((1, side, verdict))
                    edges.setdefault(high + 1, []).append((0, side, verdict))
        holds: tuple[list[str], list[str]] = ([], [])
        pieces: list[tuple[int, int, tuple[str | None, str | None]]] = []
        position = 0
        for edge, events in sorted(edges.items()):
            was, becomes = (tuple(sorted(verdicts)) for verdicts in holds)
            if was != becomes:
                pieces.append((position, edge - 1, (_verdict(was), _verdict(becomes))))
            for opens, side, verdict in sorted(events):
                if opens:
                    holds[side].append(verdict)
                else:
                    holds[side].remove(verdict)
            position = edge
        family = ip_address("0.0.0.0" if version == 4 else "::")  # noqa: PLR2004, S104  # only the type of address
        changes += [(format_range(type(family)(low), type(family)(high)), *both) for low, high, both in merge(pieces)]
    return changes


def _verdict(verdicts: tuple[str, ...]) -> str | None:
    return " or ".join(verdicts) if verdicts else None


def _rules(sides: _Sides) -> Iterator[Change]:
    for name in sorted(sides.old.chains.keys() | sides.new.chains.keys()):
        before, after = _rules_of(sides.old, name), _rules_of(sides.new, name)
        if before != after:
            kept = _common(before, after)
            lost = set(range(1, len(before) + 1)) - {first for first, _ in kept}
            won = set(range(1, len(after) + 1)) - {second for _, second in kept}
            for number in sorted(lost | won):
                place, subject = f"chain {name}", f"rule {number}"
                if number in lost:
                    yield Change("rule", place, subject, before[number - 1], None)
                if number in won:
                    yield Change("rule", place, subject, None, after[number - 1])


def _rules_of(side: Meaning, name: str) -> tuple[str, ...]:
    return side.chains.get(name, CLASS_RULES if name in side.classes else ())


def _common(before: tuple[str, ...], after: tuple[str, ...]) -> list[tuple[int, int]]:
    """Returns the positions, from 1, of a longest common run of rules, the same one whichever side is the old one."""
    if after < before:
        return [(first, second) for second, first in _common(after, before)]
    longest = [[0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for first in reversed(range(len(before))):
        for second in reversed(range(len(after))):
            longest[first][second] = (
                longest[first + 1][second + 1] + 1
                if before[first] == after[second]
                else max(longest[first + 1][second], longest[first][second + 1])
            )
    found: list[tuple[int, int]] = []
    first = second = 0
    while first < len(before) and second < len(after):
        if before[first] == after[second]:
            first, second = first + 1, second + 1
            found.append((first, second))
        elif longest[first + 1][second] >= longest[first][second + 1]:
            first += 1
        else:
            second += 1
    return found


def _facts(sides: _Sides) -> Iterator[Change]:
    old, new = sides.old.facts, sides.new.facts
    for key in sorted({key for key, _ in old.items() ^ new.items()}):
        yield Change(*key, old.get(key), new.get(key))
