"""Gates: the happenings that `--fail-on` names, so that a pipeline stops at them and lets the rest pass.

In: what stands on the command line. Out: the gates it means. Whether one of them happened, each command says itself.
"""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

from compiler.text import did_you_mean

Gate = Literal[
    "connections-break",
    "source-change",
    "new-drop",
    "new-bypass",
    "new-cover",
    "master-move",
    "vip-move",
    "no-standby",
]

GATES: Final[Mapping[Gate, str]] = MappingProxyType(
    {
        "connections-break": "open connections of a workload are cut",
        "source-change": "a workload leaves with another source address",
        "new-drop": "traffic of a workload is dropped that was not before",
        "new-bypass": "traffic of a workload goes its ordinary way that went by a gateway before",
        "new-cover": "traffic of a workload goes by a gateway that went its ordinary way before",
        "master-move": "a gateway gets another master, or has none any more",
        "vip-move": "a virtual IP moves to another node, or no node holds it any more",
        "no-standby": "a gateway has a node less that could take over, and now none: the loss of its master drops all",
    }
)
"""Every gate, and what happens where it holds."""


class GateError(ValueError):
    """A name is no gate; the message says which there are."""


def parse_gates(texts: Iterable[str], known: Collection[Gate] = get_args(Gate)) -> frozenset[Gate]:
    """Reads what was given with `--fail-on`: names separated by commas, given once or several times.

    Args:
        texts: One for each time that the option was given.
        known: The gates that the command at hand can tell of.

    Raises:
        GateError: A name is none of these.
    """
    words = [word.strip() for text in texts for word in text.split(",")]
    for word in words:
        if word not in known:
            raise GateError(f"--fail-on: {_told(word)}{did_you_mean(word, known)}; it takes {', '.join(known)}")
    return frozenset(gate for gate in known if gate in words)


def _told(word: str) -> str:
    return f"{word!r} is not known" if word else "a name is missing"
