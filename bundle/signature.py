"""Who vouches for a bundle: a statement about its manifest, signed with an SSH key in OpenSSH's own format, SSHSIG.

`ssh-keygen` does the work. It is on every node and laptop, git signs commits with the same keys and the same files of
allowed signers, a key may be in an agent or on a token, and there is no cryptography of ours. The format is described
in OpenSSH's PROTOCOL.sshsig, the file of allowed signers in ssh-keygen(1).

A signature says that the holder of a key wanted this bundle, and by the serial which of two came later. It does not say
for which cluster: clusters whose nodes have the same names need keys of their own.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from bundle.codec import DecodeError, decode, encode
from bundle.directory import SIGNATURE, SIGNED, Bundle
from bundle.model import FORMAT_VERSION, Statement
from bundle.text import printable

NAMESPACE: Final = "egressc"
"""Domain of our signatures: one that was made for git or a file does not count here, nor ours there."""

_SHOWN: Final = 500
"""Letters of what ssh-keygen says that a message shows."""

# An SSH key in base64 starts with the length of its type's name, whose first three bytes are 0.
_PUBLIC_KEY = re.compile(r"(?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+[ \t]+AAAA[0-9A-Za-z+/]+=*(?:[ \t]|$)")


class SignatureError(Exception):
    """A bundle cannot be signed, or nobody who may vouches for it; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a signature that holds says, and whose it is, in ssh-keygen's words: `NAME with ED25519 key SHA256:…`."""

    statement: Statement
    signer: str


def state(bundle: Bundle, serial: int) -> bytes:
    """Returns the content of `signed.json`: what is said of a bundle, and signed."""
    return encode(Statement(FORMAT_VERSION, bundle.digest, serial)).encode()


def sign(statement: bytes, key: Path) -> bytes:
    """Returns the content of `signed.json.sig`.

    Args:
        statement: What to sign.
        key: File of a private key, or of a public one whose private half an agent holds. Who sits at the terminal may
            be asked for a passphrase or to touch a token.

    Raises:
        SignatureError: ssh-keygen did not sign.
    """
    # On a terminal it speaks for itself, since it may ask for something.
    errors = None if sys.stderr.isatty() else subprocess.PIPE
    done = _ssh_keygen(["sign", "-n", NAMESPACE, "-f", str(key)], statement, errors=errors)
    if done.returncode == 0:
        return done.stdout
    said = _said(done)
    hint = "; a key with a passphrase needs a terminal, or an agent that holds it" if "passphrase" in said else ""
    raise SignatureError(f"ssh-keygen does not sign with {key}: {said}{hint}")


def verify(bundle: Bundle, keys: Path) -> Verified:
    """Checks that somebody who may vouches for a bundle, as it was read.

    Args:
        bundle: An opened bundle; nothing of it is read again.
        keys: File of public keys, or of allowed signers; which of both is seen from its content. Of allowed signers
            those count whose `namespaces` hold `egressc` or are not given.

    Raises:
        SignatureError: The bundle is not signed, not by them, or was altered since; or ssh-keygen cannot be asked.
    """
    if missing := [name for name in (SIGNED, SIGNATURE) if name not in bundle.head]:
        raise SignatureError(f"{bundle.directory}: is not signed, it has no {missing[0]}; sign it with egressc sign")
    try:
        signers = allowed_signers(keys.read_bytes())
    except OSError as error:
        raise SignatureError(f"{keys}: cannot be read: {error.strerror}") from None
    except SignatureError as error:
        raise SignatureError(f"{keys}: {error}") from None
    signer = _check(bundle, keys, signers)
    try:
        statement = decode(Statement, bundle.head[SIGNED])
    except DecodeError as error:
        raise SignatureError(f"{bundle.directory / SIGNED}: {error}") from None
    if (statement.format_version, statement.manifest) != (FORMAT_VERSION, bundle.digest):
        raise SignatureError(
            f"{bundle.directory / SIGNED}: is of another bundle, or this one was altered since it was signed: its "
            f"manifest has the SHA-256 {bundle.digest}, and signed was {statement.manifest}"
        )
    return Verified(statement, signer)


def allowed_signers(content: bytes) -> bytes:
    """Returns a file of allowed signers: itself, or one made of public keys.

    Raises:
        SignatureError: It is neither; the message does not name the file.
    """
    text = content.decode("latin-1")  # a comment may be in any encoding, and comes out as it was
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    keys = [line for line in lines if _PUBLIC_KEY.match(line)]
    if not lines:
        raise SignatureError("holds no key; name a file of public keys or of allowed signers")
    if "PRIVATE KEY-----" in lines[0]:
        raise SignatureError("is a private key, which does not belong on a node; name the public one, NAME.pub")
    if not keys:
        return content
    if len(keys) < len(lines):
        odd = next(line for line in lines if line not in keys)
        raise SignatureError(
            f"has lines of a public key alone and others: {printable(odd[:80])}; name one or the other"
        )
    return "".join(f'{NAMESPACE} namespaces="{NAMESPACE}" {line}\n' for line in keys).encode("latin-1")


def _check(bundle: Bundle, keys: Path, signers: bytes) -> str:
    """Returns who signed. As git does: ask for the principals of the signing key, then verify for one of them."""
    with _in_memory(signers) as signers_file, _in_memory(bundle.head[SIGNATURE]) as signature_file:
        files = (signers_file, signature_file)
        options = ["-f", _name(signers_file), "-s", _name(signature_file)]
        statement = bundle.head[SIGNED]
        done = _ssh_keygen(["find-principals", *options], statement, files)
        principals = [line for line in done.stdout.decode("latin-1").split("\n") if line]
        if done.returncode == 0:
            for principal in principals:
                done = _ssh_keygen(["verify", "-n", NAMESPACE, "-I", principal, *options], statement, files)
                if done.returncode == 0:
                    said = printable(done.stdout.decode("latin-1").strip())
                    return said.removeprefix(f'Good "{NAMESPACE}" signature for ')
    # Our files have no names that a person knows.
    said = _said(done).replace(_name(signers_file), str(keys)).replace(_name(signature_file), SIGNATURE)
    raise SignatureError(
        f"{bundle.directory / SIGNATURE}: is no signature of {SIGNED} by one whom {keys} allows; ssh-keygen: {said}"
    )


@contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """A file for ssh-keygen to read: of the bytes that we have, and on no disk, which may be read-only."""
    descriptor = os.memfd_create("egressc")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        yield descriptor
    finally:
        os.close(descriptor)


def _name(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _ssh_keygen(
    arguments: Sequence[str],
    text: bytes,
    files: Sequence[int] = (),
    errors: int | IO[bytes] | None = subprocess.PIPE,
) -> subprocess.CompletedProcess[bytes]:
    quiet = ["-q"] if arguments[0] == "sign" else []
    try:
        return subprocess.run(  # noqa: S603  # no shell; an argument of others is never an option
            ["ssh-keygen", *quiet, "-Y", *arguments],  # noqa: S607  # wherever this node has it
            input=text,
            stdout=subprocess.PIPE,
            stderr=errors,
            pass_fds=files,
            check=False,
        )
    except FileNotFoundError:
        raise SignatureError("ssh-keygen is not installed; install the package openssh-client") from None
    except OSError as error:
        raise SignatureError(f"ssh-keygen cannot be run: {error.strerror}") from None


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    words = b" ".join((done.stderr or b"", done.stdout)).decode("latin-1").split()
    return printable(" ".join(words))[:_SHOWN] or f"it ended with status {done.returncode}"
