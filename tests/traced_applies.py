"""Applies each of some bundles twice; run under `written.TRACE`, whose log this marks by writes to /dev/null.

Arguments: a network namespace, then `BUNDLE:NODE` as often as wanted. Not a test: `test_applier_golden.py` runs it.
"""

import io
import sys
from pathlib import Path

from applier.cli import run


def main(netns: str, *states: str) -> int:
    """Returns the worst exit status."""
    worst = 0
    with Path("/dev/null").open("wb", buffering=0) as mark:
        for number, state in enumerate(states):
            directory, _, node = state.rpartition(":")
            for turn in ("first", "second"):
                mark.write(f"{number} {turn}".encode())
                streams = io.StringIO(), io.StringIO()
                status = run(Path(directory), node, netns, dry_run=False, out=streams[0], err=streams[1])
                sys.stderr.write(streams[1].getvalue())
                worst = max(worst, status)
    return worst


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
