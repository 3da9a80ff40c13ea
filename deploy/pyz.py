"""Builds `egressc-node.pyz`: one file with all that a node needs to apply a bundle, save Python and nftables.

nftables' own Python module (Debian's python3-nftables) is under the GPL, version 2 only, and is not bundled with ours.
Run it by `make applier`. The same sources and the same Python give the same bytes. Byte code of the Python that builds
is in it, so that a start does not compile: build with the minor version that the nodes have. Every other version from
3.11 works too and is slower at its start.
"""

import argparse
import importlib.metadata
import io
import py_compile
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import bundle

ROOT = Path(__file__).parent.parent
PACKAGES: Final = ("bundle", "applier")
DEPENDENCY: Final = "pyroute2.minimal"

_SHEBANG = b"#!/usr/bin/env python3\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can tell
_MAIN = """\
import sys

if sys.version_info < (3, 11):
    sys.stderr.write("egressc: needs Python 3.11 or newer, and this is %d.%d\\n" % sys.version_info[:2])
    sys.exit(2)

from applier.__main__ import main

sys.exit(main())
"""
_ABOUT = """\
egressc {egressc}, the part that runs on nodes. Licences are beside this file:
  egressc/             egressc {egressc}, Apache License 2.0
  {dependency}/    {dependency} {version}, Apache License 2.0 at our choice, unaltered
"""


def main() -> int:
    """Writes the archive; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", metavar="FILE", type=Path)
    output: Path = parser.parse_args().output
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(build())
    output.chmod(0o755)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    print(f"{output}: {output.stat().st_size >> 10} KiB, byte code of Python {version}")  # noqa: T201  # says what it made
    return 0


def build() -> bytes:
    """Returns the archive."""
    files = {"__main__.py": _MAIN.encode(), **dict(_sources()), **dict(_licences())}
    archive = io.BytesIO()
    archive.write(_SHEBANG)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for name, content in sorted(files.items()):
            _add(target, name, content)
            if name.endswith(".py"):
                _add(target, f"{name}c", _compiled(name, content))
    return archive.getvalue()


def _sources() -> Iterator[tuple[str, bytes]]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            yield path.relative_to(ROOT).as_posix(), path.read_bytes()
    for file in importlib.metadata.files(DEPENDENCY) or ():
        if file.suffix == ".py":
            yield file.as_posix(), file.read_binary()


def _licences() -> Iterator[tuple[str, bytes]]:
    yield "licenses/egressc/LICENSE", (ROOT / "LICENSE").read_bytes()
    for file in importlib.metadata.files(DEPENDENCY) or ():
        if "licenses" in file.parts:
            yield f"licenses/{DEPENDENCY}/{file.name}", file.read_binary()
    version = importlib.metadata.version(DEPENDENCY)
    about = _ABOUT.format(egressc=bundle.__version__, dependency=DEPENDENCY, version=version)
    yield "licenses/README", about.encode()


def _compiled(name: str, content: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.py", Path(folder) / "target.pyc"
        source.write_bytes(content)
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH  # no time of a file is in it, and none is asked for
        py_compile.compile(str(source), str(target), dfile=name, doraise=True, invalidation_mode=mode)
        return target.read_bytes()


def _add(target: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = 0o644 << 16
    target.writestr(info, content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    sys.exit(main())
