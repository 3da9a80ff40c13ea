"""Our table in the kernel to a `Ruleset`: the structure and the small sets as nft lists them, a large map directly.

With a scope only some keys of a large map are asked for, so that the time does not grow with the map.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from applier.elements import Elements, OddElementError
from applier.errors import KernelError
from applier.late import OBJECTS
from applier.script import TABLE
from bundle.ruleset import Ruleset, RulesetError, Set, parse

Scope = Mapping[str, frozenset[str]]
"""Name of a map to the keys to look at; a map that is not named is read as a whole."""


class Listing(Protocol):
    """What libnftables offers of our table; every method may raise `KernelError`."""

    def list_structure(self) -> str | None:
        """Returns the table without the elements; None if there is no such table."""

    def list_elements(self, kind: str, name: str) -> str:
        """Returns one set or map with its elements, in its table."""


class Contents(Protocol):
    """What nf_tables itself offers; see `applier.netfilter.Netfilter`."""

    def count(self) -> tuple[int, int, int]:
        """Returns how many chains, rules and sets our table has."""

    def dump_elements(self, name: str, spec: str) -> Elements:
        """Returns all elements of a set or map; may raise `OddElementError`."""

    def find_element(self, name: str, spec: str, address: str) -> str | None:
        """Returns the verdict of an address in a map, None if it is not there; may raise `OddElementError`."""


def read(listing: Listing, contents: Contents, scope: Scope) -> Ruleset | None:
    """Returns our table, None if there is none.

    Raises:
        KernelError: It cannot be read, or holds what cannot be understood.
    """
    text = listing.list_structure()
    counted = contents.count()
    if text is None and counted == (0, 0, 0):
        return None
    try:
        structure = parse(text or "", TABLE)
        rules = sum(len(chain.rules) for chain in structure.chains.values())
        if (len(structure.chains), rules, len(structure.sets)) != counted:
            raise KernelError(f"table {TABLE} was not listed as a whole, or changed meanwhile; try again")
        sets = {
            name: item if ("set", name) in OBJECTS else _fill(item, listing, contents, scope.get(name))
            for name, item in structure.sets.items()
        }
    except RulesetError as error:
        raise KernelError(f"table {TABLE} of the kernel holds what cannot be understood: {error}") from None
    return replace(structure, sets=sets)


def _fill(item: Set, listing: Listing, contents: Contents, keys: frozenset[str] | None) -> Set:
    try:
        if keys is None:
            return replace(item, elements=contents.dump_elements(item.name, item.spec))
        found = {key: contents.find_element(item.name, item.spec, key) for key in sorted(keys)}
        return replace(item, elements={key: verdict for key, verdict in found.items() if verdict})
    except OddElementError:
        # Somebody's own: only nft has the words for it, and it is to go anyway.
        return parse(listing.list_elements(item.kind, item.name), TABLE).sets[item.name]
