"""The decisions of one node: each workload's address leads to what its policies decide, and no other address does."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Final

from bundle.model import WorkloadReport
from bundle.ruleset import format_classid, format_range, parse_classid
from compiler.model import Address, Family
from compiler.verify.claims import RETURN, STRAY, Span
from compiler.verify.decisions import Class
from compiler.verify.failure import Example
from compiler.verify.forms import LooksUp
from compiler.verify.intervals import bounds, difference
from compiler.verify.scope import Scope

Routes = Mapping[tuple[int, Family], Mapping[str, str]]
"""Elements of the route maps: class and family to destinations and their verdict."""


@dataclass(frozen=True, slots=True)
class _Maps:
    """The two lookups of a packet: the maps' names without the family, and how they write the number of a class."""

    local: bool
    sources: str
    routes: str
    write: Callable[[int], str]
    read: Callable[[str], int]


_OF_LOCAL: Final = _Maps(True, "source", "route", "0x{:08x}".format, lambda text: int(text, 16))  # noqa: FBT003
_OF_REMOTE: Final = _Maps(False, "remote", "remoteroute", format_classid, parse_classid)  # noqa: FBT003


@dataclass(frozen=True, slots=True)
class _Members:
    """A class on the node under examination, with its workloads, of this node or of others.

    Attributes:
        item: The class.
        workloads: They, one at least.
        maps: Where they are looked up.
        number: The class in the second lookup.
        target: What the first lookup must find.
        chain: The chain of this node's class; empty for one of other nodes' workloads, which has none.
    """

    item: Class
    workloads: tuple[WorkloadReport, ...]
    maps: _Maps
    number: int
    target: str
    chain: str = ""


def check_classes(scope: Scope) -> None:
    """Checks the maps from source to class and from class and destination to verdict."""
    _check_lookups(scope, _OF_LOCAL, list(_local_classes(scope)))
    if scope.served:
        _check_lookups(scope, _OF_REMOTE, list(_remote_classes(scope)))


def _check_lookups(scope: Scope, maps: _Maps, classes: list[_Members]) -> None:
    sources = {
        address: target
        for family in Family
        for address, target in scope.ruleset.sets[f"{maps.sources}{family.value}"].elements.items()
        if (":" in address) == (family is Family.IPV6) or _misplaced(scope, maps, family, address)
    }
    known = _check_sources(scope, maps, classes, sources)
    for address in sorted(sources.keys() - known):
        scope.fail(f"map {maps.sources} decides for {address}, which is no workload's that belongs there")
    routes = _routes(scope, maps)
    targets = set(sources.values())
    used: set[int] = set()
    for members in classes:
        # Where an address is contested only one of its classes is there, and they decide the same.
        if members.target in targets:
            used.add(members.number)
            _check_class(scope, members, routes)
    for number, family in routes:
        if number not in used:
            name = f"map {maps.routes}{family.value}"
            scope.fail(f"{name} decides for class {maps.write(number)}, to which nothing leads")


def _misplaced(scope: Scope, maps: _Maps, family: Family, address: str) -> bool:
    scope.fail(f"map {maps.sources}{family.value} holds {address}, which is of the other family")
    return False


def _local_classes(scope: Scope) -> Iterator[_Members]:
    for item, workloads in scope.local.items():
        number = scope.claims.number(item, local=True)
        chain = f"local_{number:08x}"
        yield _Members(item, tuple(workloads), _OF_LOCAL, number, f"goto {chain}", chain)


def _remote_classes(scope: Scope) -> Iterator[_Members]:
    for item, workloads in scope.remote.items():
        number = scope.claims.number(item, local=False)
        yield _Members(item, tuple(workloads), _OF_REMOTE, number, format_classid(number))


def _check_sources(
    scope: Scope, maps: _Maps, classes: Iterable[_Members], sources: Mapping[str, str | None]
) -> set[str]:
    """Checks that each workload leads to its class; returns the addresses of all."""
    wanted: dict[str, list[str]] = {}
    for members in classes:
        for workload in members.workloads:
            for address in workload.addresses:
                wanted.setdefault(address, []).append(members.target)
    for members in classes:
        for workload in members.workloads:
            for address in workload.addresses:
                if (target := sources.get(address)) not in wanted[address]:
                    must, does = " or ".join(wanted[address]), target or "nothing"
                    message = f"map {maps.sources} must lead {address} to {must}, and leads to {does}"
                    scope.fail(message, _example(scope, members, workload, ip_address(address)))
    return set(wanted)


def _example(scope: Scope, members: _Members, workload: WorkloadReport, source: Address) -> Example:
    """Returns a packet of a workload that is decided, if there is one."""
    spans = scope.claims.spans(scope.node, members.item, Family(source.version), local=members.maps.local)
    low, high, _ = next((span for span in spans if span[2] not in (RETURN, STRAY)), spans[0])
    return scope.claims.show(members.item, workload, source, low, high)


def _routes(scope: Scope, maps: _Maps) -> Routes:
    result: dict[tuple[int, Family], dict[str, str]] = {}
    for family in Family:
        name = f"{maps.routes}{family.value}"
        for text, verdict in scope.ruleset.sets[name].elements.items():
            number, _, destinations = text.partition(" . ")
            try:
                result.setdefault((maps.read(number), family), {})[destinations] = verdict or ""
            except ValueError:
                scope.fail(f"map {name} holds {text}, which nft would print otherwise")
    return result


def _check_class(scope: Scope, members: _Members, routes: Routes) -> None:
    first = members.workloads[0]
    if members.chain:
        example = partial(_example, scope, members, first, ip_address(first.addresses[0]))
        form = scope.form(members.chain, LooksUp, example)
        if isinstance(form, LooksUp) and form.class_id != members.number:
            scope.fail(f"chain {members.chain} looks up class 0x{form.class_id:08x}, which is another's", example())
    pairs = [(workload, address) for workload in members.workloads for address in map(ip_address, workload.addresses)]
    for family in Family:
        found = routes.get((members.number, family), {})
        holder = next((pair for pair in pairs if pair[1].version == family), None)
        spans = scope.claims.spans(scope.node, members.item, family, local=members.maps.local)
        name = f"map {members.maps.routes}{family.value}"
        if holder is None:
            if found:
                scope.fail(f"{name} decides for workloads that have no address of this family")
        elif found != scope.claims.texts(spans, family):
            _explain(scope, name, members.item, spans, found, *holder)


def _explain(  # noqa: PLR0913, PLR0917  # what is wanted, what is found, and for whom
    scope: Scope,
    name: str,
    item: Class,
    spans: Iterable[Span],
    found: Mapping[str, str],
    workload: WorkloadReport,
    source: Address,
) -> None:
    """Says where what a class's elements decide differs from what it must be."""
    family = Family(source.version)
    make = type(family.everything.network_address)
    try:
        elements = sorted((*bounds(text), verdict) for text, verdict in found.items())
    except ValueError:
        scope.fail(f"{name} holds what is no range of addresses")
        return
    before = len(scope.failures)
    for low, high, verdict in spans:
        for start, end in difference([(low, high)], [(a, b) for a, b, other in elements if other == verdict])[0]:
            others = {other for a, b, other in elements if a <= end and b >= start}
            shown = format_range(make(start), make(end))
            message = f"{name} must say {verdict} of {shown}, and says {' or '.join(sorted(others)) or 'nothing'}"
            scope.fail(message, scope.claims.show(item, workload, source, start, end))
    if len(scope.failures) == before:
        scope.fail(f"{name} says the same as it must in other elements, or of some destinations twice")
