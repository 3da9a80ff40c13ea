"""`egressc lab …`: arguments to commands, results to standard output, all else to standard error."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from lab.model import MASQUERADES, PORT, LabError, Limits

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  # argparse has no public name for it


def add_parser(subparsers: "Subparsers") -> argparse.ArgumentParser:
    """Adds `lab` and its subcommands to the program's parser and returns what it added."""
    parser = subparsers.add_parser(
        "lab",
        help="a cluster of network namespaces on this machine",
        description="Builds a cluster from any input as network namespaces on this machine, applies bundles to it and "
        "sends packets through it. Needs root, or user namespaces.",
    )
    verbs = parser.add_subparsers(dest="lab_command", required=True, metavar="COMMAND")
    up = _add(verbs, "up", "build a lab from inputs")
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
    up.add_argument("--max-nodes", type=_positive, default=default.nodes, metavar="N", help=f"default: {default.nodes}")
    up.add_argument(
        "--max-workloads", type=_positive, default=default.workloads, metavar="N", help=f"default: {default.workloads}"
    )
    up.add_argument(
        "--workload", action="append", default=[], metavar="NS/NAME", help="build only this workload (repeatable)"
    )
    apply = _add(verbs, "apply", "apply a bundle to every node")
    apply.add_argument("directory", type=Path, metavar="DIR", help="the bundle")
    apply.add_argument("--verbose", action="store_true", help="print every step")
    request = _add(verbs, "request", "ask from a workload: what is my address?")
    request.add_argument("--from", dest="source", required=True, metavar="NS/NAME", help="a workload, or a node's name")
    request.add_argument("--to", required=True, metavar="IP", help="whom to ask; outside answers for every address")
    _add_traffic(request)
    inbound = _add(verbs, "inbound", "connect from outside to a workload")
    inbound.add_argument("--to", required=True, metavar="NS/NAME", help="the workload")
    inbound.add_argument("--ipv6", action="store_true", help="by IPv6")
    _add_traffic(inbound)
    for verb, text in (("fail", "take a node away: pull its cables"), ("restore", "bring a node back")):
        _add(verbs, verb, text).add_argument("node", metavar="NODE", help="its name")
    seen = _add(verbs, "seen", "list the packets that arrived outside")
    seen.add_argument("--all", action="store_true", help="with ARP, neighbour discovery and group membership")
    seen.add_argument("--clear", action="store_true", help="forget them instead")
    seen.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    execute = _add(verbs, "exec", "run a command inside a node, a workload or outside")
    execute.add_argument("who", metavar="NODE|NS/NAME|outside", help="where")
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD…", help="the command")
    _add(verbs, "status", "say what is up")
    _add(verbs, "down", "remove everything")
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


def _add(verbs: "Subparsers", name: str, text: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument("--name", default="egl", help="which lab (default: egl)")
    return parser


def _add_traffic(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_positive, default=PORT, help=f"default: {PORT}")
    parser.add_argument(
        "--udp", action="store_const", dest="protocol", const="udp", default="tcp", help="instead of TCP"
    )
    parser.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS", help="default: 2")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
