"""A collector for findings, so that one object's faults do not hide the next one's."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from compiler.diagnostics import Diagnostic, Place, error, warning
from compiler.model import Address, Network
from compiler.text import TextError, parse_address, parse_network

_T = TypeVar("_T")


class Findings:
    """Gathers diagnostics; local to one call of a stage, whose result stays a value."""

    def __init__(self) -> None:
        self._items: list[Diagnostic] = []

    def add(self, *items: Diagnostic) -> None:
        """Adds diagnostics as they are."""
        self._items.extend(items)

    def error(self, code: str, place: Place, message: str, *related: Place) -> None:
        """Adds an error."""
        self._items.append(error(code, place, message, *related))

    def warning(self, code: str, place: Place, message: str) -> None:
        """Adds a warning."""
        self._items.append(warning(code, place, message))

    def check(self, place: Place, function: Callable[[str], _T], text: str) -> _T | None:
        """Calls a function of `compiler.text`; its fault becomes an error at `place`, and the result None."""
        try:
            return function(text)
        except TextError as fault:
            self.error(fault.code, place, str(fault))
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
        """Returns all that was added."""
        return tuple(self._items)


def listed(texts: Iterable[str], place: Place) -> Iterator[tuple[str, Place]]:
    """Returns the entries of a list at `place`, each with its own place."""
    return ((text, place.at(index)) for index, text in enumerate(texts))


def network_key(network: Network) -> tuple[int, int, int]:
    """Sort key of prefixes: family, address, length."""
    return (network.version, int(network.network_address), network.prefixlen)
