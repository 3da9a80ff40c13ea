"""The edge to the disk: inputs to bytes, and a bundle's files to a directory, all or nothing."""

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bundle.directory import MANIFEST, list_files
from compiler.diagnostics import Diagnostic, Place, error

Sources = Mapping[str, bytes]
"""Content of each input file by the name under which findings speak of it."""

_SUFFIXES = (".yaml", ".yml", ".json")


class OutputError(Exception):
    """The bundle cannot be written; the message says why. What was there before is still there."""


def read_sources(inputs: Sequence[str]) -> tuple[Sources, tuple[Diagnostic, ...]]:
    """Reads files, directories (their `.yaml`, `.yml` and `.json` files, recursively) and `-` for standard input."""
    sources: dict[str, bytes] = {}
    findings: list[Diagnostic] = []
    for name in inputs:
        if name == "-":
            sources.setdefault("-", sys.stdin.buffer.read())
            continue
        path = Path(name)
        if path.is_dir():
            found = sorted(item for item in path.rglob("*") if item.suffix in _SUFFIXES and item.is_file())
            if not found:
                findings.append(
                    error("EG101", Place(name), "the directory holds no .yaml, .yml or .json file; name another")
                )
        else:
            found = [path]
        for item in found:
            try:
                sources.setdefault(str(item), item.read_bytes())
            except OSError as fault:
                findings.append(
                    error(
                        "EG101",
                        Place(str(item)),
                        f"cannot be read ({fault.strerror}); check the path and its permissions",
                    )
                )
    return sources, tuple(findings)


def write_bundle(files: Mapping[str, bytes], target: Path) -> None:
    """Writes a bundle so that `target` is either what it was or all of the new one.

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
            _fill(staging, files)
            _swap(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as fault:
        raise OutputError(f"{fault.filename or target}: {fault.strerror}") from fault


def _fill(staging: Path, files: Mapping[str, bytes]) -> None:
    staging.chmod(0o755)
    for path, content in files.items():
        (staging / path).parent.mkdir(parents=True, exist_ok=True)
        (staging / path).write_bytes(content)


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
