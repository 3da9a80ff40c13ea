"""Every code: an input that brings it about, the field it points to, a line in the docs; and how findings look."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from builders import (
    EGRESS_LABEL,
    Obj,
    agent,
    cluster,
    config,
    dump,
    gateway,
    interface,
    member,
    node,
    outcome,
    patched,
    pod,
    policy,
    state,
)
from conftest import ROOT

from compiler import report
from compiler.diagnostics import CODES, Diagnostic, Place, Severity, error, warning

PRIMARY = "spec.sourceIP.primaryIPFromEgressGatewayNodeInterface"
POD_SELECTOR = "spec.selectors[0].podSelector"
VIP = "172.18.18.240"


class Row(NamedTuple):
    """A code, its severity (`E` or `W`), the objects or the text of the input, the field that the finding names."""

    code: str
    severity: str
    given: Sequence[Obj] | str
    field: str = ""

    @property
    def text(self) -> str:
        return self.given if isinstance(self.given, str) else dump(*self.given)


def gate(path: str, value: object, item: Obj | None = None) -> list[Obj]:
    """A cluster whose gateway has one field that is out of order."""
    return cluster(patched(item or gateway(), path, value), policy())


def rule(path: str, value: object) -> list[Obj]:
    """A cluster whose policy has one field that is out of order."""
    return cluster(gateway(), patched(policy(), path, value))


def selector(podselector: Obj) -> list[Obj]:
    return rule("spec.selectors", [{"podSelector": podselector}])


def expression(**entry: object) -> list[Obj]:
    return selector({"matchExpressions": [entry]})


def well(*more: Obj) -> list[Obj]:
    return cluster(gateway(), policy(), *more)


def egress(*members: Obj) -> list[Obj]:
    """One worker with a pod, a gateway and a policy, and gateway nodes to be given."""
    return [*members, *member("worker-1", labels={}), pod("backend", "worker-1"), gateway(), policy()]


VM = {
    "apiVersion": "virtualization.deckhouse.io/v1alpha2",
    "kind": "VirtualMachine",
    "metadata": {"name": "vm", "namespace": "default"},
    "status": {"ipAddress": "10.66.10.5", "nodeName": "worker-1", "phase": "Running"},
}
SERVICE = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "ServiceCIDR",
    "metadata": {"name": "kubernetes"},
    "spec": {"cidrs": ["10.222.0.0/16"]},
}
MODULE = {
    "apiVersion": "deckhouse.io/v1alpha1",
    "kind": "ModuleConfig",
    "metadata": {"name": "virtualization"},
    "spec": {"version": 1, "settings": {"virtualMachineCIDRs": ["10.66.10.0/24"]}},
}
LONG = "a-" * 26 + "b"
TWO_OF_ONE_CIDR = (
    policy("older", "one", to=["203.0.113.0/24"], created="2024-01-01T00:00:00Z"),
    policy("newer", "two", to=["203.0.113.0/24", "0.0.0.0/0"], created="2024-06-01T00:00:00Z"),
)
SIX_ONLY = ("2001:db8:ffff::/48",)
TWICE = patched(
    state("worker-1"), "status.currentState.interfaces", [interface("eth0", "172.18.4.11/24"), interface("eth0")]
)
# eth0 of the worker is in a smaller subnet, which does not hold the gateway node's 172.18.4.1.
NARROW = state("worker-1", interface("eth0", "172.18.4.11/30"))

ROWS = (
    Row("EG102", "E", "kind: [\n"),
    Row("EG102", "E", '{"kind": }'),
    Row("EG103", "E", "kind: Pod\nkind: Pod\n"),
    Row("EG104", "E", "a: &a [*a]\n"),
    Row("EG105", "E", "just a text\n"),
    Row("EG105", "E", "kind: Pod\n"),
    Row("EG105", "E", "apiVersion: v1\nkind: 5\n", "kind"),
    Row("EG105", "E", "apiVersion: v1\nkind: List\nitems: [x]\n", "items[0]"),
    Row("EG106", "E", well(pod("a", "worker-1", 6), pod("a", "worker-1", 7))),
    Row("EG106", "E", well({**config(), "metadata": {"name": "a"}}, {**config(), "metadata": {"name": "b"}})),
    Row("EG107", "E", cluster()),
    Row("EG108", "E", well({**policy("b"), "kind": "EgressGatwayPolicy"}), "kind"),
    Row("EG108", "E", well({**gateway("b"), "kind": "egressgateway"}), "kind"),
    Row("EG108", "E", well({**gateway("b"), "apiVersion": "network.deckhouse.com/v1alpha1"}), "apiVersion"),
    Row("EG108", "E", well({**gateway("b"), "apiVersion": "deckhouse.io/v1alpha1"}), "apiVersion"),
    Row("EG108", "E", well({**gateway("b"), "apiVersion": "v1alpha1"}), "apiVersion"),
    Row("EG108", "E", well({**config(), "apiVersion": "egressc/v1alpha1"}), "apiVersion"),
    Row("EG109", "W", well({**policy("b"), "apiVersion": "network.deckhouse.io/v1"}), "apiVersion"),
    Row("EG109", "W", well({**config(), "apiVersion": "egressc.io/v1"}), "apiVersion"),
    Row("EG201", "E", rule("spec.egressGatewayName", ...), "spec"),
    Row("EG201", "E", rule("spec.destinationCIDRs", ...), "spec"),
    Row("EG201", "E", rule("spec.destinationCIDRs", []), "spec.destinationCIDRs"),
    Row("EG201", "E", gate("spec.sourceIP", ...), "spec"),
    Row("EG201", "E", gate("spec.sourceIP.mode", ...), "spec.sourceIP"),
    Row("EG201", "E", gate(PRIMARY, ...), "spec.sourceIP"),
    Row("EG201", "E", gate(f"{PRIMARY}.interfaceName", ...), PRIMARY),
    Row("EG201", "E", gate("spec.sourceIP.virtualIPAddress", ..., gateway(vip=VIP)), "spec.sourceIP"),
    Row("EG201", "E", gate("spec", ...)),
    Row("EG201", "E", gate("metadata", {}), "metadata"),
    Row("EG201", "E", gate("metadata", ...)),
    Row("EG202", "E", gate("metadata.name", 5), "metadata.name"),
    Row("EG202", "E", gate("metadata", []), "metadata"),
    Row("EG202", "E", gate("spec.nodeSelector", {"zone": 5}), "spec.nodeSelector.zone"),
    Row("EG202", "E", gate("spec.nodeSelector", []), "spec.nodeSelector"),
    Row("EG202", "E", rule("spec.destinationCIDRs", "0.0.0.0/0"), "spec.destinationCIDRs"),
    Row("EG202", "E", rule("spec.destinationCIDRs", [10]), "spec.destinationCIDRs[0]"),
    Row("EG202", "E", well(patched(node("egress-3"), "spec.unschedulable", "yes")), "spec.unschedulable"),
    Row("EG202", "E", rule("metadata.creationTimestamp", "yesterday"), "metadata.creationTimestamp"),
    Row("EG203", "W", rule("spec.destinationCIDRs", ["::/0", "10.20.0.5/16"]), "spec.destinationCIDRs[1]"),
    Row("EG203", "W", rule("spec.excludedCIDRs", ["2001:db8::1/32"]), "spec.excludedCIDRs[0]"),
    Row("EG204", "E", rule("spec.destinationCidrs", []), "spec.destinationCidrs"),
    Row("EG204", "E", gate("spec.sourceIP.interface", "eth1"), "spec.sourceIP.interface"),
    Row("EG204", "E", rule("spec.selectors.0.serviceSelector", {}), "spec.selectors[0].serviceSelector"),
    Row("EG204", "E", well(config(agents={})), "spec.agents"),
    Row("EG205", "E", gate("spec.sourceIP.mode", "VirtualIP"), "spec.sourceIP.mode"),
    Row("EG205", "E", expression(key="app", operator="in", values=["a"]),
        f"{POD_SELECTOR}.matchExpressions[0].operator"),
    Row("EG206", "E", gate("spec.sourceIP.virtualIPAddress.ip", "172.18.18.300", gateway(vip=VIP)),
        "spec.sourceIP.virtualIPAddress.ip"),
    Row("EG206", "E", gate("spec.sourceIP.virtualIPAddress.ip", f"{VIP}/32", gateway(vip=VIP)),
        "spec.sourceIP.virtualIPAddress.ip"),
    Row("EG206", "E", gate("spec.sourceIP.virtualIPAddress.ip", "224.0.0.5", gateway(vip=VIP)),
        "spec.sourceIP.virtualIPAddress.ip"),
    Row("EG206", "E", well(pod("a", "worker-1", ips=["10.0.0"])), "status.podIPs[0].ip"),
    Row("EG206", "E", well(patched(VM, "status.ipAddress", "none")), "status.ipAddress"),
    Row("EG207", "E", rule("spec.destinationCIDRs", ["10.0.0.1"]), "spec.destinationCIDRs[0]"),
    Row("EG207", "E", rule("spec.destinationCIDRs", ["10.0.0.0/33"]), "spec.destinationCIDRs[0]"),
    Row("EG207", "E", rule("spec.destinationCIDRs", ["example.com"]), "spec.destinationCIDRs[0]"),
    Row("EG207", "E", rule("spec.destinationCIDRs", ["10.0.0.0/255.0.0.0"]), "spec.destinationCIDRs[0]"),
    Row("EG207", "E", rule("spec.excludedCIDRs", ["fe80::1%eth0/64"]), "spec.excludedCIDRs[0]"),
    Row("EG208", "E", selector({"matchLabels": {"app": "no blanks"}}), f"{POD_SELECTOR}.matchLabels.app"),
    Row("EG208", "E", selector({"matchLabels": {"-app": "a"}}), f"{POD_SELECTOR}.matchLabels.-app"),
    Row("EG208", "E", selector({"matchLabels": {"app": "a" * 64}}), f"{POD_SELECTOR}.matchLabels.app"),
    Row("EG208", "E", expression(key="/app", operator="Exists"), f"{POD_SELECTOR}.matchExpressions[0].key"),
    Row("EG208", "E", expression(key="app", operator="In", values=["a", "-"]),
        f"{POD_SELECTOR}.matchExpressions[0].values[1]"),
    Row("EG208", "E", gate("spec.nodeSelector", {"zone": "a b"}), "spec.nodeSelector.zone"),
    Row("EG209", "E", gate(f"{PRIMARY}.interfaceName", "sixteen-letters-"), f"{PRIMARY}.interfaceName"),
    Row("EG209", "E", gate(f"{PRIMARY}.interfaceName", "eth0:1"), f"{PRIMARY}.interfaceName"),
    Row("EG209", "E", gate("spec.sourceIP.virtualIPAddress.interfaces", ["eth1", ""], gateway(vip=VIP)),
        "spec.sourceIP.virtualIPAddress.interfaces[1]"),
    Row("EG210", "E", expression(key="app", operator="In"), f"{POD_SELECTOR}.matchExpressions[0]"),
    Row("EG210", "E", expression(key="app", operator="NotIn", values=[]),
        f"{POD_SELECTOR}.matchExpressions[0].values"),
    Row("EG210", "E", expression(key="app", operator="Exists", values=["a"]),
        f"{POD_SELECTOR}.matchExpressions[0].values"),
    Row("EG210", "E", expression(key="app", operator="DoesNotExist", values=["a"]),
        f"{POD_SELECTOR}.matchExpressions[0].values"),
    Row("EG211", "E", rule("spec.selectors", [{"podSelector": {}}, {}]), "spec.selectors[1]"),
    Row("EG212", "W", gate("spec.sourceIP.virtualIPAddress", {"ip": VIP}), "spec.sourceIP.virtualIPAddress"),
    Row("EG212", "W", gate(PRIMARY, {"interfaceName": "eth1"}, gateway(vip=VIP)), PRIMARY),
    Row("EG213", "E", cluster(gateway("Egress_GW"), policy(gateway_name="Egress_GW")), "metadata.name"),
    Row("EG213", "E", well(patched(pod("a", "worker-1", 6), "metadata.namespace", "No")), "metadata.namespace"),
    Row("EG214", "W", cluster(gateway(LONG), policy(gateway_name=LONG)), "metadata.name"),
    Row("EG215", "E", well(config(datapath={"rulePriority": 40000})), "spec.datapath.rulePriority"),
    Row("EG215", "E", well(config(datapath={"tableBase": 200})), "spec.datapath.tableBase"),
    Row("EG215", "E", well(config(datapath={"markMask": "0xf0f0"})), "spec.datapath.markMask"),
    Row("EG215", "E", well(config(datapath={"markMask": "many"})), "spec.datapath.markMask"),
    Row("EG216", "E", well(config(clusterRanges={"podCIDRs": ["0.0.0.0/0"]})), "spec.clusterRanges.podCIDRs[0]"),
    Row("EG217", "W", rule("spec.destinationCIDRs", ["10.0.0.0/8", "192.0.2.0/24", "10.0.0.0/8"]),
        "spec.destinationCIDRs[2]"),
    Row("EG215", "E", egress(*member("egress-1")[:2], state("egress-1", interface("eth1", "172.18.18.1/33"))),
        "status.currentState.interfaces[0].ipv4.address[0].prefix-length"),
    Row("EG301", "E", cluster(gateway(), policy(gateway_name="egress-gv")), "spec.egressGatewayName"),
    Row("EG302", "E", cluster(gateway("a", vip=VIP), gateway("b", vip=VIP)), "spec.sourceIP.virtualIPAddress.ip"),
    Row("EG303", "E", cluster(gateway(vip="172.18.4.1"), policy()), "spec.sourceIP.virtualIPAddress.ip"),
    Row("EG303", "E", cluster(gateway(vip="172.18.18.2"), policy()), "spec.sourceIP.virtualIPAddress.ip"),
    Row("EG303", "E", cluster(gateway(vip="10.111.1.77"), policy()), "spec.sourceIP.virtualIPAddress.ip"),
    Row("EG303", "E", cluster(SERVICE, gateway(vip="10.222.0.1"), policy()), "spec.sourceIP.virtualIPAddress.ip"),
    Row("EG303", "E", cluster(MODULE, gateway(vip="10.66.10.1"), policy()), "spec.sourceIP.virtualIPAddress.ip"),
    Row("EG304", "E", well(pod("twin", "worker-1", 6, ips=["10.111.11.6", "fd00:111:0:11::5"])), "status.podIPs[1].ip"),
    Row("EG304", "E", well(patched(pod("twin", "worker-1"), "status", {"podIP": "10.111.11.5"})), "status.podIP"),
    Row("EG304", "E", well(patched(VM, "status.ipAddress", "10.111.11.5")), "status.ipAddress"),
    Row("EG305", "W", cluster(gateway(), policy(selectors=[])), "spec.selectors"),
    Row("EG305", "W", selector({"matchLabels": {"app": "nobody"}}), f"{POD_SELECTOR}.matchLabels.app"),
    Row("EG305", "W", expression(key="app", operator="DoesNotExist"), f"{POD_SELECTOR}.matchExpressions[0]"),
    Row("EG306", "W", gate("spec.nodeSelector", {"zone": "nowhere"}), "spec.nodeSelector.zone"),
    Row("EG306", "W", egress(node("egress-1", ready="False"), agent("egress-1")), "spec.nodeSelector"),
    Row("EG307", "W", cluster(gateway("one"), gateway("two", vip=VIP), *TWO_OF_ONE_CIDR), "spec.destinationCIDRs[0]"),
    Row("EG307", "W", cluster(gateway(), policy("a"), policy("b", excluded=["0.0.0.0/0"], to=["10.0.0.0/8"])),
        "spec.excludedCIDRs[0]"),
    Row("EG308", "W", rule("spec.excludedCIDRs", ["2001:db8::/32"]), "spec.excludedCIDRs[0]"),
    Row("EG308", "W", rule("spec.destinationCIDRs", ["10.0.0.0/9", "10.0.0.0/8", "10.128.0.0/9"]),
        "spec.destinationCIDRs[1]"),
    Row("EG308", "W", rule("spec.destinationCIDRs", ["0.0.0.0/0", "10.111.1.128/25"]), "spec.destinationCIDRs[1]"),
    Row("EG309", "W", [item for item in well() if item["metadata"].get("namespace") != "d8-cni-cilium"]),
    Row("EG310", "W", [patched(item, "spec.podCIDRs", []) if item["kind"] == "Node" else item for item in well()],
        "spec.podCIDRs"),
    Row("EG311", "W", [*member("egress-1"), *egress()[:2], TWICE, *egress()[3:]],
        "status.currentState.interfaces[1].name"),
    Row("EG312", "W", well(patched(pod("a", "worker-1", 6), "spec.nodeName", "worker-9")), "spec.nodeName"),
    Row("EG313", "W", rule("spec.selectors", [{"podSelector": {}}, {"podSelector": {"matchLabels": {"app": "x"}}}]),
        "spec.selectors[1].podSelector.matchLabels.app"),
    Row("EG323", "W", rule("spec.selectors", [{"namespaceSelector": {"matchLabels": {"team": "core"}}}]),
        "spec.selectors"),
    Row("EG323", "W", selector({"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.team": "core"}}),
        "spec.selectors"),
    Row("EG401", "W", cluster(gateway(vip=VIP), policy(to=SIX_ONLY)), "spec.sourceIP"),
    Row("EG402", "W", egress(*member("egress-1")[:2]), "spec.sourceIP"),
    Row("EG403", "E", [*egress(*member("egress-1"))[:5], NARROW, *egress()[3:]], "status.addresses"),
    Row("EG404", "W", [node("egress-1", six=False), *member("egress-1")[1:], *member("worker-1", labels={}),
                       pod("backend", "worker-1"), gateway(), policy(to=SIX_ONLY)], "status.addresses"),
    Row("EG405", "W", [*member("egress-1"), node("worker-1", labels={}), pod("backend", "worker-1"),
                       gateway(), policy()]),
    Row("EG406", "E", [*member("egress-1"), config(datapath={"markMask": "0x01000000"}), pod("backend", "egress-1"),
                       *(item for name in "ab" for item in (gateway(name), policy(name, name)))]),
    Row("EG407", "W", [*member("egress-1")[:2], *member("worker-1", labels={}), pod("backend", "worker-1"),
                       gateway(vip=VIP), policy()], "spec.sourceIP.virtualIPAddress"),
)  # fmt: skip
IN_FILES = {"EG101"}
KEEP_GOING = {"EG320", "EG321", "EG322"}  # tests/test_keep_going.py


def codes(findings: Sequence[Diagnostic]) -> list[tuple[str, str, str]]:
    return [(item.code, item.severity.name[0], item.place.field) for item in findings]


def find(path: Path, text: str) -> tuple[Diagnostic, ...]:
    path.write_text(text, encoding="utf-8")
    return outcome(path)[1]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.code}-{row.field}")
def test_input_brings_about_the_finding_at_its_field(tmp_path: Path, row: Row) -> None:
    path = tmp_path / "input.yaml"

    findings = find(path, row.text)

    assert (row.code, row.severity, row.field) in codes(findings)
    for item in findings:
        assert item.place.file == str(path), item
        assert re.fullmatch(r"[^\n]+[^.\n]", item.message), "one sentence without its full stop"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.code}-{row.field}")
def test_finding_has_line_and_column(tmp_path: Path, row: Row) -> None:
    path = tmp_path / "input.yaml"
    findings = find(path, row.text)

    shown = json.loads(report.findings_json(findings, {str(path): row.text.encode()}))

    for item in shown:
        assert (item["line"] > 0, item["column"] > 0) == (True, True), item


@pytest.mark.parametrize("row", [row for row in ROWS if row.severity == "E"], ids=lambda row: f"{row.code}-{row.field}")
def test_an_error_leaves_no_bundle(tmp_path: Path, row: Row) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(row.text, encoding="utf-8")

    assert outcome(path)[0] is None


@pytest.mark.parametrize("row", [row for row in ROWS if row.severity == "W"], ids=lambda row: f"{row.code}-{row.field}")
def test_a_warning_stops_nothing(tmp_path: Path, row: Row) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(row.text, encoding="utf-8")

    files, findings = outcome(path)

    assert [item for item in findings if item.severity is Severity.ERROR] == []
    assert files is not None


def test_every_code_has_a_row() -> None:
    assert set(CODES) == {row.code for row in ROWS} | IN_FILES | KEEP_GOING


def test_a_cluster_in_order_has_no_findings(tmp_path: Path) -> None:
    assert find(tmp_path / "input.yaml", dump(*well())) == ()


def test_missing_file_empty_directory_and_unreadable_entry_are_findings(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd.yaml").symlink_to(tmp_path / "odd.yaml")

    for name in ("missing.yaml", "empty", "odd.yaml"):
        findings = outcome(tmp_path / name)[1]
        first = next(item for item in findings if item.code == "EG101")
        assert (Severity.ERROR, str(tmp_path / name)) == (first.severity, first.place.file)


def test_all_problems_of_all_objects_are_found_in_one_run(tmp_path: Path) -> None:
    broken_gateway = patched(patched(gateway(), "spec.sourceIP.mode", "x"), "spec.nodeSelector", {"a": 1})
    broken_policy = policy(to=["10.0.0.1", "x", "::/129"], selectors=[{}, {"podSelector": {"matchLabels": {"-": ""}}}])
    other = policy("other", "nobody", to=["10.0.0.0"])

    findings = find(tmp_path / "input.yaml", dump(*cluster(broken_gateway, broken_policy, other)))

    assert codes(findings) == [
        ("EG202", "E", "spec.nodeSelector.a"),
        ("EG205", "E", "spec.sourceIP.mode"),
        ("EG207", "E", "spec.destinationCIDRs[0]"),
        ("EG207", "E", "spec.destinationCIDRs[1]"),
        ("EG207", "E", "spec.destinationCIDRs[2]"),
        ("EG211", "E", "spec.selectors[0]"),
        ("EG208", "E", "spec.selectors[1].podSelector.matchLabels.-"),
        ("EG207", "E", "spec.destinationCIDRs[0]"),
        ("EG301", "E", "spec.egressGatewayName"),
    ]


def test_faults_of_shape_do_not_hide_faults_of_meaning_in_one_object(tmp_path: Path) -> None:
    item = patched(policy(to=["10.0.0.1"]), "spec.unknown", 1)

    findings = find(tmp_path / "input.yaml", dump(*cluster(gateway(), item)))

    assert sorted(codes(findings)) == [("EG204", "E", "spec.unknown"), ("EG207", "E", "spec.destinationCIDRs[0]")]


def test_conflict_names_both_policies_and_a_workload(tmp_path: Path) -> None:
    findings = find(
        tmp_path / "input.yaml", dump(*cluster(gateway("one"), gateway("two", vip=VIP), *reversed(TWO_OF_ONE_CIDR)))
    )

    message = next(item.message for item in findings if item.code == "EG307")
    assert "EgressGatewayPolicy older" in message
    assert "default/backend" in message


def test_equal_cidrs_of_a_family_that_no_workload_has_are_no_conflict(tmp_path: Path) -> None:
    egress_only = [*member("egress-1"), *member("worker-1", labels={}), gateway()]
    four_only = patched(pod("backend", "worker-1"), "status.podIPs", [{"ip": "10.111.11.5"}])
    policies = [policy("a", to=["::/0"]), policy("b", to=["::/0"])]

    findings = find(tmp_path / "input.yaml", dump(*egress_only, four_only, *policies))

    assert [item.code for item in findings if item.code in ("EG307", "EG308")] == []


def test_a_node_off_the_link_is_told_once(tmp_path: Path) -> None:
    findings = find(tmp_path / "input.yaml", next(row for row in ROWS if row.code == "EG403").text)

    assert [item.message for item in findings if item.code == "EG404" and "IPv4" in item.message] == []


@pytest.mark.parametrize(
    ("api", "kind"),
    [
        ("egressgateway.spidernet.io/v1beta1", "EgressGateway"),
        ("operator.tigera.io/v1", "EgressGateway"),
        ("projectcalico.org/v3", "EgressGatewayPolicy"),
        ("cilium.io/v2", "CiliumEgressGatewayPolicy"),
        ("internal.network.deckhouse.io/v1alpha1", "SDNInternalEgressGateway"),
        ("network.deckhouse.io/v1alpha1", "ClusterNetwork"),
        ("apps/v1", "Deployment"),
    ],
)
def test_kinds_of_others_are_passed_over(api: str, kind: str, tmp_path: Path) -> None:
    other = {"apiVersion": api, "kind": kind, "metadata": {"name": "a"}}

    assert find(tmp_path / "input.yaml", dump(*well(other))) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("spec: {destinationCIDR: []}", "destinationCIDRs"), ("spec: {selector: []}", "selectors"), ("specs: {}", "spec")],
)
def test_unknown_field_suggests_the_one_that_was_meant(tmp_path: Path, text: str, expected: str) -> None:
    head = "apiVersion: network.deckhouse.io/v1alpha1\nkind: EgressGatewayPolicy\nmetadata: {name: a}\n"

    findings = find(tmp_path / "input.yaml", head + text)

    message = next(item.message for item in findings if item.code == "EG204")
    assert message.endswith(f"; did you mean {expected}?")


SAMPLE = """\
apiVersion: network.deckhouse.io/v1alpha1
kind: EgressGatewayPolicy
metadata:
  name: sample
spec:
  egressGatewayName: egress-gw
  destinationCIDRs:
    - 10.20.0.5/16
    - 10.30.0.0
  selectors: []
"""


def test_findings_are_shown_with_line_column_and_caret(tmp_path: Path) -> None:
    path = tmp_path / "policies.yaml"
    path.write_text(SAMPLE + "---\n" + dump(gateway()), encoding="utf-8")
    sources = {str(path): path.read_bytes()}
    shown = [item for item in outcome(path)[1] if item.place.field.startswith("spec.destinationCIDRs")]

    text = report.findings_text(shown, sources).replace(f"{tmp_path}/", "input/")

    assert text == (
        "input/policies.yaml:8:7: warning[EG203] spec.destinationCIDRs[0]: host bits are set and ignored; "
        "write 10.20.0.0/16\n"
        "     8 |     - 10.20.0.5/16\n"
        "       |       ^\n"
        "input/policies.yaml:9:7: error[EG207] spec.destinationCIDRs[1]: '10.30.0.0' has no prefix length; "
        "did you mean 10.30.0.0/32?\n"
        "     9 |     - 10.30.0.0\n"
        "       |       ^\n"
    )


def test_findings_in_json_are_shown_alike() -> None:
    raw = b'{\n\t"kind": "X",\n\t"spec": {"to": ["a",\n\t\t"b"]}\n}\n'
    finding = error("EG207", Place("input.json", 0, ("spec", "to", 1)), "is no CIDR")

    text = report.findings_text([finding], {"input.json": raw})

    assert text == 'input.json:4:3: error[EG207] spec.to[1]: is no CIDR\n     4 |   "b"]}\n       |   ^\n'


def test_finding_without_a_place_in_the_text_is_one_line() -> None:
    finding = warning("EG101", Place("input.yaml"), "cannot be read")

    assert report.findings_text([finding], {}) == "input.yaml: warning[EG101] cannot be read\n"


def test_findings_are_sorted_by_place(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(dump(*rule("spec.destinationCIDRs", ["x", "::/0", "y"])), encoding="utf-8")
    (tmp_path / "a.yaml").write_text("kind: [", encoding="utf-8")

    findings = outcome(tmp_path)[1]

    assert [(Path(item.place.file).name, item.place.field) for item in findings] == [
        ("a.yaml", ""),
        ("b.yaml", "spec.destinationCIDRs[0]"),
        ("b.yaml", "spec.destinationCIDRs[2]"),
    ]


def test_findings_of_a_long_list_are_in_the_order_of_the_list(tmp_path: Path) -> None:
    findings = find(tmp_path / "input.yaml", dump(*rule("spec.destinationCIDRs", ["x"] * 12)))

    assert [item.place.path[-1] for item in findings] == list(range(12))


@pytest.mark.parametrize("code", CODES)
def test_docs_have_a_line_for_every_code(code: str) -> None:
    lines = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8").splitlines()
    told = CODES[code]

    found = [line for line in lines if line.startswith(f"| {code} |")]

    assert found == [f"| {code} | {told.severity.value} | {told.meaning} | {told.remedy} |"]


def test_docs_have_no_line_for_a_code_that_is_not() -> None:
    text = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")

    assert set(CODES) == set(re.findall(r"\bEG[0-9]{3}\b", text))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.code}-{row.field}")
def test_the_table_of_codes_names_the_severity(row: Row) -> None:
    assert CODES[row.code].severity.name[0] == row.severity


def test_gateway_nodes_of_the_builders_are_labelled() -> None:
    assert node("egress-1")["metadata"]["labels"] == EGRESS_LABEL
