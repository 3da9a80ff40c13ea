"""How long the pass over connection tracking takes: list, decide, delete.

It fills the table, so run it as root in a network namespace of its own:

    unshare -n .venv/bin/python -m bench.conntrack
"""

import argparse
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

from applier.connections import stale
from applier.conntrack import delete_connections, list_connections
from applier.decision import Decisions
from applier.model import Address
from bench.connections import Entry, insert
from bundle.ruleset import parse

_RULESET = """
table inet egressc {{
	chain translate {{
		ct mark set ct mark | 0x01000000
	}}
	chain local_00000001 {{
		meta mark & 0x00000000 ^ 0x00000001 . ip daddr vmap @route4
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
	map route4 {{
		type mark . ipv4_addr : verdict
		flags interval
		elements = {{ 0x00000001 . 0.0.0.0/0 : goto gateway_a }}
	}}
	map translation {{
		type mark : verdict
		elements = {{ 0x02000000 : goto snat_a }}
	}}
}}
"""
T = TypeVar("T")

_HELD = (Address("172.18.18.240/32", "eth1", None),)


def main() -> int:
    """Prints what each step takes; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000, help="entries, half of them stale")
    parser.add_argument("--workloads", type=int, default=150_000, help="source addresses that the rules know")
    arguments = parser.parse_args()
    workloads = [f"10.{64 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" for n in range(arguments.workloads)]
    text = _RULESET.format(sources=", ".join(f"{address} : goto local_00000001" for address in workloads))
    ruleset = parse(text, "inet egressc")
    insert(_entries(workloads, arguments.entries))
    decisions = _measured("read the ruleset", 1, lambda: Decisions(ruleset))
    count = arguments.entries
    _measured("list", count, lambda: deque(list_connections(), maxlen=0))
    _measured("list of one source", 1, lambda: list(list_connections(workloads[:1])))
    found = _measured("list and decide", count, lambda: list(stale(decisions, _HELD, list_connections())))
    deleted = _measured("delete", len(found), lambda: delete_connections(found))
    return 0 if deleted == len(found) == count // 2 else 1


def _entries(workloads: list[str], count: int) -> Iterator[Entry]:
    for number in range(count):
        seen = f"172.18.18.{240 + number % 2}"
        workload = workloads[number % len(workloads)]
        yield Entry(workload, 1024 + number % 60_000, f"203.0.113.{number // 60_000}", seen, 0x01000000)


def _measured(what: str, count: int, do: Callable[[], T]) -> T:
    start = time.perf_counter()
    result = do()
    seconds = time.perf_counter() - start
    print(f"{what:18} {seconds:7.3f} s {seconds / max(count, 1) * 1e6:9.1f} µs each of {count}")
    return result


if __name__ == "__main__":
    sys.exit(main())
