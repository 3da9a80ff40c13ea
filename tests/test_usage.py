"""Help, examples and the pages made of them: every example is a command line that works."""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import GOLDEN, ROOT

from applier.program import STATUSES
from compiler.cli import main, make
from compiler.manual import pages
from compiler.usage import Command, read

HOME = GOLDEN / "outputs" / "change"
PROGRAM = read(make())
COMMANDS = [command for command in PROGRAM.walk() if command is not PROGRAM]
EXAMPLES = [line for command in COMMANDS for line, _ in command.examples]
# They touch the kernel of this machine, ask a cluster, need somebody's key, or write to somebody's home.
NOT_RUN = re.compile(r"egressc (apply|rollback|remove|doctor|lab) |kubectl |~/")


def name(command: Command) -> str:
    return "-".join(command.words[1:])


def ours(line: str) -> Iterator[list[str]]:
    """The arguments of each call of egressc in a line of shell."""
    words = shlex.split(re.sub(r"(\||&&|>|<)", r" \1 ", line))
    while "egressc" in words:
        words = words[words.index("egressc") + 1 :]
        end = next((index for index, word in enumerate(words) if word in {"|", "&&", ">", "<"}), len(words))
        yield words[:end]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an example is typed: inputs, cases, bundles before and after."""
    made = tmp_path_factory.mktemp("examples") / "home"
    shutil.copytree(HOME, made, ignore=shutil.ignore_patterns("expected", "README.md"))
    shutil.copytree(made / "after", made / "egress")
    for bundle, inputs in (("old", "before"), ("new", "after"), ("bundle", "after")):
        assert main(["compile", str(made / inputs), str(made / "cluster.yaml"), "-q", "-o", str(made / bundle)]) == 0
    return made


@pytest.mark.parametrize("command", COMMANDS, ids=name)
def test_a_command_has_an_example_and_says_what_its_exit_status_means(command: Command) -> None:
    assert command.examples
    assert all(" ".join(command.words) in line for line, _ in command.examples)
    assert command.commands or {0, 2} <= set(command.statuses)


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_is_parsed(line: str) -> None:
    calls = list(ours(line))

    assert calls
    for arguments in calls:
        make().parse_args(arguments)


@pytest.mark.parametrize("line", [line for line in EXAMPLES if not NOT_RUN.search(f"{line} ")])
def test_an_example_works(line: str, home: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/bash", "-c", line], cwd=home, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode in {0, 1}, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=name)
def test_the_help_of_a_command_ends_with_its_examples(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.words[1:], "--help"])

    printed = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(f"\n  {line}\n      {text}\n" in printed for line, text in command.examples)


def test_the_help_lists_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])

    printed = capsys.readouterr().out
    assert all(f"  {status}  {text}\n" in printed for status, text in STATUSES.items())


@pytest.mark.parametrize("command", COMMANDS, ids=name)
def test_every_argument_says_what_it_is(command: Command) -> None:
    assert [item.value.name for item in command.positions if not item.about] == []
    assert [item.flags for item in command.options if not item.about] == []


def test_every_default_is_told() -> None:
    untold = []
    for command in COMMANDS:
        parser: argparse.ArgumentParser = make()
        for word in command.words[1:]:
            subparsers = parser._subparsers  # noqa: SLF001  # argparse does not list its subcommands otherwise
            assert subparsers is not None
            choices = subparsers._group_actions[0].choices  # noqa: SLF001  # the same
            assert isinstance(choices, dict)
            parser = choices[word]
        for action in parser._actions:  # noqa: SLF001  # the same
            if action.nargs != 0 and action.default not in (None, argparse.SUPPRESS, []):
                shown = f"{action.default:g}" if isinstance(action.default, float) else str(action.default)
                if f"(default: {shown})" not in (action.help or ""):
                    untold.append((name(command), action.dest))

    assert untold == []


# the pages


def test_the_pages_are_not_stale() -> None:
    present = {path: (ROOT / path).read_text(encoding="utf-8") for path in pages()}

    assert present == pages(), "run `make schemas` and read the diff"


def test_the_pages_do_not_depend_on_the_terminal() -> None:
    code = "import compiler.manual, sys; sys.stdout.write(''.join(compiler.manual.pages().values()))"
    environment = {**os.environ, "COLUMNS": "40", "PYTHONHASHSEED": "1", "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)

    assert done.stdout.decode() == "".join(pages().values())


@pytest.mark.parametrize("page", pages())
def test_the_pages_hold_every_command_option_example_and_status(page: str) -> None:
    text = pages()[page].replace("\\-", "-").replace("\\(ti", "~").replace("\\(aq", "'").replace("\\|", "|")
    for command in COMMANDS:
        assert " ".join(command.words[1:]) in text
        for option in command.options:
            assert option.flags[-1] in text or option.flags[-1] == "--help"
        for line, _ in command.examples:
            assert line.replace("…", "...") in text or line in text
        for meaning in command.statuses.values():
            assert meaning in text


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_man_page_is_well_formed() -> None:
    done = subprocess.run(
        [shutil.which("mandoc") or "", "-T", "lint", "-W", "warning", ROOT / "docs" / "egressc.1"],
        capture_output=True,
        text=True,
        check=False,
    )

    # A date would be that of the build, and another every day.
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


def test_the_links_of_the_page_lead_somewhere() -> None:
    text = pages()["docs/cli.md"]
    headings = {line[3:].replace(" ", "-") for line in text.splitlines() if line.startswith("## ")}

    assert set(re.findall(r"\(#([a-z-]+)\)", text)) == headings
