"""The decisions of one node: each workload's address leads to what its policies decide, and no other address does."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from bundle.model import WorkloadReport
from bundle.ruleset import format_classid, format_range
from compiler.model import Address, Family
from compiler.naming import bucket, digits
from compiler.verify.claims import RETURN, STRAY, Span
from compiler.verify.decisions import Class
from compiler.verify.failure import Example
from compiler.verify.forms import LooksUp
from compiler.verify.intervals import bounds, difference
from compiler.verify.scope import Scope

_Elements = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Members:
    """A class on the node under examination, with its workloads, of this node or of others.

    Attributes:
        item: The class.
        workloads: They, one at least.
        local: Whether they are this node's.
        number: The class in the maps.
    """

    item: Class
    workloads: tuple[WorkloadReport, ...]
    local: bool
    number: int

    @property
    def target(self) -> str:
        """What their addresses must lead to."""
        return f"goto local_{digits(self.number)}" if self.local else format_classid(self.number)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A chain that looks destinations up.

    Attributes:
        chain: Its name.
        number: Digits in the names of its maps: those of a class of the node's own workloads, or of a bucket.
        classes: Whose destinations it looks up; those of a bucket are of workloads of other nodes.
    """

    chain: str
    number: str
    classes: tuple[Members, ...]

    @property
    def among(self) -> bool:
        """Whether it is of a bucket, in whose maps the class is a part of the key."""
        return not self.classes[0].local

    def map(self, family: Family) -> str:
        """Returns the name of the map for a family."""
        return f"{'remoteroute' if self.among else 'route'}{family.value}_{self.number}"


@dataclass(frozen=True, slots=True)
class NodeClasses:
    """The classes that a node has to know, and the chains that it must have for them."""

    local: tuple[Members, ...]
    remote: tuple[Members, ...]
    lookups: tuple[Lookup, ...]


def node_classes(scope: Scope) -> NodeClasses:
    """Returns the classes of a node."""
    local = tuple(_members(scope, scope.local, local=True))
    remote = tuple(_members(scope, scope.remote, local=False))
    sources = (scope.ruleset.sets.get(f"source{family.value}") for family in Family)
    targets = {target for item in sources if item for target in item.elements.values()}
    # Where an address is contested only one of its classes is there, and they decide the same.
    led = (members for members in local if not members.item.contest or members.target in targets)
    lookups = [Lookup(f"local_{digits(members.number)}", digits(members.number), (members,)) for members in led]
    buckets: dict[str, list[Members]] = {}
    for members in remote:
        buckets.setdefault(bucket(members.number), []).append(members)
    lookups += [Lookup(f"remote_{number}", number, tuple(found)) for number, found in sorted(buckets.items())]
    return NodeClasses(local, remote, tuple(lookups))


def _members(scope: Scope, classes: Mapping[Class, list[WorkloadReport]], *, local: bool) -> Iterator[Members]:
    for item, workloads in classes.items():
        yield Members(item, tuple(workloads), local, scope.claims.number(item, local=local))


def check_classes(scope: Scope, classes: NodeClasses) -> None:
    """Checks the maps from source to class, and those from class and destination to verdict."""
    _check_sources(scope, "source", classes.local)
    if scope.served:
        _check_sources(scope, "remote", classes.remote)
        _check_buckets(scope, classes.remote)
    for lookup in classes.lookups:
        _check_chain(scope, lookup)
        for family in Family:
            _check_routes(scope, lookup, family)


def _check_sources(scope: Scope, name: str, classes: Iterable[Members]) -> None:
    """Checks that each workload leads to its class, and no other address to any."""
    sources = {
        address: target
        for family in Family
        for address, target in scope.ruleset.sets[f"{name}{family.value}"].elements.items()
        if (":" in address) == (family is Family.IPV6) or _misplaced(scope, f"{name}{family.value}", address)
    }
    holders = [(m, workload, address) for m in classes for workload in m.workloads for address in workload.addresses]
    wanted: dict[str, list[str]] = {}
    for members, _, address in holders:
        wanted.setdefault(address, []).append(members.target)
    for members, workload, address in holders:
        if (target := sources.get(address)) not in wanted[address]:
            must, does = " or ".join(wanted[address]), target or "nothing"
            message = f"map {name} must lead {address} to {must}, and leads to {does}"
            scope.fail(message, _example(scope, members, workload, ip_address(address)))
    for address in sorted(sources.keys() - wanted):
        scope.fail(f"map {name} decides for {address}, which is no workload's that belongs there")


def _misplaced(scope: Scope, name: str, address: str) -> bool:
    scope.fail(f"map {name} holds {address}, which is of the other family")
    return False


def _check_buckets(scope: Scope, classes: Iterable[Members]) -> None:
    """Checks that each class of workloads of other nodes leads to its bucket, and no other class to any."""
    found = scope.ruleset.sets["remoteclass"].elements
    wanted = {members.target: members for members in classes}
    for number, members in wanted.items():
        must = f"goto remote_{bucket(members.number)}"
        if (target := found.get(number)) != must:
            message = f"map remoteclass must lead class {number} to {must}, and leads to {target or 'nothing'}"
            scope.fail(message, _first_example(scope, members))
    for number in sorted(found.keys() - wanted):
        scope.fail(f"map remoteclass leads class {number} somewhere, of which nothing comes here")


def _check_chain(scope: Scope, lookup: Lookup) -> None:
    first = lookup.classes[0]
    form = scope.form(lookup.chain, LooksUp, lambda: _first_example(scope, first))
    wanted = LooksUp((lookup.map(Family.IPV4), lookup.map(Family.IPV6)), lookup.among)
    if form is not None and form != wanted:
        message = f"chain {lookup.chain} must ask {' and '.join(wanted.maps)}, and asks otherwise"
        scope.fail(message, _first_example(scope, first))


def _first_example(scope: Scope, members: Members) -> Example:
    first = members.workloads[0]
    return _example(scope, members, first, ip_address(first.addresses[0]))


def _example(scope: Scope, members: Members, workload: WorkloadReport, source: Address) -> Example:
    """Returns a packet of a workload that is decided, if there is one."""
    spans = scope.claims.spans(scope.node, members.item, Family(source.version), local=members.local)
    low, high, _ = next((span for span in spans if span[2] not in (RETURN, STRAY)), spans[0])
    return scope.claims.show(members.item, workload, source, low, high)


def _check_routes(scope: Scope, lookup: Lookup, family: Family) -> None:
    """Checks that a map decides for its classes what they must, and for no other."""
    name = lookup.map(family)
    routes = _routes(scope.ruleset.sets[name].elements, lookup.among)
    for members in lookup.classes:
        found = routes.pop(members.target if lookup.among else "", {})
        pairs = ((w, address) for w in members.workloads for address in map(ip_address, w.addresses))
        holder = next((pair for pair in pairs if pair[1].version == family), None)
        spans = scope.claims.spans(scope.node, members.item, family, local=members.local)
        if holder is None:
            if found:
                scope.fail(f"map {name} decides for workloads that have no address of this family")
        elif found != scope.claims.texts(spans, family):
            _explain(scope, f"map {name}", members.item, spans, found, *holder)
    for number in routes:
        scope.fail(f"map {name} decides for class {number}, which is not looked up there")


def _routes(elements: _Elements, among: bool) -> dict[str, _Elements]:
    """Returns what a map says of the destinations of each class, as it writes the number; of the only one, of ``."""
    if not among:
        return {"": elements} if elements else {}
    result: dict[str, dict[str, str | None]] = {}
    for text, verdict in elements.items():
        number, _, destinations = text.partition(" . ")
        result.setdefault(number, {})[destinations] = verdict
    return dict(result)


def _explain(  # noqa: PLR0913, PLR0917  # what is wanted, what is found, and for whom
    scope: Scope,
    name: str,
    item: Class,
    spans: Iterable[Span],
    found: _Elements,
    workload: WorkloadReport,
    source: Address,
) -> None:
    """Says where what a class's elements decide differs from what it must be."""
    family = Family(source.version)
    make = type(family.everything.network_address)
    try:
        elements = sorted((*bounds(text), verdict or "") for text, verdict in found.items())
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
