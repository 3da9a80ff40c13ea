"""The decisions of one node: each workload's address leads to what its policies decide, and no other address does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from bundle.model import WorkloadReport
from bundle.ruleset import format_range
from compiler.model import Address, Family
from compiler.verify.claims import RETURN, STRAY, Span
from compiler.verify.decisions import Class
from compiler.verify.forms import LooksUp, form_of
from compiler.verify.intervals import bounds, difference
from compiler.verify.scope import Scope

Routes = Mapping[tuple[int, Family], Mapping[str, str]]
"""Elements of the route maps: class and family to destinations and their verdict."""


@dataclass(frozen=True, slots=True)
class _Member:
    """A workload of a class, as the node under examination sees it."""

    workload: WorkloadReport
    item: Class
    local: bool


def check_classes(scope: Scope) -> None:
    """Checks the maps from source to class and from class and destination to verdict."""
    routes = _routes(scope)
    used: set[int] = set()
    for (chain, _, _), member in _chains(scope).items():
        found = scope.ruleset.chains.get(chain)
        form = form_of(found) if found else None
        if not isinstance(form, LooksUp):
            _fail_source(scope, member, member.workload.addresses[0], f"leads to {chain}, which looks nothing up")
            continue
        used.add(form.class_id)
        for family in Family:
            _check_class(scope, member, family, routes.get((form.class_id, family), {}))
    for number, family in routes:
        if number not in used:
            scope.fail(f"map route{family.value} decides for class 0x{number:08x}, to which nothing leads")


def _chains(scope: Scope) -> dict[tuple[str, Class, bool], _Member]:
    """Returns the chains to which workloads lead, each with a workload of each class that does."""
    chains: dict[tuple[str, Class, bool], _Member] = {}
    sources = {**scope.ruleset.sets["source4"].elements, **scope.ruleset.sets["source6"].elements}
    for local, classes in ((True, scope.local), (False, scope.remote)):
        for item, members in classes.items():
            for workload in members:
                for address in workload.addresses:
                    verdict = sources.pop(address, None)
                    if verdict is None:
                        _fail_source(scope, _Member(workload, item, local), address, f"lacks {address}")
                    elif (chain := (verdict.removeprefix("goto "), item, local)) not in chains:
                        chains[chain] = _Member(workload, item, local)
    for address in sources:
        scope.fail(f"map source decides for {address}, which is no workload's that concerns this node")
    return chains


def _fail_source(scope: Scope, member: _Member, text: str, what: str) -> None:
    source = ip_address(text)
    family = Family(source.version)
    spans = scope.claims.spans(scope.node, member.item, family, local=member.local)
    low, high, _ = next((span for span in spans if span[2] not in (RETURN, STRAY)), spans[0])
    scope.fail(f"map source{family.value} {what}", scope.claims.show(member.item, member.workload, source, low, high))


def _routes(scope: Scope) -> Routes:
    result: dict[tuple[int, Family], dict[str, str]] = {}
    for family in Family:
        for text, verdict in scope.ruleset.sets[f"route{family.value}"].elements.items():
            number, _, destinations = text.partition(" . ")
            result.setdefault((int(number, 16), family), {})[destinations] = verdict or ""
    return result


def _check_class(scope: Scope, member: _Member, family: Family, found: Mapping[str, str]) -> None:
    members = (scope.local if member.local else scope.remote)[member.item]
    pairs = ((workload, address) for workload in members for address in map(ip_address, workload.addresses))
    holder = next(((workload, address) for workload, address in pairs if address.version == family), None)
    if holder is None:
        if found:
            scope.fail(f"map route{family.value} decides for workloads that have no address of this family")
        return
    spans = scope.claims.spans(scope.node, member.item, family, local=member.local)
    if found != scope.claims.texts(spans, family):
        _explain(scope, spans, found, _Member(holder[0], member.item, member.local), holder[1])


def _explain(scope: Scope, spans: Iterable[Span], found: Mapping[str, str], member: _Member, source: Address) -> None:
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
            scope.fail(message, scope.claims.show(member.item, member.workload, source, start, end))
    if len(scope.failures) == before:
        scope.fail(f"{name} says the same as it must in other elements, or of some destinations twice")
