"""Salvage: what is left of inputs when the objects that have errors are left out (`--keep-going`).

In: loaded objects and the findings so far. Out: the cluster without them, what that means for traffic as further
findings, and the names of what was left out. Leaving out is all it does: the rest is validated by `validate`, again and
again until no object has an error, so there is no second way through the compiler.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from compiler.diagnostics import Diagnostic, Place, Severity, error, warning
from compiler.load import Loaded, Object
from compiler.model import Cluster
from compiler.validate import validate

_NOTHING_LEFT: Final = ("EG101", "EG107")
"""Nobody knows what an unreadable file holds, and a bundle of no policies at all would let everything out."""

_PASSED_OVER: Final = {
    "EG301": "the policy goes on deciding, and what it sends to that gateway is dropped",
    "EG304": "what comes from that address is dropped where a policy sends either of the two to a gateway",
    "EG403": "what policies send from that node to that gateway node is dropped",
    "EG406": "what policies decide on that node is dropped, and so is what other nodes send to it as a gateway node",
}
"""Errors that take no object out, and why that is safe: what they concern is dropped, never sent otherwise."""

_CONSEQUENCES: Final = {
    "EgressGateway": "policies that name it go on deciding, and what they send to it is dropped",
    "EgressGatewayPolicy": "what it would decide goes its ordinary way, or that of another policy, until it is mended",
    "Node": "it serves no gateway and gets no part of the bundle, so what it was told before stays in force there",
    "NodeNetworkState": "the interfaces of that node count as unknown",
    "Pod": "what it sends goes its ordinary way until it is mended, and as an agent it does not count",
    "VirtualMachine": "its pod stands for it; without one, what it sends goes its ordinary way",
    "Namespace": "it counts as one without labels, so what policies choose by them goes its ordinary way",
    "ServiceCIDR": "the ranges in it that can be read count",
    "ModuleConfig": "the ranges in it that can be read count",
}
_CONFIG: Final = "EgressCompilerConfig"


_TEXT_ERRORS: Final = ("EG102", "EG103", "EG104")
"""Errors of a text that could not be read to its end: their place is in no object."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """The result: no cluster when something has an error that cannot be left out."""

    cluster: Cluster | None
    findings: tuple[Diagnostic, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Loss:
    """What does not count, and what becomes of its traffic."""

    what: str
    consequence: str
    place: Place


def salvage(loaded: Loaded, findings: tuple[Diagnostic, ...], sources: Mapping[str, bytes]) -> Salvaged:
    """Leaves out every object that an error points to, and validates the rest.

    Args:
        loaded: All objects.
        findings: Of reading and loading them.
        sources: The text of each file, to see whether one that cannot be understood has the configuration.
    """
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if any(finding.code in _NOTHING_LEFT for finding in errors):
        return Salvaged(None, ())
    found: list[Diagnostic] = []
    known = _index(loaded)
    losses = [_document(finding.place) for finding in errors if not _objects_at(finding, known)]
    place = _text_of_configuration((loss.place for loss in losses), loaded, sources)
    while place is None:
        cluster, faults = validate(loaded)
        found.extend(faults)
        index = _index(loaded)
        broken = {item.place: item for fault in (*errors, *faults) for item in _broken_by(fault, index)}
        if not broken and losses and not cluster.policies:
            first = losses[0].place
            message = "no policy is left, and without one all traffic would go its ordinary way; mend one of them"
            return Salvaged(None, (*found, error("EG107", first, message)))
        if not broken:
            found.extend(
                warning("EG320", loss.place, f"{loss.what} is left out: {loss.consequence}") for loss in losses
            )
            found.extend(pass_over(found))
            return Salvaged(cluster, tuple(found), tuple(sorted(loss.what for loss in losses)))
        place = next((at for at, item in broken.items() if item.kind == _CONFIG), None)
        losses.extend(
            _Loss(f"{item.kind} {item.title}", _CONSEQUENCES.get(item.kind, ""), at) for at, item in broken.items()
        )
        loaded = loaded.without(broken)
    message = "a configuration cannot be left out: with the defaults nodes would get other numbers and ranges; mend it"
    return Salvaged(None, (*found, error("EG321", place, message)))


def pass_over(findings: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Returns a warning for each error that takes no object out, which says what becomes of the traffic."""
    return tuple(
        warning("EG322", finding.place, f"{finding.code} is passed over: {_PASSED_OVER[finding.code]}")
        for finding in findings
        if finding.code in _PASSED_OVER
    )


def _index(loaded: Loaded) -> dict[Place, Object]:
    return {item.place: item for item in loaded.objects}


def _objects_at(finding: Diagnostic, index: Mapping[Place, Object]) -> list[Object]:
    """Returns the objects that the places of a finding lie in."""
    if finding.code in _TEXT_ERRORS:
        return []
    found: list[Object] = []
    for place in (finding.place, *finding.related):
        around = (replace(place, path=place.path[:length], of_key=False) for length in range(len(place.path), -1, -1))
        found.extend(index[at] for at in around if at in index)
    return found


def broken_kinds(findings: Iterable[Diagnostic], loaded: Loaded) -> set[str]:
    """Returns the kinds of the objects that have errors; the empty name stands for what is no object."""
    index = _index(loaded)
    kinds: set[str] = set()
    for finding in findings:
        if finding.severity is Severity.ERROR:
            kinds.update([item.kind for item in _objects_at(finding, index)] or [""])
    return kinds


def _broken_by(finding: Diagnostic, index: Mapping[Place, Object]) -> list[Object]:
    if finding.severity is not Severity.ERROR or finding.code in _PASSED_OVER:
        return []
    return _objects_at(finding, index)


def _text_of_configuration(places: Iterable[Place], loaded: Loaded, sources: Mapping[str, bytes]) -> Place | None:
    """Returns the place of a text that cannot be understood and may hold the configuration."""
    known = {item.place.file for item in loaded.of(_CONFIG)}
    # In whatever case and encoding: a kind that is misspelt, or a text in UTF-16, was meant as one too.
    texts = {name: raw.replace(b"\0", b"").lower() for name, raw in sources.items() if name not in known}
    return next((at for at in places if _CONFIG.lower().encode() in texts.get(at.file, b"")), None)


def _document(place: Place) -> _Loss:
    what = f"document {place.document + 1} of {place.file}"
    numbers = [index for index, part in enumerate(place.path) if isinstance(part, int)]
    if numbers:
        what += f", {replace(place, path=place.path[: numbers[-1] + 1]).field},"
    consequence = "if it is a policy, what it would decide goes its ordinary way"
    if place.line:
        consequence = f"nor does what follows it in the file count; {consequence}"
    return _Loss(what, consequence, place)
