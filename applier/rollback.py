"""`egressc rollback`: applies the bundle that was applied before the last one, out of what the node keeps."""

import argparse
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TextIO

from applier.cli import DONE, FAILED, REFUSED, apply_part
from applier.errors import KernelError
from applier.kernel import LinuxKernel
from applier.netns import entered
from applier.store import Kept, Store, StoreError
from bundle.directory import BundleError, NodePart
from bundle.signature import SignatureError, verify
from bundle.text import printable_lines


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc rollback` with parsed arguments; returns the exit status.

    Those are `node`, `netns`, `dry_run`, `verify_key` and `state_dir`.
    """
    try:
        store = Store(arguments.state_dir, arguments.node)
    except StoreError as error:
        return _fail(sys.stderr, REFUSED, str(error))
    return run(
        store,
        arguments.node,
        arguments.netns,
        arguments.verify_key,
        dry_run=arguments.dry_run,
        out=sys.stdout,
        err=sys.stderr,
    )


def run(  # noqa: PLR0913  # the command's own arguments and its two streams
    store: Store, node: str, netns: str | None, key: Path | None, *, dry_run: bool, out: TextIO, err: TextIO
) -> int:
    """Goes back to the previous bundle and refuses the current one from then on, until somebody allows it again.

    Args:
        store: What the node keeps.
        node: The node's name.
        netns: Network namespace, as for `applier.cli.run`.
        key: Who must have signed the previous bundle; None asks for no signature.
        dry_run: Print only.
        out: Where the steps go, one a line.
        err: Where refusals and failures go.

    Returns:
        As `applier.cli.run`.
    """
    try:
        current, previous = store.current(), store.previous()
        if current is None or previous is None:
            return _fail(err, REFUSED, f"{store}: keeps no earlier bundle to go back to")
        bundle = store.open(previous)
        if key is not None:
            verify(bundle, key)
        part = bundle.node(node)
        if dry_run:
            return _apply(part, netns, dry_run=True, out=out, err=err)
        # First, so that nobody who watches brings it back in between.
        store.refuse(current.digest)
    except (BundleError, SignatureError, StoreError) as error:
        return _fail(err, REFUSED, f"refused, nothing was touched: {error}")
    status = FAILED
    try:
        status = _apply(part, netns, dry_run=False, out=out, err=err)
    finally:
        try:
            if status == DONE:
                store.go_back()
            else:
                store.accept(current.digest)
        except StoreError as error:
            status = _fail(err, FAILED, f"the node keeps no note of it: {error}")
    if status == DONE:
        out.write(f"went back to {_named(previous)}; {_named(current)} is refused from now on\n")
    return status


def _apply(part: NodePart, netns: str | None, *, dry_run: bool, out: TextIO, err: TextIO) -> int:
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


def _named(kept: Kept) -> str:
    serial = "" if kept.serial is None else f"serial {kept.serial}, "
    return f"bundle {kept.digest[:12]} ({serial}applied {kept.time})"


def _fail(err: TextIO, status: int, message: str) -> int:
    err.write(f"egressc rollback: {printable_lines(message)}\n")
    return status
