"""Findings as values: severity, stable code, sentence and place; and how they look as text.

Codes: EG1xx reading files, EG2xx an object by itself, EG3xx objects together, EG4xx what the plan makes of them.
`docs/diagnostics.md` has a line for each.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Severity(enum.Enum):
    """An error stops the compiler from writing anything; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


CODES = {
    "EG101": "A file, directory or standard input cannot be read.",
    "EG102": "The text is not YAML or JSON.",
    "EG103": "A key is given twice in one mapping.",
    "EG104": "Aliases expand to more than the document itself may hold, or refer to themselves.",
    "EG105": "A document is not a Kubernetes object: `apiVersion` or `kind` is missing.",
    "EG106": "One object is given twice with different content.",
    "EG107": "The input holds no EgressGateway and no EgressGatewayPolicy.",
    "EG201": "A required field is missing.",
    "EG202": "A field has a value of the wrong type.",
    "EG203": "Host bits are set in a CIDR; they are ignored.",
    "EG204": "A field that the kind does not have.",
    "EG205": "A value is not one of those the field allows.",
    "EG206": "Not an IP address.",
    "EG207": "Not a CIDR, or one without a prefix length.",
    "EG208": "A label key or value that Kubernetes refuses.",
    "EG209": "An interface name that Linux refuses.",
    "EG210": "`values` given for Exists or DoesNotExist, or missing for In or NotIn.",
    "EG211": "A selector entry with neither `podSelector` nor `namespaceSelector`.",
    "EG212": "A block for the mode that the gateway does not use; it is ignored.",
    "EG213": "A name that Kubernetes refuses.",
    "EG214": "A gateway name too long for Deckhouse's node label.",
    "EG215": "A number outside the range that the field allows.",
    "EG216": "A range of the cluster that is the whole address space.",
    "EG301": "A policy names a gateway that does not exist.",
    "EG302": "Two gateways have the same virtual IP.",
    "EG303": "A virtual IP is an address of a node or lies in a range of the cluster.",
    "EG304": "Two workloads have one address.",
    "EG305": "A policy's selectors select no workload.",
    "EG306": "No node is suitable for a gateway: its traffic is dropped.",
    "EG307": "Two policies have the same CIDR for a workload; the older one decides.",
    "EG308": "An entry of a policy can never decide anything.",
    "EG309": "No agent pod in the input, so no node is suitable.",
    "EG310": "No pod range is known.",
    "EG311": "A node lists an interface twice; the last one counts.",
    "EG312": "A workload runs on a node that is not in the input.",
    "EG320": "An object is left out because of its errors, as `--keep-going` asks.",
    "EG321": "The configuration has an error, and cannot be left out.",
    "EG322": "An error is passed over, as `--keep-going` asks: the traffic that it concerns is dropped.",
    "EG323": "A policy asks for labels of a Namespace that is not in the input.",
    "EG401": "A gateway has no source address of a family its policies need: that traffic is dropped.",
    "EG402": "The source address could not be checked: the node's interfaces are unknown.",
    "EG403": "The gateway's node is not on the link of a workload's node.",
    "EG404": "There is no next hop of the packet's family: that traffic is dropped.",
    "EG405": "Whether the gateway's node is on the link could not be checked.",
    "EG406": "More next hops and gateways on one node than the mark has numbers.",
    "EG407": "The interface of a virtual IP is chosen on the node: its interfaces are unknown.",
}
"""Every code with the sentence that documentation and machine-readable output give for it."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where in the inputs: a file, the number of the document in it, and the path of a field in that document.

    Line and column, from 1, are known here only for text that is not YAML or JSON at all; else they are looked up when
    a finding is shown, so that large snapshots do not pay for them.
    """

    file: str
    document: int = 0
    path: tuple[str | int, ...] = ()
    line: int = 0
    column: int = 0

    def at(self, *path: str | int) -> "Place":
        """Returns the place of a field below this one."""
        return Place(self.file, self.document, (*self.path, *path))

    @property
    def field(self) -> str:
        """The path as it is written: `spec.destinationCIDRs[1]`."""
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding; `related` are the places of other objects that have a part in it."""

    severity: Severity
    code: str
    message: str
    place: Place
    related: tuple[Place, ...] = ()


def error(code: str, place: Place, message: str, *related: Place) -> Diagnostic:
    """Makes an error."""
    return Diagnostic(Severity.ERROR, code, message, place, related)


def warning(code: str, place: Place, message: str) -> Diagnostic:
    """Makes a warning."""
    return Diagnostic(Severity.WARNING, code, message, place)


def has_errors(findings: Iterable[Diagnostic]) -> bool:
    """Tells whether any of the findings is an error."""
    return any(finding.severity is Severity.ERROR for finding in findings)
