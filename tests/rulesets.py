"""Rulesets of the golden cases, and addresses at the edges of what they decide."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from conftest import GOLDEN

from bundle.ruleset import Rule, Ruleset, parse

BIT = 0x01000000

Address = IPv4Address | IPv6Address


@cache
def golden_rulesets() -> dict[str, Ruleset]:
    """Every node of every golden case by `case/node`."""
    paths = sorted(GOLDEN.glob("*/expected/nodes/*/ruleset.nft"))
    return {f"{path.parts[-5]}/{path.parts[-2]}": parse(path.read_text(), "inet egressc") for path in paths}


def with_bit(ruleset: Ruleset) -> Ruleset:
    """The ruleset, in which connections that our rules bind get the bit."""
    chain = ruleset.chains["translate"]
    if any(rule.text.startswith("ct mark set") for rule in chain.rules):
        return ruleset
    rule = Rule(f"ct mark set ct mark | 0x{BIT:08x}")
    marking = replace(chain, rules=(*chain.rules[:3], rule, *chain.rules[3:]))
    return replace(ruleset, chains={**ruleset.chains, "translate": marking})


def sources(ruleset: Ruleset, family: int) -> list[Address]:
    """Workloads that the ruleset knows, and some that it does not."""
    maps = (ruleset.sets[name] for name in (f"source{family}", f"remote{family}") if name in ruleset.sets)
    known = [ip_address(key) for item in maps for key in item.elements]
    unknown = ["10.111.12.200", "192.0.2.1"] if family == 4 else ["fd00:111:0:12::200", "2001:db8:77::1"]
    return [*known, *map(ip_address, unknown)]


def destinations(ruleset: Ruleset, family: int) -> list[Address]:
    """The first and the last address of every interval of the ruleset, and their neighbours."""
    found = {ip_address("203.0.113.10" if family == 4 else "2001:db8:ffff::10")}
    for item in ruleset.sets.values():
        of_ranges = item.name == f"cluster{family}" or item.name.startswith(
            (f"route{family}_", f"remoteroute{family}_")
        )
        for key in item.elements if of_ranges else ():
            for edge in _edges(key.rpartition(" . ")[2]):
                found |= {type(edge)(number) for number in range(int(edge) - 1, int(edge) + 2) if _fits(edge, number)}
    return sorted(found, key=int)


def _edges(text: str) -> Iterator[Address]:
    if "-" in text:
        yield from map(ip_address, text.split("-"))
    else:
        yield ip_network(text).network_address
        yield ip_network(text).broadcast_address


def _fits(edge: Address, number: int) -> bool:
    return 0 <= number < 1 << edge.max_prefixlen
