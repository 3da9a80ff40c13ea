"""`egressc graph`: draws a bundle, or inputs, as SVG or PNG by Graphviz, or as its source, or as Mermaid."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from compiler.console import Console
from compiler.files import OutputError, write_output
from compiler.graph.dot import dot_text
from compiler.graph.mermaid import markdown_text, mermaid_text
from compiler.graph.picture import Picture, draw
from compiler.sides import SideError, open_side
from compiler.telling import BAD_INPUT, OK, fail, tell_findings, tell_reading

_SECONDS: Final = 120
"""Longest time for Graphviz, which takes one second; the number of boxes is bounded."""

_TEXTS: Final = {"dot": dot_text, "mermaid": mermaid_text, "markdown": markdown_text}
_SUFFIXES: Final = {
    ".svg": "svg",
    ".png": "png",
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".md": "markdown",
}


class _GraphError(Exception):
    """It cannot be drawn or written; the message says what to do."""


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc graph` with parsed arguments (`inputs`, `output`, `format`, `Console`'s); returns the exit status.

    Raises:
        BundleError: The bundle is not whole.
    """
    console = Console.of(arguments)
    try:
        kind = arguments.format or _kind_of(arguments.output)
        with console.working() as progress:
            side = open_side(arguments.inputs, progress=progress)
            progress("drawing")
            picture = draw(side.account)
            content = _TEXTS[kind](picture).encode() if kind in _TEXTS else _by_graphviz(picture, kind)
        tell_reading(side, console)
        tell_findings(side.findings, side.sources, console)
        write_output(content, arguments.output)
        if arguments.output != "-":
            console.note(f"wrote {arguments.output}")
    except SideError as fault:
        sys.stderr.write(fault.told(console.err))
        return BAD_INPUT
    except (_GraphError, OutputError) as fault:
        return fail(str(fault))
    return OK


def _kind_of(output: str) -> str:
    if output == "-":
        return "mermaid"
    suffix = Path(output).suffix.lower()
    if suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise _GraphError(f"{output}: the format is not to be told from the name; end it in {known}, or give --format")
    return _SUFFIXES[suffix]


def _by_graphviz(picture: Picture, kind: str) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise _GraphError(
            f"{kind} is drawn by Graphviz, whose program dot is not there: install it (Debian's package graphviz), "
            "or take --format dot, mermaid or markdown, which need no program"
        )
    command = [program, f"-T{kind}", *(["-Gdpi=144"] if kind == "png" else [])]
    try:
        done = subprocess.run(  # noqa: S603  # its whole input is our own text
            command, input=dot_text(picture).encode(), capture_output=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise _GraphError(f"{program} took more than {_SECONDS} seconds and was stopped") from None
    except OSError as fault:
        raise _GraphError(f"{program}: cannot be run: {fault.strerror}") from None
    if done.returncode:
        raise _GraphError(f"{program} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
