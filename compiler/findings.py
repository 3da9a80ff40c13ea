"""A collector for findings, so that one object's faults do not hide the next one's."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final, TypeVar

from compiler.diagnostics import Diagnostic, Place, Severity, error, warning
from compiler.model import Address, Network
from compiler.text import TextError, parse_address, parse_network

_T = TypeVar("_T")


LIMIT: Final = 1000
"""Findings of one code that a stage gives; a file of a hundred megabytes may hold millions, which nobody reads."""


class Findings:
    """Gathers diagnostics; local to one call of a stage, whose result stays a value.

    Of each code the first `LIMIT` are kept. What is beyond is counted, and one more finding tells how many there are.
    """

    def __init__(self) -> None:
        self._items: list[Diagnostic] = []
        self._seen: Counter[str] = Counter()
        self._beyond: dict[str, Diagnostic] = {}

    def add(self, *items: Diagnostic) -> None:
        """Adds diagnostics as they are."""
        for item in items:
            self._seen[item.code] += 1
            if self._seen[item.code] <= LIMIT:
                self._items.append(item)
            elif self._beyond.setdefault(item.code, item).severity is not item.severity is Severity.ERROR:
                self._beyond[item.code] = item  # an error among what is left out must stop the compiler too

    def extend(self, other: "Findings") -> None:
        """Adds what another collector has, as if it had been added here in the first place."""
        items, seen, beyond = other._items, other._seen, other._beyond  # noqa: SLF001  # of its own class
        self.add(*items, *beyond.values())
        for code in beyond:
            self._seen[code] += seen[code] - LIMIT - 1

    def error(self, code: str, place: Place, message: str, *related: Place) -> None:
        """Adds an error."""
        self.add(error(code, place, message, *related))

    def warning(self, code: str, place: Place, message: str) -> None:
        """Adds a warning."""
        self.add(warning(code, place, message))

    def check(self, place: Place, function: Callable[[str], _T], text: str, *path: str | int) -> _T | None:
        """Calls a function of `compiler.text`; its fault becomes an error at `path` below `place`, the result None."""
        try:
            return function(text)
        except TextError as fault:
            self.error(fault.code, place.at(*path) if path else place, str(fault))
            return None

    def addresses(self, texts: Iterable[tuple[str, Place]]) -> tuple[Address, ...]:
        """Reads IP addresses; what is none becomes an error and is left out."""
        found = (self.check(place, parse_address, text) for text, place in texts)
        return tuple(address for address in found if address is not None)

    def networks(self, texts: Iterable[tuple[str, Place]]) -> tuple[tuple[Network, Place], ...]:
        """Reads CIDRs; what is none becomes an error and is left out, set host bits become a warning."""
        found = []
        for text, place in texts:
            result = self.check(place, parse_network, text)
            if result is not None:
                found.append((result[0], place))
                if result[1]:
                    self.warning("EG203", place, f"host bits are set and ignored; write {result[0]}")
        return tuple(found)

    def ranges(self, texts: Iterable[tuple[str, Place]]) -> tuple[Network, ...]:
        """Reads CIDRs of the cluster, sorted and each once; one that holds every address is an error."""
        found = self.networks(texts)
        for network, place in found:
            if network.prefixlen == 0:
                message = (
                    f"{network} as a range of the cluster means that nothing is ever redirected; write the ranges "
                    "that the cluster has"
                )
                self.error("EG216", place, message)
        return tuple(sorted({network for network, _ in found}, key=network_key))

    def done(self) -> tuple[Diagnostic, ...]:
        """Returns what was added, and of each code that was found too often, how many more there are."""
        more = (
            replace(item, message=f"and {self._seen[code] - LIMIT} more findings like this: {item.message}")
            for code, item in self._beyond.items()
        )
        return (*self._items, *more)


def listed(texts: Iterable[str], place: Place) -> Iterator[tuple[str, Place]]:
    """Returns the entries of a list at `place`, each with its own place."""
    return ((text, place.at(index)) for index, text in enumerate(texts))


def network_key(network: Network) -> tuple[int, int, int]:
    """Sort key of prefixes: family, address, length."""
    return (network.version, int(network.network_address), network.prefixlen)
