"""Style: the colours of the drawing, the same in every format.

Each box brings its own light ground and dark letters, so that it reads on a light page and on a dark one; arrows are
drawn over the page itself, in greys and reds of a middle lightness that stand out from both.
"""

from dataclasses import dataclass
from typing import Final

from compiler.graph.boxes import Box
from compiler.graph.picture import Manner


@dataclass(frozen=True, slots=True)
class Colours:
    """Of a box: its ground, its border and, of small letters too, its caption."""

    fill: str
    border: str


TEXT: Final = "#0f172a"

BOXES: Final = {
    "workloads": Colours("#e0f2fe", "#0369a1"),
    "ordinary": Colours("#f1f5f9", "#526077"),
    "policy": Colours("#ede9fe", "#6d28d9"),
    "gateway": Colours("#dcfce7", "#15803d"),
    "node": Colours("#e2e8f0", "#475569"),
    "source": Colours("#ccfbf1", "#0f766e"),
    "outside": Colours("#f8fafc", "#475569"),
    "warning": Colours("#fee2e2", "#b91c1c"),
}

ARROWS: Final[dict[Manner, str]] = {"egress": "#6e7781", "ordinary": "#6e7781", "dropped": "#dc2626"}


LIKE: Final = str.maketrans({"\\": "⧵", "$": "＄"})  # noqa: RUF001  # that they look alike is the point
"""Letters that Graphviz (`\\N`) and Mermaid (`$$`) obey however they are written, and those that stand for them."""


def class_of(box: Box) -> str:
    """Returns the key of a box in `BOXES`."""
    return "warning" if box.warning else box.kind
