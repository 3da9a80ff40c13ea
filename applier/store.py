"""What a node keeps: the parts of the bundles applied last, to go back to, and what protects against older ones.

Never the truth about the kernel, which is asked itself. In `DIRECTORY/NODE/`:

    state.json          the index: what is kept, in which order, and the rest of what is remembered
    bundles/FOLDER/     of each bundle kept its manifest, its signature and the node's own files

A folder is written whole before the index names it, and never changed; the index is replaced by one rename. So whoever
is killed, or loses power, between any two system calls leaves the old state or the new one, and maybe a folder that no
index names, which the next `prepare` takes away.

One writer at a time: the applier's lock sees to it.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import bundle as package
from bundle.codec import DecodeError, decode, encode
from bundle.directory import NODE_FILES, Bundle, BundleError, node_path, open_part
from bundle.disk import replace_file, sync_directory, write_file
from bundle.values import DigestText, is_name

_INDEX: Final = "state.json"
_BUNDLES: Final = "bundles"
_FORMAT_VERSION: Final = 1
_PRIVATE: Final = 0o700
_OTHERS_WRITE: Final = 0o022

_KEPT: Final = 5
"""Bundles kept, the one applied included, so that some bad ones in a row still leave a good one.

A gateway node's part for 150,000 workloads has 10 MB.
"""


class StoreError(Exception):
    """What the node keeps cannot be read or written; the message says why."""


class DamagedStoreError(StoreError):
    """The index is there and is none."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A bundle that was applied.

    Attributes:
        digest: `Bundle.digest`.
        folder: Where its part is.
        serial: Of a signature that was verified; None if none was asked for.
        time: When it was applied last, UTC.
        version: Of the egressc that applied it.
    """

    digest: DigestText
    folder: DigestText
    serial: int | None
    time: str
    version: str


@dataclass(frozen=True, slots=True)
class Newest:
    """The verified bundle that older ones are told from."""

    serial: int
    digest: DigestText


@dataclass(frozen=True, slots=True)
class Index:
    """`state.json`.

    Attributes:
        format_version: Of this file.
        kept: The bundle applied last, and those before it, newest first; a bundle that was rolled back from is not.
        newest: The newest verified bundle that was ever applied, since somebody allowed an older one.
        refused: Digests of bundles that were rolled back from.
        sysctls: Settings as they were before the first apply wrote them.
    """

    format_version: int = _FORMAT_VERSION
    kept: tuple[Kept, ...] = ()
    newest: Newest | None = None
    refused: tuple[DigestText, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bundle whose part is on the disk and which no index names yet."""

    digest: str
    folder: str
    serial: int | None


class Store:
    """What one node keeps below a directory.

    Every method raises `StoreError`. What reads finds nothing where there is no directory yet.
    """

    def __init__(self, directory: Path, node: str) -> None:
        if not is_name(node):
            raise StoreError(f"{node[:300]!r} is not the name of a node")
        self._directory = directory
        self._node = node
        self._home = directory / node

    def __str__(self) -> str:
        return str(self._home)

    def index(self) -> Index:
        """Returns all that is remembered.

        Raises:
            DamagedStoreError: It cannot be understood.
        """
        path = self._home / _INDEX
        try:
            index = decode(Index, path.read_bytes())
        except FileNotFoundError:
            return Index()
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror}") from None
        except DecodeError as error:
            raise DamagedStoreError(f"{path}: is damaged: {error}") from None
        if index.format_version != _FORMAT_VERSION:
            raise DamagedStoreError(f"{path}: format version {index.format_version} is not {_FORMAT_VERSION}")
        return index

    def current(self) -> Kept | None:
        """Returns the bundle applied last; one that was rolled back from counts no more."""
        return next(self._accepted(), None)

    def previous(self) -> Kept | None:
        """Returns the bundle to go back to: the one that was applied before the last one."""
        last = self.last()
        return next((kept for kept in self._accepted() if last and kept.digest != last.digest), None)

    def last(self) -> Kept | None:
        """Returns the bundle applied last, even if it is one from which a rollback was begun and not finished."""
        return next(iter(self.index().kept), None)

    def _accepted(self) -> Iterator[Kept]:
        index = self.index()
        return (kept for kept in index.kept if kept.digest not in index.refused)

    def open(self, kept: Kept) -> Bundle:
        """Reads a bundle that is kept: of its files, the node's own.

        Raises:
            BundleError: What is kept was altered.
        """
        bundle = open_part(self._folder(kept.folder), self._node)
        if bundle.digest != kept.digest:
            raise BundleError(f"{bundle.directory}: was altered: its manifest is not the one that was applied")
        return bundle

    def prepare(self, bundle: Bundle, serial: int | None = None) -> Candidate:
        """Writes a bundle's part to the disk, so that after the apply a rename is all that is left to do.

        Takes away what crashed runs left behind. An index that is damaged is laid aside as `state.json.damaged`, and a
        new one begun: whether that may be is for `trust.check` to say, before.

        Args:
            bundle: What is about to be applied; it has this node.
            serial: Of its verified signature.
        """
        own = (node_path(self._node, name) for name in NODE_FILES)
        files = {**bundle.head, **{path: bundle.files[path] for path in own}}
        folder = _folder_name(bundle.head)
        with self._writing():
            self._make_home()
            try:
                index = self.index()
            except DamagedStoreError:
                (self._home / _INDEX).replace(self._home / f"{_INDEX}.damaged")
                index = Index()
            self._sweep({kept.folder for kept in index.kept})
            if not _holds(self._folder(folder), files):
                self._write(folder, files)
        return Candidate(bundle.digest, folder, serial)

    def commit(self, candidate: Candidate) -> None:
        """Notes that a bundle was applied: it is the current one, and the current one becomes the previous.

        The bundle that is the current one already only gets another time and, signed again, another signature.
        """
        index = self.index()
        kept = Kept(candidate.digest, candidate.folder, candidate.serial, _now(), package.__version__)
        current = next(iter(index.kept), None)
        again = current is not None and (current.digest, current.serial) == (kept.digest, kept.serial)
        newest = index.newest
        # Once more the bundle that was gone back to says nothing about what came after it.
        if kept.serial is not None and not (again and newest):
            newest = Newest(kept.serial, kept.digest)
        others = tuple(item for item in index.kept if item.digest != kept.digest)
        refused = tuple(digest for digest in index.refused if digest != kept.digest)
        self._save(replace(index, kept=(kept, *others)[:_KEPT], newest=newest, refused=refused))

    def discard(self, candidate: Candidate) -> None:
        """Takes away what `prepare` wrote, for an apply that did not come to its end."""
        if candidate.folder not in {kept.folder for kept in self.index().kept}:
            shutil.rmtree(self._folder(candidate.folder), ignore_errors=True)

    def go_back(self) -> None:
        """Notes that the previous bundle was applied again: it is the current one, and the one after it is refused."""
        index = self.index()
        refused = dict.fromkeys((*index.refused, index.kept[0].digest))
        kept = tuple(item for item in index.kept if item.digest not in refused)
        self._save(replace(index, kept=kept, refused=tuple(refused)))

    def refused(self) -> frozenset[str]:
        """Returns the digests of the bundles that were rolled back from and that nobody allowed since."""
        return frozenset(self.index().refused)

    def refuse(self, digest: str) -> None:
        """Refuses a bundle from now on."""
        index = self.index()
        self._save(replace(index, refused=tuple(dict.fromkeys((*index.refused, digest)))))

    def accept(self, digest: str) -> None:
        """Takes a refusal back."""
        index = self.index()
        self._save(replace(index, refused=tuple(item for item in index.refused if item != digest)))

    def sysctls(self) -> Mapping[str, str]:
        """Returns what settings were before the first apply wrote them."""
        return self.index().sysctls

    def remember_sysctls(self, before: Mapping[str, str]) -> None:
        """Remembers what settings are before they are written; what is remembered of a setting already stays."""
        index = self.index()
        sysctls = {**before, **index.sysctls}
        if sysctls != index.sysctls:
            self._save(replace(index, sysctls=sysctls))

    def forget(self) -> None:
        """After a removal: nothing is applied and nothing to be put back. What tells older bundles stays."""
        index = self.index()
        if index.kept or index.sysctls:
            self._save(replace(index, kept=(), sysctls={}))

    def _folder(self, folder: str) -> Path:
        return self._home / _BUNDLES / folder

    def _save(self, index: Index) -> None:
        with self._writing():
            self._make_home()
            replace_file(self._home / _INDEX, encode(index).encode(), 0o600)

    def _make_home(self) -> None:
        """Makes the directories; they must be in nobody's reach but ours, since what is kept will be applied."""
        self._directory.parent.mkdir(parents=True, exist_ok=True)
        for path in (self._directory, self._home, self._home / _BUNDLES):
            with suppress(FileExistsError):
                path.mkdir(_PRIVATE)
                sync_directory(path.parent)
            status = path.stat()
            if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_WRITE:
                raise StoreError(f"{path}: others may write to it; chown it to yourself and chmod it to 0700")

    def _sweep(self, folders: set[str]) -> None:
        for path in (self._home / _BUNDLES).iterdir():
            if path.name in folders:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _write(self, folder: str, files: Mapping[str, bytes]) -> None:
        target, staging = self._folder(folder), self._folder(f".{folder}.new")
        for path, content in files.items():
            (staging / path).parent.mkdir(parents=True, exist_ok=True)
            write_file(staging / path, content, 0o600)
        for root, _, _ in os.walk(staging):
            sync_directory(Path(root))
        if target.exists():  # kept, and damaged
            shutil.rmtree(target)
        staging.rename(target)
        sync_directory(target.parent)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"{error.filename or self._home}: {error.strerror}") from None


def _folder_name(head: Mapping[str, bytes]) -> str:
    """Returns the digest of what pins everything else in a folder: the manifest and the signature."""
    digest = hashlib.sha256()
    for path, content in sorted(head.items()):
        digest.update(f"{path} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    try:
        return all((folder / path).read_bytes() == content for path, content in files.items())
    except OSError:
        return False


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
