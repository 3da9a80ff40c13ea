"""Opens `templates/` and `schemas/`: inside the package when installed, at the top of an editable checkout."""

from importlib.resources import files
from importlib.resources.abc import Traversable


def resource(folder: str, name: str) -> str:
    """Returns the text of a file of `templates` or `schemas`.

    Raises:
        FileNotFoundError: There is no such file.
    """
    return (_folder(folder) / name).read_text(encoding="utf-8")


def _folder(name: str) -> Traversable:
    package = files("compiler")
    inside = package / name
    return inside if inside.is_dir() else package / ".." / name
