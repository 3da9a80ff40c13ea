"""Does the steps, reads back, and puts everything of ours back as it was found if either goes wrong.

Going back is the same comparison the other way round, from what the kernel holds by then to what was found: so it does
not depend on how far a step came.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from applier.change import (
    AddAddress,
    AddRoute,
    AddRule,
    Announce,
    Change,
    DeleteAddress,
    DeleteRoute,
    DeleteRule,
    Forget,
    ReplaceAddress,
    ReplaceRoute,
    RunNft,
    SetSysctl,
    Settle,
    Wait,
)
from applier.connections import stale
from applier.decision import Decisions
from applier.difference import difference
from applier.errors import KernelError
from applier.kernel import Kernel
from applier.late import bar_late_replies
from applier.model import Live, Wanted
from applier.script import TABLE
from applier.want import want_back
from bundle.ruleset import RulesetError, parse

_ROUNDS = 3  # a setting written can move others with it, which the next round takes back


class ApplyFailedError(Exception):
    """An apply did not come to its end.

    Attributes:
        left: What could not be undone, as lines for people; empty if the node is as it was found.
    """

    def __init__(self, reason: str, left: tuple[str, ...]) -> None:
        super().__init__(reason)
        self.left = left


@dataclass(frozen=True, slots=True)
class WayBack:
    """How to go back: of large maps the way there may look at what differs only, the way back looks at everything.

    Attributes:
        before: Returns what was found, whole.
        observe: Observes again, everything.
    """

    before: Callable[[], Live]
    observe: Callable[[], Live]


def apply(  # noqa: PLR0913, PLR0917  # both ways
    kernel: Kernel,
    wanted: Wanted,
    before: Live,
    observe: Callable[[], Live],
    report: Callable[[str], None],
    back: WayBack,
) -> Live:
    """Makes the kernel hold what is wanted, or what it held before.

    Args:
        kernel: What to change.
        wanted: What to reach.
        before: What was observed just now.
        observe: Observes again.
        report: Is given each line of each step before the step is done.
        back: How to go back.

    Returns:
        What was observed at the end.

    Raises:
        ApplyFailedError: A step failed, or what was read back is not what was wanted; all was undone that can be.
    """
    reached = False
    reason = "interrupted"
    left: tuple[str, ...] = ()
    after = before
    try:
        remaining: tuple[str, ...] = ()
        for _ in range(_ROUNDS):  # somebody else may have been at work meanwhile
            for change in difference(wanted, after):
                for line in change.lines():
                    report(line)
                _perform(kernel, change, wanted)
            after = observe()
            remaining = _lines(difference(wanted, after))
            if not remaining:
                break
        reached = not remaining
        reason = "\n".join(("what was read back is not what was wanted; still to do:", *remaining))
    except KernelError as error:
        reason = str(error)
    finally:
        # Also on an interrupt, or when nobody reads our output any more: half of the way is no place to stay.
        if not reached:
            left = _undo(kernel, back.before(), back.observe)
    if not reached:
        raise ApplyFailedError(reason, left)
    return after


def _undo(kernel: Kernel, before: Live, observe: Callable[[], Live]) -> tuple[str, ...]:
    """Goes back as far as possible; returns what is left to be undone."""
    wanted = want_back(before)
    errors: list[str] = []
    try:
        for _ in range(_ROUNDS):
            changes = difference(wanted, observe())
            if not changes:
                break
            for change in changes:
                try:
                    _perform(kernel, change, wanted)
                except KernelError as error:
                    errors.append(str(error))
        now = observe()
    except KernelError as error:
        return (*errors, str(error), "what the node holds now is not known")
    # Objects of others in our table are deleted with the commit, and nft's listing does not say how to make them.
    others = before.ruleset.others if before.ruleset else ()
    here = now.ruleset.others if now.ruleset else ()
    lost = (f"was deleted from our table: {kind} {name}" for kind, name in others if (kind, name) not in here)
    left = (*_lines(difference(wanted, now)), *lost)
    return (*dict.fromkeys(errors), *left) if left else ()


def _lines(changes: tuple[Change, ...]) -> tuple[str, ...]:
    return tuple(chain.from_iterable(change.lines() for change in changes))


def _perform(kernel: Kernel, change: Change, wanted: Wanted) -> None:  # noqa: C901, PLR0912  # one line for each kind of step
    match change:
        case SetSysctl(name, value):
            kernel.write_sysctl(name, value)
        case AddRule(rule):
            kernel.add_rule(rule)
        case DeleteRule(rule):
            kernel.delete_rule(rule)
        case AddRoute(route):
            kernel.add_route(route)
        case ReplaceRoute(route):
            kernel.replace_route(route)
        case DeleteRoute(route):
            kernel.delete_route(route)
        case AddAddress(address):
            kernel.add_address(address)
        case ReplaceAddress(address):
            kernel.replace_address(address)
        case DeleteAddress(address):
            kernel.delete_address(address)
        case RunNft(script):
            kernel.run_nft(script)
        case Wait(seconds):
            kernel.wait(seconds)
        case Announce(address, device):
            kernel.announce(address, device)
        case Settle(sources):
            _settle(kernel, wanted, sources)
        case Forget(bit):
            kernel.delete_bound_connections(bit)


def _settle(kernel: Kernel, wanted: Wanted, sources: frozenset[str] | None) -> None:
    connections = kernel.list_connections(sources)
    if sources is not None and not (connections := tuple(connections)):
        return  # as a rule: a workload that comes has none yet
    # Of large maps the ruleset may hold only what differs.
    whole = parse(wanted.ruleset_text, TABLE) if wanted.ruleset_text else wanted.ruleset
    if whole is None:
        return
    try:
        decisions = Decisions(whole)
    except RulesetError:
        return  # not of ours, so there is no connection that it has bound
    found = tuple(stale(decisions, kernel.list_addresses(), connections))
    if bar := bar_late_replies(found):
        kernel.run_nft(bar)
    kernel.delete_connections(found)
