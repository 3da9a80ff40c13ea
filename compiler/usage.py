"""The command line as values, read off its parsers: what completions, the docs page and the man page are made of.

Made by ourselves and not by argparse's formatter, whose text changes with the version of Python and the terminal.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from bundle.text import printable
from compiler.cli import COMMON

Kind = Literal["choice", "directory", "file", "other", "rest"]
"""What a value is, as far as a shell can complete it; `rest` are the words of another command line."""

_KINDS: Final[Mapping[str, Kind]] = {"DIR": "directory", "FILE": "file", "INPUT": "file", "PATH": "file"}
_SUPPRESS: Final = argparse.SUPPRESS


@dataclass(frozen=True, slots=True)
class Value:
    """What an option or a position takes.

    Attributes:
        name: As in the help, such as `FILE`.
        kind: How to complete it.
        choices: All that it may be, if it is a `choice`.
        optional: Whether it may be missing.
        many: Whether there may be several.
    """

    name: str
    kind: Kind
    choices: tuple[str, ...] = ()
    optional: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """An option.

    Attributes:
        flags: Its spellings, the short one first.
        about: What it does, and its default.
        value: What it takes, None for a switch.
        required: Whether it must be given.
        repeatable: Whether it may be given several times.
        common: Whether all commands of the compiler have it.
    """

    flags: tuple[str, ...]
    about: str
    value: Value | None = None
    required: bool = False
    repeatable: bool = False
    common: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """An argument that is no option."""

    value: Value
    about: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or the program itself.

    Attributes:
        words: What is typed, such as `("egressc", "lab", "up")`.
        about: What it does, a sentence or more.
        brief: The same in a few words, for lists.
        options: In the order of the help.
        positions: In their order.
        commands: Those below it.
        examples: Command lines, each with what it does.
        statuses: What its exit statuses mean.
        exclusive: Groups of options of which one at most is given, by their first flags.
    """

    words: tuple[str, ...]
    about: str
    brief: str
    options: tuple[Option, ...]
    positions: tuple[Position, ...]
    commands: tuple["Command", ...]
    examples: Sequence[tuple[str, str]] = ()
    statuses: Mapping[int, str] = field(default_factory=dict)
    exclusive: tuple[tuple[str, ...], ...] = ()

    def walk(self) -> Iterator["Command"]:
        """Yields the command and all below it."""
        yield self
        for command in self.commands:
            yield from command.walk()


def read(parser: argparse.ArgumentParser, words: tuple[str, ...] = ("egressc",), brief: str = "") -> Command:
    """Reads a parser."""
    options: list[Option] = []
    positions: list[Position] = []
    commands: list[Command] = []
    # argparse tells none of this by public names. By groups, in the order of the help.
    arguments = ((group.title, action) for group in parser._action_groups for action in group._group_actions)  # noqa: SLF001
    for title, action in arguments:
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # as above
            texts = {item.dest: item.help or "" for item in action._choices_actions}  # noqa: SLF001  # as above
            commands += [read(below, (*words, name), texts.get(name, "")) for name, below in action.choices.items()]
        elif action.help == _SUPPRESS:
            continue
        elif action.option_strings:
            options.append(_option(action, common=title == COMMON))
        else:
            positions.append(Position(_value(action), _about(action)))
    groups = (
        tuple(action.option_strings[0] for action in group._group_actions if action.option_strings)  # noqa: SLF001  # as above
        for group in parser._mutually_exclusive_groups  # noqa: SLF001  # as above
    )
    return Command(
        words=words,
        about=parser.description or "",
        brief=brief,
        options=tuple(options),
        positions=tuple(positions),
        commands=tuple(commands),
        examples=tuple(getattr(parser, "examples", ())),
        statuses=dict(getattr(parser, "statuses", {})),
        exclusive=tuple(group for group in groups if len(group) > 1),
    )


def synopsis(command: Command) -> str:
    """Returns how a command is called, on one line: what must be given, and that there are options."""
    parts = [*command.words]
    parts += [f"{option.flags[0]} {_shown(option.value)}" for option in command.options if option.required]
    if any(not option.required for option in command.options):
        parts.append("[OPTION…]")
    parts += [_position(item.value) for item in command.positions]
    if command.commands:
        parts.append("COMMAND …")
    return " ".join(parts)


def spelled(option: Option) -> str:
    """Returns an option with its value, such as `-o DIR, --output DIR`."""
    value = f" {_shown(option.value)}" if option.value else ""
    return ", ".join(f"{flag}{value}" for flag in option.flags)


def _shown(value: Value | None) -> str:
    if value is None:
        return ""
    many = " …" if value.many else ""
    return ("|".join(value.choices) if value.kind == "choice" else value.name) + many


def _position(value: Value) -> str:
    text = _shown(value) if value.kind == "choice" or not value.many else f"{value.name}…"
    return f"[{text}]" if value.optional else text


def _option(action: argparse.Action, *, common: bool) -> Option:
    return Option(
        flags=tuple(sorted(action.option_strings, key=len)),
        about=_about(action),
        value=None if action.nargs == 0 else _value(action),
        required=action.required,
        repeatable=isinstance(action, argparse._AppendAction | argparse._ExtendAction),  # noqa: SLF001  # as above
        common=common,
    )


def _value(action: argparse.Action) -> Value:
    name = str(action.metavar or (action.dest.upper() if action.option_strings else action.dest))
    optional, many = action.nargs in ("?", "*", "..."), action.nargs in ("*", "+", "...")
    if action.nargs == argparse.REMAINDER:
        return Value(name, "rest", (), optional=True)
    if action.choices is not None:
        return Value(name, "choice", tuple(map(str, action.choices)), optional, many)
    return Value(name, _KINDS.get(name, "other"), (), optional, many)


def _about(action: argparse.Action) -> str:
    return printable(" ".join((action.help or "").split()))
