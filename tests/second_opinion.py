"""Compares what the compiler makes of a cluster, as the evaluator reads its files, with what the reference says."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from builders import Obj, dump
from reference import Entry, Fate, Gateway, Reference
from reference_findings import (
    Conflict,
    Decision,
    broken_objects,
    broken_together,
    conflicts,
    dead_entries,
    decisions,
    edges,
    edges_of,
    no_agent_at_all,
    no_pod_range_at_all,
    off_link,
    on_unknown_node,
    selects_nothing,
    without_source,
    without_suitable_node,
    written_prefixes,
)
from reference_inputs import Workload

from bundle.codec import decode
from bundle.directory import MANIFEST, Bundle
from bundle.model import Manifest
from compiler.account import Account
from compiler.diagnostics import Diagnostic, Severity
from compiler.explain import Explainer, ExplainError
from compiler.model import Family
from compiler.outcomes import Outcomes
from compiler.pipeline import account_for, compile_cluster, understand
from compiler.verify.verify import verify

OF_AN_OBJECT = {"EG305": selects_nothing, "EG306": without_suitable_node, "EG401": without_source}
OF_THE_CLUSTER = {"EG309": no_agent_at_all, "EG310": no_pod_range_at_all}


class Disagreement(AssertionError):  # noqa: N818  # which of the two is wrong is not known
    """The reference and the compiler do not say the same; printed with all that it takes to see it again."""

    def __init__(self, objects: Sequence[Obj], about: str, reference: object, compiler: object) -> None:
        super().__init__(f"{dump(*objects)}\nabout {about}\nreference: {reference}\ncompiler:  {compiler}")


class Comparison:
    """One cluster, as each of the two understands it."""

    def __init__(self, objects: Sequence[Obj]) -> None:
        self._objects = objects
        self._seen = Counter(clusters=1)

    def run(self) -> Counter[str]:
        """Compares everything.

        Raises:
            Disagreement: At the first difference.
        """
        raw = {f"{index:03}.json": json.dumps(item).encode() for index, item in enumerate(self._objects)}
        reading = understand(raw)
        compiled = compile_cluster(reading.cluster) if reading.cluster else None
        findings = reading.findings + (compiled.findings if compiled else ())
        refused = sorted({finding.code for finding in findings if finding.severity is Severity.ERROR})
        broken = sorted(broken_objects(self._objects))
        if broken:
            self._equal("errors of single objects", broken, refused)
            return self._refused(refused)
        reference = Reference(self._objects)
        errors = sorted(broken_together(reference))
        if not errors and off_link(reference):
            errors = ["EG403"]
        self._equal("errors", errors, refused)
        if errors or compiled is None or compiled.files is None or reading.cluster is None:
            return self._refused(refused)
        self._warnings(reference, decisions(reference), compiled.findings + reading.findings)
        self._gateways(reference, json.loads(compiled.files["gateways.json"])["gateways"])
        self._virtual_ips(reference, compiled.files)
        account = account_for(reading.cluster, {})
        self._packets(reference, Explainer.of(compiled.files), Tables(account))
        self._verified(compiled.files, account)
        return self._seen

    def _refused(self, codes: Iterable[str]) -> Counter[str]:
        self._seen.update(["refused", *codes])
        return self._seen

    def _equal(self, about: str, reference: object, compiler: object) -> None:
        if reference != compiler:
            raise Disagreement(self._objects, about, reference, compiler)

    def _verified(self, files: Mapping[str, bytes], account: Account) -> None:
        """What the compiler made, `egressc verify` must prove."""
        bundle = Bundle(Path("compiled"), decode(Manifest, files[MANIFEST]), dict(files))
        self._equal("egressc verify", [], [failure.message for failure in verify(bundle, account).failures])

    # Findings

    def _warnings(self, reference: Reference, seen: Sequence[Decision], findings: Sequence[Diagnostic]) -> None:
        for code, ask in OF_AN_OBJECT.items():
            named = {self._name(finding) for finding in findings if finding.code == code}
            self._equal(code, sorted(ask(reference, seen)), sorted(named))
        for code, holds in OF_THE_CLUSTER.items():
            self._equal(code, holds(reference), any(finding.code == code for finding in findings))
        self._conflicts(conflicts(reference), [finding for finding in findings if finding.code == "EG307"])
        dead = dead_entries(reference, seen)
        self._dead_entries(dead, [finding for finding in findings if finding.code == "EG308"])
        self._seen.update(sorted({finding.code for finding in findings}))

    def _name(self, finding: Diagnostic) -> str:
        """The name of the object that a finding is about."""
        name: str = self._objects[int(finding.place.file.removesuffix(".json"))]["metadata"]["name"]
        return name

    def _conflicts(self, expected: Mapping[Conflict, Sequence[str]], findings: Sequence[Diagnostic]) -> None:
        found: dict[Conflict, str] = {}
        policies = [item["metadata"]["name"] for item in self._objects if item["kind"] == "EgressGatewayPolicy"]
        for finding in findings:
            loser = self._name(finding)
            winner = next(name for name in policies if name != loser and _has_word(finding.message, name))
            found[Conflict(loser, _cidr(finding), winner)] = finding.message
        self._equal("EG307", sorted(map(str, expected)), sorted(map(str, found)))
        for conflict, message in found.items():
            concerned = expected.get(conflict, [])
            named = any(_has_word(message, workload) for workload in concerned)
            self._equal(f"a workload of {conflict}", concerned, concerned if named else message)

    def _dead_entries(self, expected: Iterable[Entry], findings: Sequence[Diagnostic]) -> None:
        fields = {True: "excludedCIDRs", False: "destinationCIDRs"}
        entries = {(entry.policy, fields[entry.excluded], str(entry.cidr)) for entry in expected}
        found = {(self._name(finding), str(finding.place.path[1]), _cidr(finding)) for finding in findings}
        self._equal("EG308", sorted(entries), sorted(found))

    # What the files say

    def _gateways(self, reference: Reference, reports: Sequence[Obj]) -> None:
        self._equal("gateways", [_as_report(gateway) for gateway in reference.gateways], [_bare(r) for r in reports])
        for gateway in reference.gateways:
            for candidate in gateway.candidates.values():
                self._seen.update(candidate.reasons or ["suitable"])

    def _virtual_ips(self, reference: Reference, files: Mapping[str, bytes]) -> None:
        """The virtual IPs that each node binds, and where."""
        for node in reference.nodes:
            expected = []
            for name, address in reference.virtual_ips:
                gateway = next(gateway for gateway in reference.gateways if gateway.name == name)
                if gateway.order[:1] == [node.name]:
                    interface = gateway.candidates[node.name].interface
                    expected.append((f"{address}/{address.max_prefixlen}", interface))
            listed = json.loads(files[f"nodes/{node.name}/addresses.json"])["addresses"]
            found = [(entry["address"], entry["interface"]) for entry in listed]
            self._equal(f"virtual IPs on {node.name}", sorted(expected, key=str), sorted(found, key=str))

    # Packets

    def _packets(self, reference: Reference, explainer: Explainer, tables: "Tables") -> None:
        """Compares packets to all edges, once for each class of workloads on a node, and to some for the others."""
        lost = on_unknown_node(reference)
        asked: set[tuple[object, ...]] = set()
        for workload in reference.workloads:
            policies = tuple(name for name, selected in reference.selected.items() if workload in selected)
            for address in workload.addresses:
                family = address.version
                if workload in lost:
                    self._unknown(explainer, address)
                    continue
                destinations = edges_of([entry.cidr for entry in reference.table(workload, family)[:1]], family)
                if (workload.node, family, policies) not in asked:
                    destinations = edges_of(written_prefixes(reference), family)
                # What is inside the cluster a node asks before it asks who sends.
                if (workload.node, family) not in asked:
                    destinations = edges(reference, family)
                asked |= {(workload.node, family), (workload.node, family, policies)}
                for destination in destinations:
                    self._packet(reference, explainer, tables, workload, destination)

    def _unknown(self, explainer: Explainer, source: IPv4Address | IPv6Address) -> None:
        try:
            answer: object = explainer.explain(str(source), str(source)).as_json()
        except ExplainError as fault:
            answer = "no rules" if "the bundle has no rules" in str(fault) else fault
        self._equal(f"{source}, whose node is unknown", "no rules", answer)

    def _packet(
        self,
        reference: Reference,
        explainer: Explainer,
        tables: "Tables",
        workload: Workload,
        destination: IPv4Address | IPv6Address,
    ) -> None:
        source = next(address for address in workload.addresses if address.version == destination.version)
        about = f"a packet from {source} ({workload.called()} on {workload.node}) to {destination}"
        expected = reference.fate(workload, destination)
        try:
            answer = explainer.explain(str(source), str(destination))
        except ExplainError as fault:
            raise Disagreement(self._objects, about, expected, fault) from None
        trace = answer.trace
        seen = None if trace.source is None else str(trace.source)
        found = Fate(trace.verdict, answer.policy, answer.cidr, answer.gateway, trace.node, seen)
        self._equal(about, expected, found)
        self._equal(f"{about} in the tables", expected, tables.fate(workload, destination))
        self._seen.update(["packets", found.verdict])


class Tables:
    """What the tables of all destinations say, which `diff`, `simulate`, `test` and `report` go by."""

    def __init__(self, account: Account) -> None:
        self._outcomes = Outcomes(account)
        self._reports = {f"{item.kind} {item.namespace}/{item.name}": item for item in self._outcomes.workloads}

    def fate(self, workload: Workload, destination: IPv4Address | IPv6Address) -> Fate:
        """What becomes of a packet, in the reference's terms."""
        report = self._reports[f"{workload.kind} {workload.called()}"]
        family, number = Family(destination.version), int(destination)
        (outcome,) = (item for low, high, item in self._outcomes.table(report, family) if low <= number <= high)
        ((policy, cidr),) = (
            (policy, cidr)
            for low, high, policy, cidr, _ in self._outcomes.deciding(report, family)
            if low <= number <= high
        )
        name = policy.name if policy else None
        node = outcome.node or workload.node
        return Fate(outcome.verdict, name, cidr, outcome.gateway, node, outcome.source)


def compare(objects: Sequence[Obj]) -> Counter[str]:
    """Compares both understandings of a cluster.

    Returns:
        How often it saw what: packets and their verdicts, reasons against nodes, codes of findings.

    Raises:
        Disagreement: At the first difference.
    """
    return Comparison(objects).run()


def _cidr(finding: Diagnostic) -> str:
    """The first CIDR that a finding names."""
    found = re.search(r"[0-9a-f]*[:.][0-9a-f:.]*/\d+", finding.message)
    assert found, finding.message
    return found[0]


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w/-]){re.escape(word)}(?![\w/-])", text) is not None


def _as_report(gateway: Gateway) -> Obj:
    """A gateway in the fields of `gateways.json` that the semantics decide."""
    return {
        "name": gateway.name,
        "activeNodeName": gateway.order[0] if gateway.order else None,
        "standbyNodeNames": gateway.order[1:],
        "readyNodes": len(gateway.order),
        "ready": ("False", "ElectionFailed") if not gateway.order else ("True", "ElectionSucceed"),
        "sourceIPs": [None if (found := gateway.source(family)) is None else str(found) for family in (4, 6)],
        "nodes": {
            node: sorted(candidate.reasons)
            for node, candidate in gateway.candidates.items()
            if candidate.reasons != ["SelectorMismatch"]
        },
    }


def _bare(report: Obj) -> Obj:
    """The same fields of a report, and that a node is suitable just when nothing is against it."""
    for node, candidate in report["nodes"].items():
        assert candidate["suitable"] is not bool(candidate["reasons"]), node
    condition = next(c for c in report["conditions"] if c["type"] == "Ready")
    return {
        **{name: report[name] for name in ("name", "activeNodeName", "standbyNodeNames", "readyNodes")},
        "ready": (condition["status"], condition["reason"]),
        "sourceIPs": [report["sourceIPs"]["ipv4"], report["sourceIPs"]["ipv6"]],
        "nodes": {node: sorted(candidate["reasons"]) for node, candidate in report["nodes"].items()},
    }
