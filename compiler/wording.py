"""Words that several reports have in common: what becomes of packets, counts, and lists cut short."""

from collections.abc import Sequence

from compiler.outcomes import Outcome

_DROPS = {
    "no_gateway": "{gateway} has no suitable node",
    "no_source": "{gateway} has no source address of this family",
    "no_next_hop": "the master of {gateway} cannot be reached in this family",
    "stray": "the master of {gateway} does not serve it",
    "contested": "another workload has its address too",
}


def outcome_text(outcome: Outcome | None) -> str:
    """Says what becomes of packets; None is that there is nobody to send them."""
    if outcome is None:
        return "is not there"
    if outcome.verdict == "bypass":
        return "goes its ordinary way"
    if outcome.verdict == "drop":
        return f"is dropped: {drop_text(outcome)}"
    source = outcome.source or f"the address of {outcome.interface}"
    return f"leaves by {outcome.gateway} with {source}, node {outcome.node}"


def drop_text(outcome: Outcome) -> str:
    """Says why packets are dropped."""
    return _DROPS[outcome.reason].format(gateway=outcome.gateway)


def counted(number: int, what: str) -> str:
    """Returns a number with its noun, as in `1 workload` and `2 workloads`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def some_of(texts: Sequence[str], most: int) -> str:
    """Returns the first of a list, and how many there are beyond these."""
    shown = ", ".join(texts[:most])
    more = len(texts) - most
    return f"{shown} and {more:,} more" if more > 0 else shown
