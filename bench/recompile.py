"""What a change costs a compiled cluster in process, beside compiling everything again; bytes of files included.

Every change is undone by another one, so that each round begins with the same cluster.
"""

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from bench import objects
from bench.clusters import SIZES, make_cluster
from bench.tables import BenchError, Options, Row, Table, interleaved, measured, run
from compiler.pipeline import Compiled, compile_cluster, understand
from compiler.recompile import Change, Recompiler

Obj = dict[str, Any]
_T = TypeVar("_T")
_TARGETS: Final = "one workload added at L: 1/500 = 0.002 of a full compile; a gateway node lost: 1/20 = 0.05"


def tables(options: Options) -> Iterator[Table]:
    """Measures the sizes, each by itself."""
    yield measured("recompile in process", [_rows(name, options.rounds) for name in options.sizes], (_TARGETS,))


def _rows(name: str, rounds: int) -> list[Row]:
    raw = make_cluster(SIZES[name]).encode()
    recompiler = Recompiler({"cluster.json": raw})
    whole = recompiler.bundle()
    if whole.files != _everything(raw).files:
        raise BenchError(f"{name}: the recompiler has other files than a compile of everything")
    # What a long-lived process has once is not looked at for garbage again and again.
    gc.collect()
    gc.freeze()
    changes = _Changes(recompiler, json.loads(raw)["items"], whole)

    def full() -> tuple[float, int, int]:
        start = time.perf_counter()
        files = dict(_everything(raw).stream())
        return time.perf_counter() - start, SIZES[name].nodes, sum(map(len, files.values())) >> 10

    runs = {
        "compile of everything, to bytes": full,
        "one workload more": changes.workload,
        "one gateway node lost": changes.gateway_node,
        "one node more labelled for gateways": changes.labelled,
        "one policy more": changes.policy,
    }
    found = interleaved(rounds, runs)
    rows = []
    for label, taken in found.items():
        seconds, nodes, kibibytes = zip(*taken, strict=True)
        rows.append(Row(f"{name}: {label}", {"s": seconds, "nodes": nodes, "KiB of files": kibibytes}))
    return rows


def _everything(raw: bytes) -> Compiled:
    cluster = understand({"cluster.json": raw}).cluster
    if cluster is None:
        raise BenchError("the cluster has errors")
    return compile_cluster(cluster)


class _Changes:
    """Changes of a cluster, another one each time, and their undoing, which is not measured."""

    def __init__(self, recompiler: Recompiler, items: list[Obj], whole: Compiled) -> None:
        self._recompiler = recompiler
        self._round = 0
        if whole.account is None:
            raise BenchError("the cluster has errors")
        selected = {(item.namespace, item.name) for item in whole.account.workloads.workloads if item.policies}
        masters = {item.active_node_name for item in whole.account.gateways.gateways}
        self._pods = [item for item in items if item["kind"] == "Pod" and _name(item) in selected]
        self._masters = [item for item in items if item["kind"] == "Node" and item["metadata"]["name"] in masters]
        self._others = [item for item in items if item["kind"] == "Node" and item["metadata"]["name"] not in masters]
        self._policies = [item for item in items if item["kind"] == "EgressGatewayPolicy"]

    def workload(self) -> tuple[float, int, int]:
        """Adds a workload that policies select."""
        pod = objects.twin(self._one(self._pods))
        return self._measure(pod, lambda: self._recompiler.change([], [("Pod", *_name(pod))]))

    def gateway_node(self) -> tuple[float, int, int]:
        """Takes the readiness from a node that is master of some gateways."""
        node = self._one(self._masters)
        lost = {**node, "status": {**node["status"], "conditions": [{"type": "Ready", "status": "False"}]}}
        return self._measure(lost, lambda: self._recompiler.change([_text(node)]))

    def labelled(self) -> tuple[float, int, int]:
        """Gives an ordinary node the labels of a gateway node."""
        node, like = self._one(self._others), self._one(self._masters)
        meta = {**node["metadata"], "labels": {**node["metadata"]["labels"], **like["metadata"]["labels"]}}
        return self._measure({**node, "metadata": meta}, lambda: self._recompiler.change([_text(node)]))

    def policy(self) -> tuple[float, int, int]:
        """Adds a policy like another one, for one more range."""
        like = self._one(self._policies)
        spec = {**like["spec"], "destinationCIDRs": [*like["spec"]["destinationCIDRs"], "203.0.113.0/24"]}
        policy = {**like, "metadata": {**like["metadata"], "name": "one-more"}, "spec": spec}
        return self._measure(policy, lambda: self._recompiler.change([], [("EgressGatewayPolicy", "", "one-more")]))

    def _one(self, items: list[_T]) -> _T:
        """Chooses another one each time, from everywhere."""
        self._round += 1
        return items[self._round * 7919 % len(items)]

    def _measure(self, item: Obj, undo: Callable[[], Change]) -> tuple[float, int, int]:
        text = _text(item)
        start = time.perf_counter()
        change = self._recompiler.change([text])
        size = sum(map(len, change.files.values()))
        seconds = time.perf_counter() - start
        if change.refused or undo().refused:
            raise BenchError(f"a change was refused: {change.refused}")
        return seconds, len(change.plans), size >> 10


def _name(item: Obj) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _text(item: Obj) -> bytes:
    return json.dumps(item).encode()


if __name__ == "__main__":
    sys.exit(run(__doc__, tables, sizes=("M", "L"), rounds=7))
