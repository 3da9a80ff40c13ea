"""The marks of one node: each stands for one gateway node or one gateway, and what it brings about is right."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from compiler.model import Family
from compiler.naming import chain_name
from compiler.verify.claims import Served
from compiler.verify.failure import Example
from compiler.verify.forms import Drops, Marks, Translates
from compiler.verify.scope import Scope


@dataclass(frozen=True, slots=True)
class NodeMarks:
    """The marks that the ruleset of a node uses: of gateway nodes that packets are sent to, and of gateways here."""

    next_hops: Mapping[str, int]
    gateways: Mapping[str, int]


def check_marks(scope: Scope) -> NodeMarks:
    """Checks the chains that mark and translate, and the sets that hold marks; returns the marks."""
    marks = NodeMarks(dict(_next_hops(scope)), dict(_gateways(scope)))
    _check_distinct(scope, marks)
    for family in Family:
        _check_sets(scope, marks, family)
    masqueraded = {
        f'0x{mark:08x} . "{scope.served[gateway].source.interface}"': gateway
        for gateway, mark in marks.gateways.items()
        if scope.served[gateway].source.masquerade
    }
    scope.compare("masqueraded", masqueraded, lambda element: scope.gateway_example(masqueraded.get(element, "")))
    return marks


def _next_hops(scope: Scope) -> Iterator[tuple[str, int]]:
    for node in scope.claims.next_hop_nodes(scope.node):
        form = _marking(scope, chain_name("to", node), partial(scope.next_hop_example, node))
        if form is not None:
            yield node, form.mark


def _marking(scope: Scope, chain: str, example: Callable[[], Example | None]) -> Marks | None:
    form = scope.form(chain, Marks, example)
    if not isinstance(form, Marks):
        return None
    if form.rest != scope.claims.mask ^ 0xFFFFFFFF:
        scope.fail(f"chain {chain} changes other bits of the mark than ours", example())
    return form


def _gateways(scope: Scope) -> Iterator[tuple[str, int]]:
    """Reads the mark of each gateway that is served here, and checks how its packets are translated."""
    marks: dict[str | None, int] = {}
    for key, verdict in scope.ruleset.sets["translation"].elements.items():
        if verdict in marks:
            scope.fail(f"map translation has two marks that lead to {verdict}")
        marks[verdict] = int(key, 16)
    for gateway, served in scope.served.items():
        nat, chain = chain_name("snat", gateway), chain_name("gateway", gateway)
        mark = marks.pop(f"goto {nat}", None)
        if mark is None:
            scope.fail(f"map translation has no mark that leads to {nat}", scope.gateway_example(gateway))
            continue
        example = partial(scope.gateway_example, gateway)
        _check_translation(scope, nat, served, example)
        if not served.armed:
            scope.form(chain, Drops, example)
        elif (form := _marking(scope, chain, example)) is not None and form.mark != mark:
            scope.fail(f"chain {chain} sets mark 0x{form.mark:08x}, and 0x{mark:08x} leads to {nat}", example())
        yield gateway, mark
    for verdict, mark in marks.items():
        scope.fail(f"map translation leads mark 0x{mark:08x} to {verdict}, which no gateway of this node has")


def _check_translation(scope: Scope, name: str, served: Served, example: Callable[[], Example | None]) -> None:
    form = scope.form(name, Translates, example)
    interface = served.source.interface if served.source.masquerade else None
    if form is not None and form != Translates(tuple(served.addresses.items()), interface):
        shown = " and ".join([*served.addresses.values(), *([f"that of {interface}"] if interface else [])])
        scope.fail(f"chain {name} does not give the source address {shown}, and only that", example())


def _check_distinct(scope: Scope, marks: NodeMarks) -> None:
    owners: dict[int, str] = {}
    examples = {scope.next_hop_example: marks.next_hops, scope.gateway_example: marks.gateways}
    for example, found in examples.items():
        for name, mark in found.items():
            if not 0 < mark & scope.claims.mask == mark:
                scope.fail(f"mark 0x{mark:08x} of {name} is not within the mask", example(name))
            if mark in owners:
                scope.fail(f"mark 0x{mark:08x} stands for {owners[mark]} and {name} at once", example(name))
            owners[mark] = name


def _check_sets(scope: Scope, marks: NodeMarks, family: Family) -> None:
    hops = {
        f"0x{mark:08x} . {address}": node
        for node, mark in marks.next_hops.items()
        if (address := scope.claims.next_hop(scope.node, node, family)) is not None
    }
    sources = {
        gateway: address
        for gateway in marks.gateways
        if (address := scope.served[gateway].addresses.get(family)) is not None
    }
    translated = {f"0x{marks.gateways[gateway]:08x} . {address}": gateway for gateway, address in sources.items()}
    owned = {address: gateway for gateway, address in sources.items()}
    number = family.value
    scope.compare(f"nexthop{number}", hops, lambda element: scope.next_hop_example(hops.get(element, "")))
    scope.compare(f"translated{number}", translated, lambda element: scope.gateway_example(translated.get(element, "")))
    scope.compare(f"owned{number}", owned, lambda element: scope.gateway_example(owned.get(element, "")))
