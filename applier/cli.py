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
from applier.netns import entered
from applier.want import want
from bundle.directory import BundleError, NodePart, open_bundle
from bundle.text import printable_lines

DONE = 0
DIFFERS = 1
REFUSED = 2
FAILED = 3


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
    try:
        part = open_bundle(directory).node(node)
    except BundleError as error:
        return _fail(err, REFUSED, str(error))
    with ExitStack() as stack:
        try:
            stack.enter_context(entered(netns))
        except OSError as error:
            return _fail(err, REFUSED, f"network namespace {netns}: {error.strerror}")
        try:
            kernel = stack.enter_context(closing(LinuxKernel()))
            return apply_part(kernel, part, dry_run=dry_run, out=out, err=err)
        except KernelError as error:
            return _fail(err, FAILED, f"failed, nothing was touched: {error}")


def apply_part(kernel: Kernel, part: NodePart, dry_run: bool, out: TextIO, err: TextIO) -> int:
    """Does the work of `run` on a kernel that is open, for a part that was read.

    Raises:
        KernelError: The kernel cannot be read; nothing was touched.
    """
    look = partial(observe, kernel, part)
    live = look()
    try:
        wanted = want(part, live)
    except RefusedError as error:
        return _fail(err, REFUSED, f"refused, nothing was touched:\n{error}")
    changes = difference(wanted, live)
    if not changes:
        _write(out, "nothing to do")
        return DONE
    if dry_run:
        for line in chain.from_iterable(change.lines() for change in changes):
            _write(out, line)
        return DIFFERS
    try:
        apply(kernel, wanted, live, look, lambda line: _write(out, line))
    except ApplyFailedError as error:
        if not error.left:
            return _fail(err, FAILED, f"failed, and the node was put back as it was: {error}")
        left = "\n".join(error.left)
        return _fail(
            err, FAILED, f"failed: {error}\nthe node was put back, except for what could not be undone:\n{left}"
        )
    _write(out, f"done: {part.node}, {len(changes)} {'step' if len(changes) == 1 else 'steps'}")
    return DONE


def _write(out: TextIO, line: str) -> None:
    # Whoever reads along may go away, as `| head` does; an apply goes on all the same.
    with suppress(BrokenPipeError):
        out.write(f"{printable_lines(line)}\n")
        out.flush()


def _fail(err: TextIO, status: int, message: str) -> int:
    err.write(f"egressc apply: {printable_lines(message)}\n")
    return status
