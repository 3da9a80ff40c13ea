"""A bundle on the disk, as `egressc apply` and `explain` open it.

The data is a text of several files; a manifest is made where it holds none, so that harm is not stopped at the digests.
"""

import contextlib
import hashlib
import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from bundle.directory import MANIFEST, Bundle, BundleError, open_bundle
from bundle.model import FORMAT_VERSION
from compiler.explain import Explainer, ExplainError
from compiler.verify.report import verdict_text
from compiler.verify.verify import verify
from fuzz.mutate import join, json_mutation, part_mutation, parts, text_mutation
from fuzz.properties import sound_text
from fuzz.samples import bundle

QUESTIONS = (("default/backend", "203.0.113.10"), ("10.111.11.5", "10.222.0.1"), ("fd00:111:0:11::5", "2001:db8::1"))


def seeds() -> list[bytes]:
    """Returns bundles, with and without their manifest."""
    small = bundle(3)
    return [join(small), *(join({k: v for k, v in bundle(i).items() if k != MANIFEST}) for i in (1, 3))]


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Changes one of the files, or its name."""
    return part_mutation(data, draw, {"json": json_mutation, "nft": text_mutation})


def check(data: bytes) -> None:
    """Opens or is refused as a bundle; questions are answered or refused in words, and it is verified or not."""
    with folder(parts(data)) as path:
        try:
            opened = open_bundle(path)
            for node in opened.manifest.nodes:
                opened.node(node)
            ask(opened)
            # It sends some 100,000 packets through rules that it has not seen before, which takes an instrumented
            # interpreter many seconds; the evaluator behind it has a target of its own.
            with mock.patch("compiler.verify.ruleset.check_skeleton", return_value=""):
                sound_text(verdict_text(verify(opened, None)))
        except BundleError as fault:
            assert str(path) in str(fault), fault


def ask(opened: Bundle) -> None:
    """Asks for the fate of some packets."""
    explainer = Explainer(opened)
    for source, destination in QUESTIONS:
        with contextlib.suppress(ExplainError):
            fate = explainer.explain(source, destination)
            json.loads(fate.json())
            assert fate.text().endswith("\n")


@contextlib.contextmanager
def folder(files: dict[str, bytes]) -> Iterator[Path]:
    """Writes files below a new directory; a name that would lead out of it, or that no disk takes, is left out."""
    path = Path(tempfile.mkdtemp(prefix="egressc-fuzz-"))
    try:
        if MANIFEST not in files:
            files = {MANIFEST: manifest(files), **files}
        for name, content in files.items():
            target = path / name
            if name.startswith("/") or ".." in name.split("/"):
                continue
            with contextlib.suppress(OSError, ValueError):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        yield path
    finally:
        shutil.rmtree(path)


def manifest(files: dict[str, bytes]) -> bytes:
    """Returns a manifest that fits the files."""
    return json.dumps(
        {
            "formatVersion": FORMAT_VERSION,
            "compilerVersion": "",
            "inputsDigest": "",
            "nodes": sorted({name.split("/")[1] for name in files if name.startswith("nodes/")}),
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        }
    ).encode()
