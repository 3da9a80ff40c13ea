"""The commands that a node has, as arguments: for `egressc` and for the program that has no others."""

from pathlib import Path
from typing import TYPE_CHECKING

from applier.program import add_command

if TYPE_CHECKING:
    from applier.program import Commands


def add_parsers(commands: "Commands") -> None:
    """Adds them; none is loaded."""
    apply = add_command(commands, "apply", "load one node's part of a bundle into the kernel", "applier.cli:main")
    apply.add_argument("bundle", metavar="DIR", type=Path)
    apply.add_argument("--node", metavar="NAME", required=True, help="the node that this is")
    apply.add_argument("--netns", metavar="PATH", help="network namespace to work in: a path, or a name")
    apply.add_argument("--dry-run", action="store_true", help="print what would change; exit 1 if anything would")
    apply.add_argument(
        "--wait", metavar="SECONDS", type=float, default=10, help="how long to wait for another apply to end (10)"
    )

    remove = add_command(commands, "remove", "take everything of egressc away from this node", "applier.remove:main")
    remove.add_argument("--netns", metavar="PATH", help="network namespace to work in: a path, or a name")
    remove.add_argument("--dry-run", action="store_true", help="print what would change; exit 1 if anything would")
    remove.add_argument("--wait", metavar="SECONDS", type=float, default=10, help="how long to wait for an apply (10)")

    doctor = add_command(commands, "doctor", "tell whether this node can do the job", "applier.doctor.cli:main")
    doctor.add_argument("bundle", metavar="DIR", type=Path, nargs="?", help="look at what this bundle expects too")
    doctor.add_argument("--node", metavar="NAME", help="the node of the bundle that this is")
    doctor.add_argument("--netns", metavar="PATH", help="network namespace to look at: a path, or a name")
    doctor.add_argument("--format", choices=("text", "json"), default="text")
    doctor.add_argument("--quiet", action="store_true", help="leave out what is in order")
