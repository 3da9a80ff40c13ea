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
from compiler.telling import BAD_INPUT, DIFFERENT, OK, fail, tell_findings, tell_reading


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc diff` with parsed arguments; returns the exit status."""
    console = Console.of(arguments)
    if misuse := _misuse(arguments):
        return fail(misuse)
    if arguments.live:
        return _live(arguments, console.out)
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
    if arguments.fail_on and not difference.traffic.total:
        return fail("neither side has a workload, so that --fail-on has nothing to judge; give the snapshot by --with")
    for side in (old, new):
        tell_reading(side, console)
    tell_findings(new.findings, new.sources, console)
    met = difference.gates() & gates
    _print(difference, met, arguments.format, console.out)
    for gate in sorted(met):
        sys.stderr.write(f"egressc: --fail-on {gate}: it happens\n")
    differs = bool(met) if arguments.fail_on else bool(difference)
    return DIFFERENT if differs else OK


def _misuse(arguments: argparse.Namespace) -> str | None:
    """Returns how the arguments do not go together, None if they do."""
    problems = {
        "--live takes one bundle: the other side is the kernel": arguments.new is not None or arguments.shared,
        "--live needs --node NAME, the node that this is": arguments.node is None,
        "--fail-on is about traffic, of which a node's kernel tells nothing; leave --live or it out": arguments.fail_on,
    }
    if not arguments.live:
        problems = {
            "diff takes two sides, OLD and NEW, or with --live one bundle": arguments.new is None,
            "--node and --netns go with --live, which compares a node's kernel with one bundle": arguments.node
            is not None
            or arguments.netns is not None,
        }
    return next((text for text, happens in problems.items() if happens), None)


def _live(arguments: argparse.Namespace, style: Style) -> int:
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
