"""Render: a `NodePlan` to the text of `ruleset.nft`.

Formats and never decides: what is listed, and in which order, the plan says.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import jinja2

from bundle import names
from bundle.ruleset import fingerprint, format_classid, format_range
from compiler.model import Address, Family
from compiler.nodeplan import NodePlan, Range
from compiler.resources import resource

_ALL_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class SetText:
    """A set or map of the ruleset with its elements as lines of nft text."""

    kind: str
    name: str
    type: str
    interval: bool
    purpose: str
    elements: tuple[str, ...]


def render(plan: NodePlan) -> str:
    """Returns the whole ruleset of a node."""
    chains = [
        *(item.name for item in plan.classes),
        *(item.chain for item in plan.next_hops),
        *(name for item in plan.translations for name in (item.mark_chain, item.nat_chain)),
    ]
    text = _template().render(
        plan=plan,
        names=names,
        chains=chains,
        sets=_sets(plan),
        node_interfaces=_names(plan.node_interfaces),
        masquerades=any(item.masquerade for item in plan.translations),
        mask=_mark(plan.mark_mask),
        rest=_mark(plan.mark_mask ^ _ALL_BITS),
        bound=_mark(names.bound_bit(plan.mark_mask)),
    )
    return seal(text)


def seal(text: str) -> str:
    """Appends to each rule the comment that holds its digest; rules are the lines indented twice outside of sets."""
    lines = []
    inside = ""
    for line in text.splitlines():
        if match := re.match(r"\t(chain|set|map) \S+ \{$", line):
            inside = match[1]
        if inside == "chain" and line.startswith("\t\t"):
            line += f' comment "{fingerprint(line)}"'  # noqa: PLW2901  # the line with its comment
        lines.append(line)
    return "\n".join(lines) + "\n"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: resource("templates", name)),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # nft text; every name in it was checked by `validate`
    )
    environment.filters["mark"] = _mark
    environment.filters["classid"] = format_classid
    environment.filters["nft_family"] = lambda address: "ip" if address.version == Family.IPV4 else "ip6"
    return environment.get_template("ruleset.nft.j2")


def _names(interfaces: tuple[str, ...]) -> str:
    quoted = [f'"{name}"' for name in interfaces]
    return f"{{ {', '.join(quoted)} }}" if len(quoted) > 1 else "".join(quoted)


def _mark(number: int) -> str:
    return f"0x{number:08x}"


def _lines(elements: Iterable[str]) -> tuple[str, ...]:
    items = list(elements)
    return tuple(f"{item}," for item in items[:-1]) + tuple(items[-1:])


def _of(family: Family, addresses: Iterable[Address]) -> list[Address]:
    return [address for address in addresses if address.version == family]


def _range(item: Range) -> str:
    return format_range(item.low, item.high)


def _sets(plan: NodePlan) -> tuple[SetText, ...]:
    result = []
    for family in Family:
        number, kind = family.value, f"ipv{family.value}_addr"

        def add(  # noqa: PLR0913, PLR0917  # the columns of a table
            name: str, sort: str, key: str, interval: bool, purpose: str, elements: Iterable[str], number: int = number
        ) -> None:
            result.append(SetText(sort, f"{name}{number}", key, interval, purpose, _lines(elements)))

        cluster = [_range(item) for item in plan.cluster if item.low.version == family]
        stray = [_range(item) for item in plan.stray_sources if item.low.version == family]
        next_hops = [
            f"{_mark(item.mark)} . {address}" for item in plan.next_hops for address in _of(family, item.addresses)
        ]
        translated = [
            f"{_mark(item.mark)} . {address}" for item in plan.translations for address in _of(family, item.addresses)
        ]
        owned = sorted({address for item in plan.translations for address in _of(family, item.addresses)})
        sources = [f"{item.address} : goto {item.chain}" for item in plan.sources if item.address.version == family]
        routes = [
            f"{_mark(item.class_id)} . {_range(item.range)} : {item.verdict}"
            for item in plan.routes
            if item.range.low.version == family
        ]
        remotes = [
            f"{item.address} : {format_classid(item.class_id)}"
            for item in plan.remotes
            if item.address.version == family
        ]
        remote_routes = [
            f"{format_classid(item.class_id)} . {_range(item.range)} : {item.verdict}"
            for item in plan.remote_routes
            if item.range.low.version == family
        ]
        add("cluster", "set", kind, True, "Destinations that are never redirected.", cluster)  # noqa: FBT003
        add("stray", "set", kind, True, "Addresses of workloads that may come from other nodes.", stray)  # noqa: FBT003
        add("nexthop", "set", f"mark . {kind}", False, "The next hop of a mark.", next_hops)  # noqa: FBT003
        add("translated", "set", f"mark . {kind}", False, "The source address of a mark.", translated)  # noqa: FBT003
        purpose = "Source addresses of gateways, which no other gateway's packet may have."
        add("owned", "set", kind, False, purpose, map(str, owned))  # noqa: FBT003
        add("source", "map", f"{kind} : verdict", False, "Workloads and their classes.", sources)  # noqa: FBT003
        add("route", "map", f"mark . {kind} : verdict", True, "Class and destination to what is done.", routes)  # noqa: FBT003
        if plan.translations:
            purpose = "Workloads of other nodes and their classes."
            add("remote", "map", f"{kind} : classid", False, purpose, remotes)  # noqa: FBT003
            purpose = "Their class and destination to what is done."
            add("remoteroute", "map", f"classid . {kind} : verdict", True, purpose, remote_routes)  # noqa: FBT003
    masqueraded = [f'{_mark(item.mark)} . "{item.masquerade}"' for item in plan.translations if item.masquerade]
    translation = [f"{_mark(item.mark)} : goto {item.nat_chain}" for item in plan.translations]
    purpose = "The interface on which a mark's packets are masqueraded."
    result.append(SetText("set", "masqueraded", "mark . ifname", False, purpose, _lines(masqueraded)))  # noqa: FBT003
    purpose = "The translation of a mark; a mark that is not here goes to another node."
    result.append(SetText("map", "translation", "mark : verdict", False, purpose, _lines(translation)))  # noqa: FBT003
    return tuple(result)
