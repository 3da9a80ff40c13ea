"""What the README says of inputs, numbers and commands holds."""

import re
from pathlib import Path

import pytest
from conftest import GOLDEN, ROOT

from bundle import directory, names
from compiler.cli import main

README = (ROOT / "README.md").read_text()


def block(language: str, holding: str) -> str:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (found,) = (text for kind, text in blocks if kind == language and holding in text)
    return str(found)


def test_the_configuration_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text(block("yaml", "EgressCompilerConfig"))
    command = ["compile", str(GOLDEN / "virtual-ip" / "input"), "--config", str(tmp_path / "config.yaml")]

    assert main([*command, "-o", str(tmp_path / "bundle")]) == 0
    assert "error" not in capsys.readouterr().err


def test_the_cases_pass_on_the_demo_s_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cases.yaml").write_text(block("yaml", "cases:"))

    assert main(["test", str(GOLDEN / "seed-example" / "input"), str(tmp_path / "cases.yaml")]) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n"


@pytest.mark.parametrize("command", re.findall(r"^\| `(\w+) ", README, re.MULTILINE))
def test_each_command_of_the_table_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])

    assert stopped.value.code == 0
    assert f"egressc {command}" in capsys.readouterr().out


def test_the_files_of_a_bundle_are_all_named() -> None:
    listed = block("", "digest of the inputs")

    for name in (directory.MANIFEST, *directory.ACCOUNT_FILES):
        assert f"\n{name} " in f"\n{listed}"
    for name in directory.NODE_FILES:
        assert f"\nnodes/NODE/{name} " in listed


def test_the_contract_has_the_numbers_that_land_on_hosts() -> None:
    contract = README[README.index("## The contract") : README.index("## Where it works")]
    tables = f"{names.TABLE_BASE} to {names.TABLE_BASE + (names.MARK_MASK >> 24)}"
    priorities = [value for name, value in vars(names).items() if name.startswith("PRIORITY_")]

    assert f"`table {names.TABLE_FAMILY} {names.TABLE_NAME}`" in contract
    assert f"0x{names.MARK_MASK:08x}" in contract
    assert f"priority {names.RULE_PRIORITY}, and {names.REPLY_PRIORITY} " in contract
    assert tables in contract
    assert all(str(priority) in contract for priority in priorities)
    assert f"protocol {names.PROTOCOL}" in contract
