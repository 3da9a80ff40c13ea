"""What stands around the commands of a program of ours: its parser, its streams, and how it ends.

Exit status: 0 done, 1 a difference or a failed test, 2 bad usage or bad input, 3 a failed apply that was undone.
Results go to standard output, everything else to standard error. A command is loaded only when it is the one.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
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
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  # argparse has no public name for it


class Parser(argparse.ArgumentParser):
    """Shows arguments that it refuses without obeying what is in them."""

    def error(self, message: str) -> NoReturn:
        """Prints what is wrong and exits."""
        super().error(printable(message))


def make_parser(description: str) -> tuple[argparse.ArgumentParser, "Commands"]:
    """Returns the parser of a program, and where its commands are added."""
    parser: argparse.ArgumentParser = Parser(prog="egressc", description=description, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"egressc {bundle.__version__}")
    return parser, parser.add_subparsers(metavar="COMMAND", required=True)


def add_command(commands: "Commands", name: str, text: str, target: str) -> argparse.ArgumentParser:
    """Adds a command and returns its parser.

    Args:
        commands: From `make_parser`.
        name: Of the command.
        text: What it does, in one line.
        target: Module and function, as in `applier.cli:main`; it is given the parsed arguments and returns the exit
            status.
    """
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)
    parser.set_defaults(command=target)
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
