"""The wheel, alone in an empty environment and far from the checkout, does what the checkout does."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import GOLDEN, ROOT

pytestmark = pytest.mark.skipif(
    "EGRESSC_NO_NETWORK" in os.environ, reason="without root the tests run in a namespace that reaches no package index"
)

CASE = "dual-stack"
BESIDES = {"summary.txt", "diagnostics.txt"}


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", target)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment that holds the wheel and what it asks for."""
    target = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", target)
    pip = (target / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "install", "--no-cache-dir", "--only-binary", ":all:", wheel)
    return target / "bin"


def test_wheel_holds_the_packages_the_templates_and_the_schemas(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    expected = {
        path.relative_to(ROOT).as_posix()
        for package in ("bundle", "compiler", "applier", "lab")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for folder in ("templates", "schemas"):
        expected.update(f"compiler/{folder}/{path.name}" for path in (ROOT / folder).iterdir())
    assert expected == names


def test_wheel_compiles_a_golden_case_from_the_root_directory(environment: Path, tmp_path: Path) -> None:
    output = run(environment / "egressc", "compile", GOLDEN / CASE / "input", "-o", tmp_path / "bundle", cwd=Path("/"))

    root = GOLDEN / CASE / "expected"
    expected = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    made = {
        path.relative_to(tmp_path / "bundle").as_posix(): path.read_bytes()
        for path in (tmp_path / "bundle").rglob("*")
        if path.is_file()
    }
    assert expected["summary.txt"].decode() == output
    assert {name: content for name, content in expected.items() if name not in BESIDES} == made


@pytest.mark.parametrize(
    "command", ["compile", "check", "explain", "test", "schema", "sign", "apply", "rollback", "lab"]
)
def test_wheel_loads_every_command(environment: Path, command: str) -> None:
    assert run(environment / "egressc", command, "--help", cwd=Path("/")).startswith(f"usage: egressc {command}")


@pytest.mark.parametrize("file", ["crd-egressgateway.yaml", "input.schema.json", "manifest.schema.json"])
def test_wheel_prints_its_schemas(environment: Path, file: str) -> None:
    printed = run(environment / "egressc", "schema", file.partition(".")[0], cwd=Path("/"))

    assert printed == (ROOT / "schemas" / file).read_text(encoding="utf-8")
