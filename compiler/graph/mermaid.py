"""Mermaid: a picture as the text of a flowchart, which pull requests render.

Ids are ours and names stand only in quoted labels, so that none is taken for a word of the language, such as `end`.
"""

import re
from typing import Final

from compiler.graph.boxes import Box
from compiler.graph.picture import Arrow, Picture
from compiler.graph.style import ARROWS, BOXES, LIKE, TEXT, class_of

# Quotes end a label, `#` and `&` begin an entity, `<` a tag, backticks and the rest are Markdown to Mermaid.
_HOSTILE: Final = re.compile(r"[^\w\s.,:()/+…-]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|^[-+](?=\s)|(?<=^\d)\.(?=\s)")
_ARROWS: Final = {"egress": "-->", "ordinary": "-.->", "dropped": "==>"}


def mermaid_text(picture: Picture) -> str:
    """Returns the flowchart: the same picture gives the same bytes."""
    lines = ["flowchart LR"]
    lines.extend(f'  n{number}["{_label(box)}"]:::{class_of(box)}' for number, box in enumerate(picture.boxes))
    lines.extend(map(_arrow, picture.arrows))
    used = {class_of(box) for box in picture.boxes}
    lines.extend(
        f"  classDef {name} fill:{colours.fill},stroke:{colours.border},color:{TEXT}"
        for name, colours in BOXES.items()
        if name in used
    )
    dropped = [str(index) for index, arrow in enumerate(picture.arrows) if arrow.manner == "dropped"]
    if dropped:
        lines.append(f"  linkStyle {','.join(dropped)} stroke:{ARROWS['dropped']}")
    return "\n".join(lines) + "\n"


def markdown_text(picture: Picture) -> str:
    """Returns the flowchart in a fence, as a comment or a page in Markdown takes it."""
    return f"```mermaid\n{mermaid_text(picture)}```\n"


def _label(box: Box) -> str:
    parts = [f"<b>{_escape(box.title)}</b>", *map(_escape, box.lines)]
    if box.caption:
        parts.insert(0, _escape(box.caption))
    return "<br/>".join(parts)


def _arrow(arrow: Arrow) -> str:
    return f"  n{arrow.tail} {_ARROWS[arrow.manner]} n{arrow.head}"


def _escape(text: str) -> str:
    return _HOSTILE.sub(lambda match: f"#{ord(match[0])};", text.translate(LIKE))
