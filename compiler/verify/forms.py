"""The chains that map elements lead to, each read as the one thing that it does."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from bundle.ruleset import Chain
from compiler.model import Family


@dataclass(frozen=True, slots=True)
class Marks:
    """Puts a mark on the packet under a mask; `rest` are the bits that stay."""

    rest: int
    mark: int


@dataclass(frozen=True, slots=True)
class Drops:
    """Counts and drops."""


@dataclass(frozen=True, slots=True)
class Translates:
    """Gives the packet a source address of its family, or that of an interface."""

    addresses: tuple[tuple[Family, str], ...]
    masquerade: str | None


@dataclass(frozen=True, slots=True)
class LooksUp:
    """Looks up the destination in two maps, one a family, and drops what it does not find.

    Attributes:
        maps: Their names, IPv4 first.
        among: Whether the maps are of several classes, so that the class is looked up too.
    """

    maps: tuple[str, str]
    among: bool


Form = Marks | Drops | Translates | LooksUp

_MARK: Final = re.compile(r"counter meta mark set meta mark & (0x[0-9a-f]{8}) \^ (0x[0-9a-f]{8})")
_SNAT: Final = re.compile(r"snat (ip6?) to ([0-9a-f.:]+)")
_MASQUERADE: Final = re.compile(r'oifname "([^"]+)" masquerade')
_LOOKUP: Final = re.compile(r"(meta priority \. )?(ip6?) daddr vmap @(\S+)")
_DROP: Final = "counter drop"
_FAMILIES: Final = {"ip": Family.IPV4, "ip6": Family.IPV6}


def form_of(chain: Chain) -> Form | None:
    """Returns what a chain does, None when it is of none of the forms."""
    return None if chain.hook else _form(tuple(rule.text for rule in chain.rules))


@cache
def _form(rules: tuple[str, ...]) -> Form | None:
    if not rules:
        return None
    if rules == (_DROP,):
        return Drops()
    if len(rules) == 1 and (found := _MARK.fullmatch(rules[0])):
        return Marks(int(found[1], 16), int(found[2], 16))
    return _lookup(rules) or _translation(rules)


def _lookup(rules: tuple[str, ...]) -> LooksUp | None:
    *lookups, last = rules
    found = [match for text in lookups if (match := _LOOKUP.fullmatch(text))]
    # These two and no other rule: what stands between them would decide before them.
    if last != _DROP or len(lookups) != len(found) or [match[2] for match in found] != ["ip", "ip6"]:
        return None
    four, six = found
    return LooksUp((four[3], six[3]), bool(four[1])) if four[1] == six[1] else None


def _translation(rules: tuple[str, ...]) -> Translates | None:
    addresses: dict[Family, str] = {}
    masquerade = None
    for text in rules:
        if (found := _SNAT.fullmatch(text)) and _FAMILIES[found[1]] not in addresses and masquerade is None:
            addresses[_FAMILIES[found[1]]] = found[2]
        elif (found := _MASQUERADE.fullmatch(text)) and masquerade is None:
            masquerade = found[1]
        else:
            return None
    return Translates(tuple(sorted(addresses.items())), masquerade)
