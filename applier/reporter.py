"""What an apply came to, with what the kernel counts, to Prometheus' textfile; what cannot be written stops nothing."""

import time
from collections.abc import Callable
from pathlib import Path

import bundle as package
from applier.counters import Traffic, counters, traffic
from applier.errors import KernelError
from applier.kernel import Kernel
from applier.metrics import Metrics, render, write
from applier.session import DONE, Outcome
from applier.store import Store, StoreError
from bundle.directory import ADDRESSES, Bundle, BundleError, node_path
from bundle.model import Addresses
from bundle.names import PROTOCOL


class Reporter:
    """Writes the metrics of a node to a file; without one, does nothing."""

    def __init__(self, path: Path | None, node: str, store: Store | None, warn: Callable[[str], None]) -> None:
        """Takes the file, and who is told, once, that it cannot be written."""
        self._warn = warn
        self._warned = False
        self._path = path
        self._node = node
        self._store = store
        self._repairs = 0
        self._applied_at: float | None = None

    def tell(self, outcome: Outcome, bundle: Bundle | None, kernel: Kernel | None, *, repaired: bool = False) -> None:
        """Writes how an apply ended.

        Args:
            outcome: How.
            bundle: What it was to apply; None if it was none.
            kernel: To ask for counters and addresses; None leaves them out.
            repaired: Whether the node held the bundle already, and something of it was brought back.
        """
        if self._path is None:
            return
        now = time.time()
        self._repairs += repaired
        if outcome.status == DONE:
            self._applied_at = now
        digest, serial = self._held(outcome, bundle)
        wanted = _wanted(bundle, self._node)
        metrics = Metrics(
            node=self._node,
            version=package.__version__,
            digest=digest,
            serial=serial,
            applied_at=self._applied_at,
            attempted_at=now,
            status=outcome.status,
            changes=outcome.changes,
            repairs=self._repairs,
            wanted_addresses=len(wanted),
            held_addresses=_count_held(wanted, kernel),
            traffic=_traffic(kernel),
        )
        try:
            write(self._path, render(metrics))
        except OSError as error:
            if not self._warned:
                self._warned = True
                self._warn(f"{self._path}: the metrics cannot be written: {error.strerror}")

    def _held(self, outcome: Outcome, bundle: Bundle | None) -> tuple[str | None, int | None]:
        """Returns what the node holds: what was just applied, or else what it keeps as applied last."""
        try:
            kept = self._store.current() if self._store else None
        except StoreError:
            kept = None
        if outcome.status == DONE and bundle and (kept is None or kept.digest != bundle.digest):
            return bundle.digest, outcome.serial
        return (kept.digest, kept.serial) if kept else (None, None)


def _wanted(bundle: Bundle | None, node: str) -> frozenset[str]:
    try:
        plan = bundle.decode(Addresses, node_path(node, ADDRESSES)) if bundle else None
    except BundleError:
        plan = None
    return frozenset(address.address for address in plan.addresses) if plan else frozenset()


def _count_held(wanted: frozenset[str], kernel: Kernel | None) -> int:
    try:
        here = kernel.list_addresses() if kernel else ()
    except KernelError:
        here = ()
    return len(wanted & {address.address for address in here if address.protocol == PROTOCOL})


def _traffic(kernel: Kernel | None) -> Traffic:
    try:
        return traffic(counters(kernel.list_counters())) if kernel else Traffic()
    except KernelError:
        return Traffic()
