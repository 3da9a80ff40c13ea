"""Makes the pictures of `docs/report.md`: the graph and the report of the golden change, light, dark and narrow.

They depend on the browser and on the fonts of the machine, so that no test compares them; look at them instead.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench.browser import Browser, BrowserError, browser
from compiler.cli import main as egressc

HOME = Path(__file__).parent.parent
INPUTS = HOME / "golden" / "outputs" / "change"
VIEWS = {"light": (1180, 1250), "dark": (1180, 1250), "narrow": (360, 1480)}

QUESTION = """(() => {
    for (const [id, value] of [["packet-from", "default/backend-1"], ["packet-to", "203.0.113.10"]]) {
        document.getElementById(id).value = value;
    }
    document.getElementById("packet-form").requestSubmit();
    document.activeElement.blur();
})()"""


def main() -> int:
    """Writes the pictures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", type=Path, default=HOME / "docs", help="where they go; docs by default")
    target = parser.parse_args().target.resolve()
    os.chdir(INPUTS)  # the page's title is what was named
    inputs = ["after", "cluster.yaml"]
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        for command in (
            ["graph", "-q", *inputs, "-o", str(target / "graph.svg")],
            ["report", "-q", *inputs, "-o", str(page)],
        ):
            if status := egressc(command):
                return status
        try:
            with browser() as chromium:
                for view, size in VIEWS.items():
                    _take(chromium, page, target / f"report-{view}.png", view, size)
        except BrowserError as fault:
            sys.stderr.write(f"{fault}\n")
            return 1
    return 0


def _take(chromium: Browser, page: Path, picture: Path, view: str, size: tuple[int, int]) -> None:
    chromium.show_as(width=size[0], height=size[1], scheme="dark" if view == "dark" else "light")
    chromium.open(page)
    chromium.run(QUESTION)
    picture.write_bytes(chromium.screenshot())
    print(f"{picture}: {picture.stat().st_size >> 10} KiB")


if __name__ == "__main__":
    sys.exit(main())
