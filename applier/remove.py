"""`egressc remove`: takes everything of ours away from a node, and nothing else."""

import argparse
import sys
from contextlib import ExitStack, closing

from applier import cli
from applier.errors import KernelError, RefusedError
from applier.kernel import LinuxKernel
from applier.lock import locked
from applier.netns import entered
from applier.record import Records
from applier.session import FAILED, REFUSED, Outcome, Session


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc remove` with parsed arguments (`netns`, `dry_run`, `wait`); returns the exit status."""
    try:
        with ExitStack() as stack:
            stack.enter_context(entered(arguments.netns))
            stack.enter_context(locked(arguments.wait))
            kernel = stack.enter_context(closing(LinuxKernel()))
            session = Session(kernel, Records())
            outcome = session.remove({}, cli.printer(sys.stdout), dry_run=arguments.dry_run)
    except RefusedError as error:
        outcome = Outcome(REFUSED, str(error))
    except OSError as error:
        outcome = Outcome(REFUSED, f"network namespace {arguments.netns}: {error.strerror}")
    except KernelError as error:
        outcome = Outcome(FAILED, f"failed, nothing was touched: {error}")
    return cli.tell("remove", outcome, sys.stdout, sys.stderr)
