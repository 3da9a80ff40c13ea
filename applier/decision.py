"""What a node's ruleset decides for a source and a destination, read from its text. Pure.

Knows just the rules that carry the decision, in the words of `ruleset.nft` and of nft's listing alike. The compiler's
evaluator reads all of a ruleset, for people; this reads what half a million connections are to be asked about.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import cast

from bundle.ruleset import Chain, Ruleset, RulesetError


class Fate(Enum):
    """What becomes of a new connection."""

    INSIDE = "its destination is one that is never redirected"
    ORDINARY = "no policy says anything, and it goes the node's ordinary way"
    DROPPED = "it is dropped"
    KEPT = "it is sent to a gateway node with the source that it has"
    TRANSLATED = "it leaves here with the address of a gateway"
    MASQUERADED = "it leaves here with the address of an interface"


@dataclass(frozen=True, slots=True)
class Decision:
    """A fate with what belongs to it.

    Attributes:
        fate: What becomes of the connection.
        address: Its source address, if it is translated.
        interface: The interface whose address it takes, if it is masqueraded.
    """

    fate: Fate
    address: str = ""
    interface: str = ""


_INSIDE = Decision(Fate.INSIDE)
_ORDINARY = Decision(Fate.ORDINARY)
_DROPPED = Decision(Fate.DROPPED)
_KEPT = Decision(Fate.KEPT)

_LOCAL = re.compile(r"(?P<family>ip6?) daddr vmap @(?P<map>\w+)")
_REMOTE_CLASS = re.compile(r"meta priority vmap @(?P<map>\w+)")
_REMOTE = re.compile(r"meta priority \. (?P<family>ip6?) daddr vmap @(?P<map>\w+)")
# `^` as the compiler writes it, `|` as nft lists it.
_MARK = re.compile(r"counter meta mark set meta mark & 0x[0-9a-f]{8} [\^|] (0x[0-9a-f]{8})")
_SNAT = re.compile(r"snat (ip6?) to ([0-9a-f.:]+)")
_MASQUERADE = re.compile(r'oifname "([^"]+)" masquerade')
_BOUND = re.compile(r"ct mark set ct mark \| (0x[0-9a-f]{8})")
_DROPS = ("counter drop", "fib daddr type local return")
_VERSIONS = {"ip": "4", "ip6": "6"}

_Targets = dict[str, Decision]  # by address family, `4` or `6`
_Place = tuple[str, str]  # a map from destinations, and the class in it; empty where the map is of one class


class Decisions:
    """A node's ruleset, as far as it decides.

    Attributes:
        bit: The bit of the connection mark that says that our rules bound a connection; 0 if there is none.
        owned: Source addresses of gateways, which no connection gets by masquerading.
    """

    def __init__(self, ruleset: Ruleset) -> None:
        """Reads a ruleset.

        Raises:
            RulesetError: A chain that decides is not of the known shape, or a set holds what is no address.
        """
        self._ruleset = ruleset
        self._classes: dict[str, dict[str, _Place]] = {}
        """Verdict or classid of a workload, to where its destinations stand for each family."""
        self._verdicts: dict[str, _Targets] = {"return": {"4": _ORDINARY, "6": _ORDINARY}}
        # Of this node's workloads, then of others'.
        self._sources = {family: self._elements(f"source{family}") for family in "46"}
        self._remotes = {family: self._elements(f"remote{family}") for family in "46"}
        self._cluster = {family: _Intervals((key, "") for key in self._elements(f"cluster{family}")) for family in "46"}
        self._rows: dict[_Place, list[tuple[str, str]]] = {}
        self._routes: dict[_Place, _Intervals] = {}
        self.owned = frozenset(normal(key) for family in "46" for key in self._elements(f"owned{family}"))
        self.bit = bound_bit(ruleset)
        for verdict in {verdict for family in "46" for verdict in self._sources[family].values()}:
            maps = self._maps(self._chain(verdict), _LOCAL, "")
            self._classes[verdict] = {family: (name, "") for family, name in maps.items()}
        if numbers := {number for family in "46" for number in self._remotes[family].values()}:
            self._read_remote(numbers)
        for name in {name for places in self._classes.values() for name, _ in places.values()}:
            self._read_routes(name)

    def _read_remote(self, numbers: Iterable[str]) -> None:
        """Reads where the destinations of each class of other nodes' workloads stand."""
        chain = self._chain("goto remoteroute")
        texts = [rule.text for rule in chain.rules]
        match = _REMOTE_CLASS.fullmatch(texts[0]) if texts else None
        if match is None or texts[1:] != ["counter drop"]:
            raise _unknown(chain)
        verdicts = self._elements(match["map"])
        maps = {verdict: self._maps(self._chain(verdict), _REMOTE, "classid . ") for verdict in set(verdicts.values())}
        for number in numbers:
            found = maps[verdicts[number]] if number in verdicts else {}  # a miss drops
            self._classes[number] = {family: (name, number) for family, name in found.items()}

    def _read_routes(self, name: str) -> None:
        for key, verdict in self._elements(name).items():
            number, _, destinations = key.rpartition(" . ")
            self._rows.setdefault((name, number), []).append((destinations, verdict))
            if verdict not in self._verdicts:
                self._verdicts[verdict] = self._targets(self._chain(verdict))

    def knows(self, source: str) -> bool:
        """Returns whether the ruleset decides for this source address."""
        return self._leads_to(source) is not None

    def _leads_to(self, source: str) -> str | None:
        family = "6" if ":" in source else "4"
        return self._sources[family].get(source) or self._remotes[family].get(source)

    def decide(self, source: str, destination: str) -> Decision:
        """Returns what becomes of a new connection.

        Args:
            source: Address of the workload, in its usual form.
            destination: Address after destination NAT, of the same family.

        Raises:
            RulesetError: A range of the class is none; they are read when they are first asked for.
        """
        family = "6" if ":" in source else "4"
        target = number_of(destination)
        if self._cluster[family].find(target) is not None:
            return _INSIDE
        found = self._leads_to(source)
        if found is None:
            return _ORDINARY
        place = self._classes[found].get(family)
        if place is None:
            return _DROPPED
        routes = self._routes.get(place)
        if routes is None:
            routes = self._routes[place] = _Intervals(self._rows.get(place, ()))
        verdict = routes.find(target)
        return _DROPPED if verdict is None else self._verdicts[verdict][family]

    def _elements(self, name: str) -> Mapping[str, str]:
        item = self._ruleset.sets.get(name)
        # A map's elements all have a value, and those of a set are asked for by their keys only.
        return cast("Mapping[str, str]", item.elements) if item else {}

    def _chain(self, verdict: str) -> Chain:
        chain = self._ruleset.chains.get(verdict.removeprefix("goto "))
        if chain is None:
            raise RulesetError(f"the verdict {verdict!r} leads to no chain")
        return chain

    def _maps(self, chain: Chain, pattern: re.Pattern[str], key: str) -> dict[str, str]:
        """Reads in which map a chain looks up each family; it must do nothing else, and drop what it does not find."""
        *lookups, last = (rule.text for rule in chain.rules) if chain.rules else ("",)
        found: dict[str, str] = {}
        for text in lookups:
            match = pattern.fullmatch(text)
            item = self._ruleset.sets.get(match["map"]) if match else None
            family = _VERSIONS[match["family"]] if match else ""
            if item is None or item.spec != f"type {key}ipv{family}_addr : verdict; flags interval" or family in found:
                raise _unknown(chain)
            found[family] = item.name
        if last != "counter drop":
            raise _unknown(chain)
        return found

    def _targets(self, chain: Chain) -> _Targets:
        texts = [rule.text for rule in chain.rules]
        if texts and texts[-1] == "counter drop" and all(text in _DROPS for text in texts):
            return {"4": _DROPPED, "6": _DROPPED}
        match = _MARK.fullmatch(texts[0]) if len(texts) == 1 else None
        if match is None:
            raise _unknown(chain)
        translation = self._elements("translation").get(match[1])
        return {"4": _KEPT, "6": _KEPT} if translation is None else self._translation(self._chain(translation))

    def _translation(self, chain: Chain) -> _Targets:
        # A family for which the chain does nothing has no source address that the guard would let out.
        found: _Targets = {}
        for text in (rule.text for rule in chain.rules):
            if match := _SNAT.fullmatch(text):
                found.setdefault(_VERSIONS[match[1]], Decision(Fate.TRANSLATED, address=normal(match[2])))
            elif match := _MASQUERADE.fullmatch(text):
                for family in "46":
                    found.setdefault(family, Decision(Fate.MASQUERADED, interface=match[1]))
            else:
                raise _unknown(chain)
        return {"4": _DROPPED, "6": _DROPPED} | found


def bound_bit(ruleset: Ruleset) -> int:
    """Returns the bit of the connection mark by which a ruleset marks what it binds; 0 if there is none."""
    chain = ruleset.chains.get("translate")
    found = [match for rule in (chain.rules if chain else ()) if (match := _BOUND.search(rule.text))]
    return int(found[0][1], 16) if found else 0


class _Intervals:
    """Ranges that do not overlap, each with a value."""

    def __init__(self, items: Iterable[tuple[str, str]]) -> None:
        rows = sorted((*_bounds(text), value) for text, value in items)
        self._lows = [row[0] for row in rows]
        self._rows = rows

    def find(self, number: int) -> str | None:
        index = bisect_right(self._lows, number) - 1
        if index < 0:
            return None
        _, high, value = self._rows[index]
        return value if number <= high else None


def _bounds(text: str) -> tuple[int, int]:
    """Returns the first and the last address of `low-high`, `network/length` or an address."""
    low, dash, high = text.partition("-")
    if dash:
        return number_of(low), number_of(high)
    network, slash, length = text.partition("/")
    first = number_of(network)
    if not slash:
        return first, first
    width = 128 if ":" in text else 32
    if not length.isdecimal() or int(length) > width:
        raise RulesetError(f"{text[:80]!r} is no range of addresses")
    return first, first + (1 << width - int(length)) - 1


def number_of(address: str) -> int:
    """Returns an address as a number.

    Raises:
        RulesetError: It is none.
    """
    return int.from_bytes(_packed(address), "big")


def normal(address: str) -> str:
    """Returns an address as the kernel's listings show it; raises as `number_of` does."""
    return inet_ntop(AF_INET6 if ":" in address else AF_INET, _packed(address))


def _packed(address: str) -> bytes:
    try:
        return inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except OSError:
        raise RulesetError(f"{address[:80]!r} is no address") from None


def _unknown(chain: Chain) -> RulesetError:
    return RulesetError(f"chain {chain.name} is not of a known shape: {'; '.join(rule.text for rule in chain.rules)}")
