"""Blocks: the parts of plans that many nodes share, each made once.

A cluster has thousands of classes of workloads, and a node's plan some of them. What a class's decisions come to on a
node depends on few things: which gateways take its packets, and what becomes there of a packet for each of these. Nodes
where that is the same have the same block.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bundle.ruleset import format_classid
from compiler import verdicts
from compiler.intervals import merge
from compiler.model import Family, Workload
from compiler.nodeplan import LocalClass, RemoteClass, RemoteSources, Routes
from compiler.resolve import WorkloadClass
from compiler.tables import RoutingTable

Verdict = Callable[[str, Family], str]
"""Tells what becomes of a packet of a family that a policy sends to a gateway, in nft's words."""

_Key = tuple[RoutingTable, bool, tuple[str, ...]]
"""A table, whether the packets come from other nodes, and the verdict for each gateway that takes any."""


@dataclass(frozen=True, slots=True)
class _Remote:
    """What is known of a class as long as its workloads are these."""

    workloads: tuple[Workload, ...]
    families: tuple[Family, ...]
    sources: RemoteSources


class Blocks:
    """The blocks made so far."""

    def __init__(self) -> None:
        self._routes: dict[tuple[_Key, tuple[Family, ...]], Routes] = {}
        self._remotes: dict[RoutingTable, _Remote] = {}

    def __len__(self) -> int:
        return len(self._routes)

    def local(self, item: WorkloadClass, number: int, verdict: Verdict) -> LocalClass:
        """Returns a class of workloads of a node.

        Args:
            item: With the workloads of this node only.
            number: Of the class.
            verdict: What becomes of their packets there.
        """
        if item.contested:
            verdict = _contested
        routes = self._made(item.table, families_of(item.workloads), f"0x{number:08x}", verdict, remote=False)
        return LocalClass(f"local_{number:08x}", number, _members(item), routes)

    def remote(self, item: WorkloadClass, number: int, verdict: Verdict, less: str | None) -> RemoteClass | None:
        """Returns a class of workloads of other nodes than one; None if there are none.

        Args:
            item: With the workloads of all nodes.
            number: Of the class.
            verdict: What becomes of their packets on that node.
            less: The name of that node, None where no workload of the class runs there.
        """
        if less is None:
            known = self._remotes.get(item.table)
            if known is None or known.workloads is not item.workloads:
                known = self._remotes[item.table] = _remote(item.workloads, number)
        else:
            known = _remote(tuple(workload for workload in item.workloads if workload.node != less), number)
        if not known.workloads:
            return None
        routes = self._made(item.table, known.families, format_classid(number), verdict, remote=True)
        return RemoteClass(number, _members(item), known.sources, routes)

    def _made(
        self, table: RoutingTable, families: tuple[Family, ...], number: str, verdict: Verdict, *, remote: bool
    ) -> Routes:
        found = {(gateway, family): verdict(gateway, family) for family in families for gateway in table.taking[family]}
        key = ((table, remote, tuple(found.values())), families)
        if key not in self._routes:
            ordinary = verdicts.DROP_STRAY if remote else verdicts.BYPASS
            self._routes[key] = Routes(
                number,
                {
                    family: merge(
                        (item.low, item.high, found[item.gateway, family] if item.gateway else ordinary)
                        for item in table.decisions[family]
                    )
                    for family in families
                },
            )
        return self._routes[key]


def families_of(workloads: Iterable[Workload]) -> tuple[Family, ...]:
    """Returns the families that any of the workloads has an address of, in order."""
    return tuple(sorted({family for workload in workloads for family in workload.addresses}))


def _remote(workloads: tuple[Workload, ...], number: int) -> _Remote:
    addresses = (address for workload in workloads for address in workload.addresses.values())
    in_order = tuple(sorted(addresses, key=lambda address: (address.version, int(address))))
    return _Remote(workloads, families_of(workloads), RemoteSources(number, in_order))


def _contested(_gateway: str, _family: Family) -> str:
    return verdicts.DROP_CONTESTED


def _members(item: WorkloadClass) -> str:
    if item.contested:
        return f"a contested address, of {', '.join(item.contested)}"
    return ", ".join(item.table.names)
