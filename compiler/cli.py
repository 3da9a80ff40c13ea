"""The command line of `egressc`: its commands and their arguments; how they are run stands in `applier.program`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import lab.cli as lab_cli
from applier.arguments import add_parsers
from applier.program import add_command, make_parser, run


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `egressc`; returns the exit status."""
    return run(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser, commands = make_parser(
        "Compiles EgressGateway and EgressGatewayPolicy into nftables, policy routing and virtual IPs."
    )

    compile_ = add_command(commands, "compile", "compile inputs to a bundle", "compiler.commands:compile_inputs")
    _inputs(compile_)
    compile_.add_argument("-o", "--output", metavar="DIR", required=True, type=Path, help="where the bundle goes")
    _choices(compile_)

    check = add_command(
        commands, "check", "print what is wrong with inputs, and write nothing", "compiler.commands:check"
    )
    _inputs(check)
    _choices(check)
    check.add_argument("--format", choices=("text", "json", "sarif", "github"), default="text")

    explain = add_command(commands, "explain", "tell the fate of a packet, from a bundle", "compiler.commands:explain")
    explain.add_argument("bundle", metavar="DIR", type=Path)
    explain.add_argument("--from", dest="source", metavar="NS/NAME|IP", required=True, help="workload or its address")
    explain.add_argument("--to", metavar="IP", required=True, help="destination address")
    explain.add_argument("--format", choices=("text", "json"), default="text")

    verify = add_command(commands, "verify", "prove that a bundle does what it should", "compiler.commands:verify")
    verify.add_argument("bundle", metavar="DIR", type=Path)
    _inputs(verify, "what the bundle was made of; without, it is held against what it says of itself", nargs="*")
    _keep_going(verify)
    verify.add_argument("--format", choices=("text", "json"), default="text")

    test = add_command(
        commands, "test", "hold cases against inputs: what must be, and never be", "compiler.testing:main"
    )
    test.add_argument(
        "inputs", metavar="FILE", nargs="+", help="inputs and, known by their lists `cases` or `never`, files of cases"
    )
    test.add_argument("--format", choices=("text", "json", "junit"), default="text")
    test.add_argument("--junit", metavar="FILE", type=Path, help="write JUnit XML to a file, whatever the format")
    test.add_argument(
        "--lab",
        dest="command",
        action="store_const",
        const="lab.cases:main",
        help="send packets too, in a cluster of network namespaces; needs root, or user namespaces",
    )

    schema = add_command(commands, "schema", "print a schema, or the names of all", "compiler.commands:schema")
    schema.add_argument("name", metavar="NAME", nargs="?", help="one of the names; without it they are listed")

    sign = add_command(commands, "sign", "sign a bundle with an SSH key", "compiler.sign:main")
    sign.add_argument("bundle", metavar="DIR", type=Path)
    sign.add_argument(
        "--key",
        metavar="FILE",
        required=True,
        type=Path,
        help="an SSH key: a private one, or a public one whose private half an agent or a token holds",
    )
    sign.add_argument(
        "--serial",
        metavar="N",
        type=int,
        help="tells which of two bundles is the newer one, so it must grow; without it, the seconds since 1970",
    )

    add_parsers(commands)
    lab_cli.add_parser(commands).set_defaults(command="lab.cli:main")
    return parser


def _inputs(
    parser: argparse.ArgumentParser,
    text: str = "YAML or JSON files, directories of them, or - for standard input",
    nargs: str = "+",
) -> None:
    parser.add_argument("inputs", metavar="INPUT", nargs=nargs, help=text)
    parser.add_argument("--config", metavar="FILE", help="a further input: the EgressCompilerConfig")


def _choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--previous",
        metavar="DIR",
        type=Path,
        help="the earlier bundle: with spec.election.algorithm `balanced` its masters stay where they are suitable; "
        "with `rendezvous` it changes nothing; if it is the output directory, it may be missing the first time",
    )
    parser.add_argument(
        "--rebalance",
        action="store_true",
        help="with `balanced`, move as few of the previous masters as make their numbers even; to see first what would "
        "move, use check",
    )
    _keep_going(parser)


def _keep_going(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="leave broken objects out, say what becomes of their traffic, and compile the rest: what policies send to "
        "a gateway that is left out is dropped, and policies that are left out themselves decide nothing; compile has "
        "exit status 0 then",
    )
