"""The listing of our table to what the counters of its chains say. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from applier.script import TABLE

_CHAIN = re.compile(r"\tchain (\S+) \{")
_COUNTER = re.compile(r"\bcounter packets (\d+) bytes (\d+)(?= |$)(?: (drop|reject)\b)?")
_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True)
class Counter:
    """What one chain has counted since its rules were last written.

    Attributes:
        chain: Its name.
        packets: How many.
        bytes: Of these packets.
        drops: Whether a counted packet went no further.
    """

    chain: str
    packets: int
    bytes: int
    drops: bool


@dataclass(frozen=True, slots=True)
class Traffic:
    """Packets and bytes by what became of them, each sorted by name.

    Attributes:
        gateways: By gateway: marked on this node, to be translated here.
        next_hops: By gateway node: sent there from this node.
        drops: By reason.
    """

    gateways: tuple[tuple[str, int, int], ...] = ()
    next_hops: tuple[tuple[str, int, int], ...] = ()
    drops: tuple[tuple[str, int, int], ...] = ()


def counters(text: str) -> tuple[Counter, ...]:
    """Reads the counters of our table.

    Args:
        text: A listing with counters; tables of others may be in it and are passed over.
    """
    return tuple(_counters(text))


def _counters(text: str) -> Iterator[Counter]:
    ours, chain = False, ""
    for line in text.split("\n"):
        if line.startswith("table "):
            ours = line == f"table {TABLE} {{"
        elif match := _CHAIN.match(line):
            chain = match[1].strip('"')
        elif ours and (match := _COUNTER.search(_QUOTED.sub('""', line))):
            yield Counter(chain, int(match[1]), int(match[2]), drops=match[3] is not None)


def traffic(values: Iterable[Counter]) -> Traffic:
    """Sums up by what became of packets, which the names of chains tell."""
    gateways: dict[str, tuple[int, int]] = {}
    next_hops: dict[str, tuple[int, int]] = {}
    drops: dict[str, tuple[int, int]] = {}
    for value in values:
        kind, _, name = value.chain.partition("_")
        if value.drops:
            _add(drops, _reason(value.chain), value)
        elif kind == "gateway":
            _add(gateways, name, value)
        elif kind == "to":
            _add(next_hops, name, value)
    return Traffic(_rows(gateways), _rows(next_hops), _rows(drops))


def _reason(chain: str) -> str:
    kind, _, name = chain.partition("_")
    match kind:
        case "drop":
            return name
        case "gateway":
            return "standby"
        # A class of workloads, or a bucket of classes, or those of other nodes: something was not found.
        case "local" | "remote" | "remoteroute":
            return "unmatched"
    return chain


def _add(sums: dict[str, tuple[int, int]], name: str, value: Counter) -> None:
    packets, size = sums.get(name, (0, 0))
    sums[name] = (packets + value.packets, size + value.bytes)


def _rows(sums: dict[str, tuple[int, int]]) -> tuple[tuple[str, int, int], ...]:
    return tuple((name, *sums[name]) for name in sorted(sums))
