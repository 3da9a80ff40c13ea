"""One node's `ruleset.nft` against the claims: every element, chain and mark, and nothing else."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from ipaddress import ip_address

from bundle.directory import NodePart
from bundle.model import WorkloadReport
from bundle.ruleset import format_range
from compiler.model import Address, Family
from compiler.verify.claims import CONTESTED, NO_GATEWAY, NO_NEXT_HOP, NO_SOURCE, Claims
from compiler.verify.classes import NodeClasses, check_classes, node_classes
from compiler.verify.decisions import Class
from compiler.verify.failure import Example, Failure
from compiler.verify.forms import Drops, LooksUp, form_of
from compiler.verify.intervals import bounds, difference
from compiler.verify.marks import NodeMarks, check_marks
from compiler.verify.scope import Scope
from compiler.verify.skeleton import World, check_skeleton, skeleton_of
from compiler.verify.specs import route_specs, specs
from compiler.verify.written import differing_chain

_KEYS = {
    "mark": re.compile(r"0x[0-9a-f]{8}"),
    "mark . ifname": re.compile(r'0x[0-9a-f]{8} \. "[^"]*"'),
    "mark . ipv4_addr": re.compile(r"0x[0-9a-f]{8} \. [0-9./-]+"),
    "mark . ipv6_addr": re.compile(r"0x[0-9a-f]{8} \. [0-9a-f:./-]+"),
    "classid": re.compile(r"[0-9a-f]{1,4}:[0-9a-f]{1,4}"),
    "classid . ipv4_addr": re.compile(r"[0-9a-f]{1,4}:[0-9a-f]{1,4} \. [0-9./-]+"),
    "classid . ipv6_addr": re.compile(r"[0-9a-f]{1,4}:[0-9a-f]{1,4} \. [0-9a-f:./-]+"),
}
"""How the elements of the sets begin that are read by their parts."""


def check_ruleset(part: NodePart, claims: Claims, *, as_written: bool) -> tuple[list[Failure], NodeMarks | None]:
    """Compares one node's ruleset with what it must be.

    Args:
        part: The node's part of the bundle.
        claims: What is claimed of all nodes.
        as_written: Whether the rules must be to the letter those of this version.

    Returns:
        The failures; and the marks for whoever checks the routing, None if they cannot be read.
    """
    scope = Scope(part, claims)
    classes = node_classes(scope)
    _check_sets(scope, classes)
    if scope.failures:
        return scope.failures, None
    _check_chains(scope, classes, as_written)
    _check_ranges(scope)
    marks = check_marks(scope)
    check_classes(scope, classes)
    return scope.failures, marks


def _check_sets(scope: Scope, classes: NodeClasses) -> None:
    ruleset = scope.ruleset
    found = {name: (item.kind, item.spec) for name, item in ruleset.sets.items()}
    wanted = dict(specs(bool(scope.served)))
    for lookup in classes.lookups:
        wanted |= route_specs(lookup.number, among=lookup.among)
    for name in sorted({*found, *wanted}):
        if found.get(name) != wanted.get(name):
            scope.fail(f"{name} is {found.get(name, 'missing')}, and must be {wanted.get(name, 'absent')}")
        elif pattern := _KEYS.get(wanted[name][1].partition(";")[0].removeprefix("type ").partition(" : ")[0]):
            odd = (key for key in ruleset.sets[name].elements if not pattern.fullmatch(key))
            for key in itertools.islice(odd, 1):
                scope.fail(f"{name} holds {key}, which is not of its type")
    if unflushed := {"", *wanted} - ruleset.flushed:
        what = min(unflushed) or "the chains"
        scope.fail(f"what an older ruleset left in {what} stays, since it is not emptied first")
    if ruleset.others:
        scope.fail(f"the table holds {' '.join(ruleset.others[0])}, which must not be there")


def _check_chains(scope: Scope, classes: NodeClasses, as_written: bool) -> None:
    skeleton, targets = skeleton_of(scope.ruleset)
    world = World(
        mask=scope.claims.mask,
        node_interfaces=tuple(sorted(set(scope.claims.interfaces(scope.node).values()))),
        serves=bool(scope.served),
        masquerades=any(item.source.masquerade for item in scope.served.values()),
        answers=bool(scope.claims.reply_networks(scope.node)),
    )
    if fault := check_skeleton(skeleton, world):
        scope.fail(fault)
    elif as_written and (odd := differing_chain(skeleton, world)):
        scope.fail(f"chain {odd} has other rules than egressc writes there, though they do the same")
    lookups = {lookup.chain for lookup in classes.lookups}
    # Also of a chain to which nothing leads: nft would refuse the whole for what it does not know.
    for name in sorted({*targets, *scope.ruleset.chains} - {chain.name for chain in skeleton}):
        form = form_of(scope.ruleset.chains[name]) if name in scope.ruleset.chains else None
        if form is None:
            scope.fail(f"chain {name} does none of the things that chains outside of the fixed rules do")
        elif isinstance(form, LooksUp) and name not in lookups:
            scope.fail(f"chain {name} looks up destinations, and is of no class here")
    contested = [CONTESTED] if any(item.contest for item in scope.local) else []
    for verdict in (NO_GATEWAY, NO_SOURCE, NO_NEXT_HOP, *contested):
        scope.form(verdict.removeprefix("goto "), Drops, partial(scope.example, verdict))


def _check_ranges(scope: Scope) -> None:
    never, strays = scope.claims.never_redirected_texts, scope.claims.strays(scope.node)
    for family in Family:
        _compare(scope, f"cluster{family.value}", never[family], family, _inside_example)
        _compare(scope, f"stray{family.value}", strays[family], family, _stray_example)


def _compare(
    scope: Scope,
    name: str,
    wanted: frozenset[str],
    family: Family,
    example: Callable[[Scope, Address], Example | None],
) -> None:
    texts = scope.ruleset.sets[name].elements
    if texts.keys() == wanted:
        return
    make = type(family.everything.network_address)
    if odd := [text for text in texts if (":" in text) != (family is Family.IPV6)]:
        scope.fail(f"set {name} holds {odd[0]}, which is of the other family")
        return
    try:
        missing, surplus = difference(map(bounds, wanted), map(bounds, texts))
    except ValueError:
        scope.fail(f"set {name} holds what is no range of addresses")
        return
    for low, high in missing:
        scope.fail(f"set {name} lacks {format_range(make(low), make(high))}", example(scope, make(low)))
    for low, high in surplus:
        text = format_range(make(low), make(high))
        scope.fail(f"set {name} holds {text}, which must not be there", example(scope, make(low)))
    if not missing and not surplus:
        scope.fail(f"set {name} says the same as it must in other elements")


def _inside_example(scope: Scope, destination: Address) -> Example | None:
    """A packet to an address that is, or should be, inside of the cluster."""
    number = int(destination)
    for item, workload in itertools.chain(_members(scope.local), _members(scope.remote)):
        for source in map(ip_address, workload.addresses):
            if source.version == destination.version:
                return scope.claims.show(item, workload, source, number, number)
    return None


def _stray_example(scope: Scope, source: Address) -> Example | None:
    """A packet from an address that is, or should be, one of another node's workload."""
    for item, workload in _members(scope.claims.classes):
        if str(source) in workload.addresses and workload.node != scope.node:
            return scope.claims.show(item, workload, source, 0, (1 << source.max_prefixlen) - 1)
    return None


def _members(classes: Mapping[Class, Iterable[WorkloadReport]]) -> Iterator[tuple[Class, WorkloadReport]]:
    return ((item, workload) for item, members in classes.items() for workload in members)
