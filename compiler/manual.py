"""`docs/cli.md` and the man page `docs/egressc.1`, made from the parsers; `make schemas` writes them."""

from collections.abc import Iterator, Mapping
from typing import Final

from compiler.cli import make
from compiler.usage import Command, Option, read, spelled, synopsis

_STREAMS: Final = (
    "Results go to standard output, all else to standard error. Where that is a terminal, work of more than a second "
    "shows how far it is, on a line that is gone at the end."
)
_COMMON: Final = (
    "The commands of the compiler, which are all but those of a node (apply, rollback, remove, doctor) and of the lab, "
    "have these too; neither -q nor -v changes what is on standard output."
)

_ENVIRONMENT: Final = (
    ("NO_COLOR", "not empty: no colours, unless `--color always`."),
    ("TERM", "`dumb`: no colours and no line of progress."),
)

_HEAD: Final = """\
# The command line

Made from the parsers by `make schemas`; do not edit. As a man page: `man docs/egressc.1`. In a shell: `egressc COMMAND
--help`, and the tabulator key after `egressc completion bash`, `zsh` or `fish`, which say below how.
"""


def pages() -> dict[str, str]:
    """Returns the text of both, by its path in the repository."""
    program = read(make())
    return {"docs/cli.md": markdown(program), "docs/egressc.1": roff(program)}


def markdown(program: Command) -> str:
    """Returns the page for a reader of Markdown."""
    commands = [command for command in program.walk() if command is not program]
    rows = "".join(f"| [`{_name(item)}`](#{_anchor(item)}) | {_cell(item.brief)} |\n" for item in commands)
    parts = [
        _HEAD,
        f"\n{program.about}\n\n{_STREAMS}\n",
        f"\n| command | does |\n|---|---|\n{rows}",
        f"\n| exit status | means |\n|---|---|\n{_rows(program.statuses)}",
        "\n| environment | |\n|---|---|\n",
        *(f"| `{name}` | {text} |\n" for name, text in _ENVIRONMENT),
        f"\n{_COMMON}\n\n| option | meaning |\n|---|---|\n",
        *(f"| `{_cell(spelled(option))}` | {_cell(option.about)} |\n" for option in _common(program)),
    ]
    parts += [_section(command) for command in commands]
    return "".join(parts)


def _section(command: Command) -> str:
    parts = [f"\n## {' '.join(command.words)}\n\n{command.about}\n\n    {synopsis(command)}\n"]
    rows = [(item.value.name, item.about) for item in command.positions]
    rows += [(spelled(option), _meaning(option)) for option in _shown(command)]
    if rows:
        lines = "".join(f"| `{_cell(name)}` | {_cell(text)} |\n" for name, text in rows)
        parts.append(f"\n| argument | meaning |\n|---|---|\n{lines}")
    if command.statuses:
        told = "; ".join(f"{status} {text}" for status, text in command.statuses.items())
        parts.append(f"\nExit status: {told}.\n")
    if command.examples:
        parts.append("\n" + "".join(f"    # {text}\n    {line}\n" for line, text in command.examples))
    return "".join(parts)


def _rows(statuses: Mapping[int, str]) -> str:
    return "".join(f"| {status} | {_cell(text)} |\n" for status, text in statuses.items())


def _meaning(option: Option) -> str:
    notes = [text for text, true in (("required", option.required), ("repeatable", option.repeatable)) if true]
    missing = ", ".join(note for note in notes if note not in option.about)
    return f"{option.about} ({missing})" if missing else option.about


def _shown(command: Command) -> Iterator[Option]:
    return (option for option in command.options if "--help" not in option.flags and not option.common)


def _common(program: Command) -> Iterator[Option]:
    found = {option for command in program.commands for option in command.options if option.common}
    return iter(sorted(found, key=lambda option: option.flags))


def _name(command: Command) -> str:
    return " ".join(command.words[1:])


def _anchor(command: Command) -> str:
    return "-".join(command.words)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def roff(program: Command) -> str:
    """Returns the man page."""
    commands = [command for command in program.walk() if command is not program]
    lines = [
        '.\\" Made from the parsers by `make schemas`; do not edit.',
        '.TH EGRESSC 1 "" "egressc" "User Commands"',
        ".SH NAME",
        "egressc \\- compile egress gateways into plain files for each node, review them, and load them",
        ".SH SYNOPSIS",
        _bold(synopsis(program)),
        ".SH DESCRIPTION",
        _escape(program.about),
        ".PP",
        _escape(_STREAMS),
        ".PP",
        _escape(_COMMON),
    ]
    for option in _common(program):
        lines += [".TP", _bold(spelled(option)), _escape(option.about)]
    lines.append(".SH COMMANDS")
    for command in commands:
        lines += _roff_command(command)
    lines.append(".SH EXIT STATUS")
    for status, text in program.statuses.items():
        lines += [".TP", _bold(str(status)), _escape(text)]
    lines.append(".SH ENVIRONMENT")
    for name, text in _ENVIRONMENT:
        lines += [".TP", _bold(name), _escape(text)]
    return "\n".join(lines) + "\n"


def _roff_command(command: Command) -> Iterator[str]:
    yield f".SS {_escape(_name(command))}"
    yield _escape(command.about)
    yield ".PP"
    yield _bold(synopsis(command))
    for position in command.positions:
        yield from (".TP", f"\\fI{_escape(position.value.name)}\\fR", _escape(position.about))
    for option in _shown(command):
        yield from (".TP", _bold(spelled(option)), _escape(_meaning(option)))
    if command.statuses:
        told = "; ".join(f"{status} {text}" for status, text in command.statuses.items())
        yield from (".PP", _escape(f"Exit status: {told}."))
    for line, text in command.examples:
        yield from (".PP", _escape(f"{text[0].upper()}{text[1:]}:"), ".PP", ".RS 4", ".nf", _escape(line), ".fi", ".RE")


def _bold(text: str) -> str:
    return f"\\fB{_escape(text)}\\fR"


def _escape(text: str) -> str:
    """Returns text that roff prints as it is; marks of code, which a terminal does not need, are left out."""
    for letter, name in (("\\", "\\e"), ("-", "\\-"), ("'", "\\(aq"), ("`", ""), ("~", "\\(ti"), ("…", "...")):
        text = text.replace(letter, name)
    return f"\\&{text}" if text.startswith(".") else text
