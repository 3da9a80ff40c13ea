"""Our table in the kernel to a `Ruleset`: the structure and the small sets as nft lists them, a large map directly.

With a scope only some keys of a large map are asked for, so that the time does not grow with the map.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from applier.errors import KernelError
from applier.script import TABLE
from bundle.ruleset import Ruleset, RulesetError, Set, parse

Scope = Mapping[str, frozenset[str]]
"""Name of a map to the keys to look at; a map that is not named is read as a whole."""

_PLAIN = frozenset({"type ipv4_addr : verdict", "type ipv6_addr : verdict"})


class Listing(Protocol):
    """What libnftables offers of our table; every method may raise `KernelError`."""

    def list_structure(self) -> str | None:
        """Returns the table without the elements; None if there is no such table."""

    def list_elements(self, kind: str, name: str) -> str:
        """Returns one set or map with its elements, in its table."""


class Maps(Protocol):
    """What nf_tables itself offers; see `applier.netfilter.Netfilter`."""

    def dump_map(self, name: str) -> dict[str, str | None] | None:
        """Returns all elements, None if one of them is more than an address and a verdict."""

    def find_in_map(self, name: str, address: str) -> str | None:
        """Returns the verdict of an address, None if it is not there."""


def read(listing: Listing, maps: Maps, scope: Scope) -> Ruleset | None:
    """Returns our table, None if there is none.

    Raises:
        KernelError: It cannot be read, or holds what cannot be understood.
    """
    text = listing.list_structure()
    if text is None:
        return None
    try:
        structure = parse(text, TABLE)
        sets = {name: _fill(item, listing, maps, scope.get(name)) for name, item in structure.sets.items()}
    except RulesetError as error:
        raise KernelError(f"table {TABLE} of the kernel holds what cannot be understood: {error}") from None
    return replace(structure, sets=sets)


def _fill(item: Set, listing: Listing, maps: Maps, keys: frozenset[str] | None) -> Set:
    if item.kind == "map" and item.spec in _PLAIN:
        if keys is not None:
            found = {key: verdict for key in sorted(keys) if (verdict := maps.find_in_map(item.name, key))}
            return replace(item, elements=found)
        elements = maps.dump_map(item.name)
        if elements is not None:
            return replace(item, elements=elements)
    filled = parse(listing.list_elements(item.kind, item.name), TABLE).sets
    return filled.get(item.name, item)
