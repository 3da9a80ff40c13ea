"""What is told of a node: one value a change, in words that are the same wherever the change is the same."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "address",
    "peer",
    "mark",
    "class",
    "source",
    "decision",
    "element",
    "rule",
    "chain",
    "set",
    "ip-rule",
    "reply-rule",
    "route",
    "sysctl",
    "internal-ip",
]

State = Literal["added", "removed", "changed"]
Sign = Literal["+", "-", "~"]

KINDS: Final[tuple[Kind, ...]] = (
    "address", "peer", "mark", "class", "source", "decision", "element", "chain", "rule", "set",
    "ip-rule", "reply-rule", "route", "sysctl", "internal-ip",
)  # fmt: skip
"""In the order in which they are told: what others see first, then what decides, then what it needs."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is otherwise on a node.

    Numbers that each node hands out for itself stand in it by what they stand for: `mark(gateway egress)`,
    `table(node worker-1)`; a class of workloads by its policies: `local(mail, web)`, or `remote(…)` for workloads of
    other nodes. Changes of kind `mark` and `class` say which number and which chain that is.

    Attributes:
        kind: What sort of thing.
        place: Where it is, in nft's and ip's words: `map source4`, `chain guard`, `ip -4 rule`.
        subject: Which it is there: a key, a range of destinations, the position of a rule.
        before: What it was; None if it was not there.
        after: What it becomes; None if it goes.
        note: What else helps to know it by, such as the name of the workload.
    """

    kind: Kind
    place: str
    subject: str
    before: str | None
    after: str | None
    note: str = ""

    @property
    def sign(self) -> Sign:
        """Returns `+` for what comes, `-` for what goes, `~` for what becomes something else."""
        if self.before is None:
            return "+"
        return "-" if self.after is None else "~"


@dataclass(frozen=True, slots=True)
class NodeChange:
    """What is otherwise on one node.

    Attributes:
        node: Its name.
        state: Whether only the new bundle has it, only the old one, or both.
        changes: In the order of `KINDS`; empty where the files differ only in how they say the same.
    """

    node: str
    state: State
    changes: tuple[Change, ...]
