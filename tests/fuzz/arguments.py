"""Text of the command line that becomes something: the commands as they are run, each argument a line of the data."""

import atexit
import contextlib
import io
import random
import shutil
import tempfile
from functools import cache
from pathlib import Path

from compiler.cli import main
from fuzz.mutate import text_mutation
from fuzz.properties import sound_text
from fuzz.samples import bundle

STATUSES = (0, 1, 2)


@cache
def _bundle() -> str:
    path = Path(tempfile.mkdtemp(prefix="egressc-fuzz-"))
    atexit.register(shutil.rmtree, path)
    for name, content in bundle().items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return str(path)


def seeds() -> list[bytes]:
    """Returns arguments of the commands that open a bundle or read files."""
    return [
        b"explain\nBUNDLE\n--from\ndefault/backend\n--to\n203.0.113.10",
        b"explain\nBUNDLE\n--from\n10.111.11.5\n--to\n203.0.113.10\n--format\njson",
        b"explain\nBUNDLE\n--from\nfd00:111:0:11::5\n--to\n::1",
        b"apply\nBUNDLE\n--node\nno-such-node\n--dry-run",
        b"check\nBUNDLE/status.yaml\n--format\njson",
        b"test\nBUNDLE/status.yaml",
    ]


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Changes some arguments, and never to one that has the command write or wait."""
    return text_mutation(data, draw)


def check(data: bytes) -> None:
    """Ends with a status of the documented ones, and says what is wrong on lines of its own."""
    arguments = [line.decode(errors="surrogateescape") for line in data.split(b"\n")]
    # Only what reads: a node that exists would have `apply` look into this kernel, and `-` waits for somebody to type.
    if (
        arguments[0] not in ("explain", "check", "test", "apply")
        or "-" in arguments
        or b"\0" in data
        or _unsafe(arguments)
    ):
        return
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status: object = main([argument.replace("BUNDLE", _bundle()) for argument in arguments])
        except SystemExit as ended:
            status = ended.code
    assert status in STATUSES, (status, err.getvalue())
    sound_text(err.getvalue())
    sound_text(out.getvalue())


def _unsafe(arguments: list[str]) -> bool:
    if arguments[0] in ("check", "test"):
        return any(not argument.startswith(("BUNDLE/", "--")) for argument in arguments[1:])
    return arguments[0] == "apply" and ("--dry-run" not in arguments or "--netns" in " ".join(arguments))
