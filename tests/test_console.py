"""What commands say beside their results: less with -q, more with -v, colours and progress on terminals only."""

import argparse
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from conftest import GOLDEN, ROOT

from compiler.cli import main, make
from compiler.console import Console

HOME = GOLDEN / "outputs" / "change"
ERASE = "\r\x1b[K"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs with a warning, inputs with an error, a bundle and one that fails its proof."""
    made = tmp_path_factory.mktemp("console") / "home"
    shutil.copytree(HOME, made, ignore=shutil.ignore_patterns("expected", "README.md"))
    assert main(["compile", str(made / "after"), str(made / "cluster.yaml"), "-o", str(made / "bundle"), "-q"]) == 0
    text = (made / "after" / "egress.yaml").read_text(encoding="utf-8")
    (made / "broken.yaml").write_text(re.sub("egressGatewayName: .*", "egressGatewayName: nobody", text))
    return made


@pytest.fixture
def inside(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(home)
    return home


def on_terminal(
    home: Path,
    *arguments: str,
    patience: float = 60,
    out: str = "terminal",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> tuple[int, str]:
    """Runs egressc on a terminal; returns its exit status and all that is written there."""
    code = f"import sys, compiler.console as c; c.PATIENCE, c.PAUSE = {patience}, 0\n"
    code += "from compiler.cli import main; sys.exit(main(sys.argv[1:]))"
    terminal, child = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM"}}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=home,
        env={**kept, "TERM": "xterm", "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        stdout=child if out == "terminal" else subprocess.DEVNULL,
        stderr=child,
    )
    os.close(child)
    written = b""
    try:
        while part := os.read(terminal, 1 << 16):
            written += part
    except OSError:  # how a terminal says that nobody has it open any longer
        pass
    os.close(terminal)
    return process.wait(), written.decode().replace("\r\n", "\n")


# -q and -v


@pytest.mark.usefixtures("inside")
def test_quiet_says_nothing_but_the_result(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    command = ["compile", "after", "cluster.yaml", "-o", str(tmp_path / "made")]
    assert main(command) == 0
    usual = capsys.readouterr()
    assert main([*command, "-q"]) == 0
    quiet = capsys.readouterr()

    assert "warning[" in usual.err
    assert (quiet.out, quiet.err) == (usual.out, "")


@pytest.mark.usefixtures("inside")
def test_quiet_still_says_errors(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status = main(["compile", "broken.yaml", "cluster.yaml", "-q", "-o", str(tmp_path / "made")])

    said = capsys.readouterr().err
    assert (status, "error[EG301]" in said, "warning[" in said) == (2, True, False)


@pytest.mark.usefixtures("inside")
def test_findings_are_what_check_is_for_so_quiet_leaves_out_their_count_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "after", "cluster.yaml"]) == 0
    usual = capsys.readouterr()
    assert main(["check", "after", "cluster.yaml", "--quiet"]) == 0

    quiet = capsys.readouterr()
    assert (usual.err, quiet.err) == ("0 errors, 1 warning\n", "")
    assert quiet.out == usual.out != ""


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("compile after cluster.yaml -o made", {"read after/egress.yaml: ", "planning nodes: ", "writing files: "}),
        ("check after cluster.yaml", {"read cluster.yaml: ", "resolving policies: ", "understood 3 gateways"}),
        ("verify bundle after cluster.yaml", {"read cluster.yaml: ", "verifying nodes: "}),
        ("explain bundle --from other/reports-1 --to 203.0.113.10", {"following the packet: "}),
        ("test after cluster.yaml cases.yaml", {"read cluster.yaml: ", "planning nodes: "}),
        ("diff before after --with cluster.yaml", {"read before/egress.yaml: ", "comparing traffic: "}),
        ("simulate after cluster.yaml --down egress-1", {"read cluster.yaml: ", "resolving policies: "}),
        ("graph after cluster.yaml -o -", {"read cluster.yaml: ", "drawing: "}),
        ("report after cluster.yaml -o -", {"read cluster.yaml: ", "asking what becomes of packets: "}),
    ],
)
def test_verbose_says_what_was_read_and_how_long_stages_took(
    command: str, said: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(command.split())
    usual = capsys.readouterr()
    main([*command.split(), "-v"])

    verbose = capsys.readouterr()
    assert {text for text in said if text in verbose.err} == said
    assert {text for text in said if text in usual.err} == set()
    assert verbose.out == usual.out
    assert "\x1b" not in verbose.err


def test_quiet_and_verbose_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["schema", "-q", "-v"])

    assert (ended.value.code, "not allowed with" in capsys.readouterr().err) == (2, True)


# colours


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    ("command", "painted"),
    [
        ("check after cluster.yaml", "\x1b[1;33mwarning[EG306]\x1b[0m"),
        ("verify bundle", "\x1b[32mverified\x1b[0m"),
    ],
)
def test_colour_can_be_asked_for_and_changes_nothing_else(
    command: str, painted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(command.split())
    plain = capsys.readouterr().out
    main([*command.split(), "--color", "always"])
    coloured = capsys.readouterr().out

    assert painted in coloured
    assert "\x1b" not in plain
    assert COLOUR.sub("", coloured) == plain


@pytest.mark.parametrize(
    ("environment", "options", "expected"),
    [
        ({}, (), True),
        ({}, ("--color", "never"), False),
        ({"NO_COLOR": "1"}, (), False),
        ({"NO_COLOR": ""}, (), True),
        ({"TERM": "dumb"}, (), False),
        ({"NO_COLOR": "1"}, ("--color=always",), True),
    ],
)
def test_colour_is_on_terminals_that_want_it(
    environment: dict[str, str], options: tuple[str, ...], expected: bool, home: Path
) -> None:
    status, written = on_terminal(home, "check", "after", "cluster.yaml", *options, environment=environment)

    assert (status, bool(COLOUR.search(written))) == (0, expected)


def test_each_stream_is_asked_for_itself(home: Path) -> None:
    _, written = on_terminal(home, "compile", "broken.yaml", "cluster.yaml", "-o", "never", out="null")

    assert "\x1b[1;31merror[EG301]\x1b[0m" in written


@pytest.mark.usefixtures("inside")
def test_no_format_for_programs_is_coloured(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("json", "sarif", "github"):
        main(["check", "after", "cluster.yaml", "--format", form, "--color", "always"])

    assert "\x1b" not in capsys.readouterr().out


# progress


def test_long_work_shows_a_line_that_is_gone_at_the_end(home: Path) -> None:
    status, written = on_terminal(home, "verify", "bundle", patience=0)

    assert status == 0
    line, _, rest = written.rpartition(ERASE)
    assert "verifying nodes: " in line
    assert COLOUR.sub("", rest).startswith("verified: ")


def test_short_work_shows_none(home: Path) -> None:
    _, written = on_terminal(home, "verify", "bundle", "--color", "never")

    assert written.startswith("verified: ")


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {}])
def test_no_line_on_a_terminal_that_cannot_erase_or_with_quiet(environment: dict[str, str], home: Path) -> None:
    options = ["--color=never"] if environment else ["--color=never", "-q"]
    _, written = on_terminal(home, "verify", "bundle", *options, patience=0, environment=environment)

    assert written.startswith("verified: ")


def test_no_line_in_a_pipe(home: Path) -> None:
    code = (
        "import sys, compiler.console as c; c.PATIENCE = c.PAUSE = 0; from compiler.cli import main; main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "verify", "bundle"], cwd=home, capture_output=True, text=True, check=True
    )

    assert done.stderr == ""


def test_the_line_is_erased_when_work_fails(home: Path) -> None:
    status, written = on_terminal(home, "verify", "after", patience=0)

    assert status == 2
    assert written.rpartition(ERASE)[2].startswith("egressc: after/manifest.json: ")


# every command


def test_every_command_of_the_compiler_has_the_common_options() -> None:
    commands = make()._subparsers._group_actions[0].choices  # type: ignore[union-attr]  # noqa: SLF001  # not public
    assert isinstance(commands, dict)
    own = {"apply", "rollback", "remove", "doctor", "lab"}  # a node's, and those of the lab
    for name in set(commands) - own:
        flags = {flag for action in commands[name]._actions for flag in action.option_strings}  # noqa: SLF001  # the same
        assert {"-q", "--quiet", "-v", "--verbose", "--color"} <= flags, name


def test_the_console_reads_what_the_options_say() -> None:
    console = Console.of(argparse.Namespace(color="always", quiet=False, verbose=True))

    assert (console.quiet, console.verbose, console.out.coloured, console.err.coloured) == (False, True, True, True)
