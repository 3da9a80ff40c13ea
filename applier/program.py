"""What stands around the commands of a program of ours: its parser, its streams, and how it ends.

Results go to standard output, everything else to standard error. A command is loaded only when it is the one.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import bundle
from bundle.directory import BundleError
from bundle.text import printable, printable_lines

_BAD_INPUT = 2
_PIPE_CLOSED = 141  # 128 and SIGPIPE, when the command did not come to its end
_INTERRUPTED = 130  # 128 and SIGINT, as a shell tells it

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["Parser"]  # noqa: SLF001  # argparse has no public name for it

Examples = Sequence[tuple[str, str]]
"""What a person types, as a shell takes it, and what that does."""

STATUSES = {
    0: "done, and nothing differs",
    1: "a difference was found, or a test or a proof failed",
    2: "bad usage or bad input; nothing was changed",
    3: "an apply failed, and the node was put back as it was",
}


class Parser(argparse.ArgumentParser):
    """A parser whose help ends with examples, and which shows what it refuses without obeying what is in it.

    Attributes:
        examples: For the help, and for all that is made from it.
        statuses: What each exit status means.
    """

    examples: Examples = ()
    statuses: Mapping[int, str] = {}

    def format_help(self) -> str:
        """Returns the help, with examples and exit statuses as they are written, whatever the width."""
        parts = [super().format_help()]
        if self.examples:
            lines = (f"  {command}\n      {text}\n" for command, text in self.examples)
            parts.append(f"examples:\n{''.join(lines)}")
        if self.statuses:
            lines = (f"  {status}  {text}\n" for status, text in self.statuses.items())
            parts.append(f"exit status:\n{''.join(lines)}")
        return "\n".join(parts)

    def error(self, message: str) -> NoReturn:
        """Prints what is wrong and exits."""
        super().error(printable(message))


def make_parser(description: str) -> tuple[Parser, "Commands"]:
    """Returns the parser of a program, and where its commands are added."""
    parser = Parser(prog="egressc", description=description, allow_abbrev=False)
    parser.statuses = STATUSES
    parser.add_argument("--version", action="version", version=f"egressc {bundle.__version__}")
    return parser, parser.add_subparsers(metavar="COMMAND", required=True)


def add_command(  # noqa: PLR0913  # all that there is to say of a command
    commands: "Commands",
    name: str,
    text: str,
    target: str,
    *,
    examples: Examples = (),
    statuses: Mapping[int, str] | None = None,
) -> Parser:
    """Adds a command and returns its parser.

    Args:
        commands: From `make_parser`.
        name: Of the command.
        text: What it does, in one line.
        target: Module and function, as in `applier.cli:main`; it is given the parsed arguments and returns the exit
            status.
        examples: One or two for its help.
        statuses: What its exit statuses mean, but for 0 and 2, which mean the same for all.
    """
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)
    parser.set_defaults(command=target)
    parser.examples = examples
    parser.statuses = dict(sorted({0: "done", 2: "bad usage or bad input", **(statuses or {})}.items()))
    return parser


def run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parses arguments and runs the command that they name; returns the exit status."""
    # Python has None for one that was closed before it started.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # for as long as we run
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # the same
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that lacks a letter gets its number
            stream.reconfigure(errors="backslashreplace")
    arguments = parser.parse_args(argv)
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
