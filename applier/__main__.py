"""`egressc` with a node's commands only, which need nothing of the compiler; what `egressc-node.pyz` runs."""

import sys
from collections.abc import Sequence

from applier.arguments import add_parsers
from applier.program import make_parser, run


def main(argv: Sequence[str] | None = None) -> int:
    """Runs it; returns the exit status."""
    parser, commands = make_parser("Loads a node's part of a bundle into the kernel.")
    add_parsers(commands)
    return run(parser, argv)


if __name__ == "__main__":
    sys.exit(main())
