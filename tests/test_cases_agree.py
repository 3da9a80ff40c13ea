"""A case passes, and what must never be is not, exactly where the reference says so of every packet.

The reference is asked about both ends of every stretch of destinations within which nothing begins or ends.
"""

import json
from collections import Counter
from dataclasses import dataclass
from ipaddress import ip_network

import pytest
import yaml
from builders import Obj
from clusters import CIDRS_4, CIDRS_6, NAMESPACE_SELECTORS, POD_SELECTORS, clusters
from examined import assertions_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from reference import Fate, Reference
from reference_findings import edges_of, on_unknown_node, written_prefixes
from reference_inputs import IP, Workload, policy_selects

import compiler.testing.examine
from compiler.explain import Explainer
from compiler.pipeline import compile_cluster, understand
from compiler.testing.examine import Breach, Examiner

FIELDS = ("verdict", "policy", "cidr", "gateway", "node", "sourceIP")


@dataclass(frozen=True)
class Packet:
    workload: Workload
    to: IP
    fate: Fate | None
    """None where nobody knows the node that it is sent from."""

    def values(self) -> dict[str, str | None]:
        assert self.fate is not None
        found = self.fate
        pairs = zip(
            FIELDS, (found.verdict, found.policy, found.cidr, found.gateway, found.node, found.source), strict=True
        )
        return dict(pairs)


class Side:
    """An entry of a file of cases, as the reference understands it."""

    def __init__(self, objects: list[Obj], entry: Obj) -> None:
        self.objects = objects
        self.reference = Reference(objects)
        self.entry = entry
        self.targets = [ip_network(text, strict=False) for text in entry.get("to", ["0.0.0.0/0", "::/0"])]

    def workloads(self) -> list[Workload]:
        source = self.entry.get("from", {})
        if isinstance(source, str):
            return [w for w in self.reference.workloads if source in {w.called(), *map(str, w.addresses)}]
        selector = {key: value for key, value in source.items() if key.endswith("Selector")}
        policy = {"spec": {"selectors": [selector]}}
        found = [w for w in self.reference.workloads if policy_selects(self.objects, policy, w)]
        labels = source.get("labels", {}).items()
        namespace = source.get("namespace")
        return [w for w in found if labels <= w.labels.items() and namespace in {None, w.namespace}]

    def families(self, workload: Workload) -> set[int]:
        source = self.entry.get("from", {})
        by_address = [a.version for a in workload.addresses if str(a) == source]
        return set(by_address or [a.version for a in workload.addresses])

    def packets(self) -> list[Packet]:
        prefixes = [*self.reference.cluster, *written_prefixes(self.reference), *self.targets]
        lost = on_unknown_node(self.reference)
        return [
            Packet(workload, to, None if workload in lost else self.reference.fate(workload, to))
            for workload in self.workloads()
            for family in sorted(self.families(workload))
            for to in edges_of(prefixes, family)
            if any(to in target for target in self.targets if target.version == family)
        ]

    def lacks(self, workload: Workload) -> bool:
        """Whether it has no address of a family that is asked for."""
        return not {target.version for target in self.targets} <= self.families(workload)

    def agrees(self, packet: Packet, expected: Obj) -> bool:
        return packet.fate is not None and expected.items() <= packet.values().items()

    def matches(self, packet: Packet, wanted: Obj) -> bool:
        """Whether a packet does what must never be; a source that only the node knows may be any."""
        if packet.fate is None:  # its node takes no part in anything
            return wanted.items() <= {"verdict": "bypass", "node": packet.workload.node}.items()
        values = packet.values()
        unknown = values["verdict"] == "egress" and values["sourceIP"] is None
        return all(values[field] == value or (field == "sourceIP" and unknown) for field, value in wanted.items())

    def inside(self, packet: Packet) -> bool:
        return "to" not in self.entry and self.reference.in_cluster(packet.to)


@st.composite
def entries(draw: st.DrawFn, objects: list[Obj], kind: str) -> Obj | None:
    """An entry of `cases` or `never` about a cluster; what it expects is often so, and None where there is nobody."""
    reference = Reference(objects)
    if not reference.workloads:
        return None
    some = draw(st.sampled_from(reference.workloads))
    source = draw(
        st.sampled_from(
            [
                some.called(),
                str(some.addresses[0]),
                {"namespace": some.namespace},
                {"namespace": some.namespace, "labels": {"app": "front"}},
                {"podSelector": draw(st.sampled_from(POD_SELECTORS))},
                {"namespaceSelector": draw(st.sampled_from(NAMESPACE_SELECTORS)), "podSelector": {}},
            ]
        )
    )
    words = [CIDRS_4 if a.version == 4 else CIDRS_6 for a in some.addresses]
    to = draw(st.lists(st.sampled_from(draw(st.sampled_from(words))), min_size=1, max_size=2))
    entry: Obj = {"from": source, "to": to}
    if kind == "never":
        for field in draw(st.sampled_from([(), (), ("from",), ("to",), ("from", "to")])):
            del entry[field]
    # What is true of some packet of the cluster is often never true of those in question.
    asked = entry if kind == "cases" or draw(st.booleans()) else {}
    packets = [packet for packet in Side(objects, asked).packets() if packet.fate]
    if not packets:
        return None
    told = draw(st.sampled_from(packets)).values()
    fields = draw(st.sets(st.sampled_from(FIELDS[1:]), max_size=2)) | draw(st.sampled_from([{"verdict"}, set()]))
    wanted = {field: told[field] for field in FIELDS if field in fields and told[field] is not None}
    if kind == "never":
        other = draw(st.sampled_from(packets)).values()["verdict"]
        return {**entry, **wanted, **({"verdict": other} if "verdict" in wanted or not wanted else {})}
    return {**entry, "expect": {"verdict": told["verdict"], **wanted}}


def holds_at(breaches: tuple[Breach, ...], packet: Packet) -> bool:
    return any(
        packet.workload.called() in breach.workloads
        and any(packet.to in net for net in map(ip_network, breach.destinations) if net.version == packet.to.version)
        for breach in breaches
    )


def compare(objects: list[Obj], data: st.DataObject) -> Counter[str]:
    reading = understand({f"{index:03}.json": json.dumps(item).encode() for index, item in enumerate(objects)})
    compiled = compile_cluster(reading.cluster) if reading.cluster else None
    if reading.cluster is None or compiled is None or compiled.files is None or compiled.account is None:
        return Counter()
    kind = data.draw(st.sampled_from(["cases", "never"]))
    entry = data.draw(entries(objects, kind))
    if entry is None:
        return Counter()
    written = dict(entry)
    if "to" in entry:  # host bits are a warning, and another test's
        written["to"] = [str(ip_network(text, strict=False)) for text in entry["to"]]
    (assertion,) = assertions_of(yaml.safe_dump({kind: [written]}).encode())
    examiner = Examiner(reading.cluster, compiled.account, Explainer.of(compiled.files))
    result = examiner.examine(assertion)
    side = Side(objects, entry)
    assert bool(result.error) == (not side.workloads()), result.error
    if result.error:
        return Counter([f"{kind} of nobody"])
    failing = []
    for packet in side.packets():
        if kind == "cases":
            bad = not side.agrees(packet, entry["expect"])
        else:
            wanted = {field: value for field, value in entry.items() if field in FIELDS}
            bad = side.matches(packet, wanted) and not side.inside(packet)
        assert holds_at(result.breaches, packet) == bad, (packet, result.breaches)
        failing += [packet] if bad else []
    lacking = kind == "cases" and any(map(side.lacks, side.workloads()))
    assert result.passed == (not failing and not lacking)
    return Counter([f"{kind} {'passed' if result.passed else 'failed'}"])


def check(examples: int) -> Counter[str]:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(clusters(), st.data())
    def agree(objects: list[Obj], data: st.DataObject) -> None:
        seen.update(compare(objects, data))

    agree()
    return seen


def test_cases_hold_where_the_reference_says_so() -> None:
    seen = check(150)

    assert set(seen) == {"cases passed", "cases failed", "never passed", "never failed", "never of nobody"}


@pytest.mark.parametrize("name", ["_may_be", "clip", "_overlay"])
def test_the_comparison_sees_a_fault(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a part of the question away."""
    real = getattr(compiler.testing.examine, name)
    faulty = {
        "_may_be": lambda fate, field, values: field == "verdict" and real(fate, field, values),
        "clip": lambda cells, ranges: list(real(cells, ranges))[1:],
        "_overlay": lambda table, deciding, _: real(table, deciding, ()),
    }
    monkeypatch.setattr(compiler.testing.examine, name, faulty[name])

    with pytest.raises(AssertionError):
        check(150)
