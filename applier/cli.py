"""`egressc apply`: once, or for as long as somebody watches."""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TextIO

from applier.delivery import Inbox, Terms, deliver, guarded, hold, open_for, open_kept, opened
from applier.errors import RefusedError
from applier.events import Events
from applier.kernel import Kernel
from applier.log import Log
from applier.reporter import Reporter
from applier.session import DIFFERS, DONE, FAILED, REFUSED, Outcome, Session
from applier.store import Store, StoreError
from applier.watch import Watch
from bundle.directory import Bundle, NodePart
from bundle.names import STATE_DIRECTORY
from bundle.text import printable_lines

AGAIN = (0.1, 0.4, 1.0, 2.0)
"""Seconds after which a new virtual IP is announced again, each from the one before: switches and hosts lose frames."""


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc apply` with parsed arguments; returns the exit status."""
    try:
        terms = terms_of(arguments)
    except StoreError as error:
        return tell("apply", Outcome(REFUSED, str(error)), sys.stdout, sys.stderr)
    if misuse := _misuse(arguments):
        return tell("apply", Outcome(REFUSED, misuse), sys.stdout, sys.stderr)
    log = Log(sys.stderr, arguments.log_format) if arguments.log_format or arguments.watch else None
    reporter = Reporter(arguments.metrics, terms.node, terms.store, partial(_warn, log))
    if arguments.kept:
        return _hold(arguments, terms, log, reporter)
    if arguments.watch:
        return _watch(arguments, terms, log or Log(sys.stderr), reporter)
    status = run(
        arguments.bundle,
        terms.node,
        arguments.netns,
        dry_run=arguments.dry_run,
        out=sys.stdout,
        err=sys.stderr,
        terms=terms,
        again=AGAIN,
        log=log,
        reporter=reporter,
    )
    if status == REFUSED and arguments.or_kept and not arguments.dry_run:
        return _hold(arguments, terms, log, reporter)
    return status


def _warn(log: Log | None, text: str) -> None:
    if log:
        log.event("warning", "metrics_unwritten", text)
    else:
        sys.stderr.write(f"egressc apply: note: {printable_lines(text)}\n")


def _misuse(arguments: argparse.Namespace) -> str:
    """Returns what is wrong with arguments that do not go together, empty if nothing is."""
    if arguments.kept and (arguments.bundle or arguments.dry_run or arguments.watch):
        return "--kept applies what the node keeps; leave out DIR, --dry-run and --watch"
    if arguments.bundle is None and not arguments.kept:
        return "name the bundle's directory, or --kept"
    if arguments.watch and arguments.dry_run:
        return "--watch changes what differs; leave out --dry-run"
    return ""


def terms_of(arguments: argparse.Namespace) -> Terms:
    """Returns the terms that the arguments say.

    Raises:
        StoreError: The state directory will not do.
    """
    directory: Path | None = arguments.state_dir
    if directory is None and arguments.netns is None:
        directory = Path(STATE_DIRECTORY)
    return Terms(
        node=arguments.node,
        key=arguments.verify_key,
        # Another network namespace is another node to us, of which this one keeps nothing unless it is told where.
        store=Store(directory, arguments.node) if directory else None,
        allow_rollback=arguments.allow_rollback,
        wait=arguments.wait,
    )


def run(  # noqa: PLR0913, PLR0917  # the command's own arguments, its two streams, and where else to tell of it
    directory: Path,
    node: str,
    netns: str | None,
    dry_run: bool,
    out: TextIO,
    err: TextIO,
    *,
    terms: Terms | None = None,
    again: Sequence[float] = (),
    log: Log | None = None,
    reporter: Reporter | None = None,
) -> int:
    """Loads one node's part of a bundle into the kernel, or prints what that would change.

    Args:
        directory: The bundle.
        node: The node's name.
        netns: Network namespace, a path or the name of one under `/run/netns`; None for the current one.
        dry_run: Print only.
        out: Where the steps go, one a line.
        err: Where refusals and failures go.
        terms: On what terms the node takes bundles; None takes any and keeps nothing.
        again: Seconds after which new virtual IPs are announced again, each from the one before.
        log: Where else to say how it ended; instead of to `err`.
        reporter: Who tells Prometheus.

    Returns:
        0 done or nothing to do; 1 a dry run found differences; 2 the bundle or the node will not do, and nothing was
        touched; 3 the apply failed, and the node was put back as far as `err` says.
    """
    terms = terms or Terms(node)
    bundle, session = None, None
    with ExitStack() as stack:
        with guarded() as ended:
            bundle = open_for(directory, node)
            session = stack.enter_context(opened(netns))
            ended.append(deliver(session, bundle, terms, printer(out), dry_run=dry_run))
        if reporter and not dry_run:
            reporter.tell(ended[-1], bundle, session.kernel if session else None)
        status = tell("apply", ended[-1], out, err, log)
        if session:
            session.repeat_over(ended[-1].announced, again)
    return status


def _hold(arguments: argparse.Namespace, terms: Terms, log: Log | None, reporter: Reporter) -> int:
    def kept() -> Bundle:
        current = terms.store.current() if terms.store else None
        if terms.store is None or current is None:
            raise RefusedError("this node keeps no bundle that was applied")
        return open_kept(terms.store, current, terms.key)

    def work(session: Session) -> Outcome:
        outcome = hold(session, kept, terms, printer(sys.stdout))
        reporter.tell(outcome, None, session.kernel)
        return outcome

    return conduct("apply", arguments.netns, work, log)


def conduct(command: str, netns: str | None, work: Callable[[Session], Outcome], log: Log | None = None) -> int:
    """Runs a command of a node on its kernel, tells how it ended and announces again what it announced.

    Args:
        command: Its name.
        netns: Network namespace, as for `run`.
        work: Does it.
        log: Where else to say how it ended; instead of to standard error.

    Returns:
        As `run`.
    """
    with ExitStack() as stack:
        session = None
        with guarded() as ended:
            session = stack.enter_context(opened(netns))
            ended.append(work(session))
        status = tell(command, ended[-1], sys.stdout, sys.stderr, log)
        if session:
            session.repeat_over(ended[-1].announced, AGAIN)
    return status


def _watch(arguments: argparse.Namespace, terms: Terms, log: Log, reporter: Reporter) -> int:
    inbox = Inbox(arguments.bundle, terms)
    with guarded() as ended, opened(arguments.netns) as session, closing(Events()) as events:
        # Who waits for another apply does not hear that it is to stop.
        terms = replace(terms, wait=min(terms.wait, 1.0))
        Watch(session, events, inbox, terms, log, AGAIN, reporter).run()
    return tell("apply", ended[-1], sys.stdout, sys.stderr, log) if ended else DONE


def apply_part(kernel: Kernel, part: NodePart, *, dry_run: bool, out: TextIO, err: TextIO) -> int:
    """Applies a part that was read to a kernel that is open, and keeps no record.

    Raises:
        KernelError: The kernel cannot be read; nothing was touched.
    """
    return tell("apply", Session(kernel).apply(part, printer(out), dry_run=dry_run), out, err)


def tell(command: str, outcome: Outcome, out: TextIO, err: TextIO, log: Log | None = None) -> int:
    """Prints how a command ended; returns its exit status."""
    name = f"{command}_{_ENDINGS[outcome.status]}"
    for note in outcome.notes:
        if log:
            log.event("warning", f"{command}_note", note)
        else:
            err.write(f"egressc {command}: note: {printable_lines(note)}\n")
    if outcome.status == DONE:
        _write(out, outcome.message)
    if log:
        log.event("info" if outcome.status in (DONE, DIFFERS) else "error", name, outcome.message or name)
    elif outcome.status in (REFUSED, FAILED):
        err.write(f"egressc {command}: {printable_lines(outcome.message)}\n")
    return outcome.status


_ENDINGS = {DONE: "done", DIFFERS: "differs", REFUSED: "refused", FAILED: "failed"}


def printer(out: TextIO) -> Callable[[str], None]:
    """Returns what prints a line of a step."""
    return partial(_write, out)


def _write(out: TextIO, line: str) -> None:
    # Whoever reads along may go away, as `| head` does, and a disk may be full; an apply goes on all the same.
    with suppress(OSError):
        out.write(f"{printable_lines(line)}\n")
        out.flush()
