"""Load, second half: documents to objects by kind, each once.

In: documents. Out: the objects of the kinds that egressc knows, how many it passed over, and what was wrong. Does not
look inside an object beyond what names it.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from compiler.diagnostics import Diagnostic, Place, error, warning
from compiler.findings import Findings
from compiler.source import Data, Document
from compiler.text import closest

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
"""API group and kind of all that is read; another version is read too, since kubectl may print it."""

_OWN: Final = {
    "EgressGateway": "network.deckhouse.io/v1alpha1",
    "EgressGatewayPolicy": "network.deckhouse.io/v1alpha1",
    "EgressCompilerConfig": "egressc.io/v1alpha1",
}
# Near enough that somebody meant ours: `deckhouse.io`, `network.deckhouse.com`; not the groups of Calico or Spidernet,
# which have an EgressGateway too.
_NEAR_GROUP: Final = 0.7
_NEAR_KIND: Final = 0.75

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
                findings.add(*_check_version(found))
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
    if (fault := _check_type(data, place)) is not None:
        return fault
    group = data["apiVersion"].rpartition("/")[0]
    if (group, data["kind"]) not in KINDS:
        return _nearly_own(group, data, place) or _too_deep(data, place)
    metadata = data.get("metadata", {})
    if data["kind"] == "ModuleConfig" and isinstance(metadata, dict) and metadata.get("name") != "virtualization":
        return None
    if data["kind"] == "EgressCompilerConfig" and not metadata:
        return Object("EgressCompilerConfig", "", "", data, place)
    if (fault := _check_name(data, place)) is not None:
        return fault
    # Of the kinds that are read, these two have namespaces; a namespace given to another means nothing.
    namespaced = data["kind"] in ("Pod", "VirtualMachine")
    namespace = metadata.get("namespace", "default") if namespaced else None
    if namespaced and namespace is None:
        namespace = "default"
    if namespace is not None and not isinstance(namespace, str):
        return error("EG202", place.at("metadata", "namespace"), "must be a text; write the name of a namespace")
    return Object(data["kind"], namespace or "", metadata["name"], data, place)


def _check_type(data: dict[str, Data], place: Place) -> Diagnostic | None:
    for field in ("apiVersion", "kind"):
        if data.get(field) is None:
            return error("EG105", place, f"{field} is missing; give whole Kubernetes objects")
        if not isinstance(data[field], str):
            return error("EG105", place.at(field), f"must be a text such as {'v1' if field == 'apiVersion' else 'Pod'}")
    return None


def _check_name(data: dict[str, Data], place: Place) -> Diagnostic | None:
    metadata = data.get("metadata")
    if metadata is None or (isinstance(metadata, dict) and metadata.get("name") is None):
        where = place if metadata is None else place.at("metadata")
        return error("EG201", where, f"this {data['kind']} has no name; give it metadata.name")
    if not isinstance(metadata, dict):
        return error("EG202", place.at("metadata"), "must be a mapping")
    if not isinstance(metadata["name"], str) or not metadata["name"]:
        return error(
            "EG202", place.at("metadata", "name"), "must be a text that is not empty; put quotes around a number"
        )
    return None


def _nearly_own(group: str, data: dict[str, Data], place: Place) -> Diagnostic | None:
    """Finds an object of ours that would be passed over, and its traffic with it, for a slip in what it is called."""
    kind = _near_kind(group, data["kind"])
    if kind is None:
        return None
    field = "apiVersion" if kind == data["kind"] else "kind"
    message = f"{data['apiVersion']} {data['kind']} is no kind that egressc reads; did you mean {_OWN[kind]} {kind}?"
    return error("EG108", place.at(field), message)


@lru_cache(maxsize=256)  # a snapshot has many objects, but few kinds
def _near_kind(group: str, kind: str) -> str | None:
    kinds = {name.lower(): name for name in _OWN}
    near = closest(kind.lower(), kinds, _NEAR_KIND)
    if near is None:
        return None
    own = _OWN[kinds[near]].rpartition("/")[0]
    return kinds[near] if not group or closest(group, [own], _NEAR_GROUP) else None


def _check_version(item: Object) -> Iterable[Diagnostic]:
    given, known = item.data["apiVersion"], _OWN.get(item.kind)
    if known is not None and given != known:
        message = f"{given} is not a version that egressc knows; it is read as {known}, so write that"
        yield warning("EG109", item.place.at("apiVersion"), message)


def _too_deep(data: dict[str, Data], place: Place) -> Diagnostic | None:
    if data["kind"].endswith("List") and isinstance(data.get("items"), list):
        return error("EG105", place, f"lists are nested deeper than {_MAX_LISTS} levels; write the objects out")
    return None


def _same(first: Data, second: Data) -> bool:
    try:
        return bool(first == second)
    except RecursionError:  # told of when the digest is made
        return True


def _differs(first: Object, second: Object) -> Diagnostic:
    where = f"{first.place.file}, document {first.place.document + 1}"
    if first.place.path:
        where += f", {first.place.field}"
    message = f"{first.kind} {first.title} is given again with other content; it was first given in {where}: keep one"
    return error("EG106", second.place, message, first.place)


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
