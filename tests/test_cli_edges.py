"""The command as it is run, with closed or full streams and names that lead nowhere: status 2 and a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from builders import cluster, dump, gateway, policy

from compiler import files
from compiler.files import read_sources

COMMAND = "import sys; from compiler.cli import main; sys.exit(main())"
SECONDS = 120


def egressc(*arguments: str, redirect: str = "", before: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the command in a shell, which can close streams and set limits."""
    script = f'{before} exec "$0" -c "$1" "${{@:2}}" {redirect}'
    return subprocess.run(
        ["bash", "-c", script, sys.executable, COMMAND, *arguments],  # noqa: S607  # the one of the path
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*cluster(gateway(), policy())), encoding="utf-8")
    return path


def test_closed_standard_input_is_a_finding() -> None:
    done = egressc("check", "-", redirect="<&-")

    assert (done.returncode, done.stdout) == (2, "-: error[EG101] cannot be read: standard input is closed\n")
    assert done.stderr == "1 error, 0 warnings\n"


def test_closed_output_changes_no_status(sound: Path) -> None:
    assert egressc("check", str(sound), redirect=">&-").returncode == 0
    assert egressc("check", str(sound), redirect=">&- 2>&-").returncode == 0
    assert egressc("check", "/no/such/file", redirect=">&- 2>&-").returncode == 2


@pytest.mark.parametrize("arguments", [("check", "/no/such/file"), ("check", "--format", "json")])
def test_output_to_a_full_disk_is_said_on_one_line(sound: Path, arguments: tuple[str, ...]) -> None:
    done = egressc(*arguments, str(sound), redirect=">/dev/full")

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "egressc: cannot write the output: No space left on device"
    assert "Traceback" not in done.stderr


def test_bundle_to_a_full_disk_is_refused_by_name(sound: Path) -> None:
    done = egressc("compile", str(sound), "-o", "/dev/full/bundle")

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("egressc: /dev/full")


@pytest.mark.parametrize(
    "name", ["none.yaml", "circle.yaml", "input.yaml/x.yaml", "x" * 300, "x/" * 3000, "dangling.yaml"]
)
def test_a_name_that_leads_nowhere_is_a_finding(tmp_path: Path, sound: Path, name: str) -> None:
    (tmp_path / "circle.yaml").symlink_to("circle.yaml")
    (tmp_path / "dangling.yaml").symlink_to("nothing")

    done = egressc("check", f"{sound.parent}/{name}")

    assert done.returncode == 2
    assert done.stdout.startswith(f"{Path(sound.parent, name)}: error[EG101] cannot be read: ")


def test_directories_in_a_circle_are_read_once(tmp_path: Path, sound: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "above").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.yaml")

    sources, findings = read_sources([str(tmp_path)])

    assert (list(sources), findings) == ([str(sound)], ())


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_a_finding(tmp_path: Path, sound: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    sound.chmod(0)

    _, findings = read_sources([str(tmp_path), str(tmp_path / "closed" / "x.yaml")])

    assert [finding.code for finding in findings] == ["EG101"] * 3


def test_an_input_without_end_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LARGEST", 20 << 20)

    sources, findings = read_sources(["/dev/zero"])

    assert sources == {}
    assert [f.message for f in findings] == ["cannot be read: it has more than 20 MiB; split it into several files"]


def test_an_input_may_be_a_pipe(sound: Path) -> None:
    done = egressc("check", redirect=f"<(cat {sound})")

    assert (done.returncode, done.stdout) == (0, "")


def test_memory_that_does_not_suffice_is_said_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text("[" + "[]," * 4_000_000 + "1]", encoding="utf-8")

    done = egressc("check", str(tmp_path / "input.json"), before="ulimit -v 300000;")

    assert (done.returncode, done.stderr) == (2, "egressc: there is not enough memory for this\n")
