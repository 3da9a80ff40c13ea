"""Words for what becomes of packets, which several reports have in common."""

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
