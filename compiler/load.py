"""Load, second half: documents to objects by kind, each once.

In: documents. Out: the objects of the kinds that egressc knows, how many it passed over, and what was wrong. Does not
look inside an object beyond what names it.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from compiler.diagnostics import Diagnostic, Place, error
from compiler.findings import Findings
from compiler.source import Data, Document

KINDS: Final = {
    ("network.deckhouse.io", "EgressGateway"),
    ("network.deckhouse.io", "EgressGatewayPolicy"),
    ("", "Node"),
    ("", "Pod"),
    ("", "Namespace"),
    ("virtualization.deckhouse.io", "VirtualMachine"),
    ("nmstate.io", "NodeNetworkState"),
    ("networking.k8s.io", "ServiceCIDR"),
    ("deckhouse.io", "ModuleConfig"),
    ("egressc.io", "EgressCompilerConfig"),
}
"""API group and kind of all that is read; the version is not looked at, since kubectl may print another."""

_LARGEST: Final = 8 << 20
_MOST_VALUES: Final = 500_000
"""Bytes of one object as JSON, and commas in it, so that its faults too are of a number that can be told.

The API server takes requests of 3 MiB, and JSON may be twice as long as what was sent.
"""
_MAX_LISTS: Final = 10
"""Lists within lists; kubectl makes none."""


@dataclass(frozen=True, slots=True)
class Object:
    """One Kubernetes object as plain data."""

    kind: str
    namespace: str
    name: str
    data: dict[str, Data]
    place: Place


@dataclass(frozen=True, slots=True)
class Loaded:
    """All objects of the inputs in a fixed order, and how many of other kinds were passed over."""

    objects: tuple[Object, ...]
    passed_over: int
    digest: str

    def of(self, kind: str) -> tuple[Object, ...]:
        """Returns the objects of one kind, sorted by namespace and name."""
        return tuple(item for item in self.objects if item.kind == kind)


def load(documents: Iterable[Document]) -> tuple[Loaded, tuple[Diagnostic, ...]]:
    """Collects objects: lists are unwrapped, equal repetitions are dropped, differing ones are an error."""
    known: dict[tuple[str, str, str], Object] = {}
    findings = Findings()
    passed_over = 0
    for document in documents:
        for data, place in _unwrap(document.data, document.place):
            found = _identify(data, place)
            if isinstance(found, Diagnostic):
                findings.add(found)
            elif found is None:
                passed_over += 1
            else:
                key = (found.kind, found.namespace, found.name)
                first = known.setdefault(key, found)
                if first is not found and not _same(first.data, found.data):
                    findings.add(_differs(first, found))
    objects, digest = _digest((known[key] for key in sorted(known)), findings)
    return Loaded(objects, passed_over, digest), findings.done()


def _unwrap(data: Data, place: Place, depth: int = 0) -> Iterable[tuple[Data, Place]]:
    kind = data.get("kind") if isinstance(data, dict) and depth < _MAX_LISTS else None
    if isinstance(kind, str) and kind.endswith("List") and isinstance(data.get("items"), list):
        for index, item in enumerate(data["items"]):
            # `kubectl get -o json` of one kind names it in the list only, in some versions.
            if isinstance(item, dict) and "kind" not in item and kind != "List":
                given = {"apiVersion": data.get("apiVersion"), "kind": kind.removesuffix("List"), **item}
                yield given, place.at("items", index)
            else:
                yield from _unwrap(item, place.at("items", index), depth + 1)
    else:
        yield data, place


def _identify(data: Data, place: Place) -> Object | Diagnostic | None:  # noqa: PLR0911  # one return a kind of fault
    if not isinstance(data, dict):
        return error("EG105", place, "expected a Kubernetes object, with apiVersion, kind and metadata")
    for field in ("apiVersion", "kind"):
        if not isinstance(data.get(field), str):
            return error("EG105", place, f"{field} is missing or not a text; is this a Kubernetes object?")
    group, slash, _ = data["apiVersion"].rpartition("/")
    if (group if slash else "", data["kind"]) not in KINDS:
        return _pass_over(data, place)
    metadata = data.get("metadata", {})
    if data["kind"] == "ModuleConfig" and isinstance(metadata, dict) and metadata.get("name") != "virtualization":
        return None
    if data["kind"] == "EgressCompilerConfig" and not metadata:
        return Object("EgressCompilerConfig", "", "", data, place)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        return error("EG201", place.at("metadata", "name"), f"this {data['kind']} has no name; give it metadata.name")
    # Of the kinds that are read, these two have namespaces; a namespace given to another means nothing.
    namespaced = data["kind"] in ("Pod", "VirtualMachine")
    namespace = metadata.get("namespace", "default") if namespaced else None
    if namespaced and namespace is None:
        namespace = "default"
    if namespace is not None and not isinstance(namespace, str):
        return error("EG202", place.at("metadata", "namespace"), "must be a text")
    return Object(data["kind"], namespace or "", metadata["name"], data, place)


def _pass_over(data: dict[str, Data], place: Place) -> Diagnostic | None:
    if data["kind"].endswith("List") and isinstance(data.get("items"), list):
        return error("EG105", place, f"lists are nested deeper than {_MAX_LISTS} levels; write the objects out")
    return None


def _same(first: Data, second: Data) -> bool:
    try:
        return bool(first == second)
    except RecursionError:  # told of when the digest is made
        return True


def _differs(first: Object, second: Object) -> Diagnostic:
    name = f"{first.namespace}/{first.name}" if first.namespace else first.name
    where = f"{first.place.file}, document {first.place.document + 1}"
    if first.place.path:
        where += f", {first.place.field}"
    message = f"{first.kind} {name} is given again with other content; it was first given in {where}: keep one"
    return error("EG106", second.place, message)


def _digest(objects: Iterable[Object], findings: Findings) -> tuple[tuple[Object, ...], str]:
    """Returns the objects that are of a size that can be, and the digest of them all."""
    digest = hashlib.sha256()
    kept = []
    for item in objects:
        try:
            text = json.dumps(item.data, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        except RecursionError:
            findings.error("EG102", item.place, f"this {item.kind} is nested deeper than can be read")
            continue
        if len(text) > _LARGEST or text.count(",") > _MOST_VALUES:
            message = f"this {item.kind} is larger than any object of Kubernetes can be, which is 3 MiB by default"
            findings.error("EG105", item.place, message)
            continue
        digest.update(f"{item.kind}\0{item.namespace}\0{item.name}\0{text}\n".encode())
        kept.append(item)
    return tuple(kept), digest.hexdigest()
