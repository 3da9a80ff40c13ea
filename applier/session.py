"""One apply from a bundle that was read to its outcome: compare, refuse or print, change, read back, keep a record."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from applier.apply import ApplyFailedError, WayBack, apply
from applier.change import Announce, Change, SetSysctl
from applier.difference import difference
from applier.errors import KernelError, RefusedError
from applier.kernel import Kernel
from applier.live import observe
from applier.model import Live, Wanted
from applier.record import Record, Records
from applier.rivals import holders, questions, strangers
from applier.script import TABLE
from applier.want import want, want_nothing
from bundle.directory import Bundle, NodePart
from bundle.model import Addresses, Routing, Sysctl
from bundle.ruleset import Ruleset, parse

DONE = 0
DIFFERS = 1
REFUSED = 2
FAILED = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an apply ended.

    Attributes:
        status: Exit status: `DONE`, `DIFFERS`, `REFUSED` or `FAILED`.
        message: What to tell: a result if `status` is `DONE`, a reason if not; empty for `DIFFERS`.
        changes: How many steps were done, or would be.
        announced: The announcements among them, which are worth repeating.
        notes: What else to know.
        serial: Of the verified signature of what was applied; None if none was asked for.
        kept: Whether the node keeps what was applied.
    """

    status: int
    message: str
    changes: int = 0
    announced: tuple[Announce, ...] = ()
    notes: tuple[str, ...] = ()
    serial: int | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A kernel and the record of what the last apply left in it; None keeps no record."""

    kernel: Kernel
    records: Records | None = None

    def part(self, bundle: Bundle, node: str) -> NodePart:
        """Returns a node's part; of a large map only what is new, if nobody changed the ruleset since our record.

        Raises:
            BundleError: The bundle has no such node, or its files do not hold what they should.
            KernelError: The kernel cannot be read.
        """
        record = self.records.load() if self.records else None
        known = record is not None and record.generation == self.kernel.generation()
        return bundle.node(node, record.ruleset_text if record and known else "")

    def apply(
        self,
        part: NodePart,
        report: Callable[[str], None],
        *,
        dry_run: bool = False,
        before: Callable[[Mapping[str, str]], None] | None = None,
    ) -> Outcome:
        """Makes the kernel hold what the part says, or leaves it as it was.

        Args:
            part: What to reach.
            report: Is given each line of each step, before the step is done.
            dry_run: Only report.
            before: Is told the values of the settings that are about to be written.

        Raises:
            KernelError: The kernel cannot be read; nothing was touched.
        """
        return self._reach(part, want, report, dry_run=dry_run, before=before)

    def remove(self, sysctls: Mapping[str, str], report: Callable[[str], None], *, dry_run: bool = False) -> Outcome:
        """Takes everything of ours away, or leaves it as it was.

        Args:
            sysctls: Settings to bring back.
            report: As for `apply`.
            dry_run: Only report.

        Raises:
            KernelError: The kernel cannot be read; nothing was touched.
        """
        settings = tuple(Sysctl(name, value) for name, value in sorted(sysctls.items()))
        part = NodePart("", "", Ruleset({}, {}), Routing("", (), (), (), (), settings), Addresses("", ()))
        outcome = self._reach(part, lambda _, live: want_nothing(sysctls, live), report, dry_run=dry_run)
        if self.records and not dry_run:
            self.records.forget()
        return outcome

    def repeat(self, announced: Iterable[Announce]) -> None:
        """Announces again what is still here; that a frame cannot be sent any more is nothing to fail for."""
        with suppress(KernelError):
            here = {(own.address.partition("/")[0], own.device) for own in self.kernel.list_addresses()}
            for item in announced:
                if (item.address, item.device) in here:
                    self.kernel.announce(item.address, item.device)

    def repeat_over(self, announced: Sequence[Announce], pauses: Sequence[float]) -> None:
        """Announces again after each of these pauses, in seconds."""
        for pause in pauses if announced else ():
            time.sleep(pause)
            self.repeat(announced)

    def _reach(
        self,
        part: NodePart,
        choose: Callable[[NodePart, Live], Wanted],
        report: Callable[[str], None],
        *,
        dry_run: bool,
        before: Callable[[Mapping[str, str]], None] | None = None,
    ) -> Outcome:
        kernel = self.kernel
        record = self.records.load() if self.records else None
        generation, made = kernel.generation(), kernel.commits()
        if part.scope and (record is None or record.generation != generation):
            part = whole(part)  # somebody has changed the ruleset since it was read
        look = partial(observe, kernel, part, record.texts if record else {})
        live = look()
        try:
            wanted = choose(part, live)
        except RefusedError as error:
            return Outcome(REFUSED, f"refused, nothing was touched:\n{error}")
        changes = difference(wanted, live)
        if not changes:
            if record is None or (record.generation, record.ruleset_text) != (generation, part.ruleset_text):
                self._remember(part, live, generation)
            return Outcome(DONE, "nothing to do")
        asked = questions(part, changes)
        answers = kernel.probe(asked.virtual_ips, asked.neighbours) if asked.virtual_ips else {}
        if reasons := tuple(strangers(asked, answers)):
            return Outcome(REFUSED, "\n".join(("refused, nothing was touched:", *reasons)))
        notes = tuple(holders(asked, answers))
        if dry_run:
            for line in chain.from_iterable(change.lines() for change in changes):
                report(line)
            return Outcome(DIFFERS, "", len(changes), notes=notes)
        settings = {step.name: step.before for step in changes if isinstance(step, SetSysctl) and step.before}
        if before and settings:
            before(settings)
        try:
            after = apply(kernel, wanted, live, look, report, self._way_back(part, live, record))
        except ApplyFailedError as error:
            return Outcome(FAILED, _failure(error))
        self._remember(part, after, generation + kernel.commits() - made)
        return _done(part, changes, notes)

    def _way_back(self, part: NodePart, live: Live, record: Record | None) -> WayBack:
        def before() -> Live:
            if not part.scope or record is None or live.ruleset is None:
                return live
            known = parse(record.ruleset_text, TABLE)
            sets = {
                name: replace(item, elements=known.sets[name].elements) if name in part.scope else item
                for name, item in live.ruleset.sets.items()
            }
            return replace(live, ruleset=replace(live.ruleset, sets=sets))

        texts = record.texts if record else {}
        return WayBack(before, partial(observe, self.kernel, replace(part, scope={}), texts))

    def _remember(self, part: NodePart, live: Live, generation: int) -> None:
        """Keeps what now holds, unless somebody else's transactions came between ours."""
        if self.records is None or live.ruleset is None:
            return
        with suppress(KernelError):  # the work is done; without a record the next apply reads everything
            if self.kernel.generation() != generation:
                return
            rules = chain.from_iterable(item.rules for item in live.ruleset.chains.values())
            self.records.save(Record(generation, part.ruleset_text, {rule.comment: rule.text for rule in rules}))


def whole(part: NodePart) -> NodePart:
    """Returns a part with all of its ruleset read."""
    return replace(part, ruleset=parse(part.ruleset_text, TABLE), scope={})


def _done(part: NodePart, changes: tuple[Change, ...], notes: tuple[str, ...]) -> Outcome:
    steps = "step" if len(changes) == 1 else "steps"
    announced = tuple(change for change in changes if isinstance(change, Announce))
    return Outcome(DONE, f"done: {part.node or 'removed'}, {len(changes)} {steps}", len(changes), announced, notes)


def _failure(error: ApplyFailedError) -> str:
    if not error.left:
        return f"failed, and the node was put back as it was: {error}"
    left = "\n".join(error.left)
    return f"failed: {error}\nthe node was put back, except for what could not be undone:\n{left}"
