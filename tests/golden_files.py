"""A syrupy extension that keeps snapshots as the files of `golden/CASE/expected/`.

It discovers nothing else: what an extension discovers and no test asserts, `--snapshot-update` deletes.
"""

from typing import Any

from conftest import GOLDEN
from syrupy.data import Snapshot, SnapshotCollection, SnapshotCollections
from syrupy.extensions.single_file import SingleFileSnapshotExtension


class GoldenFiles(SingleFileSnapshotExtension):
    """One file a snapshot; the name of a snapshot is its path below `golden/`."""

    file_extension = ""
    pattern = "*/expected/**/*"

    @classmethod
    def get_snapshot_name(cls, *, test_location: Any, index: Any = 0) -> str:  # noqa: ANN401, ARG003  # syrupy's
        return str(index)

    @classmethod
    def get_location(cls, *, test_location: Any, index: Any) -> str:  # noqa: ANN401, ARG003  # syrupy's
        return str(GOLDEN / str(index))

    @classmethod
    def dirname(cls, *, test_location: Any) -> str:  # noqa: ANN401, ARG003  # syrupy's
        return str(GOLDEN)

    def discover_snapshots(self, *, test_location: Any, ignore_extensions: Any = None) -> SnapshotCollections:  # noqa: ANN401, ARG002
        found = SnapshotCollections()
        for path in sorted(GOLDEN.glob(self.pattern)):
            if path.is_file():
                collection = SnapshotCollection(location=str(path))
                collection.add(Snapshot(name=path.relative_to(GOLDEN).as_posix()))
                found.add(collection)
        return found


class DiagnosticFiles(GoldenFiles):
    """The same for `golden/diagnostics/CASE/expected/`, so that neither test takes the other's files for stale."""

    pattern = "diagnostics/*/expected/**/*"


class OutputFiles(GoldenFiles):
    """The same for `golden/outputs/change/expected/`, what commands print."""

    pattern = "outputs/change/expected/*"


class NodeOutputFiles(GoldenFiles):
    """The same for `golden/outputs/node/expected/`, what the commands of a node print."""

    pattern = "outputs/node/expected/*"
