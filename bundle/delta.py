"""A ruleset file and another that differs little from it to a short one: what of it need be read. Pure.

A gateway's map of other nodes' workloads may hold 150,000 lines, of which a change concerns one. This is a hot path
(profiled with cProfile): texts are cut and compared whole, and only what differs is cut into lines.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

_SMALL = 1000  # elements of all sets and maps together; below, everything is looked at
_OPENING = "\t\telements = {\n"
_END = "\n\t\t}\n"
_HEAD = re.compile(r"^\t(?:set|map) (?P<name>\S+) \{\n(?P<spec>(?:\t\t.*\n)+)\Z", re.MULTILINE)
_DECLARED = re.compile(r"^\t(?:set|map) (\S+) \{ ", re.MULTILINE)
_OF_ADDRESSES = re.compile(r"\t\ttype ipv[46]_addr : (?:verdict|classid)\n")


@dataclass(frozen=True, slots=True)
class _Block:
    """The elements of a set or map, and what stands before them, from the last one's on."""

    before: str
    body: str
    name: str
    is_of_addresses: bool


def reduce(old: str, new: str) -> tuple[str, dict[str, frozenset[str]]]:
    """Leaves out the elements that the sets and maps of two large texts hold alike.

    Of maps from addresses only what differs stays. Other sets and maps are left out as a whole, and only where the
    texts differ in nothing but maps from addresses: any other change may concern every element.

    Args:
        old: A ruleset.nft that was read and found good before.
        new: Another one, not yet read.

    Returns:
        The new text, shorter; and the name of each set and map that was shortened, with all keys of elements that
        differ.
    """
    (olds, old_rest), (news, rest) = _cut(old), _cut(new)
    known = {block.name: block for block in olds}
    if any(not block.name for block in news) or _has_parts(olds) or _has_parts(news):
        return new, {}  # not as the compiler writes it
    if min(map(_size, (olds, news))) < _SMALL:
        return new, {}
    alike = (_but_addresses(olds), old_rest) == (_but_addresses(news), rest)
    # What is declared and has no elements has none to look for; where classes are many, there are hundreds of those.
    empty = _DECLARED.findall(news[0].before) if alike else ()
    keys: dict[str, frozenset[str]] = {name: frozenset() for name in empty if name not in known}
    parts: list[str] = []
    for block in news:
        before, body = known.get(block.name), block.body
        if before:
            if block.is_of_addresses and before.is_of_addresses:
                body, keys[block.name] = _differing(before.body, body)
            elif alike:
                body, keys[block.name] = "", frozenset()
        parts += [block.before, _OPENING, body]
    return "".join((*parts, rest)), keys


def _cut(text: str) -> tuple[list[_Block], str]:
    """Returns the sets and maps that have elements, and what stands behind the last one's."""
    rest, *pieces = text.split(_OPENING)
    blocks = []
    for piece in pieces:
        body, end, after = piece.partition(_END)
        head = _HEAD.search(rest)
        name, spec = (head["name"], head["spec"]) if head else ("", "")
        blocks.append(_Block(rest, body, name, bool(_OF_ADDRESSES.fullmatch(spec))))
        rest = end + after
    return blocks, rest


def _has_parts(blocks: Iterable[_Block]) -> bool:
    """Returns whether a map from addresses has several blocks; of others, elements are left out all or none."""
    names = [block.name for block in blocks if block.is_of_addresses]
    return len(set(names)) < len(names)


def _size(blocks: Iterable[_Block]) -> int:
    """Returns how many elements there are: where classes are many, so are their maps, and each may be small."""
    return sum(block.body.count("\n") + 1 for block in blocks)


def _but_addresses(blocks: Iterable[_Block]) -> list[tuple[str, str]]:
    return [(block.before, "" if block.is_of_addresses else block.body) for block in blocks]


def _differing(old: str, new: str) -> tuple[str, frozenset[str]]:
    """Returns the elements that have come, as text, and the keys of those and of the ones that have gone."""
    olds, news = (frozenset(line.strip("\t,") for line in text.split("\n")) for text in _middles(old, new))
    come = sorted(news - olds)
    return ",\n".join(f"\t\t\t{line}" for line in come), frozenset(line.partition(" : ")[0] for line in olds ^ news)


def _middles(old: str, new: str) -> tuple[str, str]:
    """Returns the two texts without the whole lines at the beginning, and those at the end, that are the same."""
    shorter = range(min(len(old), len(new)))
    length = bisect_left(shorter, True, key=lambda at: old[: at + 1] != new[: at + 1])  # noqa: FBT003  # what it finds
    start = new.rfind("\n", 0, length) + 1
    old, new = old[start:], new[start:]
    shorter = range(min(len(old), len(new)))
    length = bisect_left(shorter, True, key=lambda at: old[-1 - at :] != new[-1 - at :])  # noqa: FBT003
    line = new.find("\n", len(new) - length)
    end = len(new) - line if line >= 0 else 0
    return old[: len(old) - end], new[: len(new) - end]
