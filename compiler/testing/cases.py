"""Cases as values: what `egressc test` is to hold true, from files with a list `cases` or `never`.

In: the text of files. Out: assertions with their places, and findings. Asks nothing of a cluster; `examine` does.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final, Literal

from compiler.diagnostics import Diagnostic, Place, error
from compiler.findings import Findings, listed
from compiler.inputs.cases import CasesInput, From, Happening
from compiler.load import Object
from compiler.model import Address, Network, Requirement, Selector
from compiler.selectors import NAMESPACE_LABEL
from compiler.shape import shape
from compiler.source import read_documents
from compiler.text import TextError, parse_address
from compiler.validate import read_labels, read_requirements

LISTS: Final = ("cases", "never")
"""Keys by which a file of cases is known among the inputs."""

Field = Literal["verdict", "policy", "cidr", "gateway", "node", "nodes", "sourceIP"]


@dataclass(frozen=True, slots=True)
class Source:
    """Whom `from` means: one workload by its key or an address, or all that a selector selects.

    Attributes:
        text: For people.
        workload: `NAMESPACE/NAME`.
        address: One of its addresses, instead.
        selector: What workloads must fulfil, where neither is given; it may require nothing.
    """

    text: str
    workload: str | None = None
    address: Address | None = None
    selector: Selector | None = None


@dataclass(frozen=True, slots=True)
class Assertion:
    """An entry of `cases`, or of `never`.

    Attributes:
        kind: Which of the two.
        name: As given, perhaps empty.
        place: Where it is written.
        source: The workloads; None in an entry of `never` means all.
        targets: The destinations; empty in an entry of `never` means all outside the cluster.
        wanted: What is looked at, each with the values of which one must be there; of a case all must, of an entry of
            `never` not all may.
    """

    kind: Literal["case", "never"]
    name: str
    place: Place
    source: Source | None
    targets: tuple[Network, ...]
    wanted: Mapping[Field, tuple[str, ...]]

    @property
    def never(self) -> bool:
        """Whether it says what must not be."""
        return self.kind == "never"

    @property
    def told(self) -> str:
        """What is asserted, for people: from whom to where, and what must never be."""
        source = self.source.text if self.source else ""
        if not self.never:
            return f"{source} to {self.to}"
        fields = ", ".join(f"{field} {text}" for field, text in self.expected.items())
        ends = [f"from {source}"] if source else []
        ends += [f"to {self.to}"] if self.targets else []
        return f"never {fields}" + (f", {' '.join(ends)}" if ends else "")

    @property
    def to(self) -> str:
        """The destinations, for people."""
        return ", ".join(shown(target) for target in self.targets) or "everything outside the cluster"

    @property
    def single(self) -> bool:
        """Whether it is about one workload and one address, so that a failure need not say about which."""
        one = len(self.targets) == 1 and self.targets[0].prefixlen == self.targets[0].max_prefixlen
        return one and self.source is not None and self.source.selector is None

    @property
    def expected(self) -> dict[str, str]:
        """What is looked at, for people and programs: field to its values."""
        return {field: " or ".join(values) for field, values in self.wanted.items()}

    @property
    def title(self) -> str:
        """The name, or what is asserted where there is none."""
        return self.name or self.told


def split(sources: Mapping[str, bytes]) -> tuple[tuple[Assertion, ...], list[str], tuple[Diagnostic, ...]]:
    """Parts the files that hold `cases` or `never` from the inputs.

    Returns:
        The assertions, the names of the other files, and what was wrong with the cases.
    """
    found: list[Assertion] = []
    rest: list[str] = []
    findings = Findings()
    for name, raw in sources.items():
        # A snapshot of tens of megabytes is not read twice to see that it has no such list.
        documents, faults = read_documents(name, raw) if any(key.encode() in raw for key in LISTS) else ((), ())
        lists = [item for item in documents if isinstance(item.data, dict) and not item.data.keys().isdisjoint(LISTS)]
        if not lists:
            rest.append(name)
            continue
        findings.add(*faults)
        for document in documents:
            if document not in lists and document.data is not None:
                message = "an object in a file of cases would not be read; put the cases into a file of their own"
                findings.add(error("EG105", document.place, message))
        for document in lists:
            read, faults = shape(CasesInput, Object("Cases", "", name, document.data, document.place))
            findings.add(*faults)
            if read is not None:
                found.extend(_assertions(read, document.place, findings))
    return tuple(found), rest, findings.done()


def _assertions(read: CasesInput, place: Place, findings: Findings) -> Iterator[Assertion]:
    for index, case in enumerate(read.cases):
        at = place.at("cases", index)
        source = _source(case.source, at.at("from"), findings)
        targets = _targets(case.to, at.at("to"), findings)
        wanted = _wanted(case.expect, at.at("expect"), findings)
        yield Assertion("case", case.name, at, source, targets, wanted)
    for index, never in enumerate(read.never):
        at = place.at("never", index)
        wanted = _wanted(never, at, findings)
        if not wanted:
            message = "says nothing that must never be; give verdict, gateway, node, sourceIP or policy"
            findings.error("EG201", at, message)
        whom = _source(never.source, at.at("from"), findings) if never.source else None
        targets = _targets(never.to, at.at("to"), findings) if never.to is not None else ()
        yield Assertion("never", never.name, at, whom, targets, wanted)


def _source(given: From, place: Place, findings: Findings) -> Source:
    if "workload" not in given.model_fields_set:
        return _selecting(given, place, findings)
    if others := sorted(given.model_fields_set - {"workload"}):
        field = From.model_fields[others[0]].alias or others[0]
        findings.error("EG204", place.at_key(field), f"workload names one, so that there is no {field}; take one out")
    text = given.workload
    if "/" in text:
        return Source(text, workload=text)
    try:
        return Source(text, address=parse_address(text))
    except TextError:
        message = f"{text!r} is neither NAMESPACE/NAME nor an IP address; write one such as default/backend-1"
        findings.error("EG206", place, message)
        return Source(text)


def _selecting(given: From, place: Place, findings: Findings) -> Source:
    pod: list[Requirement] = []
    if "namespace" in given.model_fields_set:
        pod.append(Requirement(NAMESPACE_LABEL, "In", (given.namespace,), place.at("namespace")))
    own = [
        *read_labels(given.labels, place.at("labels"), findings),
        *(read_requirements(given.pod_selector, place.at("podSelector"), findings) or ()),
    ]
    space = read_requirements(given.namespace_selector, place.at("namespaceSelector"), findings)
    texts = [_required(item) for item in own]
    where = [f"namespace {given.namespace}"] if "namespace" in given.model_fields_set else []
    where += [f"namespaces with {', '.join(map(_required, space))}"] if space else []
    text = "every workload" + (f" with {', '.join(texts)}" if texts else "")
    text += f" in {' and '.join(where)}" if where else ""
    return Source(text, selector=Selector((*pod, *own), space, place))


def _required(item: Requirement) -> str:
    """Returns a requirement as kubectl takes it."""
    match item.operator:
        case "Exists":
            return item.key
        case "DoesNotExist":
            return f"!{item.key}"
        case "In" if len(item.values) == 1:
            return f"{item.key}={item.values[0]}"
    return f"{item.key} {item.operator.lower()} ({', '.join(item.values)})"


def _targets(texts: Iterable[str], place: Place, findings: Findings) -> tuple[Network, ...]:
    found: list[Network] = []
    for text, at in listed(_some(list(texts), place, findings), place):
        if "/" in text:
            found.extend(network for network, _ in findings.networks([(text, at)]))
        elif (address := findings.check(at, parse_address, text)) is not None:
            found.append(ip_network(address))
    return tuple(found)


def _wanted(given: Happening, place: Place, findings: Findings) -> dict[Field, tuple[str, ...]]:
    wanted: dict[Field, tuple[str, ...] | None] = {
        "verdict": _one(given.verdict),
        "policy": _one(given.policy),
        "cidr": None,
        "gateway": _one(given.gateway),
        "node": _one(given.node),
        "nodes": None,
        "sourceIP": None,
    }
    if given.cidr is not None:
        wanted["cidr"] = tuple(str(network) for network, _ in findings.networks([(given.cidr, place.at("cidr"))]))
    if given.nodes is not None:
        wanted["nodes"] = _some(given.nodes, place.at("nodes"), findings)
    if given.source_ip is not None:
        at = place.at("sourceIP")
        texts = _some(given.source_ip, at, findings)
        wanted["sourceIP"] = tuple(map(str, findings.addresses(listed(texts, at))))
    return {field: values for field, values in wanted.items() if values is not None}


def _one(value: str | None) -> tuple[str] | None:
    return None if value is None else (value,)


def _some(values: list[str], place: Place, findings: Findings) -> tuple[str, ...]:
    if not values:
        findings.error("EG201", place, "the list is empty; give a value")
    return tuple(values)


def shown(target: Network) -> str:
    """Returns a destination as an address where it is one, else as a CIDR."""
    return str(target.network_address) if target.prefixlen == target.max_prefixlen else str(target)
