"""Load, second half: documents to objects by kind, each once.

In: documents. Out: the objects of the kinds that egressc knows, how many it passed over, and what was wrong. Does not
look inside an object beyond what names it.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from compiler.diagnostics import Diagnostic, Place, error
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


@dataclass(frozen=True, slots=True)
class Object:
    """One Kubernetes object as plain data."""

    kind: str
    namespace: str
    name: str
    data: dict[str, Data]
    place: Place

    @property
    def title(self) -> str:
        """`NAMESPACE/NAME`, or the name where there is no namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Loaded:
    """All objects of the inputs in a fixed order, and how many of other kinds were passed over.

    Attributes:
        objects: What counts.
        passed_over: How many objects of other kinds there were.
        digest: SHA-256 of the content of all of them.
        left_out: What has errors and does not count, as `--keep-going` asks.
    """

    objects: tuple[Object, ...]
    passed_over: int
    digest: str
    left_out: tuple[Object, ...] = ()

    def of(self, kind: str) -> tuple[Object, ...]:
        """Returns the objects of one kind, sorted by namespace and name."""
        return tuple(item for item in self.objects if item.kind == kind)

    def without(self, broken: Collection[Place]) -> "Loaded":
        """Leaves out the objects at some places."""
        kept = tuple(item for item in self.objects if item.place not in broken)
        gone = tuple(item for item in self.objects if item.place in broken)
        return replace(self, objects=kept, left_out=(*self.left_out, *gone))


def texts_at(data: Data, keys: Collection[str]) -> tuple[str, ...]:
    """Returns the texts that stand under some keys, alone or in a list, wherever the keys are."""
    found: list[str] = []
    rest = [data]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            for key, value in part.items():
                if key in keys:
                    found.extend(
                        text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)
                    )
            rest.extend(part.values())
        elif isinstance(part, list):
            rest.extend(part)
    return tuple(found)


def load(documents: Iterable[Document]) -> tuple[Loaded, tuple[Diagnostic, ...]]:
    """Collects objects: lists are unwrapped, equal repetitions are dropped, differing ones are an error."""
    known: dict[tuple[str, str, str], Object] = {}
    findings: list[Diagnostic] = []
    passed_over = 0
    for document in documents:
        for data, place in _unwrap(document.data, document.place):
            found = _identify(data, place)
            if isinstance(found, Diagnostic):
                findings.append(found)
            elif found is None:
                passed_over += 1
            else:
                key = (found.kind, found.namespace, found.name)
                first = known.setdefault(key, found)
                if first.data != found.data:
                    findings.append(_differs(first, found))
    objects = tuple(known[key] for key in sorted(known))
    return Loaded(objects, passed_over, _digest(objects)), tuple(findings)


def _unwrap(data: Data, place: Place) -> Iterable[tuple[Data, Place]]:
    kind = data.get("kind") if isinstance(data, dict) else None
    if isinstance(kind, str) and kind.endswith("List") and isinstance(data.get("items"), list):
        for index, item in enumerate(data["items"]):
            # `kubectl get -o json` of one kind names it in the list only, in some versions.
            if isinstance(item, dict) and "kind" not in item and kind != "List":
                given = {"apiVersion": data.get("apiVersion"), "kind": kind.removesuffix("List"), **item}
                yield given, place.at("items", index)
            else:
                yield from _unwrap(item, place.at("items", index))
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
        return None
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


def _differs(first: Object, second: Object) -> Diagnostic:
    where = f"{first.place.file}, document {first.place.document + 1}"
    if first.place.path:
        where += f", {first.place.field}"
    message = f"{first.kind} {first.title} is given again with other content; it was first given in {where}: keep one"
    return error("EG106", second.place, message, first.place)


def _digest(objects: tuple[Object, ...]) -> str:
    digest = hashlib.sha256()
    for item in objects:
        text = json.dumps(item.data, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        digest.update(f"{item.kind}\0{item.namespace}\0{item.name}\0{text}\n".encode())
    return digest.hexdigest()
