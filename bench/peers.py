"""How long aerleon and we take to turn as many address terms into nftables, in process, to text.

aerleon is a general compiler of firewall rules. It resolves no labels, elects nobody, and looks at no interfaces; what
it is given here are ready lists of addresses. docs/benchmarks.md says what can be compared and what not.
"""

import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from bench.clusters import SIZES, make_cluster
from bench.tables import BenchError, Options, Row, Table, interleaved, measured, run
from compiler.model import Cluster
from compiler.pipeline import compile_cluster, understand

_SOURCES: Final = 16  # of a term, as many as a middling app has pods
_DESTINATIONS: Final = 4


def tables(options: Options) -> Iterator[Table]:
    """Measures each size, with a policy of aerleon that writes as many addresses as our rulesets have elements."""
    try:
        # Of the group `bench`, which neither tests nor the type checker need.
        api, naming = import_module("aerleon.api"), import_module("aerleon.lib.naming")
    except ImportError:
        raise BenchError("aerleon is not installed: pip install --group bench") from None

    def generate(count: int) -> float:
        networks, policy = _terms(count)
        start = time.perf_counter()
        names = naming.Naming()
        names.ParseDefinitionsObject({"networks": networks}, "")
        text = "".join(map(str, api.Generate([policy], names).values()))
        seconds = time.perf_counter() - start
        if (written := text.count("/32") + text.count("/24")) != count:
            raise BenchError(f"aerleon wrote {written} addresses of {count}")
        return seconds

    logging.disable(logging.WARNING)  # aerleon tells what it does
    groups: list[list[Row]] = []
    notes: list[str] = []
    for name in options.sizes:
        snapshot = make_cluster(SIZES[name]).encode()
        cluster = _read(snapshot)
        elements, distinct = _elements(cluster)
        notes.append(f"{name}: {distinct:,} of our elements are distinct; the others are on many nodes, and made once.")
        count = elements - elements % (_SOURCES + _DESTINATIONS)
        runs: dict[str, Callable[[], float]] = {
            f"{name}: aerleon, {count:,} addresses": partial(generate, count),
            f"{name}: egressc, {elements:,} elements": partial(_compile, cluster),
            f"{name}: egressc, reading the snapshot too": partial(_read_and_compile, snapshot),
        }
        found = interleaved(options.rounds, runs)
        groups.append([Row(label, {"s": samples}) for label, samples in found.items()])
    yield measured("address terms to nftables", groups, tuple(notes))


def _read(snapshot: bytes) -> Cluster:
    cluster = understand({"cluster.json": snapshot}).cluster
    if cluster is None:
        raise BenchError("the cluster has errors")
    return cluster


def _elements(cluster: Cluster) -> tuple[int, int]:
    """Counts the elements of all rulesets, and how many of them are distinct."""
    found = [
        line
        for path, content in _contents(cluster)
        if path.endswith(".nft")
        for line in content.splitlines()
        if line.startswith(b"\t\t\t")
    ]
    return len(found), len(set(found))


def _contents(cluster: Cluster) -> Iterator[tuple[str, bytes]]:
    return compile_cluster(cluster).stream()


def _compile(cluster: Cluster) -> float:
    """Returns seconds from a cluster to the text of all files, each thrown away as soon as it is made."""
    start = time.perf_counter()
    deque(_contents(cluster), maxlen=0)
    return time.perf_counter() - start


def _read_and_compile(snapshot: bytes) -> float:
    start = time.perf_counter()
    deque(_contents(_read(snapshot)), maxlen=0)
    return time.perf_counter() - start


def _terms(count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Makes definitions and a policy with so many addresses, none beside another, since aerleon would join those."""
    networks: dict[str, Any] = {}
    terms = []
    for number in range(count // (_SOURCES + _DESTINATIONS)):
        sources = (IPv4Address((10 << 24) + 2 * (_SOURCES * number + i)) for i in range(_SOURCES))
        blocks = (IPv4Network(((20 << 24) + 512 * (_DESTINATIONS * number + i), 24)) for i in range(_DESTINATIONS))
        networks[f"FROM{number}"] = {"values": [{"address": f"{address}/32"} for address in sources]}
        networks[f"TO{number}"] = {"values": [{"address": f"{block}"} for block in blocks]}
        terms.append(
            {
                "name": f"term{number}",
                "source-address": f"FROM{number}",
                "destination-address": f"TO{number}",
                "action": "accept",
            }
        )
    header = {"targets": {"nftables": "inet output"}}
    return networks, {"filename": "terms", "filters": [{"header": header, "terms": terms}]}


if __name__ == "__main__":
    sys.exit(run(__doc__, tables, sizes=("S", "M")))
