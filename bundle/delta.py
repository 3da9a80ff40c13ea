"""A ruleset file and another that differs little from it to a short one: what of it need be read. Pure.

A gateway's map of other nodes' workloads may hold 150,000 lines, of which a change concerns one.
"""

import re

_SMALL = 1000  # elements; below, everything is looked at
_BLOCK = re.compile(
    r"^\tmap (?P<name>\S+) \{\n"
    r"(?P<head>\t\ttype ipv[46]_addr : (?:verdict|classid)\n)"
    r"\t\telements = \{\n(?P<body>.*?)\n\t\t\}\n",
    re.MULTILINE | re.DOTALL,
)


def reduce(old: str, new: str) -> tuple[str, dict[str, frozenset[str]]]:
    """Leaves out the elements that large maps of both texts hold alike.

    Args:
        old: A ruleset.nft that was read and found good before.
        new: Another one, not yet read.

    Returns:
        The new text, shorter; and the name of each map that was shortened, with all keys of elements that differ.
    """
    blocks = {match["name"]: match for match in _BLOCK.finditer(old)}
    keys: dict[str, frozenset[str]] = {}
    parts: list[str] = []
    at = 0
    for match in _BLOCK.finditer(new):
        before = blocks.pop(match["name"], None)
        if before is None or before["head"] != match["head"] or match["name"] in keys:
            continue
        if any(block["body"].count("\n") + 1 < _SMALL for block in (before, match)):
            continue
        olds = news = frozenset[str]()
        if before["body"] != match["body"]:
            olds, news = _elements(before["body"]), _elements(match["body"])
        come = sorted(news - olds)
        keys[match["name"]] = frozenset(line.partition(" : ")[0] for line in olds ^ news)
        parts += [new[at : match.start("body")], ",\n".join(f"\t\t\t{line}" for line in come)]
        at = match.end("body")
    return "".join((*parts, new[at:])), keys


def _elements(body: str) -> frozenset[str]:
    return frozenset(line.strip("\t,") for line in body.split("\n"))
