"""Dot: a picture as the source of a Graphviz drawing."""

import html
from typing import Final

from compiler.graph.boxes import Box
from compiler.graph.picture import Arrow, Picture
from compiler.graph.style import ARROWS, BOXES, LIKE, TEXT, class_of

_FONT: Final = "Helvetica,Arial,sans-serif"
_SMALL: Final = 9
_TITLE: Final = 13

_HEAD: Final = f"""\
digraph egress {{
  graph [rankdir=LR, bgcolor=transparent, nodesep=0.22, ranksep=0.55, pad=0.2, fontname="{_FONT}", tooltip="egress"]
  node [shape=box, style="rounded,filled", margin="0.16,0.09", penwidth=1.2, fontname="{_FONT}", fontsize=10.5, \
fontcolor="{TEXT}"]
  edge [penwidth=1.3, arrowsize=0.7, color="{ARROWS["egress"]}"]
"""
_MANNERS: Final = {
    "egress": "",
    "ordinary": f' [style=dashed, color="{ARROWS["ordinary"]}"]',
    "dropped": f' [color="{ARROWS["dropped"]}"]',
}


def dot_text(picture: Picture) -> str:
    """Returns the source: the same picture gives the same bytes."""
    boxes = "".join(_box(number, box) for number, box in enumerate(picture.boxes))
    arrows = "".join(map(_arrow, picture.arrows))
    return f"{_HEAD}{boxes}{arrows}}}\n"


def _box(number: int, box: Box) -> str:
    colours = BOXES[class_of(box)]
    parts = [f'<FONT POINT-SIZE="{_TITLE}"><B>{_escape(box.title)}</B></FONT>', *map(_escape, box.lines)]
    if box.caption:
        parts.insert(0, f'<FONT POINT-SIZE="{_SMALL}" COLOR="{colours.border}">{_escape(box.caption.upper())}</FONT>')
    tooltip = _escape(" ".join(filter(None, (box.caption, box.title))))
    return (
        f"  n{number} [label=<{'<BR/>'.join(parts)}>, "
        f'fillcolor="{colours.fill}", color="{colours.border}", tooltip="{tooltip}"]\n'
    )


def _arrow(arrow: Arrow) -> str:
    return f"  n{arrow.tail} -> n{arrow.head}{_MANNERS[arrow.manner]}\n"


def _escape(text: str) -> str:
    return html.escape(text.translate(LIKE))
