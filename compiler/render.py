"""Render: a `NodePlan` to the text of `ruleset.nft`.

Formats and never decides: what is listed, and in which order, the plan says. All text is the template's. Most of a
ruleset stands in many: the frame around what is one node's own is rendered once for all nodes of like kind, with holes,
and so is each chain of a class, a next hop or a gateway.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import jinja2

from bundle import names
from bundle.ruleset import fingerprint, format_classid
from compiler.model import Address, Family
from compiler.naming import bucket, chain_name, digits
from compiler.nodeplan import SEPARATOR, Elements, NodePlan, RemoteClass, Routes, Translation
from compiler.resources import resource

_ALL_BITS: Final = 0xFFFFFFFF
_HOLE: Final = "\0"  # no text of a ruleset has it
_MOST: Final = 1 << 16  # chains whose text is kept: a cluster has fewer classes, next hops and gateways


@dataclass(frozen=True, slots=True)
class _Kind:
    """What nodes have in common whose rulesets have one frame; `filled` names the sets and maps that have elements."""

    mask: int
    node_interfaces: tuple[str, ...]
    answers: bool
    contested: bool
    serves: bool
    masquerades: bool
    filled: frozenset[str]


@dataclass(frozen=True, slots=True)
class SetText:
    """A set or map of the ruleset, without its elements."""

    kind: str
    name: str
    type: str
    interval: bool
    purpose: str


@dataclass(frozen=True, slots=True)
class _RouteMaps:
    """The two maps of routes of a class or a bucket.

    Attributes:
        declared: Their declarations.
        flushed: The commands that empty them.
        around: What stands before and behind the elements of each.
        in_parts: Whether many elements stand in several blocks.
    """

    declared: str
    flushed: str
    around: Mapping[Family, tuple[str, str]]
    in_parts: bool

    def filled(self, routes: Sequence[Routes]) -> str:
        """Returns those with elements."""
        text = ""
        for family, (before, behind) in self.around.items():
            if found := [item.text[family] for item in routes if item.text.get(family)]:
                elements = SEPARATOR.join(found)
                parts = _parts(elements) if self.in_parts else (elements,)
                text += "".join(f"{before}{part}{behind}" for part in parts)
        return text


def _parts(elements: str) -> Iterator[str]:
    if elements.count(SEPARATOR) < names.ELEMENTS_AT_ONCE:  # as most buckets
        yield elements
        return
    lines = elements.split(SEPARATOR)
    size = names.ELEMENTS_AT_ONCE
    yield from (SEPARATOR.join(lines[start : start + size]) for start in range(0, len(lines), size))


def render(plan: NodePlan) -> str:
    """Returns the whole ruleset of a node."""
    elements = {name: SEPARATOR.join(lines) for name, lines in _elements(plan) if lines}
    kind = _Kind(
        mask=plan.mark_mask,
        node_interfaces=plan.node_interfaces,
        answers=bool(plan.routing.reply_rules),
        contested=plan.contested,
        serves=bool(plan.translations),
        masquerades=any(item.masquerade for item in plan.translations),
        filled=frozenset(elements),
    )
    mask = plan.mark_mask
    buckets = _buckets(plan.remotes)
    own = [_route_maps("route", digits(item.class_id)) for item in plan.classes]
    maps = [*(_route_maps("remoteroute", number) for number in buckets), *own]
    chains = [
        *(chain_name("remote", number) for number in buckets),
        *(item.chain for item in plan.classes),
        *(item.chain for item in plan.next_hops),
        *(name for item in plan.translations for name in (item.mark_chain, item.nat_chain)),
    ]
    parts: dict[str, str] = {
        "node": plan.node,
        "chains": "".join(f"\n\tchain {name} {{ }}" for name in chains),
        "maps": "".join(item.declared for item in maps),
        "flushes": "".join(item.flushed for item in maps),
        "buckets": "".join(_bucket(number, classes) for number, classes in buckets.items()),
        "classes": "".join(
            _class_chain(item.chain, item.class_id, item.members) + found.filled((item.routes,))
            for item, found in zip(plan.classes, own, strict=True)
        ),
        "next_hops": "".join(_next_hop(item.node, item.chain, item.mark, mask) for item in plan.next_hops),
        "gateways": "".join(_gateway(item, mask) for item in plan.translations),
        "translations": "".join(_translation(item) for item in plan.translations),
        **elements,
    }
    frame = _frame(kind)
    return "".join(parts[part] if index % 2 else part for index, part in enumerate(frame))


def seal(text: str) -> str:
    """Appends to each rule the comment that holds its digest; rules are the lines indented twice outside of sets."""
    lines = []
    inside = ""
    for line in text.split("\n"):
        if match := re.match(r"\t(chain|set|map) \S+ \{$", line):
            inside = match[1]
        if inside == "chain" and line.startswith("\t\t"):
            line += f' comment "{fingerprint(line)}"'  # noqa: PLW2901  # the line with its comment
        lines.append(line)
    return "\n".join(lines)


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: resource("templates", name)),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # nft text; every name in it was checked by `validate`
    )
    environment.filters["mark"] = _mark
    environment.filters["classid"] = format_classid
    environment.filters["nft_family"] = lambda address: "ip" if address.version == Family.IPV4 else "ip6"
    return environment.get_template(name)


@lru_cache(maxsize=1 << 10)
def _frame(kind: _Kind) -> tuple[str, ...]:
    """Returns the text around the holes and, at odd places, what belongs into each."""
    text = _template("ruleset.nft.j2").render(
        kind=kind,
        names=names,
        hole={name: f"{_HOLE}{name}{_HOLE}" for name in (*_HOLES, *kind.filled)},
        sets=[item for item in _sets() if item.name in kind.filled],
        flushed=[item for item in _sets() if kind.serves or not item.name.startswith("remote")],
        node_interfaces=_names(kind.node_interfaces),
        mask=_mark(kind.mask),
        rest=_mark(kind.mask ^ _ALL_BITS),
        bound=_mark(names.bound_bit(kind.mask)),
    )
    return tuple(seal(text).split(_HOLE))


_HOLES: Final = ("node", "chains", "maps", "flushes", "buckets", "classes", "next_hops", "gateways", "translations")


def _macro(name: str, *arguments: object) -> str:
    text: str = getattr(_template("ruleset-chains.nft.j2").module, name)(*arguments)
    return seal(text)


@lru_cache(maxsize=_MOST)
def _class_chain(chain: str, class_id: int, members: str) -> str:
    return _macro("class_chain", chain, digits(class_id), members)


def _buckets(remotes: Iterable[RemoteClass]) -> dict[str, list[RemoteClass]]:
    """Returns the classes by bucket, sorted."""
    found: dict[str, list[RemoteClass]] = {}
    for item in remotes:
        found.setdefault(bucket(item.class_id), []).append(item)
    return dict(sorted(found.items()))


def _bucket(number: str, classes: Sequence[RemoteClass]) -> str:
    """Returns the chain and the filled maps of a bucket."""
    before, behind = _bucket_chain(number)
    members = "".join(_remote_class(item.class_id, item.members) for item in classes)
    maps = _route_maps("remoteroute", number)
    return f"{before}{members}{behind}{maps.filled([item.routes for item in classes])}"


@lru_cache(maxsize=_MOST)
def _bucket_chain(number: str) -> tuple[str, str]:
    before, behind = _macro("bucket_chain", chain_name("remote", number), number, _HOLE).split(_HOLE)
    return before, behind


@lru_cache(maxsize=_MOST)
def _route_maps(name: str, number: str) -> _RouteMaps:
    """Returns the texts of the maps of a class, `route`, or of a bucket, `remoteroute`."""
    declared = flushed = ""
    around = {}
    for family in Family:
        whole = f"{name}{family.value}_{number}"
        sort = ("" if name == "route" else "classid . ") + f"ipv{family.value}_addr : verdict"
        declared += _macro("declared", whole, sort)
        flushed += _macro("flushed", whole)
        before, behind = _macro("filled", whole, sort, _HOLE).split(_HOLE)
        around[family] = (before, behind)
    return _RouteMaps(declared, flushed, around, in_parts=name == "remoteroute")


@lru_cache(maxsize=_MOST)
def _remote_class(class_id: int, members: str) -> str:
    return _macro("remote_class", class_id, members)


@lru_cache(maxsize=_MOST)
def _next_hop(node: str, chain: str, mark: int, mask: int) -> str:
    return _macro("next_hop", node, chain, _mark(mark), _mark(mask ^ _ALL_BITS))


@lru_cache(maxsize=_MOST)
def _gateway(item: Translation, mask: int) -> str:
    return _macro("gateway", item, _mark(mask ^ _ALL_BITS))


@lru_cache(maxsize=_MOST)
def _translation(item: Translation) -> str:
    return _macro("translation", item)


def _names(interfaces: tuple[str, ...]) -> str:
    quoted = [f'"{name}"' for name in interfaces]
    return f"{{ {', '.join(quoted)} }}" if len(quoted) > 1 else "".join(quoted)


def _mark(number: int) -> str:
    return f"0x{number:08x}"


def _of(family: Family, addresses: Iterable[Address]) -> list[Address]:
    return [address for address in addresses if address.version == family]


_OF_A_FAMILY: Final = (
    ("set", "cluster", "{}", True, "Destinations that are never redirected."),
    ("set", "stray", "{}", True, "Addresses of workloads that may come from other nodes."),
    ("set", "nexthop", "mark . {}", False, "The next hop of a mark."),
    ("set", "translated", "mark . {}", False, "The source address of a mark."),
    ("set", "owned", "{}", False, "Source addresses of gateways, which no other gateway's packet may have."),
    ("map", "source", "{} : verdict", False, "Workloads and their classes."),
    ("map", "remote", "{} : classid", False, "Workloads of other nodes and their classes."),
)
_OF_BOTH: Final = (
    ("map", "remoteclass", "classid : verdict", False, "Classes of other nodes' workloads and their buckets."),
    ("set", "masqueraded", "mark . ifname", False, "The interface on which a mark's packets are masqueraded."),
    (
        "map",
        "translation",
        "mark : verdict",
        False,
        "The translation of a mark; a mark that is not here goes to another node.",
    ),
)


def _sets() -> Iterator[SetText]:
    """Yields all sets and maps, in their order."""
    for family in Family:
        for kind, name, sort, interval, purpose in _OF_A_FAMILY:
            yield SetText(kind, f"{name}{family.value}", sort.format(f"ipv{family.value}_addr"), interval, purpose)
    for row in _OF_BOTH:
        yield SetText(*row)


def _elements(plan: NodePlan) -> Iterator[tuple[str, Sequence[str]]]:
    """Yields the elements of each set and map by its name."""
    translated = [(_mark(item.mark), item.addresses) for item in plan.translations]
    for family in Family:
        number = family.value
        owned = {address for _, addresses in translated for address in _of(family, addresses)}
        yield f"cluster{number}", plan.cluster.elements[family]
        yield f"stray{number}", plan.stray_sources.elements[family]
        yield f"nexthop{number}", _all(family, (item.elements for item in plan.next_hops))
        yield f"translated{number}", [f"{m} . {a}" for m, addresses in translated for a in _of(family, addresses)]
        yield f"owned{number}", [str(address) for address in sorted(owned, key=int)]
        yield f"source{number}", plan.sources.get(family, ())
        yield f"remote{number}", _all(family, (item.sources.elements for item in plan.remotes))
    translations = plan.translations
    yield "remoteclass", [_led(item.class_id) for item in plan.remotes]
    yield "masqueraded", [f'{_mark(t.mark)} . "{t.masquerade}"' for t in translations if t.masquerade]
    yield "translation", [f"{_mark(item.mark)} : goto {item.nat_chain}" for item in translations]


@lru_cache(maxsize=_MOST)
def _led(class_id: int) -> str:
    return f"{format_classid(class_id)} : goto {chain_name('remote', bucket(class_id))}"


def _all(family: Family, blocks: Iterable[Elements]) -> list[str]:
    found: list[str] = []
    for block in blocks:
        found += block.get(family, ())
    return found
