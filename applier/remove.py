"""`egressc remove`: takes everything of ours away from a node, and nothing else."""

import argparse
import sys
from functools import partial

from applier.cli import conduct, printer, tell, terms_of
from applier.delivery import take_away
from applier.session import REFUSED, Outcome
from applier.store import StoreError


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc remove` with parsed arguments; returns the exit status."""
    try:
        terms = terms_of(arguments)
    except StoreError as error:
        return tell("remove", Outcome(REFUSED, str(error)), sys.stdout, sys.stderr)
    work = partial(take_away, terms=terms, report=printer(sys.stdout), dry_run=arguments.dry_run)
    return conduct("remove", arguments.netns, work)
