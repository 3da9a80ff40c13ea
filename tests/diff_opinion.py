"""A second opinion on the diff of nodes: files from a meaning, a meaning from changes, and changes seen from behind."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bundle.directory import NodePart
from compiler.diff.change import Change, NodeChange
from compiler.diff.meaning import BUCKET_RULES, CLASS_RULES, MISSING, Meaning
from compiler.verify.intervals import bounds

Spans = list[tuple[int, int, int, str]]


def painted(spans: Iterable[tuple[int, int, int, str | None]]) -> Spans:
    """Ranges as (version, low, high, verdict), the later over the earlier, None erasing; neighbours joined."""
    result: Spans = []
    for version, low, high, verdict in spans:
        rest: Spans = []
        for other, start, end, value in result:
            if other != version or end < low or start > high:
                rest.append((other, start, end, value))
                continue
            rest += [(other, start, low - 1, value)] if start < low else []
            rest += [(other, high + 1, end, value)] if end > high else []
        result = rest if verdict is None else [*rest, (version, low, high, verdict)]
    joined: Spans = []
    for item in sorted(result):
        last = joined[-1] if joined else None
        if last and (last[0], last[2] + 1, last[3]) == (item[0], item[1], item[3]):
            joined[-1] = (last[0], last[1], item[2], last[3])
        else:
            joined.append(item)
    return joined


def span(text: str, verdict: str | None) -> tuple[int, int, int, str | None]:
    return (6 if ":" in text else 4, *bounds(text), verdict)


def said(part: NodePart) -> dict[str, Any]:
    """What a node's files say, with how ranges are cut into elements taken out: all that a diff must account for."""
    sets = {}
    for item in part.ruleset.sets.values():
        elements: Any = dict(item.elements)
        if "interval" in item.spec:
            spans: dict[str, Spans] = {}
            for key, value in item.elements.items():
                number, _, text = key.rpartition(" . ")
                spans[number] = [*spans.get(number, []), (*span(text, "")[:3], value or "")]
            elements = {number: painted(found) for number, found in spans.items()}
        sets[item.name] = (item.kind, item.spec, item.name in part.ruleset.flushed, elements)
    return {
        "chains": {c.name: (c.hook, tuple(rule.text for rule in c.rules)) for c in part.ruleset.chains.values()},
        "sets": sets,
        "rules": sorted(map(repr, part.routing.rules)),
        "reply rules": sorted(map(repr, part.routing.reply_rules)),
        "routes": sorted(map(repr, part.routing.routes)),
        "settings": sorted((item.name, item.value) for item in part.routing.sysctls),
        "InternalIPs": sorted(part.routing.internal_ips),
        "addresses": sorted(repr(replace(item, peers=tuple(sorted(item.peers)))) for item in part.addresses.addresses),
    }


class Rebuilt:
    """A node's files, written again from what their meaning says and nothing else."""

    def __init__(self, meaning: Meaning) -> None:
        self._meaning = meaning
        self._marks = {what: text.partition(", table ")[0] for what, text in meaning.marks.items()}
        self._tables = {
            what: text.partition(", table ")[2] for what, text in meaning.marks.items() if ", table " in text
        }
        ways = {name: text.partition(" ") for name, text in meaning.classes.items()}
        self._class_chains = {name: way for name, (kind, _, way) in ways.items() if kind == "chain"}
        self._class_numbers = {name: way for name, (kind, _, way) in ways.items() if kind == "number"}

    def said(self) -> dict[str, Any]:
        chains, sets = self._chains(), self._sets()
        found: dict[str, list[Any]] = {}
        for (kind, place, subject), value in self._meaning.facts.items():
            found.setdefault(kind, []).append((place, self._numbers(subject), self._numbers(value)))
        return {
            "chains": chains,
            "sets": sets,
            "rules": sorted(map(_rule, found.get("ip-rule", ()))),
            "reply rules": sorted(map(_reply, found.get("reply-rule", ()))),
            "routes": sorted(map(_route, found.get("route", ()))),
            "settings": sorted((subject, value) for _, subject, value in found.get("sysctl", ())),
            "InternalIPs": sorted(subject for _, subject, _ in found.get("internal-ip", ())),
            "addresses": sorted(_address(item, found.get("peer", ())) for item in found.get("address", ())),
        }

    def _numbers(self, text: str) -> str:
        text = re.sub(r"mark\(([^)]*)\)", lambda match: self._marks[match[1]], text)
        text = re.sub(r"lookup table\(([^)]*)\)", lambda match: f"lookup {self._tables[match[1]]}", text)
        return re.sub(r"^table\(([^)]*)\)", lambda match: f"table {self._tables[match[1]]}", text)

    def _chains(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        meaning = self._meaning
        found = {}
        for name, chain in self._class_chains.items():
            digits = chain.rpartition("_")[2]
            rules = meaning.chains.get(name, CLASS_RULES)
            hook = meaning.facts.get(("chain", f"chain {name}", ""), "")
            found[chain] = (hook, tuple(text.replace("class", digits) for text in rules))
        for digits in map(_bucket, self._class_numbers.values()):
            found[f"remote_{digits}"] = ("", tuple(text.replace("bucket", digits) for text in BUCKET_RULES))
        for (kind, place, _), hook in meaning.facts.items():
            name = place.removeprefix("chain ")
            if kind == "chain" and hook == MISSING:
                del found[name]
            elif kind == "chain" and name not in meaning.classes:
                found[name] = (hook, tuple(self._numbers(text) for text in meaning.chains[name]))
        return found

    def _sets(self) -> dict[str, tuple[str, str, bool, dict[str, Any]]]:
        meaning = self._meaning
        found = self._declared()
        if "remoteclass" in found:
            found["remoteclass"][3].update({n: f"goto remote_{_bucket(n)}" for n in self._class_numbers.values()})
        for (kind, place, subject), value in meaning.facts.items():
            if kind in {"element", "decision"}:
                item = found[place.split()[1]]
                item[3][self._numbers(subject)] = value if item[0] == "map" else None
                if value == MISSING:
                    del item[3][subject]
        for (place, address), value in meaning.sources.items():
            chain = self._class_chains.get(value)
            found[place.split()[1]][3][address] = f"goto {chain}" if chain else self._class_numbers.get(value, value)
        for (_, place, name), elements in meaning.spans.items():
            where, number = self._whose(place.split()[1], name)
            found[where][3][number] = painted(span(text, value) for text, value in elements.items())
        return found

    def _declared(self) -> dict[str, tuple[str, str, bool, dict[str, Any]]]:
        """The sets and maps, all empty."""
        found: dict[str, tuple[str, str, bool, dict[str, Any]]] = {}
        owners = [("route", chain.rpartition("_")[2], "") for chain in self._class_chains.values()]
        owners += [("remoteroute", _bucket(number), "classid . ") for number in self._class_numbers.values()]
        for name, digits, key in owners:
            for version in "46":
                spec = f"type {key}ipv{version}_addr : verdict; flags interval"
                found[f"{name}{version}_{digits}"] = ("map", spec, True, {})
        for (kind, place, _), value in self._meaning.facts.items():
            if kind == "set":
                what, name = place.split(" ", 1)
                spec, kept, _ = value.partition("; not emptied")
                found[name] = (what, spec, not kept, {})
                if value == MISSING:
                    del found[name]
        return found

    def _whose(self, where: str, name: str) -> tuple[str, str]:
        """The map of a class that stands at a place, and the class in its keys, empty if it is not in them."""
        number = self._class_numbers.get(name, name)
        if where in {"route4", "route6"}:
            return f"{where}_{self._class_chains[name].rpartition('_')[2]}", ""
        if where in {"remoteroute4", "remoteroute6"}:
            return f"{where}_{_bucket(number)}", number
        return where, number


def _bucket(number: str) -> str:
    """The last two digits of a class, from `1a2b:3c4d`."""
    return number.rpartition(":")[2].zfill(2)[-2:]


_FAMILY = {"-4": "ipv4", "-6": "ipv6"}


def _rule(item: tuple[str, str, str]) -> str:
    words, family = item[1].split(), _FAMILY[item[0].split()[1]]
    priority, (mark, mask) = words[1], words[3].split("/")
    return (
        f"FwmarkRule(family={family!r}, priority={priority}, fwmark={mark!r}, fwmask={mask!r}, "
        f"table={item[2].split()[1]})"
    )


def _reply(item: tuple[str, str, str]) -> str:
    words = item[1].split()
    family = _FAMILY[item[0].split()[1]]
    return f"ReplyRule(family={family!r}, priority={words[1]}, source={words[3]!r}, table={item[2].split()[1]})"


def _route(item: tuple[str, str, str]) -> str:
    words, value = item[1].split(), item[2].split()
    named = dict(zip(value[value.index("default") + 1 :: 2], value[value.index("default") + 2 :: 2], strict=True))
    kind = "unicast" if value[0] == "default" else value[0]
    return (
        f"Route(family={_FAMILY[item[0].split()[1]]!r}, table={words[1]}, type={kind!r}, gateway={named.get('via')!r}, "
        f"device={named.get('dev')!r}, metric={words[3]})"
    )


def _address(item: tuple[str, str, str], peers: Iterable[tuple[str, str, str]]) -> str:
    words = item[2].split(", ")
    device = words[0].removeprefix("dev ") if words[0].startswith("dev ") else None
    lifetime = next((int(word.split()[1]) for word in words if word.startswith("preferred_lft")), None)
    gateways = next((tuple(word.split()[2::2]) for word in words if word.startswith("for gateway")), ())
    known = tuple(sorted(subject for place, subject, _ in peers if place == f"peers of {item[1]}"))
    return (
        f"Address(address={item[1]!r}, interface={device!r}, announce={'announced' in words}, "
        f"preferred_lifetime={lifetime}, gateways={gateways!r}, peers={known!r})"
    )


def settled(meaning: Meaning) -> dict[str, Any]:
    """A meaning with how ranges are cut into elements taken out."""
    spans = {
        key: painted(span(text, value) for text, value in elements.items()) for key, elements in meaning.spans.items()
    }
    return {
        "marks": dict(meaning.marks),
        "classes": dict(meaning.classes),
        "sources": dict(meaning.sources),
        "spans": {key: found for key, found in spans.items() if found},
        "chains": {name: rules for name, rules in meaning.chains.items() if rules or name in meaning.classes},
        "facts": dict(meaning.facts),
    }


def applied(changes: Iterable[Change], old: Meaning) -> dict[str, Any]:
    """What holds after the changes, as `settled` shows it; every `before` must be what was there."""
    changes = list(changes)
    found = settled(renamed(old, _names(changes)))
    rules: dict[str, list[Change]] = {}
    for change in changes:
        key: Any = (change.kind, change.place, change.subject)
        if change.kind == "mark":
            _put(found["marks"], change.subject, change.before, change.after)
        elif change.kind == "class":
            _put(found["classes"], change.subject, *map(_way, (change.before, change.after)))
        elif change.kind == "source":
            _put(found["sources"], (change.place, change.subject), change.before, change.after)
        elif change.kind == "rule":
            rules.setdefault(change.place.removeprefix("chain "), []).append(change)
        elif key in found["facts"] or not _is_span(change):
            _put(found["facts"], key, change.before, change.after)
        else:
            place, _, name = change.place.partition(", ")
            spans = found["spans"].pop((change.kind, place, name), [])
            if spans := painted([*spans, span(change.subject, change.after)]):
                found["spans"][change.kind, place, name] = spans
    for name, items in rules.items():
        texts = list(found["chains"].pop(name, CLASS_RULES if name in old.classes else ()))
        texts = _edited(texts, items)
        if texts and not (name in found["classes"] and tuple(texts) == CLASS_RULES):
            found["chains"][name] = tuple(texts)
    return found


def _edited(texts: list[str], changes: list[Change]) -> list[str]:
    """Rules after changes: what goes is counted in the old ones, what comes in the new ones."""
    for change in reversed([item for item in changes if item.after is None]):
        assert texts.pop(int(change.subject.removeprefix("rule ")) - 1) == change.before
    for change in changes:
        if change.after is not None:
            texts.insert(int(change.subject.removeprefix("rule ")) - 1, change.after)
    return texts


def _way(text: str | None) -> str | None:
    return text and text.rpartition(", ")[2]


def _is_span(change: Change) -> bool:
    if change.kind == "decision":
        return True
    return change.kind == "element" and change.place.startswith(("set cluster", "set stray"))


def _put(found: dict[Any, str], key: object, before: str | None, after: str | None) -> None:
    assert found.pop(key, None) == before, key
    if after is not None:
        found[key] = after


def _names(changes: Iterable[Change]) -> dict[str, str]:
    """Old name of each class that was renamed, to its new one."""
    return {
        change.before.rpartition(", ")[0]: change.subject
        for change in changes
        if change.kind == "class" and change.before and change.after
    }


def renamed(meaning: Meaning, names: Mapping[str, str]) -> Meaning:
    """The same with classes under other names."""
    return Meaning(
        marks=meaning.marks,
        classes={names.get(name, name): chain for name, chain in meaning.classes.items()},
        sources={key: names.get(name, name) for key, name in meaning.sources.items()},
        spans={(kind, place, names.get(name, name)): item for (kind, place, name), item in meaning.spans.items()},
        chains={names.get(name, name): rules for name, rules in meaning.chains.items()},
        facts=meaning.facts,
    )


def mirrored(item: NodeChange) -> tuple[object, ...]:
    """A change of a node seen from the new side, in an order that does not depend on the side."""
    names = {new: old for old, new in _names(item.changes).items()}
    state = {"added": "removed", "removed": "added", "changed": "changed"}[item.state]
    return (item.node, state, sorted(map(repr, (_turned(change, names) for change in item.changes))))


def plain(item: NodeChange) -> tuple[object, ...]:
    """A change of a node, to be compared with one that is mirrored."""
    return (item.node, item.state, sorted(map(repr, item.changes)))


def _turned(change: Change, names: Mapping[str, str]) -> Change:
    before, after = change.after, change.before
    place, comma, name = change.place.partition(", ")
    place = f"{place}{comma}{names.get(name, name)}"
    subject = change.subject
    if change.kind == "class":
        subject = names.get(subject, subject)
    elif change.kind == "source":
        before, after = (text and names.get(text, text) for text in (before, after))
    elif change.kind in {"rule", "chain"}:
        name = change.place.removeprefix("chain ")
        place = f"chain {names.get(name, name)}"
    return replace(change, place=place, subject=subject, before=before, after=after)
