"""A bundle in a directory to a node that holds it: opened, trusted, kept for a way back, applied, noted."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from applier.errors import KernelError, RefusedError
from applier.kernel import LinuxKernel
from applier.lock import locked
from applier.netns import entered
from applier.record import Records
from applier.session import DONE, FAILED, REFUSED, Outcome, Session
from applier.store import Kept, Store, StoreError
from applier.trust import check
from bundle.directory import HEAD_FILES, Bundle, BundleError, open_bundle
from bundle.signature import SignatureError, verify


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a node takes bundles.

    Attributes:
        node: Its name.
        key: File of public keys or of allowed signers; None asks for no signature.
        store: What the node keeps; None keeps nothing.
        allow_rollback: Whether to take a bundle that is older than the one applied, or was rolled back from.
        wait: Seconds to wait for another apply to end.
    """

    node: str
    key: Path | None = None
    store: Store | None = None
    allow_rollback: bool = False
    wait: float = 10.0


def open_for(directory: Path, node: str) -> Bundle:
    """Reads a whole bundle, and returns a node's part of it.

    Raises:
        BundleError: It is not complete, altered, or not for this node.
    """
    bundle = open_bundle(directory)
    bundle.require_node(node)
    # Who watches has it in memory for as long.
    return bundle.only(node)


@contextmanager
def opened(netns: str | None) -> Iterator[Session]:
    """Enters a network namespace and opens its kernel.

    Raises:
        RefusedError: There is no such namespace, or it may not be entered.
        KernelError: The kernel does not answer.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(entered(netns))
        except OSError as error:
            raise RefusedError(f"network namespace {netns}: {error.strerror}") from None
        yield Session(stack.enter_context(closing(LinuxKernel())), Records())


def deliver(
    session: Session, bundle: Bundle, terms: Terms, report: Callable[[str], None], *, dry_run: bool = False
) -> Outcome:
    """Applies a bundle if it may be, while nobody else applies one, and notes what the node now holds.

    Args:
        session: The kernel.
        bundle: What to apply.
        terms: For which node, and where to keep it.
        report: Is given each line of each step.
        dry_run: Only report.
    """
    store = None if dry_run else terms.store
    with guarded() as ended, locked(terms.wait):
        serial = check(bundle, terms.key, terms.store, allow_rollback=terms.allow_rollback).serial
        part = session.part(bundle, terms.node)
        candidate = store.prepare(bundle, serial) if store else None
        outcome = session.apply(part, report, dry_run=dry_run, before=store.remember_sysctls if store else None)
        ended.append(replace(outcome, serial=serial))
        if store and candidate:
            if outcome.status == DONE:
                store.commit(candidate)
                ended[-1] = replace(ended[-1], kept=True)
            else:
                store.discard(candidate)
    return ended[-1]


def hold(session: Session, choose: Callable[[], Bundle], terms: Terms, report: Callable[[str], None]) -> Outcome:
    """Applies again what the node holds, without asking whether it may.

    Args:
        session: The kernel.
        choose: Says what that is; asked when nobody else can change it any more.
        terms: For which node.
        report: Is given each line of each step.
    """
    with guarded() as ended, locked(terms.wait):
        ended.append(session.apply(session.part(choose(), terms.node), report))
    return ended[-1]


def take_away(session: Session, terms: Terms, report: Callable[[str], None], *, dry_run: bool = False) -> Outcome:
    """Takes everything of ours away, and brings settings back that the node remembers; arguments as for `deliver`."""
    store = terms.store
    with guarded() as ended, locked(terms.wait):
        sysctls: Mapping[str, str] = store.sysctls() if store else {}
        outcome = session.remove(sysctls, report, dry_run=dry_run)
        ended.append(outcome)
        if store and not dry_run and outcome.status == DONE:
            store.forget()
    return ended[-1]


def open_kept(store: Store, kept: Kept, key: Path | None) -> Bundle:
    """Reads a bundle that the node keeps; with a key, one that is signed by whom it should be.

    Raises:
        BundleError: What is kept was altered.
        RefusedError: It has no such signature.
    """
    bundle = store.open(kept)
    try:
        if key is not None:
            verify(bundle, key)
    except SignatureError as error:
        raise RefusedError(str(error)) from None
    return bundle


@contextmanager
def guarded() -> Iterator[list[Outcome]]:
    """Turns what the body raises into an outcome, the last of those that the body may have added itself."""
    ended: list[Outcome] = []
    try:
        yield ended
    except (BundleError, RefusedError) as error:
        ended.append(Outcome(REFUSED, str(error)))
    except KernelError as error:
        ended.append(Outcome(FAILED, f"failed, nothing was touched: {error}"))
    except StoreError as error:
        # Before the apply nothing was touched; after it the node holds what was wanted, and keeps no note of it.
        done = bool(ended) and ended[-1].status == DONE
        if done:
            note = f"the node keeps no note of this, and cannot go back to it: {error}"
            ended.append(replace(ended[-1], notes=(*ended[-1].notes, note)))
        else:
            ended.append(Outcome(REFUSED, str(error)))


class Inbox:
    """Where a watching applier gets what to hold: the directory of new bundles, and what the node keeps."""

    def __init__(self, directory: Path, terms: Terms) -> None:
        self._directory = directory
        self._terms = terms
        self._seen: tuple[tuple[int, int, int], ...] | None = None
        self._kept = False

    def changed(self) -> bool:
        """Tells whether the manifest or the signature is another file than at the last call."""
        seen = tuple(self._look())
        changed, self._seen = seen != self._seen, seen
        return changed

    def open(self) -> Bundle:
        """Returns the new bundle.

        Raises:
            BundleError: It is none, or not for this node. Half of a copy is none, so it is worth trying again.
        """
        return open_for(self._directory, self._terms.node)

    def kept(self) -> None:
        """Learns that the node keeps what it holds: if it keeps nothing any more, everything was taken away."""
        self._kept = True

    def held(self, known: Bundle | None) -> Bundle | None:
        """Returns the bundle applied last, by whomever: `known` itself if it is that one, or if nothing was kept."""
        store = self._terms.store
        try:
            kept = store.current() if store else None
            if store is None or kept is None:
                return None if self._kept else known  # what was taken away is not to be brought back
            self._kept = True
            return known if known and kept.digest == known.digest else store.open(kept)
        except (StoreError, BundleError):
            return known

    def _look(self) -> Iterator[tuple[int, int, int]]:
        for path in HEAD_FILES:
            try:
                status = (self._directory / path).stat()
            except OSError:
                yield (0, 0, 0)
            else:
                yield (status.st_ino, status.st_mtime_ns, status.st_size)
