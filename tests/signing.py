"""SSH keys made for a test, and bundles signed with them."""

import subprocess
from pathlib import Path

from bundle.directory import SIGNATURE, SIGNED, open_bundle
from bundle.signature import sign, state


def make_key(directory: Path, name: str = "key", passphrase: str = "") -> Path:
    """Makes a key pair, NAME and NAME.pub; returns the path of the private one."""
    directory.mkdir(exist_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", f"{name}@test", "-f", str(directory / name)]
    subprocess.run(command, check=True)
    return directory / name


def public(key: Path) -> Path:
    """Returns the path of the public half."""
    return key.with_name(f"{key.name}.pub")


def sign_bundle(directory: Path, key: Path, serial: int) -> Path:
    """Signs a bundle as `egressc sign` does; returns its directory."""
    statement = state(open_bundle(directory), serial)
    (directory / SIGNATURE).write_bytes(sign(statement, key))
    (directory / SIGNED).write_bytes(statement)
    return directory
