"""Blocks: the parts of plans that many nodes share, each made once.

A cluster has thousands of classes of workloads, and a node's plan some of them. What a class's decisions come to on a
node depends on few things: which gateways take its packets, and what becomes there of a packet for each of these. Nodes
where that is the same have the same block.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from bundle.ruleset import format_classid
from compiler.intervals import merge
from compiler.model import Address, Family, Workload
from compiler.naming import chain_name
from compiler.nodeplan import LocalClass, NextHop, RemoteClass, RemoteSources, Routes
from compiler.residents import chain_of
from compiler.resolve import WorkloadClass
from compiler.tables import RoutingTable
from compiler.verdicts import BYPASS, DROP_CONTESTED, DROP_STRAY

Verdicts = Mapping[Family, Mapping[str, str]]
"""What becomes of a packet of a family that a policy sends to a gateway, in nft's words."""

_Key = tuple[RoutingTable, int, tuple[Family, ...], tuple[str, ...]]
"""A table, the number of its class, the families of the workloads, and the verdict for each gateway that takes any
packet of each."""


class _Contested(dict[str, str]):
    """The verdict on packets from a contested address, whatever the gateway."""

    def __missing__(self, _gateway: str) -> str:
        return DROP_CONTESTED


CONTESTED: Final = {family: _Contested() for family in Family}


@dataclass(frozen=True, slots=True)
class _Remote:
    """What is known of a class as long as its workloads are these."""

    workloads: tuple[Workload, ...]
    families: tuple[Family, ...]
    sources: RemoteSources


class Blocks:
    """The blocks made so far."""

    def __init__(self) -> None:
        self._local: dict[_Key, LocalClass] = {}
        self._routes: dict[_Key, Routes] = {}
        self._remote: dict[RoutingTable, _Remote] = {}
        self._next_hops: dict[tuple[str, int, tuple[Family, ...]], NextHop] = {}

    def __len__(self) -> int:
        return len(self._local) + len(self._routes)

    def next_hop(self, node: str, mark: int, addresses: Mapping[Family, Address]) -> NextHop:
        """Returns a gateway node under a mark; `addresses` are those of its InternalIPs that can be reached."""
        key = (node, mark, tuple(addresses))
        if key not in self._next_hops:
            self._next_hops[key] = NextHop(node, chain_name("to", node), mark, tuple(addresses.values()))
        return self._next_hops[key]

    def local(self, item: WorkloadClass, number: int, verdicts: Verdicts) -> LocalClass:
        """Returns a class of workloads of a node.

        Args:
            item: With the workloads of this node only.
            number: Of the class.
            verdicts: What becomes of their packets there.
        """
        families = item.families
        key = _key(item.table, number, families, CONTESTED if item.contested else verdicts)
        if key not in self._local:
            routes = _routes(item.table, families, "", key[-1], BYPASS)
            self._local[key] = LocalClass(chain_of(number), number, _members(item), routes)
        return self._local[key]

    def remote(self, item: WorkloadClass, number: int, verdicts: Verdicts, less: str | None) -> RemoteClass | None:
        """Returns a class of workloads of other nodes than one; None if there are none.

        Args:
            item: With the workloads of all nodes.
            number: Of the class.
            verdicts: What becomes of their packets on that node.
            less: The name of that node, None where no workload of the class runs there.
        """
        if less is None:
            known = self._remote.get(item.table)
            if known is None or known.workloads is not item.workloads or known.sources.class_id != number:
                known = self._remote[item.table] = _known(item, number)
        else:
            known = _known(replace(item, workloads=tuple(w for w in item.workloads if w.node != less)), number)
        if not known.workloads:
            return None
        key = _key(item.table, number, known.families, verdicts)
        if key not in self._routes:
            before = f"{format_classid(number)} . "
            self._routes[key] = _routes(item.table, known.families, before, key[-1], DROP_STRAY)
        return RemoteClass(number, _members(item), known.sources, self._routes[key])


def _known(item: WorkloadClass, number: int) -> _Remote:
    addresses = {
        family: tuple([workload.texts[family] for workload in item.workloads if family in workload.texts])
        for family in item.families
    }
    return _Remote(item.workloads, item.families, RemoteSources(number, addresses))


def _key(table: RoutingTable, number: int, families: tuple[Family, ...], verdicts: Verdicts) -> _Key:
    told = tuple([verdicts[family][gateway] for family in families for gateway in table.taking[family]])
    return (table, number, families, told)


def _routes(
    table: RoutingTable, families: tuple[Family, ...], before: str, told: tuple[str, ...], ordinary: str
) -> Routes:
    """Makes what a table's decisions come to; `told` has the verdicts as in the key, `ordinary` is that on the rest."""
    asked = [(family, gateway) for family in families for gateway in table.taking[family]]
    verdicts: dict[tuple[Family, str | None], str] = dict(zip(asked, told, strict=True))
    return Routes(
        before,
        {
            family: merge(
                (item.low, item.high, verdicts.get((family, item.gateway), ordinary))
                for item in table.decisions[family]
            )
            for family in families
        },
    )


def _members(item: WorkloadClass) -> str:
    if item.contested:
        return f"a contested address, of {', '.join(item.contested)}"
    return ", ".join(item.table.names)
