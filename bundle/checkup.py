"""What `egressc doctor --format json` prints: here, since the compiler makes its schema and the applier writes it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "info", "warning", "blocks"]
"""Whether a node can do the job, as far as one check goes: `blocks` says that it cannot."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at on a node.

    Attributes:
        code: Stable code, `docs/doctor.md` has a line for each; several checks of a run may have the same.
        level: `blocks` if the node cannot do the job so, `warning` if it can but something may go wrong, `info` for
            what is good to know, else `ok`.
        what: What was found.
        remedy: What to do about it; null where nothing is to be done.
    """

    code: str
    level: Level
    what: str
    remedy: str | None


@dataclass(frozen=True, slots=True)
class Checkup:
    """`egressc doctor --format json` prints this.

    Attributes:
        node: The node of the bundle that the checks were made for; null without a bundle.
        blocked: Whether a check has the level `blocks`.
        checks: In the order of `docs/doctor.md`.
    """

    node: str | None
    blocked: bool
    checks: tuple[Check, ...]
