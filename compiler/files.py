"""The edge to the disk: inputs to bytes, and a bundle's files to a directory, all or nothing."""

import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundle.directory import MANIFEST, list_files
from bundle.disk import replace_file
from compiler.diagnostics import Diagnostic, Place, error

Sources = Mapping[str, bytes]
"""Content of each input file by the name under which findings speak of it."""

_SUFFIXES = (".yaml", ".yml", ".json")
_LARGEST: Final = 512 << 20
"""Bytes of one input; 150,000 pods as kubectl prints them, without their managed fields, have about as many."""

_AT_ONCE: Final = 8 << 20


class OutputError(Exception):
    """A bundle or a file cannot be written; the message says why. What was there before is still there."""


def read_sources(inputs: Sequence[str]) -> tuple[Sources, tuple[Diagnostic, ...]]:
    """Reads files, directories (their `.yaml`, `.yml` and `.json` files, recursively) and `-` for standard input."""
    sources: dict[str, bytes] = {}
    findings: list[Diagnostic] = []

    def unreadable(name: str, fault: OSError) -> None:
        own = fault.errno in (errno.EBADF, errno.EFBIG)  # of `_read`, which say themselves what to do
        hint = "" if own else "; check the path and its permissions"
        message = f"cannot be read: {fault.strerror}{hint}"
        findings.append(error("EG101", Place(name), message))

    for name in inputs:
        found = [name] if name == "-" else [str(Path(name))]
        if name != "-" and os.path.isdir(name):  # noqa: PTH112  # False for a name that no disk takes; Path raises
            found = _inputs_below(name, unreadable)
            if not found:
                findings.append(
                    error("EG101", Place(name), "the directory holds no .yaml, .yml or .json file; name another")
                )
        for item in found:
            try:
                sources.setdefault(item, _read(item))
            except OSError as fault:
                unreadable(item, fault)
    return sources, tuple(findings)


def _inputs_below(name: str, unreadable: Callable[[str, OSError], None]) -> list[str]:
    """Returns the files of a directory that are inputs, sorted; links to directories are not followed."""
    found = [
        Path(root) / file
        for root, _, files in os.walk(name, onerror=lambda fault: unreadable(str(fault.filename), fault))
        for file in files
    ]
    return [str(path) for path in sorted(found) if path.suffix in _SUFFIXES and path.is_file()]


def _read(name: str) -> bytes:
    """Reads a file, or standard input; it need not be one on a disk, so it may have no end.

    Raises:
        OSError: It cannot be read, or is larger than any snapshot.
    """
    if name == "-" and sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed")
    with Path(name).open("rb") if name != "-" else nullcontext(sys.stdin.buffer) as file:
        # A file on a disk in one piece: joining pieces would take twice its size.
        size = min(Path(name).stat().st_size, _LARGEST) if name != "-" else 0
        parts: list[bytes] = []
        while part := file.read(max(size + 1, _AT_ONCE)):
            parts.append(part)
            if sum(map(len, parts)) > _LARGEST:
                raise OSError(errno.EFBIG, f"it has more than {_LARGEST >> 20} MiB; split it into several files")
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Written:
    """How many files of a bundle were written, and how many stayed what they were."""

    new: int
    kept: int


def write_bundle(files: Mapping[str, bytes] | Iterable[tuple[str, bytes]], target: Path) -> Written:
    """Writes a bundle so that `target` is either what it was or all of the new one.

    A file that is in `target` already with the same content is not written again: it stays the same file.

    Args:
        files: By path; or path and content, one after another, so that not all need be held at once.
        target: The directory.

    Raises:
        OutputError: `target` is something else than a bundle or an empty directory, or the disk fails.
    """
    target = target.resolve()  # a link stays one, and what it leads to is replaced
    try:
        if target.exists() and not target.is_dir():
            raise OutputError(f"{target}: is a file, not a directory")
        if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
            raise OutputError(f"{target}: is not empty and not a bundle; name another directory or empty it")
        if (target / MANIFEST).exists() and Path.cwd().is_relative_to(target):
            raise OutputError(f"{target}: is replaced as a whole, and you stand in it; compile from outside of it")
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            written = _fill(staging, files.items() if isinstance(files, Mapping) else files, target)
            _swap(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as fault:
        raise OutputError(f"{fault.filename or target}: {fault.strerror}") from fault
    return written


def write_output(content: bytes, target: str) -> None:
    """Writes what a command was asked for to a file, all or nothing, or to standard output for `-`.

    Raises:
        OutputError: The file cannot be written; what was there before is still there.
    """
    if target == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return
    try:
        path = Path(target).resolve()  # a link stays one
        if path.exists() and not path.is_file():  # such as a pipe, or /dev/null, which must not be replaced
            path.write_bytes(content)
        else:
            replace_file(path, content)
    except (OSError, RuntimeError, ValueError) as fault:  # links in a circle, and a name with a NUL
        raise OutputError(f"{target}: cannot be written: {getattr(fault, 'strerror', fault)}") from None


def _fill(staging: Path, files: Iterable[tuple[str, bytes]], old: Path) -> Written:
    staging.chmod(0o755)
    new = kept = 0
    made = {""}
    mode = _mode_of_new_files()
    for path, content in files:
        above = path.rpartition("/")[0]
        if above not in made:
            (staging / above).mkdir(parents=True)
            made.add(above)
        if _keep(f"{old}/{path}", f"{staging}/{path}", content, mode):
            kept += 1
        else:
            Path(staging, path).write_bytes(content)
            new += 1
    return Written(new, kept)


def _mode_of_new_files() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _keep(old: str, new: str, content: bytes, mode: int) -> bool:
    """Makes the file that was there one of the new bundle too, if it is as a new one would be and the disk can do that.

    It must be a file of the bundle itself and of nobody else: nothing that a link leads to.
    """
    try:
        status = os.lstat(old)
        if status.st_size != len(content) or not stat.S_ISREG(status.st_mode):
            return False
        if (stat.S_IMODE(status.st_mode), status.st_uid) != (mode, os.geteuid()) or os.path.realpath(old) != old:
            return False
        if Path(old).read_bytes() != content:
            return False
        os.link(old, new)
    except OSError:
        return False
    return True


def _swap(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
        return
    if not any(target.iterdir()):
        # Whoever stands in the directory goes on standing in it. The manifest last: without it, it is no bundle.
        for path in sorted(staging.iterdir(), key=lambda path: path.name == MANIFEST):
            path.rename(target / path.name)
        return
    old = staging.with_name(staging.name + ".old")
    target.rename(old)
    try:
        staging.rename(target)
    except OSError:
        old.rename(target)
        raise
    _keep_foreign(old, target)
    shutil.rmtree(old)


def _keep_foreign(old: Path, target: Path) -> None:
    """A bundle directory holds nothing but the bundle, save what starts with a dot, such as `.git`."""
    for path in sorted(list_files(old)):
        top = path.split("/", maxsplit=1)[0]
        if top.startswith(".") and not (target / top).exists():
            (old / top).rename(target / top)
