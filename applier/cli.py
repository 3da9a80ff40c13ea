"""`egressc apply`: opens the bundle, enters the namespace, compares, and prints or does the steps."""

import argparse
import sys
from contextlib import ExitStack, closing, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TextIO

from applier.apply import ApplyFailedError, apply
from applier.difference import difference
from applier.errors import KernelError, RefusedError
from applier.kernel import Kernel, LinuxKernel
from applier.live import observe
from applier.lock import locked
from applier.model import Live
from applier.netns import entered
from applier.record import Record, Records
from applier.want import want
from bundle.directory import BundleError, NodePart, open_bundle
from bundle.text import printable_lines

DONE = 0
DIFFERS = 1
REFUSED = 2
FAILED = 3

WAIT = 10.0
"""Seconds to wait for another apply to end."""


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc apply` with parsed arguments (`bundle`, `node`, `netns`, `dry_run`); returns the exit status."""
    return run(
        arguments.bundle,
        arguments.node,
        arguments.netns,
        dry_run=arguments.dry_run,
        out=sys.stdout,
        err=sys.stderr,
    )


def run(  # noqa: PLR0913, PLR0917  # the command's own arguments and its two streams
    directory: Path, node: str, netns: str | None, dry_run: bool, out: TextIO, err: TextIO
) -> int:
    """Loads one node's part of a bundle into the kernel, or prints what that would change.

    Args:
        directory: The bundle.
        node: The node's name.
        netns: Network namespace, a path or the name of one under `/run/netns`; None for the current one.
        dry_run: Print only.
        out: Where the steps go, one a line.
        err: Where refusals and failures go.

    Returns:
        0 done or nothing to do; 1 a dry run found differences; 2 the bundle or the node will not do, and nothing was
        touched; 3 the apply failed, and the node was put back as far as `err` says.
    """
    with ExitStack() as stack:
        try:
            bundle = open_bundle(directory)
            stack.enter_context(entered(netns))
            stack.enter_context(locked(WAIT))
            kernel = stack.enter_context(closing(LinuxKernel()))
            records = Records()
            record = records.load()
            unchanged = record is not None and record.generation == kernel.generation()
            part = bundle.node(node, record.ruleset_text if record and unchanged else "")
            return apply_part(kernel, part, dry_run=dry_run, out=out, err=err, records=records)
        except (BundleError, RefusedError) as error:
            return _fail(err, REFUSED, str(error))
        except OSError as error:
            return _fail(err, REFUSED, f"network namespace {netns}: {error.strerror}")
        except KernelError as error:
            return _fail(err, FAILED, f"failed, nothing was touched: {error}")


def apply_part(  # noqa: PLR0913  # all but two by keyword
    kernel: Kernel, part: NodePart, *, dry_run: bool, out: TextIO, err: TextIO, records: Records | None = None
) -> int:
    """Does the work of `run` on a kernel that is open, for a part that was read.

    Raises:
        KernelError: The kernel cannot be read; nothing was touched.
    """
    record = records.load() if records else None
    look = partial(observe, kernel, part, record.texts if record else {})
    generation, made = kernel.generation(), kernel.commits()
    live = look()
    try:
        wanted = want(part, live)
    except RefusedError as error:
        return _fail(err, REFUSED, f"refused, nothing was touched:\n{error}")
    changes = difference(wanted, live)
    if not changes:
        _remember(records, kernel, part, live, generation)
        _write(out, "nothing to do")
        return DONE
    if dry_run:
        for line in chain.from_iterable(change.lines() for change in changes):
            _write(out, line)
        return DIFFERS
    try:
        after = apply(kernel, wanted, live, look, lambda line: _write(out, line))
    except ApplyFailedError as error:
        if not error.left:
            return _fail(err, FAILED, f"failed, and the node was put back as it was: {error}")
        left = "\n".join(error.left)
        return _fail(
            err, FAILED, f"failed: {error}\nthe node was put back, except for what could not be undone:\n{left}"
        )
    _remember(records, kernel, part, after, generation + kernel.commits() - made)
    _write(out, f"done: {part.node}, {len(changes)} {'step' if len(changes) == 1 else 'steps'}")
    return DONE


def _remember(records: Records | None, kernel: Kernel, part: NodePart, live: Live, generation: int) -> None:
    """Keeps what now holds, unless somebody else's transactions came between ours."""
    if records is not None and live.ruleset is not None and kernel.generation() == generation:
        rules = chain.from_iterable(item.rules for item in live.ruleset.chains.values())
        records.save(Record(generation, part.ruleset_text, {rule.comment: rule.text for rule in rules}))


def _write(out: TextIO, line: str) -> None:
    # Whoever reads along may go away, as `| head` does; an apply goes on all the same.
    with suppress(BrokenPipeError):
        out.write(f"{printable_lines(line)}\n")
        out.flush()


def _fail(err: TextIO, status: int, message: str) -> int:
    err.write(f"egressc apply: {printable_lines(message)}\n")
    return status
