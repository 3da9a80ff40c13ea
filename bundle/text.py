"""Text of others on lines of ours: file names, arguments, names from inputs and bundles."""

import json
import re

_MAYBE_UNPRINTABLE = re.compile("[^\n -~]")


def printable(text: str) -> str:
    """Returns text on one line: what comes from elsewhere cannot forge lines or colours of ours."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def printable_lines(text: str) -> str:
    """Does the same to each line of text that may have several."""
    return "\n".join(map(printable, text.split("\n")))


def json_text(value: object) -> str:
    """Returns JSON for people and programs: letters as they are, and escaped what a terminal might obey."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _MAYBE_UNPRINTABLE.sub(lambda match: match[0] if match[0].isprintable() else _escaped(match[0]), text) + "\n"


def _escaped(letter: str) -> str:
    return json.dumps(letter)[1:-1] if letter > "\x7f" else f"\\u{ord(letter):04x}"
