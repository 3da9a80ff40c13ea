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

from applier.change import Announce
from applier.delivery import Inbox, Terms, deliver, hold
from applier.errors import RefusedError
from applier.events import Events
from applier.log import Level, Log
from applier.reporter import Reporter
from applier.session import DONE, FAILED, Outcome, Session
from bundle.directory import Bundle, BundleError

_POLL = 0.25
"""Seconds between two looks for a new bundle, and until a signal is obeyed at the latest."""

_SETTLE = 0.03
"""Seconds to let a burst of changes end before looking."""

_FULL = 60.0
"""Seconds after which everything is looked at though nothing was heard."""

_RETRY = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds until what was refused or failed is tried again: half of a copied bundle is whole a moment later."""

_SHOWN = 20
_WIDTH = 200
"""Lines of steps that an event shows, and letters of each: the first apply of a gateway may have 150,000."""

_QUARREL = 20
"""Repairs within `_FULL` seconds after which somebody is taken to be at work against us, and repairs come slower."""


@dataclass(slots=True)
class Watch:
    """What is to be held, and what is still to be done.

    Attributes:
        session: The kernel.
        events: What it tells.
        inbox: Where new bundles come from, and what was applied last.
        terms: On what terms the node takes bundles.
        log: Where to say what happened.
        pauses: Seconds after which a new virtual IP is announced again, each from the one before.
        reporter: Who tells Prometheus.
    """

    session: Session
    events: Events
    inbox: Inbox
    terms: Terms
    log: Log
    pauses: tuple[float, ...]
    reporter: Reporter
    _target: Bundle | None = None
    _due: float = 0.0
    _take_at: float = math.inf
    _tries: int = 0
    _failed: bool = False
    _said: str = ""
    _repairs: list[float] = field(default_factory=list)
    _again: list[tuple[float, Announce]] = field(default_factory=list)

    def run(self) -> int:
        """Watches until SIGTERM or SIGINT comes; leaves the kernel as it is then, and returns the exit status."""
        with _stopping() as stopped:
            # What the node held before a boot, for as long as the new bundle is not there or will not do.
            self._target = self.inbox.held(None)
            while not stopped():
                now = time.monotonic()
                if self.inbox.changed():
                    self._tries, self._take_at = 0, now
                if now >= self._take_at:
                    self._take()
                if now >= self._due:
                    self._hold()
                self._announce()
                if self.events.wait(_POLL):
                    time.sleep(_SETTLE)
                    self.events.wait(0)
                    self._due = min(self._due, self._soonest())
        self.log.event("info", "stopped", "asked to stop; the node stays as it is")
        return DONE

    def _take(self) -> None:
        """Applies what the inbox has now; if that will not do, what was held before is held on."""
        self._take_at = time.monotonic() + _RETRY[min(self._tries, len(_RETRY) - 1)]
        self._tries += 1
        try:
            bundle = self.inbox.open()
        except BundleError as error:
            self._say("error", "bundle_refused", str(error))
            return
        lines: list[str] = []
        outcome = deliver(self.session, bundle, self.terms, lines.append)
        if outcome.status == DONE:
            self._target, self._take_at = bundle, math.inf
        if outcome.kept:
            self.inbox.kept()
        self._tell(outcome, lines, bundle, repair=False)

    def _hold(self) -> None:
        """Applies again what is held; somebody else may have applied something else since."""
        target = self.inbox.held(self._target)
        if target is None:
            self._due = time.monotonic() + _FULL
            return
        lines: list[str] = []
        outcome = hold(self.session, self._choose, self.terms, lines.append)
        self._tell(outcome, lines, self._target, repair=True)

    def _choose(self) -> Bundle:
        self._target = self.inbox.held(self._target)
        if self._target is None:
            raise RefusedError("there is nothing to hold any more")
        return self._target

    def _tell(self, outcome: Outcome, lines: list[str], bundle: Bundle | None, *, repair: bool) -> None:
        now = time.monotonic()
        if repair or outcome.status == DONE:
            self._due = now + (_FULL if outcome.status == DONE else _RETRY[-1])
        for note in outcome.notes:
            self._say("warning", "apply_note", note)
        if outcome.status != DONE:
            self._say("error", "apply_failed" if outcome.status == FAILED else "apply_refused", outcome.message)
        else:
            self._said = ""
        if outcome.status == DONE and outcome.changes:
            name = "drift_repaired" if repair else "applied"
            self.log.event("warning" if repair else "info", name, outcome.message, steps=_shown(lines))
        self._failed = outcome.status == FAILED
        repaired = repair and outcome.status == DONE and outcome.changes > 0
        if repaired:
            self._repairs.append(now)
        self._plan_announcements(outcome.announced, now)
        self.reporter.tell(outcome, bundle, self.session.kernel, repaired=repaired)

    def _soonest(self) -> float:
        """Returns when to look after something was heard: at once, unless somebody keeps changing things."""
        now = time.monotonic()
        self._repairs = [moment for moment in self._repairs if moment > now - _FULL]
        if self._failed:
            return now + _RETRY[2]  # our own undoing is what was heard
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

    def _say(self, level: Level, name: str, message: str) -> None:
        # What stays wrong is said once, and not every few seconds.
        if message != self._said:
            self._said = message
            self.log.event(level, name, message)


def _shown(lines: list[str]) -> str:
    more = len(lines) - _SHOWN
    return "; ".join(line[:_WIDTH] for line in (*lines[:_SHOWN], *([f"and {more} more lines"] if more > 0 else [])))


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
