"""`egressc apply --watch`: stays, repairs at once what somebody changes, and takes new bundles as they come.

A process that hears the kernel's own notifications sees a change within milliseconds and costs nothing while there is
none; a timer alone would either be slow or read the kernel over and over. It looks at everything once a minute as well,
since not every change is told.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from applier.change import Announce
from applier.errors import KernelError, RefusedError
from applier.events import Events
from applier.lock import locked
from applier.session import DONE, FAILED, REFUSED, Outcome, Session
from bundle.directory import Bundle, BundleError

_POLL = 0.25
"""Seconds between two looks for a new bundle, and until a signal is obeyed at the latest."""

_SETTLE = 0.03
"""Seconds to let a burst of changes end before looking."""

_FULL = 60.0
"""Seconds after which everything is looked at though nothing was heard."""

_RETRY = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds until what was refused or failed is tried again: half of a copied bundle is whole a moment later."""

_QUARREL = 20
"""Repairs within `_FULL` seconds after which somebody is taken to be at work against us, and repairs come slower."""


class Log(Protocol):
    """Where to say what happened; see `applier.log`."""

    def event(self, level: str, name: str, message: str, **fields: object) -> None:
        """Says one thing."""


class Source(Protocol):
    """Where bundles come from."""

    def changed(self) -> bool:
        """Tells whether there is something else than at the last call."""

    def open(self) -> Bundle | None:
        """Returns the bundle to reach; None if what is there is one not to take.

        Raises:
            BundleError: It cannot be trusted.
            RefusedError: The same.
        """

    def took(self, bundle: Bundle) -> None:
        """Is told that the node now holds this bundle."""


@dataclass(slots=True)
class Watch:
    """What is to be held, and what is still to be done.

    Attributes:
        session: The kernel.
        events: What it tells.
        source: Where new bundles come from.
        node: The node's name.
        log: Where to say what happened.
        wait: Seconds to wait for another apply to end.
        pauses: Seconds after which a new virtual IP is announced again, each from the one before.
        tell: Is given each outcome, and whether it repaired something, for metrics.
    """

    session: Session
    events: Events
    source: Source
    node: str
    log: Log
    wait: float
    pauses: tuple[float, ...]
    tell: Callable[[Outcome, bool], None]
    _target: Bundle | None = None
    _due: float = 0.0
    _take_at: float = math.inf
    _tries: int = 0
    _said: str = ""
    _repairs: list[float] = field(default_factory=list)
    _again: list[tuple[float, Announce]] = field(default_factory=list)

    def run(self) -> int:
        """Watches until SIGTERM or SIGINT comes; leaves the kernel as it is then, and returns the exit status."""
        with _stopping() as stopped:
            while not stopped():
                now = time.monotonic()
                if self.source.changed():
                    self._tries, self._take_at = 0, now
                if now >= self._take_at:
                    self._take()
                if self._target is not None and now >= self._due:
                    self._hold(self._target, repair=True)
                self._announce()
                if self.events.wait(_POLL):
                    time.sleep(_SETTLE)
                    self.events.wait(0)
                    self._due = min(self._due, self._soonest())
        self.log.event("info", "stopped", "asked to stop; the node stays as it is")
        return DONE

    def _take(self) -> None:
        """Applies what the source has now; if that will not do, what was held before is held on."""
        self._take_at = time.monotonic() + _RETRY[min(self._tries, len(_RETRY) - 1)]
        self._tries += 1
        try:
            bundle = self.source.open()
        except (BundleError, RefusedError) as error:
            self._say("error", "bundle_refused", str(error))
            return
        if bundle is None or self._hold(bundle, repair=False) == DONE:
            self._take_at = math.inf
        if bundle is not None and self._take_at == math.inf:
            self._target = bundle
            self.source.took(bundle)

    def _hold(self, bundle: Bundle, *, repair: bool) -> int:
        lines: list[str] = []
        try:
            with locked(self.wait):
                outcome = self.session.apply(self.session.part(bundle, self.node), lines.append)
        except (BundleError, RefusedError) as error:
            outcome = Outcome(REFUSED, str(error))
        except KernelError as error:
            outcome = Outcome(FAILED, f"failed, nothing was touched: {error}")
        for note in outcome.notes:
            self._say("warning", "virtual_ip_held", note)
        now = time.monotonic()
        self._due = now + (_FULL if outcome.status == DONE else _RETRY[-1])
        repaired = repair and outcome.changes > 0
        if outcome.status != DONE:
            self._say("error", "apply_failed" if outcome.status == FAILED else "apply_refused", outcome.message)
        elif outcome.changes:
            self._said = ""
            name = "drift_repaired" if repair else "applied"
            self.log.event("warning" if repair else "info", name, outcome.message, steps=lines)
        if repaired:
            self._repairs = [*(moment for moment in self._repairs if moment > now - _FULL), now]
        self._plan_announcements(outcome.announced, now)
        self.tell(outcome, repaired)
        return outcome.status

    def _soonest(self) -> float:
        """Returns when to look after something was heard: at once, unless somebody keeps changing things."""
        now = time.monotonic()
        if len(self._repairs) < _QUARREL:
            return now
        self._say("error", "quarrel", f"{len(self._repairs)} repairs within {_FULL:g} s: something on this node works "
                  "against egressc; find it with `nft monitor` and `ip monitor`")  # fmt: skip
        return now + _RETRY[-2]

    def _plan_announcements(self, announced: tuple[Announce, ...], now: float) -> None:
        for pause in self.pauses:
            now += pause
            self._again += [(now, item) for item in announced]

    def _announce(self) -> None:
        now = time.monotonic()
        due = [item for moment, item in self._again if moment <= now]
        self._again = [(moment, item) for moment, item in self._again if moment > now]
        if due:
            self.session.repeat(due)

    def _say(self, level: str, name: str, message: str) -> None:
        # What stays wrong is said once, and not every few seconds.
        if message != self._said:
            self._said = message
            self.log.event(level, name, message)


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether SIGTERM or SIGINT came; an apply under way comes to its end first."""
    asked: list[int] = []
    before = {
        number: signal.signal(number, lambda got, _: asked.append(got)) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            with suppress(TypeError):  # a handler that Python did not set
                signal.signal(number, handler)
