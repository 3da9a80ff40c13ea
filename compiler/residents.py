"""Residents: the workloads of one node, and what of its plan follows from them alone, whoever serves their gateways."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from compiler.model import Family, Network
from compiler.naming import chain_name, digits
from compiler.nodeplan import Elements
from compiler.ranges import Cover, collapse
from compiler.resolve import WorkloadClass
from compiler.tables import RoutingTable


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a class: on the nodes of its workloads, and on those that translate for them."""

    local: int
    remote: int


@dataclass(frozen=True, slots=True)
class Residents:
    """The classes of a node's workloads.

    Attributes:
        parts: Each with the workloads of this node only, sorted by number.
        sources: The elements that lead from their addresses to the chains of their classes, sorted.
        gateways: Those that their policies name, sorted; contested ones aside.
        replies: The ranges that hold their IPv4 addresses: few, however many workloads.
    """

    parts: tuple[WorkloadClass, ...]
    sources: Elements
    gateways: tuple[str, ...]
    replies: tuple[Network, ...]


NOBODY = Residents((), {}, (), ())


def chain_of(number: int) -> str:
    """Returns the name of the chain of a class."""
    return chain_name("local", digits(number))


def reside(
    parts: Iterable[WorkloadClass], numbers: Mapping[RoutingTable, Numbers], ranges: Mapping[Family, Cover]
) -> Residents:
    """Gathers what follows from the workloads of a node.

    Args:
        parts: Their classes.
        numbers: Of the classes.
        ranges: The ranges of workloads.
    """
    parts = sorted(parts, key=lambda item: numbers[item.table].local)
    chains: dict[Family, dict[int, tuple[str, str]]] = {}
    for item in parts:
        chain = chain_of(numbers[item.table].local)
        for workload in item.workloads:
            for family, address in workload.addresses.items():
                # Of a contested address there may be two, whose classes decide the same.
                chains.setdefault(family, {})[int(address)] = (workload.texts[family], chain)
    used = {chain for found in chains.values() for _, chain in found.values()}
    return Residents(
        # A contested class that lost its only address has no chain.
        parts=tuple(item for item in parts if chain_of(numbers[item.table].local) in used),
        sources={
            family: tuple(f"{text} : goto {chain}" for _, (text, chain) in sorted(found.items()))
            for family, found in chains.items()
        },
        gateways=tuple(sorted({name for item in parts if not item.contested for name in item.table.gateways})),
        replies=_replies(chains.get(Family.IPV4, {}), ranges[Family.IPV4]),
    )


def _replies(addresses: Mapping[int, tuple[str, str]], ranges: Cover) -> tuple[Network, ...]:
    found = {ranges.around(number) or ip_network(text) for number, (text, _) in addresses.items()}
    return collapse(found) if len(found) > 1 else tuple(found)
