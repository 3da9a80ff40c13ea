"""`egressc sign`, and what the other commands make of a signed bundle."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import GOLDEN
from signing import make_key, public

from bundle.directory import HEAD_FILES, MANIFEST, SIGNATURE, SIGNED, list_files, open_bundle
from bundle.signature import verify
from compiler.cli import main

INPUT = str(GOLDEN / "dual-stack" / "input")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "keys")


def test_sign_writes_two_files_and_says_what_was_signed(
    made: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: (made / path).read_bytes() for path in list_files(made)}

    assert main(["sign", str(made), "--key", str(key), "--serial", "7"]) == 0

    digest = open_bundle(made).digest
    assert capsys.readouterr() == (f"signed {made}: serial 7, manifest {digest}\n", "")
    assert json.loads((made / SIGNED).read_text()) == {"formatVersion": 1, "manifest": digest, "serial": 7}
    assert list_files(made) == {*before, SIGNED, SIGNATURE}
    assert {path: (made / path).read_bytes() for path in before} == before
    assert verify(open_bundle(made), public(key)).statement.serial == 7


def test_without_a_serial_the_time_is_one(made: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compiler.sign.time.time", lambda: 1_800_000_000.9)

    assert main(["sign", str(made), "--key", str(key)]) == 0
    assert verify(open_bundle(made), public(key)).statement.serial == 1_800_000_000


def test_signing_again_replaces_the_signature(made: Path, key: Path) -> None:
    other = make_key(key.parent, "other")
    for path, serial in ((key, "7"), (other, "8")):
        assert main(["sign", str(made), "--key", str(path), "--serial", serial]) == 0

    assert verify(open_bundle(made), public(other)).statement.serial == 8


def test_what_a_killed_sign_left_behind_is_in_nobodys_way(made: Path, key: Path) -> None:
    (made / f".{SIGNED}.new").write_text("half")
    (made / f".{SIGNATURE}.new").write_text("half")

    assert open_bundle(made)
    assert main(["sign", str(made), "--key", str(key)]) == 0
    assert not [path for path in list_files(made) if path.startswith(".")]


def test_a_key_held_by_an_agent_signs_by_its_public_half(
    made: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["ssh-agent", "-s"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    variables = dict(part.split("=", 1) for part in done.stdout.split(";") if "=" in part)
    monkeypatch.setenv("SSH_AUTH_SOCK", variables["SSH_AUTH_SOCK"])
    try:
        command = ["ssh-add", "-q", str(key)]
        subprocess.run(command, check=True)
        key.unlink()

        assert main(["sign", str(made), "--key", str(public(key)), "--serial", "7"]) == 0
    finally:
        os.kill(int(variables["\nSSH_AGENT_PID"]), 15)
    assert verify(open_bundle(made), public(key)).statement.serial == 7


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    return errors


def test_a_key_that_is_not_there_is_refused(made: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = key.parent / "missing"

    assert refusal(["sign", str(made), "--key", str(missing)], capsys) == (
        f"egressc sign: ssh-keygen does not sign with {missing}: "
        f"Couldn't load public key {missing}: No such file or directory\n"
    )
    assert not (made / SIGNED).exists()


def test_a_passphrase_that_nobody_can_be_asked_for_is_said(
    made: Path, key: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = make_key(key.parent, "locked", "a long one")
    # So that it does not ask the terminal of whoever runs the tests.
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")

    errors = refusal(["sign", str(made), "--key", str(locked)], capsys)

    assert errors.startswith(f"egressc sign: ssh-keygen does not sign with {locked}: ")
    assert errors.endswith("; a key with a passphrase needs a terminal, or an agent that holds it\n")


def test_an_altered_bundle_is_not_signed(made: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made / "policies.json").write_text("{}")

    assert "policies.json: was altered" in refusal(["sign", str(made), "--key", str(key)], capsys)
    assert not (made / SIGNED).exists()


@pytest.mark.parametrize("serial", ["-1", str(1 << 32)])
def test_a_serial_out_of_range_is_refused(
    serial: str, made: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(["sign", str(made), "--key", str(key), "--serial", serial], capsys) == (
        f"egressc sign: --serial {serial} is not between 0 and 4294967295\n"
    )


def test_a_disk_that_cannot_be_written_is_told(
    made: Path, key: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("compiler.sign.replace_file", full)

    assert refusal(["sign", str(made), "--key", str(key)], capsys) == (
        f"egressc sign: {made / SIGNATURE}: No space left on device\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "BUNDLE"],
        ["verify", "BUNDLE", INPUT],
        ["explain", "BUNDLE", "--from", "default/backend-1", "--to", "203.0.113.10"],
    ],
)
def test_other_commands_take_a_signed_bundle(arguments: list[str], made: Path, key: Path) -> None:
    assert main(["sign", str(made), "--key", str(key)]) == 0

    assert main([argument.replace("BUNDLE", str(made)) for argument in arguments]) == 0


def test_compiling_into_a_signed_bundle_takes_the_signature_away(made: Path, key: Path) -> None:
    assert main(["sign", str(made), "--key", str(key)]) == 0

    assert main(["compile", INPUT, "-o", str(made), "--previous", str(made)]) == 0

    assert list_files(made) & set(HEAD_FILES) == {MANIFEST}
