"""HTML: the page as text, out of its data, its styles and its scripts.

Everything is inside of the one file. A Content-Security-Policy allows just these scripts and styles, by their digests.
"""

import base64
import hashlib
import json
from functools import cache
from typing import Final

import jinja2

import bundle
from compiler.page.data import PageData
from compiler.resources import resource

_STYLES: Final = ("report.css",)
_SCRIPTS: Final = ("report-answers.js", "report-listing.js", "report-packet.js", "report-page.js")

# In a script element of HTML only `<` can begin what ends it (`</script`) or hides its end (`<!--`); the two line
# separators are there for whoever reads the text as JavaScript.
_ESCAPED: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def page_html(name: str, digest: str, data: PageData) -> str:
    """Returns the page.

    Args:
        name: What the page is about, as on the command line.
        digest: Of the bundle's inputs.
        data: What it shows.
    """
    style = "".join(resource("templates", file) for file in _STYLES)
    script = '"use strict";\n' + "".join(resource("templates", file) for file in _SCRIPTS)
    return _template().render(
        name=name,
        digest=digest,
        version=bundle.__version__,
        data=data,
        json=_json(data),
        style=style,
        script=script,
        style_digest=_digest(style),
        script_digest=_digest(script),
    )


def _json(data: PageData) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPED)


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: resource("templates", name)),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters["number"] = lambda number: f"{number:,}"
    environment.filters["count"] = lambda number, what: f"{number:,} {what}{'' if number == 1 else 's'}"
    return environment.get_template("report.html.j2")
