"""How long the pass over connection tracking takes: list, decide, delete.

It fills the table, so it is run as root in a network namespace of its own: `unshare -n python -m bench.conntrack`.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from types import MappingProxyType
from typing import Final, TypeVar

from applier.connections import stale
from applier.conntrack import delete_connections, list_connections
from applier.decision import Decisions
from applier.model import Address
from bench.clusters import SIZES
from bench.connections import Entry, insert
from bench.tables import BenchError, Options, Row, Table, measured, run
from bundle.ruleset import parse

_ENTRIES: Final = MappingProxyType({"S": 1_000, "M": 20_000, "L": 200_000})
"""Entries, half of them stale, beside rules for the workloads of a size of cluster."""

_RULESET = """
table inet egressc {{
	chain translate {{
		ct mark set ct mark | 0x01000000
	}}
	chain local_00000001 {{
		ip daddr vmap @route4_00000001
		counter drop
	}}
	chain gateway_a {{
		counter meta mark set meta mark & 0x00ffffff ^ 0x02000000
	}}
	chain snat_a {{
		snat ip to 172.18.18.240
	}}
	map source4 {{
		type ipv4_addr : verdict
		elements = {{ {sources} }}
	}}
	map route4_00000001 {{
		type ipv4_addr : verdict
		flags interval
		elements = {{ 0.0.0.0/0 : goto gateway_a }}
	}}
	map translation {{
		type mark : verdict
		elements = {{ 0x02000000 : goto snat_a }}
	}}
}}
"""
_T = TypeVar("_T")
_HELD: Final = (Address("172.18.18.240/32", "eth1", None),)


def tables(options: Options) -> Iterator[Table]:
    """Measures each step, on a table that is filled anew in each round."""
    yield measured("pass over connection tracking", [_rows(name, options.rounds) for name in options.sizes])


def _rows(name: str, rounds: int) -> list[Row]:
    count = _ENTRIES[name]
    workloads = [f"10.{64 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" for n in range(SIZES[name].workloads)]
    text = _RULESET.format(sources=", ".join(f"{address} : goto local_00000001" for address in workloads))
    decisions = Decisions(parse(text, "inet egressc"))
    clock = _Clock()
    for _ in range(rounds):
        insert(_entries(workloads, count))
        clock.measure("list all", lambda: deque(list_connections(), maxlen=0))
        clock.measure("list those of one source", lambda: list(list_connections(workloads[:1])))
        found = clock.measure("list all and decide", lambda: list(stale(decisions, _HELD, list_connections())))
        deleted = clock.measure("delete the stale half", partial(delete_connections, found))
        if not deleted == len(found) == count // 2:
            raise BenchError(f"{deleted} of {len(found)} entries deleted, not {count // 2}")
        delete_connections(list(list_connections()))
    return clock.rows(f"{name}, {count:,} entries: ")


class _Clock:
    """Milliseconds of each step, a sample a round."""

    def __init__(self) -> None:
        self._samples: dict[str, list[float]] = {}

    def measure(self, step: str, work: Callable[[], _T]) -> _T:
        start = time.perf_counter()
        result = work()
        self._samples.setdefault(step, []).append(1000 * (time.perf_counter() - start))
        return result

    def rows(self, prefix: str) -> list[Row]:
        return [Row(prefix + step, {"ms": tuple(samples)}) for step, samples in self._samples.items()]


def _entries(workloads: list[str], count: int) -> Iterator[Entry]:
    for number in range(count):
        seen = f"172.18.18.{240 + number % 2}"
        workload = workloads[number % len(workloads)]
        yield Entry(workload, 1024 + number % 60_000, f"203.0.113.{number // 60_000}", seen, 0x01000000)


if __name__ == "__main__":
    sys.exit(run(__doc__, tables))
