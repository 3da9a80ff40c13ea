"""`egressc doctor`: opens the bundle if there is one, enters the namespace, looks, and prints."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Final, TextIO, get_args

from applier.doctor.codes import CODES
from applier.doctor.daemons import check_daemons
from applier.doctor.facts import Facts
from applier.doctor.gather import gather, gather_means
from applier.doctor.node import can_look, check_means, check_node
from applier.doctor.others import check_others
from applier.doctor.ours import ours
from applier.doctor.plan import check_plan
from applier.doctor.pods import check_pods
from applier.errors import KernelError
from applier.kernel import LinuxKernel
from applier.netns import entered
from bundle.checkup import Check, Checkup, Level
from bundle.directory import BundleError, NodePart, open_bundle
from bundle.text import json_text, printable, printable_lines

FINE: Final = 0
BLOCKED: Final = 1
REFUSED: Final = 2


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc doctor` with parsed arguments (`bundle`, `node`, `netns`, `format`, `quiet`)."""
    return run(
        arguments.bundle,
        arguments.node,
        arguments.netns,
        as_json=arguments.format == "json",
        quiet=arguments.quiet,
        out=sys.stdout,
        err=sys.stderr,
    )


def run(  # noqa: PLR0913  # the command's own arguments and its two streams
    directory: Path | None, node: str | None, netns: str | None, *, as_json: bool, quiet: bool, out: TextIO, err: TextIO
) -> int:
    """Looks whether this node can do the job, and prints what there is to say.

    Args:
        directory: A bundle, to look at what it expects too.
        node: The node's name in it.
        netns: Network namespace, a path or the name of one under `/run/netns`; None for the current one.
        as_json: Print a `Checkup` as JSON, else one line for each check.
        quiet: Leave out what is in order.
        out: Where that goes.
        err: Where refusals go.

    Returns:
        0 nothing blocks; 1 something does; 2 the arguments or the bundle will not do, or the kernel cannot be read.
    """
    if (directory is None) != (node is None):
        return _fail(err, "a bundle and --node go together: give both or neither")
    try:
        part = open_bundle(directory).node(node) if directory and node else None
        facts = _look(part, netns)
    except (BundleError, KernelError) as error:
        return _fail(err, str(error))
    except OSError as error:
        return _fail(err, f"network namespace {netns}: {error.strerror}")
    checks = tuple(check for check in examine(facts, part) if not (quiet and check.level == "ok"))
    blocked = any(check.level == "blocks" for check in checks)
    out.write(json_text(asdict(Checkup(node, blocked, checks))) if as_json else "".join(_lines(checks, node)))
    return BLOCKED if blocked else FINE


def examine(facts: Facts, part: NodePart | None) -> Iterator[Check]:
    """Yields all checks, in the order of `CODES`, each on one line.

    Args:
        facts: What is known of the node.
        part: Its part of a bundle, if there is one.
    """
    for check in _checks(facts, part):
        remedy = None if check.remedy is None else printable(check.remedy)
        yield Check(check.code, check.level, printable(check.what), remedy)


def _checks(facts: Facts, part: NodePart | None) -> Iterator[Check]:
    yield from check_means(facts)
    if not can_look(facts):
        return
    yield from check_node(facts)
    yield from check_others(facts, ours(part))
    yield from check_daemons(facts)
    yield from check_pods(facts, part)
    if part:
        yield from check_plan(facts, part)


def _look(part: NodePart | None, netns: str | None) -> Facts:
    with ExitStack() as stack:
        stack.enter_context(entered(netns))
        means = gather_means()
        return gather(stack.enter_context(closing(LinuxKernel())), part, means) if can_look(means) else means


def _lines(checks: tuple[Check, ...], node: str | None) -> Iterator[str]:
    width = max(map(len, CODES))
    for check in checks:
        remedy = f" - {check.remedy}" if check.remedy else ""
        yield f"{check.level:7}  {check.code:{width}}  {check.what}{remedy}\n"
    levels: tuple[Level, ...] = get_args(Level)
    count = Counter(check.level for check in checks)
    told = ", ".join(f"{count[level]} {level}" for level in reversed(levels) if count[level]) or "nothing to say"
    yield f"{node or 'this node'}: {told}\n"


def _fail(err: TextIO, message: str) -> int:
    err.write(f"egressc doctor: {printable_lines(message)}\n")
    return REFUSED
