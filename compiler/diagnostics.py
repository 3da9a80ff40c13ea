"""Findings as values: severity, stable code, sentence and place; and how they look as text.

Codes: EG1xx reading files, EG2xx an object by itself, EG3xx objects together, EG4xx what the plan makes of them.
`docs/diagnostics.md` has a line for each.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final


class Severity(enum.Enum):
    """An error stops the compiler from writing anything; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


_ERROR: Final = Severity.ERROR
_WARNING: Final = Severity.WARNING


@dataclass(frozen=True, slots=True)
class Code:
    """What is said of a code wherever it is explained: how grave it is, what it means, and what to do about it."""

    severity: Severity
    meaning: str
    remedy: str


CODES: Final = {
    "EG101": Code(_ERROR, "A file, directory or standard input cannot be read.", "Check the path and its permissions."),
    "EG102": Code(_ERROR, "The text is not YAML or JSON.", "Mend the text where the finding points."),
    "EG103": Code(
        _ERROR, "A key is given twice in one mapping.", "Keep one of the two; YAML itself would silently take the last."
    ),
    "EG104": Code(
        _ERROR,
        "Aliases expand to more than the document itself may hold, or refer to themselves.",
        "Write the values out.",
    ),
    "EG105": Code(
        _ERROR,
        "A document is not a Kubernetes object: `apiVersion` or `kind` is missing.",
        "Give whole objects, as `kubectl get -o yaml` prints them.",
    ),
    "EG106": Code(
        _ERROR,
        "One object is given twice with different content.",
        "Keep one of the two places that the finding names.",
    ),
    "EG107": Code(
        _ERROR, "The input holds no EgressGateway and no EgressGatewayPolicy.", "Name the files that hold them."
    ),
    "EG108": Code(
        _ERROR,
        "An API group or kind that is nearly one of egressc's own; the object would be passed over.",
        "Write the `apiVersion` and `kind` that the finding suggests.",
    ),
    "EG109": Code(
        _WARNING,
        "A version of the API that egressc does not know; the object is read as the version that it knows.",
        "Write the version that the finding gives.",
    ),
    "EG201": Code(_ERROR, "A required field is missing.", "Give the field."),
    "EG202": Code(
        _ERROR,
        "A field has a value of the wrong type.",
        "Write the type that the finding names; put quotes around numbers that are names.",
    ),
    "EG203": Code(
        _WARNING, "Host bits are set in a CIDR; they are ignored.", "Write the network address that the finding gives."
    ),
    "EG204": Code(
        _ERROR,
        "A field that the kind does not have.",
        "Take the field out, or write the one that the finding suggests.",
    ),
    "EG205": Code(
        _ERROR, "A value is not one of those the field allows.", "Write one of the values that the finding lists."
    ),
    "EG206": Code(_ERROR, "Not an IP address.", "Write an address without prefix length, of your network."),
    "EG207": Code(
        _ERROR, "Not a CIDR, or one without a prefix length.", "Write an address and a prefix length: `10.20.0.0/16`."
    ),
    "EG208": Code(
        _ERROR,
        "A label key or value that Kubernetes refuses.",
        "Keys are `name` or `example.com/name`; names and values have at most 63 letters, digits, `-`, `_` and `.`.",
    ),
    "EG209": Code(
        _ERROR, "An interface name that Linux refuses.", "Write at most 15 bytes: letters, digits and `_.@+=-`."
    ),
    "EG210": Code(
        _ERROR,
        "`values` given for Exists or DoesNotExist, or missing for In or NotIn.",
        "Give values to In and NotIn only.",
    ),
    "EG211": Code(
        _ERROR,
        "A selector entry with neither `podSelector` nor `namespaceSelector`.",
        "Write `podSelector: {}` to select every workload.",
    ),
    "EG212": Code(
        _WARNING,
        "A block for the mode that the gateway does not use; it is ignored.",
        "Take the block out, or change the mode.",
    ),
    "EG213": Code(_ERROR, "A name that Kubernetes refuses.", "Write lower-case letters, digits, `-` and `.`."),
    "EG214": Code(
        _WARNING,
        "A gateway name too long for Deckhouse's node label.",
        "Choose a name of at most 52 bytes if Deckhouse's own controller is to read it too.",
    ),
    "EG215": Code(
        _ERROR,
        "A number outside the range that the field allows.",
        "Write a number of the range that the finding gives.",
    ),
    "EG216": Code(
        _ERROR,
        "A range of the cluster that is the whole address space.",
        "Write the ranges that the cluster has, since nothing would ever be redirected.",
    ),
    "EG217": Code(_WARNING, "A CIDR is twice in one list.", "Take one of the two out."),
    "EG301": Code(
        _ERROR,
        "A policy names a gateway that does not exist.",
        "Create the gateway or mend the name; Deckhouse would let this traffic out with the node's own address.",
    ),
    "EG302": Code(_ERROR, "Two gateways have the same virtual IP.", "Give each gateway its own."),
    "EG303": Code(
        _ERROR,
        "A virtual IP is an address of a node or lies in a range of the cluster.",
        "Choose an address that belongs to nobody.",
    ),
    "EG304": Code(_ERROR, "Two workloads have one address.", "Take a new snapshot; or remove the stale object."),
    "EG305": Code(
        _WARNING,
        "A policy selects no workload.",
        "Mend the label that the finding names, unless the workloads are yet to come.",
    ),
    "EG306": Code(
        _WARNING,
        "No node is suitable for a gateway: its traffic is dropped.",
        "Mend the label that the finding names, or what it says of each node.",
    ),
    "EG307": Code(
        _WARNING,
        "Two policies disagree about the same CIDR for a workload; the older one decides.",
        "Take the CIDR out of one of the two, if that is not meant.",
    ),
    "EG308": Code(_WARNING, "An entry of a policy can never decide anything.", "Take the entry out."),
    "EG309": Code(
        _WARNING,
        "No agent pod in the input, so no node is suitable.",
        "Add the agent pods to the snapshot, or set `spec.agent.enabled: false`.",
    ),
    "EG310": Code(
        _WARNING, "No pod range is known.", "Give `spec.podCIDRs` of the nodes, or `spec.clusterRanges.podCIDRs`."
    ),
    "EG311": Code(_WARNING, "A node lists an interface twice; the last one counts.", "Look at the NodeNetworkState."),
    "EG312": Code(
        _WARNING,
        "A workload runs on a node that is not in the input.",
        "Take a snapshot of nodes and pods at one time.",
    ),
    "EG313": Code(
        _WARNING,
        "A selector of a policy selects no workload, while others of the policy do.",
        "Mend the label that the finding names, or take the entry out.",
    ),
    "EG320": Code(
        _WARNING,
        "An object is left out because of its errors, as `--keep-going` asks.",
        "Mend the errors at the same place.",
    ),
    "EG321": Code(
        _ERROR,
        "The configuration has an error, and cannot be left out.",
        "Mend it: with the defaults in its place, nodes would get other numbers and ranges.",
    ),
    "EG322": Code(
        _WARNING,
        "An error is passed over, as `--keep-going` asks: the traffic that it concerns is dropped.",
        "Mend the error at the same place.",
    ),
    "EG323": Code(
        _WARNING,
        "A policy asks for labels of a Namespace that is not in the input.",
        "Add the Namespaces: `kubectl get namespaces -o yaml`.",
    ),
    "EG401": Code(
        _WARNING,
        "A gateway has no source address of a family its policies need: that traffic is dropped.",
        "Give the interface an address of that family, or leave out the destinations.",
    ),
    "EG402": Code(
        _WARNING,
        "The source address could not be checked: the node's interfaces are unknown.",
        "Add the NodeNetworkState of the node.",
    ),
    "EG403": Code(
        _ERROR,
        "The gateway's node is not on the link of a workload's node.",
        "Choose gateway nodes on the same link; a tunnel is not available yet.",
    ),
    "EG404": Code(
        _WARNING,
        "There is no next hop of the packet's family: that traffic is dropped.",
        "Give both nodes an InternalIP of that family.",
    ),
    "EG405": Code(
        _WARNING,
        "Whether the gateway's node is on the link could not be checked.",
        "Add the NodeNetworkState of the node.",
    ),
    "EG406": Code(
        _ERROR,
        "More next hops and gateways on one node than the mark has numbers.",
        "Widen `spec.datapath.markMask`, or spread the gateways over more nodes.",
    ),
    "EG407": Code(
        _WARNING,
        "The interface of a virtual IP is chosen on the node: its interfaces are unknown.",
        "Add the NodeNetworkState, or name one interface.",
    ),
}
"""Every code with what documentation and machine-readable output say of it."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where in the inputs: a file, the number of the document in it, and the path of a field in that document.

    Line and column, from 1, are known here only for text that is not YAML or JSON at all; else they are looked up when
    a finding is shown, so that large snapshots do not pay for them. `of_key` means the field's name and not its value.
    """

    file: str
    document: int = 0
    path: tuple[str | int, ...] = ()
    line: int = 0
    column: int = 0
    of_key: bool = False

    def at(self, *path: str | int) -> "Place":
        """Returns the place of a field below this one."""
        return Place(self.file, self.document, (*self.path, *path))

    def at_key(self, *path: str | int) -> "Place":
        """Returns the place of the name of a field below this one."""
        return replace(self.at(*path), of_key=True)

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
