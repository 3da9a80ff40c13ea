"""The command line: parses arguments and hands over to the command, loaded only when it is the one.

Exit status: 0 done, 1 a difference or a failed test, 2 bad usage or bad input, 3 a failed apply that was undone.
Results go to standard output, everything else to standard error.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, cast

import bundle
import lab.cli as lab_cli
from bundle.directory import BundleError
from bundle.names import STATE_DIRECTORY
from bundle.text import printable, printable_lines

_BAD_INPUT = 2
_PIPE_CLOSED = 141  # 128 and SIGPIPE, when the command did not come to its end
_INTERRUPTED = 130  # 128 and SIGINT, as a shell tells it


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `egressc`; returns the exit status."""
    # Python has None for one that was closed before it started.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # for as long as we run
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # the same
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that lacks a letter gets its number
            stream.reconfigure(errors="backslashreplace")
    arguments = _parser().parse_args(argv)
    status = _PIPE_CLOSED
    try:
        status = _load(arguments.command)(arguments)
        sys.stdout.flush()
    except BundleError as fault:
        sys.stderr.write(f"egressc: {printable_lines(str(fault))}\n")
        return _BAD_INPUT
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does; Python would complain when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except MemoryError:
        sys.stderr.write("egressc: there is not enough memory for this\n")
        return _BAD_INPUT
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as fault:
        if fault.filename is not None:
            raise
        return _say_unwritten(fault)  # of a stream, which has no name; such as on a disk without room
    return status


def _say_unwritten(fault: OSError) -> int:
    # Python would try once more, and complain, when it closes standard output.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    with suppress(OSError):
        sys.stderr.write(f"egressc: cannot write the output: {fault.strerror}\n")
    return _BAD_INPUT


def _load(command: str) -> Callable[[argparse.Namespace], int]:
    # A node that applies a bundle has no need of pydantic, jinja2 and yaml, and should not wait for them.
    module, _, function = command.partition(":")
    return cast("Callable[[argparse.Namespace], int]", getattr(importlib.import_module(module), function))


class _Parser(argparse.ArgumentParser):
    """Shows arguments that it refuses without obeying what is in them."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="egressc",
        description="Compiles EgressGateway and EgressGatewayPolicy into nftables, policy routing and virtual IPs.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"egressc {bundle.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    compile_ = _command(commands, "compile", "compile inputs to a bundle", "compiler.commands:compile_inputs")
    _inputs(compile_)
    compile_.add_argument("-o", "--output", metavar="DIR", required=True, type=Path, help="where the bundle goes")
    _choices(compile_)

    check = _command(commands, "check", "print what is wrong with inputs, and write nothing", "compiler.commands:check")
    _inputs(check)
    _choices(check)
    check.add_argument("--format", choices=("text", "json", "sarif", "github"), default="text")

    explain = _command(commands, "explain", "tell the fate of a packet, from a bundle", "compiler.commands:explain")
    explain.add_argument("bundle", metavar="DIR", type=Path)
    explain.add_argument("--from", dest="source", metavar="NS/NAME|IP", required=True, help="workload or its address")
    explain.add_argument("--to", metavar="IP", required=True, help="destination address")
    explain.add_argument("--format", choices=("text", "json"), default="text")

    verify = _command(commands, "verify", "prove that a bundle does what it should", "compiler.commands:verify")
    verify.add_argument("bundle", metavar="DIR", type=Path)
    _inputs(verify, "what the bundle was made of; without, it is held against what it says of itself", nargs="*")
    _keep_going(verify)
    verify.add_argument("--format", choices=("text", "json"), default="text")

    test = _command(commands, "test", "run cases (from, to, expected fate) on inputs", "compiler.commands:test")
    test.add_argument("inputs", metavar="FILE", nargs="+", help="inputs and, recognised by their list `cases`, cases")
    test.add_argument("--format", choices=("text", "json"), default="text")

    schema = _command(commands, "schema", "print a schema, or the names of all", "compiler.commands:schema")
    schema.add_argument("name", metavar="NAME", nargs="?", help="one of the names; without it they are listed")

    sign = _command(commands, "sign", "sign a bundle with an SSH key", "compiler.sign:main")
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

    apply = _command(commands, "apply", "load one node's part of a bundle into the kernel", "applier.cli:main")
    apply.add_argument("bundle", metavar="DIR", type=Path)
    apply.add_argument("--node", metavar="NAME", required=True, help="the node that this is")
    apply.add_argument("--netns", metavar="PATH", help="network namespace to work in: a path, or a name")
    apply.add_argument("--dry-run", action="store_true", help="print what would change; exit 1 if anything would")

    rollback = _command(commands, "rollback", "go back to the bundle applied before", "applier.rollback:main")
    rollback.add_argument("--node", metavar="NAME", required=True, help="the node that this is")
    rollback.add_argument("--netns", metavar="PATH", help="network namespace to work in: a path, or a name")
    rollback.add_argument("--dry-run", action="store_true", help="print what would change; exit 1 if anything would")
    _trust(rollback)

    lab_cli.add_parser(commands).set_defaults(command="lab.cli:main")
    return parser


def _trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--verify-key",
        metavar="FILE",
        type=Path,
        help="refuse what is not signed by one of these: SSH public keys, or a file of allowed signers as for git",
    )
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        type=Path,
        default=Path(STATE_DIRECTORY),
        help=f"where the node keeps what was applied; {STATE_DIRECTORY} if not given",
    )


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str, target: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)
    parser.set_defaults(command=target)
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
