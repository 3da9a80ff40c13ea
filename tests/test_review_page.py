"""The page "Review an egress change in ten minutes" prints what its commands print."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import GOLDEN, ROOT

PAGE = ROOT / "docs" / "review.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(home: Path, block: str) -> str:
    """Runs the commands of a block, one after the other, and returns the block as it would be written now."""
    commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    # One shell for all, so that `echo $?` tells of the command before it.
    script = "\n".join(
        f"printf '%s\\n' {_quoted(f'$ {command}')}\n(exit $status)\n{command}\nstatus=$?" for command in commands
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        cwd=home,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


@pytest.mark.graphviz
def test_the_page_is_what_its_commands_print(tmp_path: Path) -> None:
    home = tmp_path / "review"
    shutil.copytree(GOLDEN / "outputs" / "change", home)
    text = PAGE.read_text()

    # In order: later blocks go on where earlier ones ended.
    now = BLOCK.sub(lambda block: f"```console\n{run(home, block[1])}```", text)

    assert now == text


def test_the_page_has_commands() -> None:
    assert len(BLOCK.findall(PAGE.read_text())) >= 7
