"""Load, second half: files to objects by kind, each once.

In: the bytes of files. Out: the objects of the kinds that egressc knows, how many it passed over, and what was wrong.
Does not look inside an object beyond what names it.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import Final, NamedTuple

from compiler.diagnostics import Diagnostic, Place, error, warning
from compiler.fastjson import Doubt, Raw, as_text, canonical_form, decode, read_item, read_list
from compiler.findings import Findings
from compiler.source import Data, read_documents
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


Key = tuple[str, str, str]
"""What makes an object itself: its kind, its namespace (empty where the kind has none), its name."""


@dataclass(frozen=True, slots=True)
class Object:
    """One Kubernetes object.

    Attributes:
        content: Plain data, or the text that it is in a file of JSON.
        digest: SHA-256 of its canonical form; empty where it is larger or deeper than any object can be.
    """

    kind: str
    namespace: str
    name: str
    content: dict[str, Data] | Raw
    place: Place
    digest: bytes = b""

    @property
    def data(self) -> dict[str, Data]:
        """The object as plain data, made anew at each call where it is kept as text."""
        return decode(self.content) if isinstance(self.content, Raw) else self.content

    @property
    def key(self) -> Key:
        """Kind, namespace and name."""
        return (self.kind, self.namespace, self.name)

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


@dataclass(frozen=True, slots=True)
class FileObjects:
    """What one file holds; `passed_over` counts the objects of other kinds."""

    objects: tuple[Object, ...]
    passed_over: int
    findings: Findings


def read_objects(name: str, raw: bytes) -> FileObjects:
    """Turns the bytes of one file into objects; lists are unwrapped.

    Args:
        name: File name for places; `-` for standard input.
        raw: YAML or JSON in UTF-8.
    """
    place = Place(name)
    try:
        return _gather(_list_parts(raw, place), Findings())
    except Doubt:
        documents, faults = read_documents(name, raw)
        findings = Findings()
        findings.add(*faults)
        return _gather((part for item in documents for part in _parts(item.data, item.place)), findings)


def load(files: Iterable[FileObjects]) -> tuple[Loaded, tuple[Diagnostic, ...]]:
    """Collects objects: equal repetitions are dropped, differing ones are an error."""
    known: dict[Key, Object] = {}
    findings = Findings()
    passed_over = 0
    for file in files:
        passed_over += file.passed_over
        findings.extend(file.findings)
        for item in file.objects:
            first = known.setdefault(item.key, item)
            if first is not item and not _same(first, item):
                findings.add(_differs(first, item))
    return together(known, passed_over, findings), findings.done()


def together(objects: Mapping[Key, Object], passed_over: int, findings: Findings) -> Loaded:
    """Puts objects, of which there is one for each key, into their order; those that are too large become findings."""
    kept = []
    digest = hashlib.sha256()
    for _, item in sorted(objects.items(), key=itemgetter(0)):
        if item.digest:
            kept.append(item)
            digest.update(item.digest)
        else:
            findings.add(_too_much(item))
    return Loaded(tuple(kept), passed_over, digest.hexdigest())


class _Part(NamedTuple):
    """A value of a file that is no list of others: as plain data, as what is kept of it, and in its canonical form."""

    data: Data
    content: Data | Raw
    canonical: bytes | None
    place: Place


def _list_parts(raw: bytes, place: Place) -> Iterator[_Part]:
    """Reads a list of JSON and keeps no more than the text of what is in it.

    Raises:
        Doubt: The file must be read the slow way.
    """
    whole = read_list(raw)
    for index, text in enumerate(whole.items):
        data, canonical = read_item(text)
        at = place.at("items", index)
        if isinstance(data, dict) and "kind" in data and not str(data["kind"]).endswith("List"):
            yield _Part(data, text, canonical, at)
            continue
        for part in _entry(data, whole.head, at, 0):
            yield part._replace(content=as_text(part.data))


def _parts(data: Data, place: Place, depth: int = 0) -> Iterator[_Part]:
    kind = data.get("kind") if isinstance(data, dict) and depth < _MAX_LISTS else None
    if isinstance(kind, str) and kind.endswith("List") and isinstance(data.get("items"), list):
        for index, item in enumerate(data["items"]):
            yield from _entry(item, data, place.at("items", index), depth)
    else:
        yield _Part(data, data, None, place)


def _entry(item: Data, whole: Mapping[str, Data], place: Place, depth: int) -> Iterator[_Part]:
    kind = whole["kind"]
    # `kubectl get -o json` of one kind names it in the list only, in some versions.
    if isinstance(item, dict) and "kind" not in item and kind != "List":
        given = {"apiVersion": whole.get("apiVersion"), "kind": kind.removesuffix("List"), **item}
        yield _Part(given, given, None, place)
    else:
        yield from _parts(item, place, depth + 1)


def _gather(parts: Iterable[_Part], findings: Findings) -> FileObjects:
    objects = []
    passed_over = 0
    for data, content, canonical, place in parts:
        found = _identify(data, place)
        if isinstance(found, Diagnostic):
            findings.add(found)
        elif found is None:
            passed_over += 1
        else:
            if found[0] in _OWN:
                findings.add(*_check_version(found[0], data["apiVersion"], place))
            objects.append(Object(*found, content, place, _digest(data if canonical is None else canonical)))
    return FileObjects(tuple(objects), passed_over, findings)


def _identify(data: Data, place: Place) -> tuple[str, str, str] | Diagnostic | None:  # noqa: PLR0911  # one return a kind of fault
    """Returns the kind, namespace and name of an object that is read, None for one that is passed over."""
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
        return "EgressCompilerConfig", "", ""
    if (fault := _check_name(data, place)) is not None:
        return fault
    # Of the kinds that are read, these two have namespaces; a namespace given to another means nothing.
    namespaced = data["kind"] in ("Pod", "VirtualMachine")
    namespace = metadata.get("namespace", "default") if namespaced else None
    if namespaced and namespace is None:
        namespace = "default"
    if namespace is not None and not isinstance(namespace, str):
        return error("EG202", place.at("metadata", "namespace"), "must be a text; write the name of a namespace")
    return data["kind"], namespace or "", metadata["name"]


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


def _check_version(kind: str, given: str, place: Place) -> Iterable[Diagnostic]:
    if given != (known := _OWN[kind]):
        message = f"{given} is not a version that egressc knows; it is read as {known}, so write that"
        yield warning("EG109", place.at("apiVersion"), message)


def _too_deep(data: dict[str, Data], place: Place) -> Diagnostic | None:
    if data["kind"].endswith("List") and isinstance(data.get("items"), list):
        return error("EG105", place, f"lists are nested deeper than {_MAX_LISTS} levels; write the objects out")
    return None


def _same(first: Object, second: Object) -> bool:
    if first.digest and first.digest == second.digest:
        return True
    try:
        return first.data == second.data
    except RecursionError:  # told of by `_too_much`
        return True


def _differs(first: Object, second: Object) -> Diagnostic:
    where = f"{first.place.file}, document {first.place.document + 1}"
    if first.place.path:
        where += f", {first.place.field}"
    message = f"{first.kind} {first.title} is given again with other content; it was first given in {where}: keep one"
    return error("EG106", second.place, message, first.place)


def _digest(content: dict[str, Data] | bytes) -> bytes:
    """Returns the digest of an object or of its canonical form, an empty one where it is too deep or too large."""
    try:
        canonical = content if isinstance(content, bytes) else canonical_form(content)
    except RecursionError:
        return b""
    if len(canonical) > _LARGEST or canonical.count(b",") > _MOST_VALUES:
        return b""
    return hashlib.sha256(canonical).digest()


def _too_much(item: Object) -> Diagnostic:
    try:
        canonical_form(item.data)
    except RecursionError:
        return error("EG102", item.place, f"this {item.kind} is nested deeper than can be read")
    message = f"this {item.kind} is larger than any object of Kubernetes can be, which is 3 MiB by default"
    return error("EG105", item.place, message)
