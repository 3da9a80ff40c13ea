"""Nodes: two bundles to what changes in the files of each node. Pure; of another compiler version's, too.

Only files whose digests in the manifests differ are read, and of two rulesets only the blocks that do.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from bundle.directory import NODE_FILES, RULESET, WORKLOADS, Bundle, node_path
from bundle.model import Workloads
from compiler.diff.change import Change, NodeChange
from compiler.diff.compare import compare
from compiler.diff.meaning import NOTHING, Meaning, Names, meaning, names_of

_BLOCK: Final = re.compile(r"^\t(?P<name>(?:chain|set|map) \S+) \{\n.*?^\t\}\n", re.MULTILINE | re.DOTALL)
_SAY_MARKS: Final = ("chain to_", "chain gateway_", "map translation")
"""Blocks that say what a mark stands for."""
_HOLD_MARKS: Final = (*_SAY_MARKS, "set nexthop", "set translated", "set masqueraded")
_SAY_BUCKETS: Final = ("map remoteclass", "chain remote_")
"""Blocks that say that other nodes' workloads find what is decided for them."""


def nodes(
    old: Bundle, new: Bundle, *, workloads: tuple[Workloads, Workloads] | None = None, release: bool = False
) -> tuple[NodeChange, ...]:
    """Returns the nodes whose files differ, in order of name.

    Args:
        old: One bundle.
        new: The other.
        workloads: `workloads.json` of both, where they were read already.
        release: Whether to take the nodes' files out of the bundles as they are compared, so that the memory of large
            bundles comes free.

    Raises:
        BundleError: Files that differ do not hold what they should.
    """
    before, after = workloads or (old.decode(Workloads, WORKLOADS), new.decode(Workloads, WORKLOADS))
    sides = _Sides(old, new, names_of(before), names_of(after))
    return tuple(sides.changes(release=release))


class _Sides:
    """Both bundles, with what their accounts call things."""

    def __init__(self, old: Bundle, new: Bundle, before: Names, after: Names) -> None:
        self._old = old
        self._new = new
        self._olds = frozenset(old.manifest.nodes)
        self._news = frozenset(new.manifest.nodes)
        self._before = before
        self._after = after
        self._classes_agree = all(
            before.classes[chain] == after.classes[chain] for chain in before.classes.keys() & after.classes.keys()
        )
        self._known: dict[Change, Change] = {}
        """Most changes are the same on many nodes; each is kept once."""

    def changes(self, *, release: bool) -> Iterator[NodeChange]:
        for node in sorted({*self._old.manifest.nodes, *self._new.manifest.nodes}):
            if (found := self._change(node)) is not None:
                yield found
            for bundle in (self._old, self._new) if release else ():
                for file in NODE_FILES:
                    bundle.files.pop(node_path(node, file), None)

    def _change(self, node: str) -> NodeChange | None:
        if node not in self._olds:
            return NodeChange(node, "added", self._compare(NOTHING, self._meaning(self._new, node, self._after)))
        if node not in self._news:
            return NodeChange(node, "removed", self._compare(self._meaning(self._old, node, self._before), NOTHING))
        return NodeChange(node, "changed", self._compare_node(node)) if self._differs(node) else None

    def _differs(self, node: str) -> bool:
        paths = [node_path(node, file) for file in NODE_FILES]
        return any(self._old.manifest.files[path] != self._new.manifest.files[path] for path in paths)

    def _compare_node(self, node: str) -> tuple[Change, ...]:
        path = node_path(node, RULESET)
        before, after = self._old.files[path], self._new.files[path]
        if self._classes_agree:
            before, after = without_common(before, after)
        old = replace(self._old, files={**_files(self._old, node), path: before})
        new = replace(self._new, files={**_files(self._new, node), path: after})
        return self._compare(self._meaning(old, node, self._before), self._meaning(new, node, self._after))

    @staticmethod
    def _meaning(bundle: Bundle, node: str, names: Names) -> Meaning:
        part = bundle.node(node)
        return meaning(part.ruleset, part.routing, part.addresses, names)

    def _compare(self, old: Meaning, new: Meaning) -> tuple[Change, ...]:
        return tuple(self._known.setdefault(change, change) for change in compare(old, new, self._describe))

    def _describe(self, address: str) -> str:
        found = {side.workloads.get(address, "") for side in (self._before, self._after)}
        return " or ".join(sorted(found - {""}))


def _files(bundle: Bundle, node: str) -> dict[str, bytes]:
    return {path: bundle.files[path] for path in (node_path(node, file) for file in NODE_FILES)}


def without_common(old: bytes, new: bytes) -> tuple[bytes, bytes]:
    """Leaves out of two rulesets the chains and sets that both fill alike; what declares them stays.

    What is left tells the two apart as the whole does: a block that holds marks stays where marks have another meaning,
    and one that a class of other nodes' workloads needs stays always.
    """
    try:
        before, after = old.decode(), new.decode()
    except UnicodeDecodeError:
        return old, new  # whoever reads it will say so
    blocks = [Counter((match["name"], match[0]) for match in _BLOCK.finditer(text)) for text in (before, after)]
    # What stands in several blocks adds up, so that one of them alone says nothing.
    names = [Counter(name for name, _ in found.elements()) for found in blocks]
    common = {
        (name, block) for name, block in blocks[0].keys() & blocks[1].keys() if {names[0][name], names[1][name]} == {1}
    }
    differing = (blocks[0].keys() ^ blocks[1].keys()) | {item for item in blocks[0] if item not in common}
    kept = _SAY_MARKS if not any(name.startswith(_SAY_MARKS) for name, _ in differing) else _HOLD_MARKS
    left_out = {block for name, block in common if not name.startswith((*kept, *_SAY_BUCKETS))}

    def cut(text: str) -> bytes:
        return _BLOCK.sub(lambda match: "" if match[0] in left_out else match[0], text).encode()

    return cut(before), cut(after)
