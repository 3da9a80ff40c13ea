"""How long aerleon and we take to turn as many address terms into nftables, in process, from values to text.

aerleon is a general compiler of firewall rules. It resolves no labels, elects nobody, and looks at no interfaces; what
it is given here are ready lists of addresses. docs/benchmarks.md says what can be compared and what not.
"""

import logging
import sys
import time
from collections.abc import Iterator
from functools import partial
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
        from aerleon import api  # noqa: PLC0415  # of the group `bench`, which tests do not install
        from aerleon.lib.naming import Naming  # noqa: PLC0415
    except ImportError:
        raise BenchError("aerleon is not installed: pip install --group bench") from None

    def generate(count: int) -> float:
        networks, policy = _terms(count)
        start = time.perf_counter()
        names = Naming()
        names.ParseDefinitionsObject({"networks": networks}, "")
        text = "".join(map(str, api.Generate([policy], names).values()))
        seconds = time.perf_counter() - start
        if (written := text.count("/32") + text.count("/24")) != count:
            raise BenchError(f"aerleon wrote {written} addresses of {count}")
        return seconds

    logging.disable(logging.WARNING)  # aerleon tells what it does
    groups = []
    for name in options.sizes:
        cluster = understand({"cluster.json": make_cluster(SIZES[name]).encode()}).cluster
        if cluster is None:
            raise BenchError(f"the cluster of size {name} has errors")
        _, elements = _compile(cluster)
        count = elements - elements % (_SOURCES + _DESTINATIONS)
        runs = {
            f"{name}: aerleon, {count:,} addresses": partial(generate, count),
            f"{name}: egressc, {elements:,} elements": lambda cluster=cluster: _compile(cluster)[0],
        }
        found = interleaved(options.rounds, runs)
        groups.append([Row(label, samples) for label, samples in found.items()])
    yield measured("address terms to nftables", groups)


def _compile(cluster: Cluster) -> tuple[float, int]:
    """Returns seconds of all stages from a cluster to the text of all files, and how many elements its rulesets have."""
    start = time.perf_counter()
    files = compile_cluster(cluster).files
    seconds = time.perf_counter() - start
    if files is None:
        raise BenchError("the cluster has errors")
    rulesets = (content for path, content in files.items() if path.endswith(".nft"))
    return seconds, sum(content.count(b"\n\t\t\t") for content in rulesets)


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
    sys.exit(run(__doc__, tables))
