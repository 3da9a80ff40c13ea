"""`egressc apply`: opens the bundle, enters the namespace, and prints what an apply says."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import TextIO

from applier.errors import KernelError, RefusedError
from applier.kernel import Kernel, LinuxKernel
from applier.lock import locked
from applier.netns import entered
from applier.record import Records
from applier.session import DONE, FAILED, REFUSED, Outcome, Session
from bundle.directory import BundleError, NodePart, open_bundle
from bundle.text import printable_lines

WAIT = 10.0
"""Seconds to wait for another apply to end."""

AGAIN = (0.5, 1.0, 2.0)
"""Seconds after which a new virtual IP is announced again, each from the one before: switches and hosts lose frames."""


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc apply` with parsed arguments; returns the exit status."""
    return run(
        arguments.bundle,
        arguments.node,
        arguments.netns,
        dry_run=arguments.dry_run,
        out=sys.stdout,
        err=sys.stderr,
        wait=arguments.wait,
        again=AGAIN,
    )


def run(  # noqa: PLR0913, PLR0917  # the command's own arguments and its two streams
    directory: Path,
    node: str,
    netns: str | None,
    dry_run: bool,
    out: TextIO,
    err: TextIO,
    *,
    wait: float = WAIT,
    again: Sequence[float] = (),
) -> int:
    """Loads one node's part of a bundle into the kernel, or prints what that would change.

    Args:
        directory: The bundle.
        node: The node's name.
        netns: Network namespace, a path or the name of one under `/run/netns`; None for the current one.
        dry_run: Print only.
        out: Where the steps go, one a line.
        err: Where refusals and failures go.
        wait: Seconds to wait for another apply to end.
        again: Seconds after which new virtual IPs are announced again, each from the one before.

    Returns:
        0 done or nothing to do; 1 a dry run found differences; 2 the bundle or the node will not do, and nothing was
        touched; 3 the apply failed, and the node was put back as far as `err` says.
    """
    with ExitStack() as stack:
        try:
            bundle = open_bundle(directory)
            stack.enter_context(entered(netns))
            kernel = stack.enter_context(closing(LinuxKernel()))
            session = Session(kernel, Records())
            with locked(wait):
                outcome = session.apply(session.part(bundle, node), printer(out), dry_run=dry_run)
        except (BundleError, RefusedError) as error:
            outcome = Outcome(REFUSED, str(error))
        except OSError as error:
            outcome = Outcome(REFUSED, f"network namespace {netns}: {error.strerror}")
        except KernelError as error:
            outcome = Outcome(FAILED, f"failed, nothing was touched: {error}")
        status = tell("apply", outcome, out, err)
        for pause in again if outcome.announced else ():
            time.sleep(pause)
            session.repeat(outcome.announced)
    return status


def apply_part(kernel: Kernel, part: NodePart, *, dry_run: bool, out: TextIO, err: TextIO) -> int:
    """Does the work of `run` on a kernel that is open, for a part that was read, and keeps no record.

    Raises:
        KernelError: The kernel cannot be read; nothing was touched.
    """
    return tell("apply", Session(kernel).apply(part, printer(out), dry_run=dry_run), out, err)


def tell(command: str, outcome: Outcome, out: TextIO, err: TextIO) -> int:
    """Prints how a command ended; returns its exit status."""
    err.writelines(f"egressc {command}: note: {printable_lines(note)}\n" for note in outcome.notes)
    if outcome.status == DONE:
        _write(out, outcome.message)
    elif outcome.message:
        err.write(f"egressc {command}: {printable_lines(outcome.message)}\n")
    return outcome.status


def printer(out: TextIO) -> Callable[[str], None]:
    """Returns what prints a line of a step."""
    return partial(_write, out)


def _write(out: TextIO, line: str) -> None:
    # Whoever reads along may go away, as `| head` does; an apply goes on all the same.
    with suppress(BrokenPipeError):
        out.write(f"{printable_lines(line)}\n")
        out.flush()
