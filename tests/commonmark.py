"""Markdown of ours as a CommonMark renderer understands it, with the tables that pull requests have beside it."""

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

RENDERER = MarkdownIt("commonmark").enable("table")

TAG = re.compile(r"</?details( open)?>|</?summary>|<!--[^<>]*-->")
"""All of HTML that we write."""


def tokens(text: str) -> list[Token]:
    return RENDERER.parse(text)


def opened_right(text: str) -> None:
    """Holds that every block opens and closes where it should, and that nothing of others became HTML.

    Raises:
        AssertionError: It does not.
    """
    found = tokens(text)
    raw = "".join(token.content for token in found if token.type == "html_block")
    inline = [child for token in found for child in token.children or () if child.type == "html_inline"]

    assert inline == []
    assert raw.count("<details") == raw.count("</details>") == raw.count("<summary>") == raw.count("</summary>")
    assert "<" not in TAG.sub("", raw)
    # A fence that does not end holds the rest, and with it lines that end blocks.
    fences = [token.content for token in found if token.type in {"fence", "code_block"}]
    assert not any(line.startswith("</details>") for content in fences for line in content.splitlines())
