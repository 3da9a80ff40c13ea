"""A bundle directory read as a whole: nothing is believed before its digest is checked.

Every reader goes through here, so an unknown format, a missing file, a foreign file or a wrong digest is refused
before anything is touched.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

from bundle.codec import DecodeError, decode
from bundle.delta import reduce
from bundle.model import FORMAT_VERSION, Addresses, Manifest, Routing
from bundle.names import TABLE_FAMILY, TABLE_NAME
from bundle.ruleset import Ruleset, RulesetError, fingerprint, parse

MANIFEST = "manifest.json"
SIGNED = "signed.json"
SIGNATURE = "signed.json.sig"
GATEWAYS = "gateways.json"
POLICIES = "policies.json"
WORKLOADS = "workloads.json"
CLUSTER = "cluster.json"
STATUS = "status.yaml"
RULESET = "ruleset.nft"
ROUTING = "routing.json"
ADDRESSES = "addresses.json"
ACCOUNT_FILES = (GATEWAYS, POLICIES, WORKLOADS, CLUSTER, STATUS)
NODE_FILES = (RULESET, ROUTING, ADDRESSES)
HEAD_FILES = (MANIFEST, SIGNED, SIGNATURE)
"""What no manifest lists: itself, and a signature, which comes later if at all."""

_T = TypeVar("_T")

_SHOWN: Final = 200
"""Letters of a wrong text that a message shows."""

_LARGEST: Final = 512 << 20
"""Bytes of one file. A gateway node's ruleset for 150,000 workloads has 10 million."""

_LARGEST_SIGNATURE: Final = 64 << 10
"""Bytes of each file of a signature; the largest RSA key's has 5,000."""

# What a rule or an element of ours may hold: one statement, so nothing that ends it or its block, and nothing that
# refers to a variable or to the next line; braces only around names of interfaces.
_STATEMENT = re.compile(r'(?:[ -!%-:<-\[\]-z|~]|"[ -!%-:<-\[\]-z|~]*"|\{ "[^"{}]+"(?:, "[^"{}]+")* \})*+')


class BundleError(Exception):
    """The directory is not a bundle that this version can trust; the message says why and names the file."""


@dataclass(frozen=True, slots=True)
class NodePart:
    """All that one node is told.

    Attributes:
        node: Its name.
        ruleset_text: `ruleset.nft`, whole.
        ruleset: The same, read.
        routing: `routing.json`.
        addresses: `addresses.json`.
        scope: Maps of which `ruleset` holds only what differs from a text that was known, with the keys that do.
    """

    node: str
    ruleset_text: str
    ruleset: Ruleset
    routing: Routing
    addresses: Addresses
    scope: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle: the manifest was read and every file's digest compared.

    Attributes:
        directory: Where it was read.
        manifest: Its manifest.
        files: Content of each file by its path: of all that the manifest lists, or of one node's, see `open_part`.
        head: Content of those of `HEAD_FILES` that are there, as it was read; a signature is not yet looked at.
    """

    directory: Path
    manifest: Manifest
    files: dict[str, bytes]
    head: dict[str, bytes] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, and so of the whole bundle but its signature."""
        return hashlib.sha256(self.head[MANIFEST]).hexdigest()

    def require_node(self, name: str) -> None:
        """Refuses a node that the bundle does not have.

        Raises:
            BundleError: It has no such node.
        """
        _require_node(self.directory, self.manifest, name)

    def only(self, node: str) -> "Bundle":
        """Returns the bundle without the content of other nodes' files."""
        own = {node_path(node, file) for file in NODE_FILES}
        return replace(self, files={path: content for path, content in self.files.items() if path in own})

    def decode(self, cls: type[_T], path: str) -> _T:
        """Reads one JSON file of the bundle.

        Raises:
            BundleError: It is missing or not of the expected shape.
        """
        try:
            return decode(cls, self.files[path])
        except KeyError:
            raise BundleError(f"{self.directory / path}: missing from the bundle") from None
        except DecodeError as error:
            raise BundleError(f"{self.directory / path}: {error}") from None

    def node(self, name: str, known: str = "") -> NodePart:
        """Returns the part of one node.

        Args:
            name: The node.
            known: A `ruleset.nft` of this node that was read before and is in the kernel: of large maps only what
                differs from it is read.

        Raises:
            BundleError: The bundle has no such node, or its files do not hold what they should.
        """
        self.require_node(name)
        path = node_path(name, RULESET)
        try:
            text = self.files[path].decode()
            unknown, scope = reduce(known, text)
            ruleset = parse(unknown, f"{TABLE_FAMILY} {TABLE_NAME}")
        except (KeyError, UnicodeDecodeError, RulesetError) as error:
            raise BundleError(f"{self.directory / path}: {error}") from None
        if fault := _ruleset_fault(ruleset):
            raise BundleError(f"{self.directory / path}: {fault}")
        routing = self.decode(Routing, node_path(name, ROUTING))
        addresses = self.decode(Addresses, node_path(name, ADDRESSES))
        if (routing.node, addresses.node) != (name, name):
            raise BundleError(f"{self.directory}: the files of node {name!r} were made for another node")
        return NodePart(name, text, ruleset, routing, addresses, scope)


def node_path(node: str, file: str) -> str:
    """Returns the path of one node's file inside a bundle."""
    return f"nodes/{node}/{file}"


def open_bundle(directory: Path) -> Bundle:
    """Reads a bundle and checks format version, digests and the set of files.

    Raises:
        BundleError: It is not complete, not unaltered or not of `FORMAT_VERSION`.
    """
    return _open(directory, None)


def open_part(directory: Path, node: str) -> Bundle:
    """Reads what a node keeps of a bundle: what no manifest lists and the files of this one node, and checks these.

    Raises:
        BundleError: As for `open_bundle`, or the bundle has no such node.
    """
    return _open(directory, node)


def open_account(directory: Path) -> Bundle:
    """Reads what a bundle tells about the cluster as a whole and checks that; the nodes' files are not looked at.

    Raises:
        BundleError: As for `open_bundle`, as far as it concerns these files.
    """
    return _open(directory, None, account_only=True)


def _open(directory: Path, node: str | None, *, account_only: bool = False) -> Bundle:
    home = _home(directory)
    head = _read_head(home, directory)
    manifest = _read_manifest(directory, head[MANIFEST])
    if node is not None:
        _require_node(directory, manifest, node)
        expected = {node_path(node, file) for file in NODE_FILES}
    else:
        expected = set(ACCOUNT_FILES) if account_only else set(manifest.files)
    if not account_only:
        present = {path for path in list_files(directory) if not path.startswith(".")}
        if surplus := present - expected - set(HEAD_FILES):
            raise BundleError(f"{directory / min(surplus)}: not a file of this bundle")
    files = {}
    for path, digest in manifest.files.items():
        if path not in expected:
            continue
        try:
            files[path] = _read(home, path)
        except OSError as error:
            raise BundleError(f"{directory / path}: {error.strerror}") from None
        if hashlib.sha256(files[path]).hexdigest() != digest:
            raise BundleError(f"{directory / path}: was altered: its SHA-256 is not the manifest's")
    return Bundle(directory, manifest, files, head)


def _read_manifest(directory: Path, text: bytes) -> Manifest:
    try:
        manifest = decode(Manifest, text)
    except DecodeError as error:
        raise BundleError(f"{directory / MANIFEST}: {error}") from None
    if manifest.format_version != FORMAT_VERSION:
        raise BundleError(
            f"{directory / MANIFEST}: format version {manifest.format_version} is not {FORMAT_VERSION}; "
            "use the egressc that wrote the bundle, or compile it again"
        )
    listed = set(ACCOUNT_FILES)
    listed.update(node_path(name, file) for name in manifest.nodes for file in NODE_FILES)
    if listed != set(manifest.files):
        odd = min(listed ^ set(manifest.files))
        raise BundleError(f"{directory / MANIFEST}: the list of files does not fit the list of nodes: {odd[:300]}")
    return manifest


def _require_node(directory: Path, manifest: Manifest, name: str) -> None:
    if name not in manifest.nodes:
        known = ", ".join(manifest.nodes[:10]) or "none"
        raise BundleError(f"{directory}: has no node {name[:300]!r}; nodes in it: {known}")


def _read_head(home: Path, directory: Path) -> dict[str, bytes]:
    try:
        head = {MANIFEST: _read(home, MANIFEST)}
    except OSError as error:
        raise BundleError(f"{directory / MANIFEST}: {error.strerror}; is this a bundle?") from None
    for path in (SIGNED, SIGNATURE):
        try:
            head[path] = _read(home, path, _LARGEST_SIGNATURE)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BundleError(f"{directory / path}: {error.strerror}") from None
    return head


def _home(directory: Path) -> Path:
    try:
        return directory.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise BundleError(f"{directory}: cannot be opened: {getattr(error, 'strerror', error)}") from None


def _read(home: Path, path: str, largest: int = _LARGEST) -> bytes:
    """Reads a file of the bundle, and of nothing else: no pipe that never ends, nothing that a link leads out to."""
    real = os.path.realpath(home / path)
    if not Path(real).is_relative_to(home):
        raise OSError(errno.EXDEV, "is a link that leads out of the bundle")
    # Without waiting for somebody to open the other end, should it be a pipe.
    with os.fdopen(os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")
        if status.st_size > largest:
            raise OSError(errno.EFBIG, f"has {status.st_size} bytes, more than any such file of a bundle has")
        return file.read(status.st_size)


def _ruleset_fault(ruleset: Ruleset) -> str:
    """Returns what is wrong with a ruleset that can be read, empty if nothing is."""
    if ruleset.others:
        return f"holds what is none of ours: {' '.join(ruleset.others[0])[:_SHOWN]}"
    for chain in ruleset.chains.values():
        for rule in chain.rules:
            if rule.comment != fingerprint(rule.text):
                return f"a rule's comment is not its digest: {rule.text[:_SHOWN]}"
            if not _STATEMENT.fullmatch(rule.text):
                return f"a rule is more than one statement: {rule.text[:_SHOWN]}"
    for item in ruleset.sets.values():
        for key, value in item.elements.items():
            if not _STATEMENT.fullmatch(key) or not _STATEMENT.fullmatch(value or ""):
                return f"an element of {item.name[:_SHOWN]} is more than one: {key[:_SHOWN]}"
    return ""


def list_files(directory: Path) -> set[str]:
    """Returns the paths of all files below `directory`, relative to it and with `/`."""
    return {
        (Path(root) / name).relative_to(directory).as_posix() for root, _, names in os.walk(directory) for name in names
    }
