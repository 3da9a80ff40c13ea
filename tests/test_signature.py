"""Whose signature a bundle has, and what does not count as one."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from applier_bundles import state_a, write_bundle
from signing import make_key, public, sign_bundle

from bundle.directory import MANIFEST, SIGNATURE, SIGNED, BundleError, open_bundle
from bundle.signature import SignatureError, allowed_signers, sign, verify

SERIAL = 1000


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the keys `key` and `other`."""
    directory = tmp_path_factory.mktemp("keys")
    make_key(directory, "key")
    make_key(directory, "other")
    return directory


@pytest.fixture
def signed(tmp_path: Path, keys: Path) -> Path:
    return sign_bundle(write_bundle(tmp_path / "bundle", state_a()), keys / "key", SERIAL)


def refusal(bundle: Path, key: Path) -> str:
    with pytest.raises(SignatureError) as raised:
        verify(open_bundle(bundle), key)
    return str(raised.value)


def key_file(signed: Path, text: str) -> Path:
    path = signed.parent / "allowed"
    path.write_text(text, encoding="utf-8")
    return path


def key_text(keys: Path, name: str = "key") -> str:
    return public(keys / name).read_text(encoding="utf-8")


def test_a_signature_by_the_key_holds_and_says_whose_it_is(signed: Path, keys: Path) -> None:
    found = verify(open_bundle(signed), public(keys / "key"))

    assert (found.statement.serial, found.statement.manifest) == (SERIAL, open_bundle(signed).digest)
    assert found.signer.startswith("egressc with ED25519 key SHA256:")


def test_ssh_keygen_alone_verifies_it_as_the_manual_says(signed: Path, keys: Path) -> None:
    signers = key_file(signed, f'ci@example.com namespaces="egressc" {key_text(keys)}')
    files = ["-f", str(signers), "-s", str(signed / SIGNATURE)]
    command = ["ssh-keygen", "-Y", "verify", "-I", "ci@example.com", "-n", "egressc", *files]

    done = subprocess.run(command, input=(signed / SIGNED).read_bytes(), capture_output=True, check=False)

    assert (done.returncode, done.stdout.split()[:3]) == (0, [b"Good", b'"egressc"', b"signature"])


@pytest.mark.parametrize(
    "lines",
    [
        'ci@example.com namespaces="egressc" KEY',
        "ci@example.com KEY",
        "# ours\n\n  ci@example.com,*@example.org KEY\n",
        'other@example.com OTHER\nci@example.com namespaces="git,egressc",valid-after="20200101" KEY',
        "KEY",
        "# two of them\r\nOTHER\nKEY",
        "\tKEY",
    ],
)
def test_the_key_is_found_in_a_file_of(lines: str, signed: Path, keys: Path) -> None:
    text = lines.replace("OTHER", key_text(keys, "other").strip()).replace("KEY", key_text(keys).strip())

    assert verify(open_bundle(signed), key_file(signed, text)).statement.serial == SERIAL


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("ci@example.com OTHER", "No principal matched"),
        ("OTHER", "No principal matched"),
        ('ci@example.com namespaces="git" KEY', 'not permitted for use in signature namespace "egressc"'),
        ('ci@example.com valid-before="20200101" KEY', "key has expired"),
        ('ci@example.com valid-after="20900101" KEY', "key is not yet valid"),
        ("ci@example.com cert-authority KEY", "No principal matched"),
        ("nonsense", "invalid line"),
    ],
)
def test_ssh_keygen_decides_who_may_and_its_reason_is_told(lines: str, said: str, signed: Path, keys: Path) -> None:
    text = lines.replace("OTHER", key_text(keys, "other")).replace("KEY", key_text(keys))
    allowed = key_file(signed, text)

    message = refusal(signed, allowed)

    start = f"{signed / SIGNATURE}: is no signature of signed.json by one whom {allowed} allows; ssh-keygen: "
    assert message.startswith(start)
    assert said in message
    assert "/proc/" not in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no key; name a file of public keys or of allowed signers"),
        ("# nothing\n", "holds no key; name a file of public keys or of allowed signers"),
        ("PRIVATE", "is a private key, which does not belong on a node; name the public one, NAME.pub"),
        ("KEYci@example.com KEY", "has lines of a public key alone and others: ci@example.com ssh-ed25519 "),
    ],
)
def test_a_file_that_says_nothing_clear_is_refused(content: str, message: str, signed: Path, keys: Path) -> None:
    text = content.replace("KEY", key_text(keys)).replace("PRIVATE", (keys / "key").read_text())
    path = key_file(signed, text)

    assert refusal(signed, path).startswith(f"{path}: {message}")


def test_a_file_of_keys_that_cannot_be_read_is_told(signed: Path) -> None:
    path = signed / "no-such.pub"

    assert refusal(signed, path) == f"{path}: cannot be read: No such file or directory"


def test_a_public_key_counts_for_our_namespace_only(keys: Path) -> None:
    made = allowed_signers(key_text(keys).encode())

    assert made.decode() == f'egressc namespaces="egressc" {key_text(keys)}'


def unsigned(bundle: Path) -> str:
    (bundle / SIGNED).unlink()
    (bundle / SIGNATURE).unlink()
    return f"{bundle}: is not signed, it has no signed.json; sign it with egressc sign"


def without_its_statement(bundle: Path) -> str:
    (bundle / SIGNED).unlink()
    return f"{bundle}: is not signed, it has no signed.json; "


def without_its_signature(bundle: Path) -> str:
    (bundle / SIGNATURE).unlink()
    return f"{bundle}: is not signed, it has no signed.json.sig; "


def other_serial(bundle: Path) -> str:
    text = (bundle / SIGNED).read_text()
    (bundle / SIGNED).write_text(text.replace(str(SERIAL), str(SERIAL + 1)))
    return f"{bundle / SIGNATURE}: is no signature of signed.json"


def manifest_altered(bundle: Path) -> str:
    manifest = json.loads((bundle / MANIFEST).read_text())
    (bundle / MANIFEST).write_text(json.dumps({**manifest, "compilerVersion": "1"}))
    return f"{bundle / SIGNED}: is of another bundle, or this one was altered since it was signed"


def a_space_more_in_the_manifest(bundle: Path) -> str:
    (bundle / MANIFEST).write_text((bundle / MANIFEST).read_text() + " ")
    return f"{bundle / SIGNED}: is of another bundle, or this one was altered since it was signed"


def signature_cut(bundle: Path) -> str:
    (bundle / SIGNATURE).write_bytes((bundle / SIGNATURE).read_bytes()[:150])
    return f"{bundle / SIGNATURE}: is no signature of signed.json"


def signature_empty(bundle: Path) -> str:
    (bundle / SIGNATURE).write_bytes(b"")
    return f"{bundle / SIGNATURE}: is no signature of signed.json"


def statement_cut(bundle: Path) -> str:
    (bundle / SIGNED).write_bytes((bundle / SIGNED).read_bytes()[:-1])
    return f"{bundle / SIGNATURE}: is no signature of signed.json"


HARM = [
    unsigned, without_its_statement, without_its_signature, other_serial, manifest_altered,
    a_space_more_in_the_manifest, signature_cut, signature_empty, statement_cut,
]  # fmt: skip


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
def test_harm_to_a_signed_bundle_is_seen(harm: Callable[[Path], str], signed: Path, keys: Path) -> None:
    expected = harm(signed)

    assert refusal(signed, public(keys / "key")).startswith(expected)


def test_a_signature_made_for_something_else_does_not_count(signed: Path, keys: Path) -> None:
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(keys / "key")]
    done = subprocess.run(command, input=(signed / SIGNED).read_bytes(), stdout=subprocess.PIPE, check=True)
    (signed / SIGNATURE).write_bytes(done.stdout)

    assert "namespace does not match" in refusal(signed, key_file(signed, f"ci@example.com {key_text(keys)}"))


def test_a_signed_statement_that_is_none_is_refused(signed: Path, keys: Path) -> None:
    (signed / SIGNED).write_bytes(b"{}")
    (signed / SIGNATURE).write_bytes(sign(b"{}", keys / "key"))

    assert refusal(signed, public(keys / "key")) == f"{signed / SIGNED}: formatVersion: is missing"


def link_out(path: Path) -> str:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")
    return "is a link that leads out of the bundle"


def pipe(path: Path) -> str:
    path.unlink()
    os.mkfifo(path)
    return "is not a regular file"


def folder(path: Path) -> str:
    path.unlink()
    path.mkdir()
    return "Is a directory"


def huge(path: Path) -> str:
    os.truncate(path, 1 << 20)
    return f"has {1 << 20} bytes, more than any such file of a bundle has"


@pytest.mark.parametrize("file", [SIGNED, SIGNATURE])
@pytest.mark.parametrize("harm", [link_out, pipe, folder, huge], ids=lambda harm: harm.__name__)
def test_what_is_no_file_of_a_signature_is_refused_by_every_reader(
    file: str, harm: Callable[[Path], str], signed: Path
) -> None:
    expected = harm(signed / file)

    with pytest.raises(BundleError) as raised:
        open_bundle(signed)

    assert str(raised.value) == f"{signed / file}: {expected}"


def test_what_changes_after_the_reading_does_not_count(signed: Path, keys: Path) -> None:
    opened = open_bundle(signed)
    for path in sorted(signed.rglob("*.*")):
        path.write_bytes(b"altered")

    assert verify(opened, public(keys / "key")).statement.serial == SERIAL
    assert opened.node("node-1").node == "node-1"


def test_where_ssh_keygen_is_missing_the_package_is_named(
    signed: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert refusal(signed, public(keys / "key")) == ("ssh-keygen is not installed; install the package openssh-client")
