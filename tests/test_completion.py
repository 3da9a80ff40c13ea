"""Shells complete our arguments: real ones, asked as a person asks them, by the tabulator key."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

from applier.program import Parser
from compiler.cli import main, make
from compiler.completion import SHELLS
from compiler.usage import read

PATIENCE = 30  # seconds for a shell to answer, on a busy machine
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\x1b\][^\x07]*\x07|[\r\x07]")


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with something to complete, and the scripts."""
    (tmp_path / "bundle dir").mkdir()
    (tmp_path / "inputs.yaml").touch()
    for shell, make_script in SHELLS.items():
        (tmp_path / f".script.{shell}").write_text(make_script(read(make())))
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LD_LIBRARY_PATH"}}
    return {**kept, "HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8", "PS1": "> ", "INPUTRC": "/dev/null"}


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, command: list[str], home: Path) -> None:
        self.terminal, child = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=child, stdout=child, stderr=child, cwd=home, env=environment(home), start_new_session=True
        )
        os.close(child)

    def type(self, text: str, until: Callable[[str], bool]) -> str:
        """Types text; returns what the terminal shows when it is enough."""
        os.write(self.terminal, text.encode())
        shown, end = b"", time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.1)[0]:
                shown += os.read(self.terminal, 1 << 16)
                if until(self.plain(shown)):
                    return self.plain(shown)
        pytest.fail(f"{text!r} was answered by {self.plain(shown)!r}")

    @staticmethod
    def plain(shown: bytes) -> str:
        return ESCAPES.sub("", shown.decode(errors="replace"))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


# What is typed, and what must be shown when the tabulator key has been pressed.
TYPED = {
    "a command": ("egressc che\t", "egressc check "),
    "a command of the lab": ("egressc lab req\t", "egressc lab request "),
    "an option": ("egressc compile --out\t", "egressc compile --output"),
    "a choice": ("egressc check inputs.yaml --format sa\t", "--format sarif"),
    "a choice after an equal sign": ("egressc check inputs.yaml --format=sa\t", "--format=sarif"),
    "a file": ("egressc check inp\t", "egressc check inputs.yaml"),
    "a file of an option": ("egressc check x --config inp\t", "--config inputs.yaml"),
    "a directory, quoted": ("egressc verify bun\t", "bundle\\ dir/"),
    "a directory of an option": ("egressc compile inputs.yaml -o bun\t", "bundle\\ dir/"),
    "a shell": ("egressc completion z\t", "egressc completion zsh"),
}


@needs("bash")
@pytest.mark.parametrize("name", TYPED)
def test_bash_completes(name: str, home: Path) -> None:
    typed, expected = TYPED[name]
    shell = Shell(["bash", "--noprofile", "--norc", "-i"], home)
    try:
        shell.type("source .script.bash; echo rea''dy\n", lambda shown: "ready\n" in shown)
        shell.type(typed, lambda shown: expected in shown)
    finally:
        shell.close()


@needs("zsh")
@pytest.mark.parametrize("name", TYPED)
def test_zsh_completes(name: str, home: Path) -> None:
    typed, expected = TYPED[name]
    shell = Shell(["zsh", "-f", "-i"], home)
    try:
        start = "autoload -Uz compinit; compinit -u -D; unsetopt zle_bracketed_paste prompt_sp; source .script.zsh"
        shell.type(f"{start}; echo rea''dy\n", lambda shown: "ready\n" in shown)
        shell.type(typed, lambda shown: expected in shown)
    finally:
        shell.close()


@needs("fish")
@pytest.mark.parametrize("name", TYPED)
def test_fish_completes(name: str, home: Path) -> None:
    typed, expected = TYPED[name]
    line = typed.removesuffix("\t")
    asked = f"source .script.fish; complete -C '{line}'"
    done = subprocess.run(
        [shutil.which("fish") or "", "--no-config", "-c", asked],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )

    offered = [item.partition("\t")[0] for item in done.stdout.splitlines()]
    word = "bundle dir/" if "\\" in expected else expected.split()[-1]  # fish prints it as it is, unquoted
    assert word in offered


@needs("bash")
def test_bash_offers_no_files_where_a_number_is_asked(home: Path) -> None:
    shell = Shell(["bash", "--noprofile", "--norc", "-i"], home)
    try:
        shell.type("source .script.bash; echo rea''dy\n", lambda shown: "ready\n" in shown)
        shown = shell.type("egressc sign --serial inp\t\nexit\n", lambda shown: "exit" in shown.split("--serial")[-1])
    finally:
        shell.close()

    assert "inputs.yaml" not in shown


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_the_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0

    printed = capsys.readouterr().out
    assert printed == SHELLS[shell](read(make()))
    assert str(ROOT) not in printed


@pytest.mark.parametrize("shell", SHELLS)
def test_text_of_the_help_is_only_text_to_a_shell(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    parser = Parser(prog="egressc")
    command = parser.add_subparsers().add_parser("do", help=f"it's $(touch {tmp_path}/c)")
    command.add_argument("--odd", metavar="A:[B]", help=f"it's $(touch {tmp_path}/a) `touch {tmp_path}/b`: [\\] \"")
    (tmp_path / "script").write_text(SHELLS[shell](read(parser)))
    stub = "compdef() { :; }; " if shell == "zsh" else ""

    done = subprocess.run(
        [shell, "-c", f"{stub}source {tmp_path}/script"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )

    assert (done.stderr, [path.name for path in tmp_path.iterdir() if len(path.name) == 1]) == ("", [])
