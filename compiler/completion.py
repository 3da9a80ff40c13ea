"""`egressc completion`: what makes bash, zsh and fish complete our arguments, made from the parsers.

The scripts hold everything; to complete a word, a shell does not start Python.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from compiler.cli import make
from compiler.usage import Command, Option, Value, read


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc completion` with parsed arguments (`shell`); returns the exit status."""
    sys.stdout.write(SHELLS[arguments.shell](read(make())))
    return 0


def bash(program: Command) -> str:
    """Returns a script for bash, of version 4 or newer; bash-completion is not needed."""
    deeper = " | ".join(f"'{_key(item)}'" for item in program.walk() if item is not program)
    cases = "".join(f"    '{_key(item)}')\n{''.join(_bash_case(item))}        ;;\n" for item in program.walk())
    return f"""\
# Completions of egressc for bash; made by `egressc completion bash`.

_egressc() {{
    local at='' word current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    COMPREPLY=()
    # An equal sign is a word of its own to bash.
    if [[ $current == = ]]; then
        current=''
    elif [[ $previous == = ]]; then
        previous="${{COMP_WORDS[COMP_CWORD-2]}}"
    fi
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$at $word" in
        {deeper}) at="$at $word" ;;
        esac
    done
    local options='' values='' kind=other
    case "$at" in
{cases}    esac
    if [[ $current == -* ]]; then
        values="$options" kind=choice
    fi
    case "$kind" in
    choice)
        mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current")
        compopt +o default
        ;;
    file | rest) ;; # as bash itself does
    directory) compopt +o default -o dirnames ;;
    *) compopt +o default ;;
    esac
}}

complete -o default -F _egressc egressc
"""


def _bash_case(command: Command) -> Iterator[str]:
    yield f"        options='{' '.join(flag for option in command.options for flag in option.flags)}'\n"
    yield '        case "$previous" in\n'
    for option in command.options:
        if option.value:
            yield f"        {' | '.join(option.flags)}) {_bash_value(option.value)} ;;\n"
    yield f"        *) {_bash_rest(command)} ;;\n"
    yield "        esac\n"


def _bash_rest(command: Command) -> str:
    if command.commands:
        return f"kind=choice values='{' '.join(item.words[-1] for item in command.commands)}'"
    # Which position it is, one does not see without reading all that is before; the last one is good for all.
    return _bash_value(command.positions[-1].value) if command.positions else "kind=other"


def _bash_value(value: Value) -> str:
    return f"kind=choice values='{' '.join(value.choices)}'" if value.kind == "choice" else f"kind={value.kind}"


def zsh(program: Command) -> str:
    """Returns a script for zsh; as a file `_egressc` in `fpath`, or by `source` after `compinit`."""
    functions = "\n".join(_zsh_function(item) for item in program.walk())
    return f"""\
#compdef egressc
# Completions of egressc for zsh; made by `egressc completion zsh`.

{functions}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _egressc "$@"
else
    compdef _egressc egressc
fi
"""


def _zsh_function(command: Command) -> str:
    specifications = [text for option in command.options for text in _zsh_option(option, command)]
    lines = [f"_{'_'.join(command.words)}() {{"]
    if command.commands:
        specifications += ["'1: :->command'", "'*:: :->arguments'"]
        lines.append("    local context state line\n    typeset -A opt_args")
    for position in command.positions:
        value = position.value
        place = "*" if value.many else ""
        if value.kind == "rest":
            specifications.append("'*:: :_normal'")
        else:
            gap = ":" if value.optional and not value.many else ""
            specifications.append(f"'{place}:{gap}{_zsh_text(value.name)}:{_zsh_value(value)}'")
    lines.append(
        f"    _arguments -s -S {'-C ' if command.commands else ''}"
        + " ".join(f"\\\n        {s}" for s in specifications)
    )
    if command.commands:
        names = " ".join(f"\\\n            '{_zsh_text(c.words[-1])}:{_zsh_text(c.brief)}'" for c in command.commands)
        known = "|".join(item.words[-1] for item in command.commands)
        lines.append(f"""\
    case $state in
    command)
        local -a commands=({names})
        _describe command commands
        ;;
    arguments)
        case $words[1] in
        {known}) _{"_".join(command.words)}_$words[1] ;;
        esac
        ;;
    esac""")
    return "\n".join((*lines, "}", ""))


def _zsh_option(option: Option, command: Command) -> Iterator[str]:
    others = {flag for group in command.exclusive if group[0] and set(group) & set(option.flags) for flag in group}
    beside = {flag for item in command.options if set(item.flags) & others for flag in item.flags}
    excluded = "" if option.repeatable else " ".join(sorted({*option.flags, *beside}))
    value = f":{_zsh_text(option.value.name)}:{_zsh_value(option.value)}" if option.value else ""
    for flag in option.flags:
        # `--format text` and `--format=text`; a short option has its value beside it or in the next word.
        sign = ("=" if flag.startswith("--") else "+") if option.value else ""
        before = f"({excluded})" if excluded else "*"
        yield f"'{before}{flag}{sign}[{_zsh_text(option.about)}]{value}'"


def _zsh_value(value: Value) -> str:
    actions = {"file": "_files", "directory": "_files -/", "choice": f"({' '.join(value.choices)})"}
    return actions.get(value.kind, " ")


def _zsh_text(text: str) -> str:
    for letter in "\\[]:":
        text = text.replace(letter, f"\\{letter}")
    return text.replace("'", "'\\''")


def fish(program: Command) -> str:
    """Returns a script for fish."""
    deeper = " ".join(_fish_text(_key(item)[1:]) for item in program.walk() if item is not program)
    lines = "".join(f"{line}\n" for command in program.walk() for line in _fish_lines(command))
    return f"""\
# Completions of egressc for fish; made by `egressc completion fish`.

function __egressc_at -d 'Whether the command line is at this command of egressc'
    set -l at
    for word in (commandline -opc)[2..]
        if contains -- (string join ' ' -- $at $word) {deeper}
            set at $at $word
        end
    end
    test "$at" = "$argv"
end

complete -c egressc -f
{lines}"""


def _fish_lines(command: Command) -> Iterator[str]:
    head = f"complete -c egressc -n {_fish_text(' '.join(('__egressc_at', *command.words[1:])))}"
    for item in command.commands:
        yield f"{head} -a {_fish_text(item.words[-1])} -d {_fish_text(item.brief)}"
    for option in command.options:
        flags = " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in option.flags)
        value = f" -r{_fish_value(option.value)}" if option.value else ""
        yield f"{head} {flags}{value} -d {_fish_text(option.about)}"
    for position in command.positions:
        if given := _fish_value(position.value).removeprefix(" -f"):
            yield f"{head}{given}"


def _fish_value(value: Value) -> str:
    if value.kind == "choice":
        return f" -f -a {_fish_text(' '.join(value.choices))}"
    return {"file": " -F", "directory": " -f -a '(__fish_complete_directories)'"}.get(value.kind, " -f")


def _fish_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _key(command: Command) -> str:
    """Returns the words below the program, each after a space: by which the scripts know where they are."""
    return "".join(f" {word}" for word in command.words[1:])


SHELLS: Final[Mapping[str, Callable[[Command], str]]] = {"bash": bash, "zsh": zsh, "fish": fish}
"""By the name of the shell, what makes its script."""
