"""The decisions of one node: each workload's address leads to what its policies decide, and no other address does."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from bundle.model import WorkloadReport
from bundle.ruleset import format_range
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
class _Members:
    """A class on the node under examination, with its workloads, of this node or of others."""

    item: Class
    workloads: tuple[WorkloadReport, ...]
    local: bool
    chain: str
    number: int


def check_classes(scope: Scope) -> None:
    """Checks the maps from source to class and from class and destination to verdict."""
    classes = list(_classes(scope))
    sources = {
        address: verdict
        for family in Family
        for address, verdict in scope.ruleset.sets[f"source{family.value}"].elements.items()
        if (":" in address) == (family is Family.IPV6) or _misplaced(scope, family, address)
    }
    known = _check_sources(scope, classes, sources)
    for address in sorted(sources.keys() - known):
        scope.fail(f"map source decides for {address}, which is no workload's that concerns this node")
    routes = _routes(scope)
    verdicts = set(sources.values())
    used: set[int] = set()
    for members in classes:
        # Where an address is contested only one of its classes is there, and they decide the same.
        if f"goto {members.chain}" in verdicts:
            used.add(members.number)
            _check_class(scope, members, routes)
    for number, family in routes:
        if number not in used:
            scope.fail(f"map route{family.value} decides for class 0x{number:08x}, to which nothing leads")


def _misplaced(scope: Scope, family: Family, address: str) -> bool:
    scope.fail(f"map source{family.value} holds {address}, which is of the other family")
    return False


def _classes(scope: Scope) -> Iterator[_Members]:
    for local, classes in ((True, scope.local), (False, scope.remote)):
        for item, workloads in classes.items():
            yield _Members(item, tuple(workloads), local, *scope.claims.chain(item, local=local))


def _check_sources(scope: Scope, classes: Iterable[_Members], sources: Mapping[str, str | None]) -> set[str]:
    """Checks that each workload leads to the chain of its class; returns the addresses of all."""
    wanted: dict[str, list[str]] = {}
    for members in classes:
        for workload in members.workloads:
            for address in workload.addresses:
                wanted.setdefault(address, []).append(f"goto {members.chain}")
    for members in classes:
        for workload in members.workloads:
            for address in workload.addresses:
                if (verdict := sources.get(address)) not in wanted[address]:
                    shown = verdict or "nothing"
                    message = f"map source must lead {address} to {' or '.join(wanted[address])}, and leads to {shown}"
                    scope.fail(message, _example(scope, members, workload, ip_address(address)))
    return set(wanted)


def _example(scope: Scope, members: _Members, workload: WorkloadReport, source: Address) -> Example:
    """Returns a packet of a workload that is decided, if there is one."""
    spans = scope.claims.spans(scope.node, members.item, Family(source.version), local=members.local)
    low, high, _ = next((span for span in spans if span[2] not in (RETURN, STRAY)), spans[0])
    return scope.claims.show(members.item, workload, source, low, high)


def _routes(scope: Scope) -> Routes:
    result: dict[tuple[int, Family], dict[str, str]] = {}
    for family in Family:
        for text, verdict in scope.ruleset.sets[f"route{family.value}"].elements.items():
            number, _, destinations = text.partition(" . ")
            result.setdefault((int(number, 16), family), {})[destinations] = verdict or ""
    return result


def _check_class(scope: Scope, members: _Members, routes: Routes) -> None:
    first = members.workloads[0]
    form = scope.form(members.chain, LooksUp, lambda: _example(scope, members, first, ip_address(first.addresses[0])))
    if isinstance(form, LooksUp) and form.class_id != members.number:
        example = _example(scope, members, first, ip_address(first.addresses[0]))
        scope.fail(f"chain {members.chain} looks up class 0x{form.class_id:08x}, which is another's", example)
    pairs = [(workload, address) for workload in members.workloads for address in map(ip_address, workload.addresses)]
    for family in Family:
        found = routes.get((members.number, family), {})
        holder = next((pair for pair in pairs if pair[1].version == family), None)
        spans = scope.claims.spans(scope.node, members.item, family, local=members.local)
        if holder is None:
            if found:
                scope.fail(f"map route{family.value} decides for workloads that have no address of this family")
        elif found != scope.claims.texts(spans, family):
            _explain(scope, members.item, spans, found, *holder)


def _explain(  # noqa: PLR0913, PLR0917  # what is wanted, what is found, and for whom
    scope: Scope,
    item: Class,
    spans: Iterable[Span],
    found: Mapping[str, str],
    workload: WorkloadReport,
    source: Address,
) -> None:
    """Says where what a class's elements decide differs from what it must be."""
    family = Family(source.version)
    make = type(family.everything.network_address)
    name = f"map route{family.value}"
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
