"""`egressc lab …`: arguments to commands, results to standard output, all else to standard error."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from applier.program import Examples, Parser
from lab.model import MASQUERADES, PORT, LabError, Limits

if TYPE_CHECKING:
    from applier.program import Commands


_NO_ANSWER: Final = {1: "no answer came"}


def add_parser(subparsers: "Commands") -> Parser:
    """Adds `lab` and its subcommands to the program's parser and returns what it added."""
    parser = subparsers.add_parser(
        "lab",
        help="a cluster of network namespaces on this machine",
        description="Builds a cluster from any input as network namespaces on this machine, applies bundles to it and "
        "sends packets through it. Needs root, or user namespaces.",
    )
    parser.examples = (
        ("egressc lab up egress/ cluster.yaml && egressc lab apply bundle", "build the cluster, and load a bundle"),
        ("egressc lab request --from default/backend-1 --to 203.0.113.10", "print the address that the outside sees"),
        ("egressc lab down", "take it down"),
    )
    verbs = parser.add_subparsers(dest="lab_command", required=True, metavar="COMMAND")
    up = _add(
        verbs,
        "up",
        "build a lab from inputs",
        (
            (
                "egressc lab up egress/ cluster.yaml --masquerade iptables-nft",
                "with nodes whose CNI masquerades by iptables-nft",
            ),
        ),
    )
    up.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="files or directories as for compile; - is standard input"
    )
    up.add_argument(
        "--masquerade",
        choices=MASQUERADES,
        default="nft",
        help="how the nodes' CNI hides pods behind node addresses (default: nft)",
    )
    default = Limits()
    up.add_argument(
        "--max-nodes",
        type=_positive,
        default=default.nodes,
        metavar="N",
        help=f"refuse a larger cluster (default: {default.nodes})",
    )
    up.add_argument(
        "--max-workloads",
        type=_positive,
        default=default.workloads,
        metavar="N",
        help=f"the same for workloads (default: {default.workloads})",
    )
    up.add_argument(
        "--workload", action="append", default=[], metavar="NS/NAME", help="build only this workload (repeatable)"
    )
    apply = _add(
        verbs,
        "apply",
        "apply a bundle to every node",
        (("egressc lab apply bundle --verbose", "and print every step"),),
        {1: "an apply found a difference", 3: "an apply failed and was undone"},
    )
    apply.add_argument("directory", type=Path, metavar="DIR", help="the bundle")
    apply.add_argument("-v", "--verbose", action="store_true", help="print every step")
    request = _add(
        verbs,
        "request",
        "ask from a workload: what is my address?",
        (("egressc lab request --from default/backend-1 --to 203.0.113.10 --udp", "by UDP instead of TCP"),),
        _NO_ANSWER,
    )
    request.add_argument("--from", dest="source", required=True, metavar="NS/NAME", help="a workload, or a node's name")
    request.add_argument("--to", required=True, metavar="IP", help="whom to ask; outside answers for every address")
    _add_traffic(request)
    inbound = _add(
        verbs,
        "inbound",
        "connect from outside to a workload",
        (("egressc lab inbound --to default/backend-1", "print the address that the workload sees"),),
        _NO_ANSWER,
    )
    inbound.add_argument("--to", required=True, metavar="NS/NAME", help="the workload")
    inbound.add_argument("--ipv6", action="store_true", help="by IPv6")
    _add_traffic(inbound)
    for verb, text in (("fail", "take a node away: pull its cables"), ("restore", "bring a node back")):
        example = (f"egressc lab {verb} egress-1", f"{text} (egress-1)")
        _add(verbs, verb, text, (example,)).add_argument("node", metavar="NODE", help="its name")
    seen = _add(
        verbs,
        "seen",
        "list the packets that arrived outside",
        (("egressc lab seen --format json", "for programs"), ("egressc lab seen --clear", "before the next question")),
    )
    seen.add_argument("--all", action="store_true", help="with ARP, neighbour discovery and group membership")
    seen.add_argument("--clear", action="store_true", help="forget them instead")
    seen.add_argument("--format", choices=("text", "json"), default="text", help="text is for people (default: text)")
    execute = _add(
        verbs,
        "exec",
        "run a command inside a node, a workload or outside",
        (("egressc lab exec egress-1 -- nft list ruleset", "look at a node's rules"),),
    )
    execute.add_argument("who", metavar="NODE|NS/NAME|outside", help="where")
    execute.add_argument(
        "argv", nargs=argparse.REMAINDER, metavar="-- CMD…", help="the command, whose exit status is ours"
    )
    _add(verbs, "status", "say what is up", (("egressc lab status", "list nodes, links and workloads"),))
    _add(verbs, "down", "remove everything", (("egressc lab down --name second", "of another lab than the usual one"),))
    return parser


def main(args: argparse.Namespace) -> int:
    """Runs one subcommand on standard output and error; see `run`."""
    return run(args, sys.stdout, sys.stderr)


def run(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Runs one subcommand.

    Returns:
        0 done, 1 no answer, 2 bad usage or input; `apply` and `exec` pass on the status of what they ran.
    """
    from lab.handlers import HANDLERS  # noqa: PLC0415  # `egressc apply` on a node has no need of a lab

    try:
        return HANDLERS[args.lab_command](args, out, err)
    except LabError as error:
        err.write(f"egressc lab: {error}\n")
        return 2


def _add(
    verbs: "Commands", name: str, text: str, examples: Examples, statuses: Mapping[int, str] | None = None
) -> Parser:
    parser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
    parser.add_argument("--name", default="egl", help="which lab (default: egl)")
    parser.examples = examples
    parser.statuses = dict(sorted({0: "done", 2: "bad usage or bad input", **(statuses or {})}.items()))
    return parser


def _add_traffic(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_positive, default=PORT, metavar="PORT", help=f"which port (default: {PORT})")
    parser.add_argument(
        "--udp", action="store_const", dest="protocol", const="udp", default="tcp", help="instead of TCP"
    )
    parser.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS", help="how long to wait (default: 2)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
