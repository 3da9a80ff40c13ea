"""`egressc remove`: takes everything of ours away from a node, and nothing else."""

import argparse
import sys

from applier.cli import printer, tell, terms_of
from applier.delivery import guarded, opened, take_away
from applier.session import REFUSED, Outcome
from applier.store import StoreError


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc remove` with parsed arguments; returns the exit status."""
    try:
        terms = terms_of(arguments)
    except StoreError as error:
        return tell("remove", Outcome(REFUSED, str(error)), sys.stdout, sys.stderr)
    with guarded() as ended, opened(arguments.netns) as session:
        ended.append(take_away(session, terms, printer(sys.stdout), dry_run=arguments.dry_run))
    return tell("remove", ended[-1], sys.stdout, sys.stderr)
