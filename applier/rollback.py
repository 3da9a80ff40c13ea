"""`egressc rollback`: applies the bundle that was applied before the last one, out of what the node keeps."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from applier.cli import conduct, printer, tell, terms_of
from applier.delivery import Terms, guarded, open_kept
from applier.errors import RefusedError
from applier.lock import locked
from applier.session import DONE, FAILED, REFUSED, Outcome, Session
from applier.store import Kept, Store, StoreError
from bundle.directory import Bundle


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc rollback` with parsed arguments; returns the exit status."""
    try:
        terms = terms_of(arguments)
    except StoreError as error:
        return tell("rollback", Outcome(REFUSED, str(error)), sys.stdout, sys.stderr)
    work = partial(go_back, terms=terms, report=printer(sys.stdout), dry_run=arguments.dry_run)
    return conduct("rollback", arguments.netns, work)


def go_back(session: Session, terms: Terms, report: Callable[[str], None], *, dry_run: bool = False) -> Outcome:
    """Goes back to the previous bundle and refuses the current one from then on, until somebody allows it again.

    Args:
        session: The kernel.
        terms: For which node, where it keeps bundles, and who must have signed the previous one.
        report: Is given each line of each step.
        dry_run: Only report.
    """
    with guarded() as ended, locked(terms.wait):
        store, current, previous, bundle = _previous(terms)
        part = session.part(bundle, terms.node)
        if dry_run:
            return session.apply(part, report, dry_run=True)
        # First, so that nobody who watches brings it back, should we be killed in between.
        store.refuse(current.digest)
        status = FAILED
        try:
            outcome = session.apply(part, report, before=store.remember_sysctls)
            status = outcome.status
            ended.append(outcome)
        finally:
            if status == DONE:
                store.go_back()
            else:
                store.accept(current.digest)
        if status == DONE:
            told = f"went back to {_named(previous)}; {_named(current)} is refused from now on"
            ended.append(replace(ended[-1], message=f"{ended[-1].message}\n{told}"))
    return ended[-1]


def _previous(terms: Terms) -> tuple[Store, Kept, Kept, Bundle]:
    store = terms.store
    if store is None:
        raise RefusedError("with --netns nothing is kept, unless --state-dir says where")
    current, previous = store.last(), store.previous()
    if current is None or previous is None:
        raise RefusedError(f"{store}: keeps no earlier bundle to go back to")
    return store, current, previous, open_kept(store, previous, terms.key)


def _named(kept: Kept) -> str:
    serial = "" if kept.serial is None else f"serial {kept.serial}, "
    return f"bundle {kept.digest[:12]} ({serial}applied {kept.time})"
