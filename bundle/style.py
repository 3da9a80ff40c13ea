"""Colours of a terminal by what they mean: text goes in, and comes out with or without them.

Text of others is made printable before it comes here, else it might bring colours of its own.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Style:
    """How output looks; each method returns one line of text, or a part of it, as that is shown."""

    coloured: bool = False

    def added(self, text: str) -> str:
        """What is new in a comparison."""
        return self._paint("32", text)

    def removed(self, text: str) -> str:
        """What is gone."""
        return self._paint("31", text)

    def changed(self, text: str) -> str:
        """What is there on both sides and differs."""
        return self._paint("33", text)

    def good(self, text: str) -> str:
        """That it went as it should."""
        return self._paint("32", text)

    def error(self, text: str) -> str:
        """That it did not."""
        return self._paint("1;31", text)

    def warning(self, text: str) -> str:
        """That somebody should look."""
        return self._paint("1;33", text)

    def caret(self, text: str) -> str:
        """What points at a place in a line."""
        return self._paint("1;32", text)

    def strong(self, text: str) -> str:
        """A heading, or a name that the eye is to find."""
        return self._paint("1", text)

    def faint(self, text: str) -> str:
        """What is there for completeness."""
        return self._paint("2", text)

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured and text else text


PLAIN: Final = Style()
