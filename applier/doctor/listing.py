"""Listings of others' packet filters, of nft and of iptables, to what concerns us of them. Pure."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from applier.doctor.facts import EVERY_BIT, BaseChain, MarkUse, Others, Place
from applier.doctor.marks import Bits, Json, MarkName, bits, looks, mark_of
from applier.script import TABLE

_TRANSLATES = frozenset({"snat", "masquerade"})
_TRANSLATING_TARGETS = frozenset({"SNAT", "MASQUERADE", "NETMAP"})
_PRIORITIES = {"raw": -300, "mangle": -150, "nat": 100, "filter": 0, "security": 50}
_HOOKS = {
    "PREROUTING": "prerouting",
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}
_DESTINATION_NAT = -100


@dataclass(slots=True)
class _Table:
    """One table while it is read."""

    name: str
    bases: dict[str, BaseChain] = field(default_factory=dict)
    chains: set[str] = field(default_factory=set)
    jumps: dict[str, set[str]] = field(default_factory=dict)
    uses: list[tuple[str, MarkName, bool, int, int]] = field(default_factory=list)
    translates: bool = False
    opaque: bool = False
    flowtables: list[str] = field(default_factory=list)

    def write(self, chain: str, mark: MarkName, value: Bits) -> None:
        if value.written:
            self.uses.append((chain, mark, True, value.written, value.may_set))

    def look(self, chain: str, mark: MarkName, mask: int) -> None:
        self.uses.append((chain, mark, False, mask, 0))

    def others(self) -> Others:
        chains = (
            BaseChain(base.where, base.type, base.place, base.drops, self.translates) for base in self.bases.values()
        )
        marks = {
            MarkUse(f"{self.name} {chain}", mark, writes, mask, self._places(chain), may_set): None
            for chain, mark, writes, mask, may_set in self.uses
        }
        return Others(tuple(chains), tuple(marks), tuple(self.flowtables))

    def _places(self, chain: str) -> frozenset[Place]:
        found = {base.place for name, base in self.bases.items() if chain in self._reached(name)}
        # Reached by the element of a map, which was not listed: then it may be from anywhere.
        return frozenset(found or {base.place for base in self.bases.values()})

    def _reached(self, start: str) -> set[str]:
        reached: set[str] = set()
        ahead = [start]
        while ahead:
            name = ahead.pop()
            if name not in reached:
                reached.add(name)
                ahead.extend(self.jumps.get(name, ()))
        return reached


def merged(parts: Iterable[Others]) -> Others:
    """Returns several as one; what nft and iptables tell alike is there once."""
    parts = tuple(parts)
    return Others(
        tuple(dict.fromkeys(chain for part in parts for chain in part.chains)),
        tuple(dict.fromkeys(use for part in parts for use in part.marks)),
        tuple(name for part in parts for name in part.flowtables),
        tuple(line for part in parts for line in part.unreadable),
    )


def nft_tables(listing: str) -> tuple[tuple[Others, ...], bool]:
    """Reads the JSON listing of all tables.

    Returns:
        What concerns us of each but ours, and whether one has rules of iptables that nft cannot tell.
    """
    tables: dict[str, _Table] = {}
    for item in json.loads(listing)["nftables"]:
        ((kind, value),) = item.items()
        if "table" not in value or f"{value['family']} {value['table']}" == TABLE:
            continue
        name = f"{value['family']} {value['table']}"
        table = tables.setdefault(name, _Table(name))
        if kind == "chain":
            _read_chain(table, value)
        elif kind == "rule":
            for expression in value.get("expr", ()):
                _read_expression(table, value["chain"], expression)
        elif kind == "flowtable":
            table.flowtables.append(f"{name} {value['name']}")
    return tuple(table.others() for table in tables.values()), any(table.opaque for table in tables.values())


def _read_chain(table: _Table, chain: Mapping[str, Json]) -> None:
    name = chain["name"]
    table.chains.add(name)
    if "hook" in chain:
        place = Place(chain["hook"], int(chain["prio"]))
        drops = chain.get("policy") == "drop"
        table.bases[name] = BaseChain(f"{table.name} {name}", chain["type"], place, drops)


def _read_expression(table: _Table, chain: str, expression: Json) -> None:
    for kind, value in _statements(expression):
        if kind in ("jump", "goto"):
            table.jumps.setdefault(chain, set()).add(value["target"])
        elif kind == "xt":
            table.opaque = True
            table.translates |= (value or {}).get("name") in _TRANSLATING_TARGETS
        elif kind in _TRANSLATES:
            table.translates = True
        elif kind == "mangle" and (mark := mark_of(value.get("key"))):
            table.write(chain, mark, bits(value["value"], mark))
    for mark, mask in looks(expression):
        table.look(chain, mark, mask)


def _statements(expression: Json) -> Iterator[tuple[str, Json]]:
    """Yields each key with its value, however deep: a verdict may stand in a map that has no name."""
    if isinstance(expression, dict):
        for key, value in expression.items():
            yield key, value
            yield from _statements(value)
    elif isinstance(expression, list):
        for item in expression:
            yield from _statements(item)


def iptables(family: Literal["ip", "ip6"], listing: str) -> Others:
    """Reads what `iptables-save` or `ip6tables-save` prints."""
    return merged(table.others() for table in _iptables_tables(family, listing))


def _iptables_tables(family: str, listing: str) -> Iterator[_Table]:
    table = _Table("")
    for line in listing.splitlines():
        if line.startswith("*"):
            table = _Table(f"{family} {line[1:]}")
        elif line.startswith(":"):
            name, policy, *_ = line[1:].split()
            table.chains.add(name)
            if name in _HOOKS:
                _read_builtin(table, name, policy)
        elif line.startswith("-A "):
            _read_rule(table, shlex.split(line))
        elif line == "COMMIT":
            # A chain that iptables makes up, since it is always there, is none as long as nothing stands in it.
            used = {chain for chain, *_ in table.uses} | table.jumps.keys()
            for name in [name for name, base in table.bases.items() if not (base.drops or name in used)]:
                if not table.translates:
                    del table.bases[name]
            yield table


def _read_builtin(table: _Table, name: str, policy: str) -> None:
    kind = table.name.partition(" ")[2]
    priority = _PRIORITIES.get(kind, 0)
    if kind == "nat" and name in ("PREROUTING", "OUTPUT"):
        priority = _DESTINATION_NAT
    place = Place(_HOOKS[name], priority)
    table.bases[name] = BaseChain(
        f"{table.name} {name}", "nat" if kind == "nat" else "filter", place, drops=policy == "DROP"
    )


def _read_rule(table: _Table, words: list[str]) -> None:
    chain = words[1]
    options = {word: words[index + 1] for index, word in enumerate(words[:-1]) if word.startswith("-")}
    target = options.get("-j") or options.get("-g") or ""
    if target in table.chains:
        table.jumps.setdefault(chain, set()).add(target)
    table.translates |= target in _TRANSLATING_TARGETS
    if "--mark" in options:
        # Both matches write their option alike; `-m` names the last one only, so the words before it tell.
        before = words[: words.index("--mark")]
        _, mask = _masked(options["--mark"])
        table.look(chain, "connection" if "connmark" in before else "packet", mask)
    if target in ("MARK", "CONNMARK"):
        _read_target(table, chain, target, options, frozenset(words))


def _read_target(table: _Table, chain: str, target: str, options: Mapping[str, str], words: frozenset[str]) -> None:
    if set_to := options.get("--set-xmark") or options.get("--set-mark"):
        value, mask = _masked(set_to)
        # --set-xmark clears the bits of the mask and flips those of the value, --set-mark sets these.
        flips = "--set-xmark" in options
        result = Bits(kept=EVERY_BIT & ~mask & (EVERY_BIT if flips else ~value), ones=value)
        table.write(chain, "packet" if target == "MARK" else "connection", result)
    packet = int(options.get("--nfmask", "0xffffffff"), 16)
    connection = int(options.get("--ctmask", "0xffffffff"), 16)
    if "--save-mark" in words:
        table.write(chain, "connection", Bits(kept=EVERY_BIT & ~connection, unknown=packet))
    if "--restore-mark" in words:
        table.write(chain, "packet", Bits(kept=EVERY_BIT & ~packet, unknown=connection))


def _masked(text: str) -> tuple[int, int]:
    value, _, mask = text.partition("/")
    return int(value, 0), int(mask, 0) if mask else EVERY_BIT
