"""`egressc diff`: two sides, each a bundle or inputs, or a node's kernel and a bundle."""

import argparse
import sys
from functools import partial
from pathlib import Path

from bundle.style import Style
from bundle.text import json_text, printable
from compiler.console import Console
from compiler.diff.difference import Difference, compare_sides
from compiler.diff.forms import diff_markdown, diff_text
from compiler.diff.nodeforms import Line
from compiler.diff.output import diff_json
from compiler.elect import NOTHING_EARLIER, Earlier
from compiler.files import read_sources
from compiler.gates import Gate, GateError, parse_gates
from compiler.progress import Progress
from compiler.sides import Side, SideError, masters, open_side
from compiler.telling import BAD_INPUT, DIFFERENT, OK, fail, tell_findings


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc diff` with parsed arguments; returns the exit status."""
    console = Console.of(arguments)
    if arguments.live:
        return _live(arguments, console.out)
    if arguments.new is None:
        return fail("diff takes two sides, OLD and NEW, or with --live one bundle")
    if arguments.node is not None or arguments.netns is not None:
        return fail("--node and --netns go with --live, which compares a node's kernel with one bundle")
    try:
        gates = parse_gates(arguments.fail_on)
        with console.working() as progress:
            old, new = _open(arguments, progress)
            difference = compare_sides(old, new, progress)
    except GateError as fault:
        return fail(str(fault))
    except SideError as fault:
        sys.stderr.write(fault.told(console.err))
        return BAD_INPUT
    tell_findings(new.findings, new.sources, console)
    met = difference.gates() & gates
    _print(difference, met, arguments.format, console.out)
    for gate in sorted(met):
        sys.stderr.write(f"egressc: --fail-on {gate}: it happens\n")
    differs = bool(met) if arguments.fail_on else bool(difference)
    return DIFFERENT if differs else OK


def _live(arguments: argparse.Namespace, style: Style) -> int:
    if arguments.new is not None or arguments.shared:
        return fail("--live takes one bundle: the other side is the kernel")
    if arguments.node is None:
        return fail("--live needs --node NAME, the node that this is")
    if arguments.fail_on:
        return fail("--fail-on is about traffic, of which a node's kernel tells nothing; leave --live or it out")
    from compiler.diff.live import live_diff  # noqa: PLC0415  # pulls in netlink, for which all else has no need

    text, status = live_diff(
        Path(arguments.old), arguments.node, arguments.netns, arguments.format, partial(_painted, style=style)
    )
    if status == BAD_INPUT:
        return fail(text.rstrip("\n"))
    sys.stdout.write(text)
    return status


def _open(arguments: argparse.Namespace, progress: Progress) -> tuple[Side, Side]:
    """Opens both sides; masters of the new one are elected as `compile --previous OLD` would."""
    if [arguments.old, arguments.new, *arguments.shared].count("-") > 1:
        raise SideError("standard input (-) can be read once only; give what both sides have by --with -")
    shared = read_sources(arguments.shared)
    old = open_side([arguments.old], NOTHING_EARLIER, progress, shared)
    return old, open_side([arguments.new], Earlier(masters(old.account.gateways)), progress, shared)


def _print(difference: Difference, met: frozenset[Gate], form: str, style: Style) -> None:
    if form == "json":
        sys.stdout.write(json_text(diff_json(difference, met)))
    elif form == "markdown":
        sys.stdout.write(diff_markdown(difference, met))
    elif difference:
        sys.stdout.writelines(f"{_painted(line, style)}\n" for line in diff_text(difference))


def _painted(line: Line, style: Style) -> str:
    text = printable(str(line))
    paint = {"+": style.added, "-": style.removed, "~": style.changed, "!": style.error}.get(line.sign)
    if paint is None:
        return style.strong(text) if line.depth == 0 else text
    return paint(text)
