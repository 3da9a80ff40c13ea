"""The commands that a node has, as arguments: for `egressc` and for the program that has no others."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from applier.program import add_command
from bundle.names import STATE_DIRECTORY

if TYPE_CHECKING:
    from applier.program import Commands

_STATUSES = {1: "--dry-run found differences", 3: "failed, and the node was put back as it was"}


def add_parsers(commands: "Commands") -> None:
    """Adds them; none is loaded."""
    apply = add_command(
        commands,
        "apply",
        "load one node's part of a bundle into the kernel",
        "applier.cli:main",
        examples=(
            ("egressc apply bundle --node worker-1 --dry-run", "print each step that an apply would do, and do none"),
            (
                "egressc apply /etc/egressc/bundle --node worker-1 --watch --metrics /run/egressc.prom",
                "apply, and stay: repair what somebody changes, apply what comes, tell Prometheus",
            ),
        ),
        statuses=_STATUSES,
    )
    apply.add_argument("bundle", metavar="DIR", type=Path, nargs="?", help="the bundle")
    _common(apply)
    _key(apply)
    apply.add_argument(
        "--allow-rollback",
        action="store_true",
        help="take a bundle that is older than the one applied, or was rolled back from; it then counts as the newest",
    )
    apply.add_argument(
        "--or-kept", action="store_true", help="if the bundle is refused, apply what the node keeps, and be content"
    )
    apply.add_argument("--kept", action="store_true", help="apply again what the node keeps as applied last; no DIR")
    apply.add_argument(
        "--watch",
        action="store_true",
        help="stay: repair at once what somebody changes, and apply DIR whenever it changes; SIGTERM ends it",
    )
    apply.add_argument(
        "--metrics", metavar="FILE", type=_textfile, help="write metrics for Prometheus' textfile collector, *.prom"
    )
    apply.add_argument("--log-format", choices=("text", "json"), help="how to write events to standard error")

    rollback = add_command(
        commands,
        "rollback",
        "go back to the bundle applied before",
        "applier.rollback:main",
        examples=(
            ("egressc rollback --node worker-1 --dry-run", "print what going back would change"),
            ("egressc rollback --node worker-1", "go back, and refuse the present bundle from then on"),
        ),
        statuses=_STATUSES,
    )
    _common(rollback)
    _key(rollback)

    remove = add_command(
        commands,
        "remove",
        "take everything of egressc away from this node",
        "applier.remove:main",
        examples=(("egressc remove --node worker-1 --dry-run", "print what would be taken away, and take nothing"),),
        statuses=_STATUSES,
    )
    _common(remove)

    doctor = add_command(
        commands,
        "doctor",
        "tell whether this node can do the job",
        "applier.doctor.cli:main",
        examples=(
            ("egressc doctor", "look at the kernel, its settings, and what else runs on this machine"),
            (
                "egressc doctor bundle --node worker-1 --quiet",
                "and at what the bundle expects; only what is not in order",
            ),
        ),
        statuses={1: "something blocks"},
    )
    doctor.add_argument("bundle", metavar="DIR", type=Path, nargs="?", help="look at what this bundle expects too")
    doctor.add_argument("--node", metavar="NAME", help="the node of the bundle that this is")
    doctor.add_argument("--netns", metavar="PATH", help="network namespace to look at: a path, or a name")
    doctor.add_argument("--format", choices=("text", "json"), default="text", help="text is for people (default: text)")
    doctor.add_argument("-q", "--quiet", action="store_true", help="leave out what is in order")


def _common(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verify_key=None, allow_rollback=False)  # for commands that do not ask
    parser.add_argument("--node", metavar="NAME", required=True, help="the node that this is")
    parser.add_argument("--netns", metavar="PATH", help="network namespace to work in: a path, or a name")
    parser.add_argument("--dry-run", action="store_true", help="print what would change; exit 1 if anything would")
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=_seconds,
        default=10,
        help="how long to wait for another apply to end (default: 10)",
    )
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        type=_directory,
        help=f"where the node keeps what was applied; {STATE_DIRECTORY} if not given, and nowhere with --netns",
    )


def _key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--verify-key",
        metavar="FILE",
        type=Path,
        help="refuse what is not signed by one of these: SSH public keys, or a file of allowed signers as for git",
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 1e6:  # noqa: PLR2004  # eleven days
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _directory(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no directory")
    return Path(text)


def _textfile(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".prom":
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .prom, and the collector would pass it over")
    return path
