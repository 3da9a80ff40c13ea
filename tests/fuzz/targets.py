"""The targets by name; a new one is a module and a row here."""

import random
from typing import Protocol

from fuzz import arguments, bundles, cases, files, inputs, rulesets


class Target(Protocol):
    """What a module of a target holds."""

    def seeds(self) -> list[bytes]:
        """Returns what to begin with; it is not kept in the corpus."""

    def check(self, data: bytes) -> None:
        """Raises when the project does with `data` what it should not."""

    def mutate(self, data: bytes, draw: random.Random) -> bytes:
        """Returns data changed at a place that matters."""


TARGETS: dict[str, Target] = {
    "arguments": arguments,
    "bundles": bundles,
    "cases": cases,
    "files": files,
    "inputs": inputs,
    "rulesets": rulesets,
}
