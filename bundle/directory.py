"""A bundle directory read as a whole: nothing is believed before its digest is checked.

Every reader goes through here, so an unknown format, a missing file, a foreign file or a wrong digest is refused
before anything is touched.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bundle.codec import DecodeError, decode
from bundle.model import FORMAT_VERSION, Addresses, Manifest, Routing
from bundle.names import TABLE_FAMILY, TABLE_NAME
from bundle.ruleset import Ruleset, RulesetError, fingerprint, parse

MANIFEST = "manifest.json"
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

_T = TypeVar("_T")

# A Kubernetes name; in particular no `/` and no `..`, since it is a folder here.
_NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class BundleError(Exception):
    """The directory is not a bundle that this version can trust; the message says why and names the file."""


@dataclass(frozen=True, slots=True)
class NodePart:
    """All that one node is told."""

    node: str
    ruleset_text: str
    ruleset: Ruleset
    routing: Routing
    addresses: Addresses


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle: the manifest was read and every file's digest compared."""

    directory: Path
    manifest: Manifest
    files: dict[str, bytes]

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

    def node(self, name: str) -> NodePart:
        """Returns the part of one node.

        Raises:
            BundleError: The bundle has no such node, or its files do not hold what they should.
        """
        if name not in self.manifest.nodes:
            known = ", ".join(self.manifest.nodes[:10]) or "none"
            raise BundleError(f"{self.directory}: has no node {name!r}; nodes in it: {known}")
        path = node_path(name, RULESET)
        try:
            text = self.files[path].decode()
            ruleset = parse(text, f"{TABLE_FAMILY} {TABLE_NAME}")
        except (KeyError, UnicodeDecodeError, RulesetError) as error:
            raise BundleError(f"{self.directory / path}: {error}") from None
        for chain in ruleset.chains.values():
            for rule in chain.rules:
                if rule.comment != fingerprint(rule.text):
                    raise BundleError(f"{self.directory / path}: a rule's comment is not its digest: {rule.text}")
        routing = self.decode(Routing, node_path(name, ROUTING))
        addresses = self.decode(Addresses, node_path(name, ADDRESSES))
        if (routing.node, addresses.node) != (name, name):
            raise BundleError(f"{self.directory}: the files of node {name!r} were made for another node")
        return NodePart(name, text, ruleset, routing, addresses)


def node_path(node: str, file: str) -> str:
    """Returns the path of one node's file inside a bundle."""
    return f"nodes/{node}/{file}"


def open_bundle(directory: Path) -> Bundle:
    """Reads a bundle and checks format version, digests and the set of files.

    Raises:
        BundleError: It is not complete, not unaltered or not of `FORMAT_VERSION`.
    """
    try:
        manifest = decode(Manifest, (directory / MANIFEST).read_bytes())
    except OSError as error:
        raise BundleError(f"{directory / MANIFEST}: {error.strerror}; is this a bundle?") from None
    except DecodeError as error:
        raise BundleError(f"{directory / MANIFEST}: {error}") from None
    if manifest.format_version != FORMAT_VERSION:
        raise BundleError(
            f"{directory / MANIFEST}: format version {manifest.format_version} is not {FORMAT_VERSION}; "
            "use the egressc that wrote the bundle, or compile it again"
        )
    expected = set(ACCOUNT_FILES)
    expected.update(node_path(node, file) for node in manifest.nodes for file in NODE_FILES)
    if expected != set(manifest.files):
        odd = min(expected ^ set(manifest.files))
        raise BundleError(f"{directory / MANIFEST}: the list of files does not fit the list of nodes: {odd}")
    if invalid := [node for node in manifest.nodes if not _NODE_NAME.fullmatch(node)]:
        raise BundleError(f"{directory / MANIFEST}: {invalid[0]!r} is not the name of a node")
    present = {path for path in list_files(directory) if not path.startswith(".")}
    if surplus := present - expected - {MANIFEST}:
        raise BundleError(f"{directory / min(surplus)}: not a file of this bundle")
    files = {}
    for path, digest in manifest.files.items():
        try:
            files[path] = (directory / path).read_bytes()
        except OSError as error:
            raise BundleError(f"{directory / path}: {error.strerror}") from None
        if hashlib.sha256(files[path]).hexdigest() != digest:
            raise BundleError(f"{directory / path}: was altered: its SHA-256 is not the manifest's")
    return Bundle(directory, manifest, files)


def list_files(directory: Path) -> set[str]:
    """Returns the paths of all files below `directory`, relative to it and with `/`."""
    return {
        (Path(root) / name).relative_to(directory).as_posix() for root, _, names in os.walk(directory) for name in names
    }
