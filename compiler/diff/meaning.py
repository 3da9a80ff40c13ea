"""Meaning: what one node's files say, as facts by name, so that two of them can be told apart thing by thing.

In: a node's part of a bundle. Out: `Meaning`. Nothing that does something is left out: from its facts the ruleset,
routes, rules and addresses could be written again. Numbers of marks, routing tables and classes stand in it by what
they stand for.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from bundle.model import Address, Addresses, FamilyName, Routing, Workloads
from bundle.ruleset import Chain, Ruleset, Set, parse_classid
from compiler.diff.change import Kind
from compiler.naming import bucket, chain_name, class_ids
from compiler.verify.decisions import Class, classes_of
from compiler.verify.intervals import bounds

Key = tuple[Kind, str, str]
"""Kind, place and subject, as in a `Change`."""

CLASS_RULES: Final = ("ip daddr vmap @route4_class", "ip6 daddr vmap @route6_class", "counter drop")
"""The rules of every class's chain, where `class` is its number; a chain that has them needs no more words."""

BUCKET_RULES: Final = (
    "meta priority . ip daddr vmap @remoteroute4_bucket",
    "meta priority . ip6 daddr vmap @remoteroute6_bucket",
    "counter drop",
)
"""The rules of every bucket's chain, where `bucket` is its number.

A class of other nodes' workloads brings its bucket with it: the chain, the maps and the element that leads there need
words only where they are otherwise.
"""

_ROUTE_MAPS: Final = {
    f"{name}{version}": f"type {key}ipv{version}_addr : verdict; flags interval"
    for name, key in (("route", ""), ("remoteroute", "classid . "))
    for version in (4, 6)
}
"""The maps of routes, without the number of the class or the bucket whose they are."""
MISSING: Final = "missing"
"""The value of a fact: what must be there is not."""

_T = TypeVar("_T")
_V = TypeVar("_V")

_CLASS_CHAIN = re.compile(r"(?P<scope>local|remote)_(?P<number>[0-9a-f]{8})")
_CLASS_NUMBER = re.compile(r"(?<= daddr vmap @route[46]_)[0-9a-f]{8}$")
_ROUTE_MAP = re.compile(r"(?P<name>(?:remote)?route[46])_(?P<number>[0-9a-f]+)")
_MARK_SET = re.compile(r"(?<=[\^|] )0x[0-9a-f]{8}$")  # written with ^, listed with |
_MARKING = {"to_": "node", "gateway_": "gateway"}
_TRANSLATING = "goto snat_"
_OPTION: dict[FamilyName, str] = {"ipv4": "-4", "ipv6": "-6"}


@dataclass(frozen=True, slots=True)
class Names:
    """What the account of a bundle calls things that its nodes' files have by number or address.

    Attributes:
        classes: A class by its scope and number, as its chain is called, to its name: `local(POLICY, …)`.
        workloads: Address to `NAMESPACE/NAME`, or several such names where it is contested.
    """

    classes: Mapping[str, str]
    workloads: Mapping[str, str]


NO_NAMES: Final = Names({}, {})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the files of a node say.

    Attributes:
        marks: What has a mark (`node NAME`, `gateway NAME`) to its mark, and its routing table if it has one.
        classes: Name of a class to what it goes by on this node: its chain or its number.
        sources: Map and workload's address to the class that it leads to, or to the verdict if that is no class.
        spans: Kind, place and class (empty for a set) to ranges of addresses, each with its verdict, empty for a set.
        chains: Name of a chain or of a class to its rules; classes that have just `CLASS_RULES` are not in it.
        facts: All the rest.
    """

    marks: Mapping[str, str]
    classes: Mapping[str, str]
    sources: Mapping[tuple[str, str], str]
    spans: Mapping[Key, Mapping[str, str]]
    chains: Mapping[str, tuple[str, ...]]
    facts: Mapping[Key, str]


NOTHING: Final = Meaning({}, {}, {}, {}, {}, {})


def names_of(workloads: Workloads) -> Names:
    """Returns the names that a bundle's list of workloads gives."""
    classes: dict[tuple[str, ...], str] = {}
    for item in classes_of(workloads):
        for scope in ("local", "remote"):
            classes[scope, *item.policies, *item.rivals] = f"{scope}({_members(item)})"
    numbers = class_ids(classes)
    named: dict[str, str] = {}
    for workload in workloads.workloads:
        for address in workload.addresses:
            name = f"{workload.namespace}/{workload.name}"
            named[address] = f"{named[address]}, {name}" if address in named else name
    return Names({f"{key[0]}_{numbers[key]:08x}": name for key, name in classes.items()}, named)


def _members(item: Class) -> str:
    if item.rivals:
        return f"contested by {', '.join(item.rivals)}; {', '.join(item.policies)}".removesuffix("; ")
    return ", ".join(item.policies)


def meaning(ruleset: Ruleset, routing: Routing, addresses: Addresses, names: Names) -> Meaning:
    """Returns what a node's files say."""
    return _Reader(ruleset, routing, names).read(addresses)


class _Reader:
    def __init__(self, ruleset: Ruleset, routing: Routing, names: Names) -> None:
        self._ruleset = ruleset
        self._routing = routing
        self._class_names = _class_names(ruleset, names)
        self._numbers: dict[str, str] = {}
        for chain, name in self._class_names.items():
            # The chain's own word for its number counts; it may be the same on both sides and so not be read here.
            found = (_CLASS_NUMBER.search(rule.text) for rule in ruleset.chains[chain].rules)
            number = next((match[0] for match in found if match), chain.rpartition("_")[2])
            self._numbers.setdefault(number, name)
        self._remotes = _remote_names(ruleset, names)
        self._buckets = {bucket(parse_classid(number)) for number in self._remotes}
        self._marks = _marks(ruleset)
        self._marked = _inverse((mark, what) for what, mark in self._marks.items())
        pairs = {(rule.table, self._marked.get(rule.fwmark, "")) for rule in routing.rules}
        one_each = _inverse((what, table) for table, what in pairs if what)
        self._tables = {table: what for table, what in _inverse(pairs).items() if what and one_each.get(what) == table}
        self._facts: dict[Key, str] = {}
        self._spans: dict[Key, dict[str, str]] = {}
        self._sources: dict[tuple[str, str], str] = {}
        self._chains: dict[str, tuple[str, ...]] = {}

    def read(self, addresses: Addresses) -> Meaning:
        for chain in self._ruleset.chains.values():
            self._read_chain(chain)
        for item in self._ruleset.sets.values():
            self._read_set(item)
        if "" not in self._ruleset.flushed:
            self._put("set", "table inet egressc", "", "not emptied before it is filled")
        self._read_missing()
        for kind, name in self._ruleset.others:
            self._put("set", kind, name, "not ours")
        self._read_routing()
        for address in addresses.addresses:
            self._read_address(address)
        tables = {what: table for table, what in self._tables.items()}
        return Meaning(
            marks={
                what: f"{mark}, table {tables[what]}" if what in tables else mark for what, mark in self._marks.items()
            },
            classes={
                **{name: f"number {number}" for number, name in self._remotes.items()},
                **{name: f"chain {chain}" for chain, name in self._class_names.items()},
            },
            sources=self._sources,
            spans=self._spans,
            chains=self._chains,
            facts=self._facts,
        )

    def _put(self, kind: Kind, place: str, subject: str, value: str) -> None:
        key, turn = (kind, place, subject), 1
        while key in self._facts:
            turn += 1
            key = (kind, place, f"{subject} (no. {turn})")
        self._facts[key] = value

    def _read_chain(self, chain: Chain) -> None:
        name = self._class_names.get(chain.name)
        texts = tuple(rule.text for rule in chain.rules)
        if name is not None:
            texts = tuple(_CLASS_NUMBER.sub(lambda match: self._own(match[0], name), text) for text in texts)
            if not chain.hook and texts == CLASS_RULES:
                return
        elif not chain.hook and self._is_bucket(chain.name, texts):
            return
        elif chain.name.startswith(tuple(_MARKING)):
            texts = tuple(_MARK_SET.sub(lambda match: self._mark(match[0]), text) for text in texts)
        self._chains[name or chain.name] = texts
        if name is None or chain.hook:
            self._put("chain", f"chain {name or chain.name}", "", chain.hook)

    def _own(self, number: str, name: str) -> str:
        return "class" if self._numbers.get(number) == name else number

    def _is_bucket(self, chain: str, rules: tuple[str, ...]) -> bool:
        number = chain.removeprefix("remote_")
        return number in self._buckets and rules == tuple(text.replace("bucket", number) for text in BUCKET_RULES)

    def _mark(self, mark: str) -> str:
        what = self._marked.get(mark)
        return f"mark({what})" if what else mark

    def _table(self, number: int) -> str:
        what = self._tables.get(number)
        return f"table({what})" if what else str(number)

    def _read_set(self, item: Set) -> None:
        place = f"{item.kind} {item.name}"
        kept = "" if item.name in self._ruleset.flushed else "; not emptied before it is filled"
        if (found := _ROUTE_MAP.fullmatch(item.name)) and self._is_known(found):
            if item.spec + kept != _ROUTE_MAPS[found["name"]]:
                self._put("set", place, "", item.spec + kept)
            self._read_spans(f"{item.kind} {found['name']}", item, found["number"])
            return
        self._put("set", place, "", item.spec + kept)
        if item.name == "remoteclass":
            self._read_buckets(place, item)
            return
        if item.spec.endswith("; flags interval"):
            self._read_spans(place, item, "")
            return
        for key, value in item.elements.items():
            if item.spec.startswith("type mark"):
                mark, dot, rest = key.partition(" . ")
                self._put("element", place, self._mark(mark) + dot + rest, value or "")
            elif value is not None:
                name = self._class_names.get(value.removeprefix("goto "))
                self._sources[place, key] = name or self._remotes.get(value, value)
            else:
                self._put("element", place, key, "")

    def _is_known(self, found: re.Match[str]) -> bool:
        """Whether a map of routes is of a class or a bucket that is known."""
        return found["number"] in (self._buckets if found["name"].startswith("remote") else self._numbers)

    def _read_spans(self, place: str, item: Set, number: str) -> None:
        """Reads a set or map of ranges; `number` is that of its class or bucket, empty if it has none."""
        kind: Kind = "element" if item.kind == "set" else "decision"
        for key, value in item.elements.items():
            head, dot, span = key.rpartition(" . ")
            try:
                bounds(span)
            except ValueError:
                self._put(kind, place, key, value or "")
                continue
            where, name = place, self._numbers.get(number, "")
            if dot:
                # Of a version whose maps had all classes, by their chains' numbers.
                name = self._remotes.get(head) or self._numbers.get(head.removeprefix("0x"), head)
                if not number or head not in self._remotes or bucket(parse_classid(head)) != number:
                    where = f"{item.kind} {item.name}"  # another's bucket
            self._spans.setdefault((kind, where, name), {})[span] = value or ""

    def _read_buckets(self, place: str, item: Set) -> None:
        """Reads which class of other nodes' workloads leads to which bucket; what is as it must be goes unsaid."""
        for number in sorted({*self._remotes, *item.elements}):
            target = item.elements.get(number, MISSING)
            must = chain_name("goto remote", bucket(parse_classid(number))) if number in self._remotes else None
            if target != must:
                self._put("element", place, number, target or "")

    def _read_missing(self) -> None:
        """Tells what a class or a bucket lacks that it must have."""
        sets = self._ruleset.sets
        wanted = [("remoteroute", number) for number in sorted(self._buckets) if "remoteclass" in sets]
        wanted += [("route", number) for number in sorted(self._numbers) if "route4" not in sets]
        for name, number in wanted:
            for whole in (f"{name}4_{number}", f"{name}6_{number}"):
                if whole not in sets:
                    self._put("set", f"map {whole}", "", MISSING)
            if name == "remoteroute" and f"remote_{number}" not in self._ruleset.chains:
                self._put("chain", f"chain remote_{number}", "", MISSING)

    def _read_routing(self) -> None:
        for rule in self._routing.rules:
            subject = f"priority {rule.priority} fwmark {self._mark(rule.fwmark)}/{rule.fwmask}"
            self._put("ip-rule", f"ip {_OPTION[rule.family]} rule", subject, f"lookup {self._table(rule.table)}")
        for reply in self._routing.reply_rules:
            subject = f"priority {reply.priority} from {reply.source}"
            self._put("reply-rule", f"ip {_OPTION[reply.family]} rule", subject, f"lookup {self._table(reply.table)}")
        for route in self._routing.routes:
            via = f" via {route.gateway}" if route.gateway else ""
            device = f" dev {route.device}" if route.device else ""
            value = f"{'' if route.type == 'unicast' else f'{route.type} '}default{via}{device}"
            table = self._tables.get(route.table)
            subject = f"{f'table({table})' if table else f'table {route.table}'} metric {route.metric}"
            self._put("route", f"ip {_OPTION[route.family]} route", subject, value)
        for setting in self._routing.sysctls:
            self._put("sysctl", "sysctl", setting.name, setting.value)
        for address in self._routing.internal_ips:
            self._put("internal-ip", "InternalIP", address, "")

    def _read_address(self, item: Address) -> None:
        place = f"ip {_OPTION['ipv6' if ':' in item.address else 'ipv4']} address"
        words = [f"dev {item.interface}" if item.interface else "on the interface of the route to it"]
        words += [] if item.preferred_lifetime is None else [f"preferred_lft {item.preferred_lifetime}"]
        words += ["announced"] if item.announce else []
        words += [f"for gateway {' and '.join(item.gateways)}"] if item.gateways else []
        self._put("address", place, item.address, ", ".join(words))
        for peer in item.peers:
            self._put("peer", f"peers of {item.address}", peer, "")


def _class_names(ruleset: Ruleset, names: Names) -> dict[str, str]:
    """Returns the name of each class whose chain is in the ruleset; the chain's own where no other is known."""
    found = (chain for chain in ruleset.chains if chain in names.classes or _CLASS_CHAIN.fullmatch(chain))
    return {chain: names.classes.get(chain, chain) for chain in found}


def _remote_names(ruleset: Ruleset, names: Names) -> dict[str, str]:
    """Returns the name of each class that has a number and no chain, by the number as it is written."""
    found: set[str] = set()
    for item in ruleset.sets.values():
        if item.spec.endswith(" : classid"):
            found.update(value for value in item.elements.values() if value is not None)
        elif item.spec.startswith("type classid "):
            found.update(key.partition(" . ")[0] for key in item.elements)
    result: dict[str, str] = {}
    for text in found:
        with suppress(ValueError):  # somebody's own, in the kernel
            name = f"remote_{parse_classid(text):08x}"
            result[text] = names.classes.get(name, name)
    return result


def _marks(ruleset: Ruleset) -> dict[str, str]:
    """Returns what has a mark, and its mark: next hops and gateways, also those that only stand by."""
    found: dict[str, str] = {}
    for chain in ruleset.chains.values():
        for prefix, what in _MARKING.items():
            if chain.name.startswith(prefix):
                marks = (_MARK_SET.search(rule.text) for rule in chain.rules)
                if mark := next((match[0] for match in marks if match), None):
                    found[f"{what} {chain.name.removeprefix(prefix)}"] = mark
    translation = ruleset.sets.get("translation")
    for mark, verdict in translation.elements.items() if translation else ():
        if verdict and verdict.startswith(_TRANSLATING):
            found.setdefault(f"gateway {verdict.removeprefix(_TRANSLATING)}", mark)
    return found


def _inverse(pairs: Iterable[tuple[_T, _V]]) -> dict[_T, _V]:
    """Returns the second of each pair by the first, of those that stand with one other only."""
    found: dict[_T, set[_V]] = {}
    for first, second in pairs:
        found.setdefault(first, set()).add(second)
    return {first: only for first, (only, *more) in found.items() if not more}
