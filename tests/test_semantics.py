"""What a cluster means in its corners: machines in migration, clashes of addresses, virtual IPs, ranges, status."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import (
    Obj,
    agent,
    cluster,
    dump,
    explainer,
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

LAUNCHER = "vm.kubevirt.internal.virtualization.deckhouse.io/name"
PRIORITY = "network.deckhouse.io/pod-common-ip-priority"
ADDRESS = "10.66.10.5"


def file_of(tmp_path: Path, name: str, *objects: Obj) -> Any:  # noqa: ANN401  # JSON
    path = tmp_path / "input.yaml"
    path.write_text(dump(*objects), encoding="utf-8")
    files, findings = outcome(path)
    assert files is not None, findings
    return json.loads(files[name])


def errors(tmp_path: Path, *objects: Obj) -> list[str]:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*objects), encoding="utf-8")
    return [item.code for item in outcome(path)[1] if item.severity.value == "error"]


# §2: one workload of a machine and its pods


def machine(name: str = "vm", node_name: str = "worker-1", address: str = ADDRESS, space: str = "default") -> Obj:
    return {
        "apiVersion": "virtualization.deckhouse.io/v1alpha2",
        "kind": "VirtualMachine",
        "metadata": {"name": name, "namespace": space, "labels": {"app": name}},
        "status": {"ipAddress": address, "nodeName": node_name, "phase": "Running"},
    }


def launcher(name: str, node_name: str, priority: str | None = None, vm: str = "vm", **more: Any) -> Obj:  # noqa: ANN401  # YAML
    labels = {LAUNCHER: vm, "app": vm, **({} if priority is None else {PRIORITY: priority})}
    return pod(name, node_name, labels=labels, ips=more.pop("ips", [ADDRESS]), **more)


def workloads(tmp_path: Path, *objects: Obj) -> list[tuple[str, str]]:
    """Name and node of each workload besides the pod of the builders."""
    read = file_of(tmp_path, "workloads.json", *cluster(gateway(), policy()), *objects)
    return [(item["name"], item["node"]) for item in read["workloads"] if item["name"] != "backend"]


@pytest.mark.parametrize("node_name", ["worker-1", "egress-2"])
def test_in_migration_the_machine_says_on_which_node_it_is(tmp_path: Path, node_name: str) -> None:
    pods = (launcher("old", "worker-1", "0"), launcher("new", "egress-2", "1"))

    assert workloads(tmp_path, machine(node_name=node_name), *pods) == [("vm", node_name)]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("1", "0", "b"),
        ("0", "1", "a"),
        ("10", "9", "b"),
        (None, "0", "a"),
        ("0", None, "b"),
        (None, None, "a"),
        ("5", "5", "a"),
        ("none", "0", "a"),
        ("", "0", "a"),
        ("1.5", "2", "a"),
    ],
)
def test_without_the_machine_the_lower_priority_decides(
    tmp_path: Path, first: str | None, second: str | None, expected: str
) -> None:
    pods = [launcher("a", "worker-1", first), launcher("b", "egress-2", second)]

    assert [name for name, _ in workloads(tmp_path, *pods)] == [expected]
    assert [name for name, _ in workloads(tmp_path, *reversed(pods))] == [expected]


def test_a_machine_keeps_the_other_family_of_its_pod_on_the_same_node(tmp_path: Path) -> None:
    here = launcher("here", "worker-1", ips=[ADDRESS, "fd00:66::5"])
    there = launcher("there", "egress-2", "1", ips=[ADDRESS, "fd00:66::6"])

    read = file_of(tmp_path, "workloads.json", *cluster(gateway(), policy()), machine(), here, there)

    assert [item["addresses"] for item in read["workloads"] if item["name"] == "vm"] == [[ADDRESS, "fd00:66::5"]]


def test_labels_of_a_machine_are_its_own_not_its_pods(tmp_path: Path) -> None:
    odd = patched(launcher("launcher", "worker-1"), "metadata.labels.app", "else")
    chosen = policy(selectors=[{"podSelector": {"matchLabels": {"app": "vm"}}}])

    read = file_of(tmp_path, "workloads.json", *cluster(gateway(), chosen), machine(), odd)

    assert [item["name"] for item in read["workloads"] if item["policies"]] == ["vm"]


@pytest.mark.parametrize(
    "two",
    [
        (pod("a", "worker-1", ips=[ADDRESS]), pod("b", "worker-1", ips=[ADDRESS])),
        (pod("a", "worker-1", ips=["10.1.0.1", "fd00::1"]), pod("b", "egress-1", ips=["10.1.0.2", "fd00::1"])),
        (machine("a"), machine("b")),
        (machine("a"), machine("a", space="other")),
        (machine("a"), pod("b", "worker-1", ips=[ADDRESS])),
        (machine("a"), launcher("b", "worker-1", vm="other")),
        (launcher("a", "worker-1", vm="one"), launcher("b", "worker-1", vm="two")),
        (machine("a"), launcher("b", "worker-1", vm="a", namespace="other")),
    ],
    ids=["pods", "second-family", "machines", "namespaces", "machine-pod", "other-vm", "launchers", "other-namespace"],
)
def test_any_other_two_with_one_address_are_an_error(tmp_path: Path, two: tuple[Obj, Obj]) -> None:
    assert errors(tmp_path, *cluster(gateway(), policy()), *two) == ["EG304"]


@pytest.mark.parametrize(
    "second",
    [
        patched(pod("b", "worker-1", ips=[ADDRESS]), "status.phase", "Succeeded"),
        patched(pod("b", "worker-1", ips=[ADDRESS]), "status.phase", "Failed"),
        patched(pod("b", "worker-1", ips=[ADDRESS]), "spec.hostNetwork", value=True),
        patched(machine("b"), "status.phase", "Stopped"),
        patched(machine("b"), "status.phase", "Pending"),
        patched(machine("b"), "status.nodeName", ""),
    ],
    ids=["succeeded", "failed", "host-network", "stopped", "pending", "nowhere"],
)
def test_what_does_not_count_clashes_with_nothing(tmp_path: Path, second: Obj) -> None:
    assert workloads(tmp_path, pod("a", "worker-1", ips=[ADDRESS]), second) == [("a", "worker-1")]


# §3: keys


@pytest.mark.parametrize("key", ["k8s:any:app", "any:k8s:app", "k8s:", "other:app"])
def test_a_key_has_one_source_at_most(tmp_path: Path, key: str) -> None:
    for selector in ({"matchLabels": {key: "a"}}, {"matchExpressions": [{"key": key, "operator": "Exists"}]}):
        assert errors(tmp_path, *cluster(gateway(), policy(selectors=[{"podSelector": selector}]))) == ["EG208"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"app": "backend", "k8s:app": "backend", "any:app": "backend"}, True),
        ({"app": "backend", "k8s:app": "else"}, False),
        ({"io.kubernetes.pod.namespace": "default", "k8s:io.kubernetes.pod.namespace": "default"}, True),
        ({"io.kubernetes.pod.namespace": "default", "any:io.kubernetes.pod.namespace": "else"}, False),
    ],
)
def test_both_forms_of_a_key_must_hold(tmp_path: Path, labels: dict[str, str], expected: bool) -> None:
    rule = policy(selectors=[{"podSelector": {"matchLabels": labels}}])

    read = file_of(tmp_path, "workloads.json", *cluster(gateway(), rule))

    assert bool(read["workloads"][0]["policies"]) is expected


# §6: ranges


def test_only_the_module_config_of_virtualization_counts(tmp_path: Path) -> None:
    virtual, other = (
        {
            "apiVersion": "deckhouse.io/v1alpha1",
            "kind": "ModuleConfig",
            "metadata": {"name": name},
            "spec": {"settings": settings},
        }
        for name, settings in (
            ("virtualization", {"virtualMachineCIDRs": ["10.66.10.0/24"]}),
            ("other", {"virtualMachineCIDRs": "not a list"}),
        )
    )
    path = tmp_path / "input.yaml"
    path.write_text(dump(*cluster(gateway(), policy(), virtual, other)), encoding="utf-8")

    ask = explainer(path)

    assert ask.explain("default/backend", "10.66.10.77").trace.verdict == "bypass"
    assert ask.explain("default/backend", "10.66.11.77").trace.verdict == "egress"


# §7: the interface of a virtual IP

BOTH = (interface("eth0", "172.18.4.1/24", "fd00:4::1/64"), interface("eth1", "172.18.18.1/24", "2001:db8:18::1/64"))


def bound(tmp_path: Path, network: Obj | None, *names: str, vip: str = "172.18.18.242") -> tuple[object, list[str]]:
    """The interface that the only gateway node binds the address on, and why it is not suitable."""
    parts = [node("egress-1"), agent("egress-1"), *([network] if network else [])]
    objects = [*parts, gateway(vip=vip, interfaces=names), policy()]
    held = file_of(tmp_path, "nodes/egress-1/addresses.json", *objects)["addresses"]
    report = file_of(tmp_path, "gateways.json", *objects)["gateways"][0]["nodes"]["egress-1"]
    return (held[0]["interface"] if held else "none"), report["reasons"]


@pytest.mark.parametrize(
    ("names", "vip", "expected"),
    [
        (("eth0",), "172.18.18.242", ("eth0", [])),
        (("eth9", "eth0", "eth1"), "172.18.18.242", ("eth0", [])),
        (("eth9",), "172.18.18.242", ("none", ["InterfaceMissing"])),
        ((), "172.18.18.242", ("eth1", [])),
        ((), "172.18.4.242", ("eth0", [])),
        ((), "2001:db8:18::242", ("eth1", [])),
        ((), "fd00:4::242", ("eth0", [])),
        ((), "198.51.100.9", ("eth1", [])),
        ((), "2001:db8:99::9", ("none", ["AddressMissing"])),
    ],
)
def test_interface_is_the_named_the_connected_or_that_of_the_default_route(
    tmp_path: Path, names: Sequence[str], vip: str, expected: tuple[object, list[str]]
) -> None:
    network = state("egress-1", *BOTH, defaults=("0.0.0.0/0",))

    assert expected == bound(tmp_path, network, *names, vip=vip)


def test_of_two_interfaces_in_one_subnet_the_first_of_the_node_is_taken(tmp_path: Path) -> None:
    twins = (interface("eth3", "172.18.18.3/24"), interface("eth2", "172.18.18.2/24"))

    assert bound(tmp_path, state("egress-1", *twins)) == ("eth3", [])


@pytest.mark.parametrize(
    ("names", "expected"), [((), None), (("eth1",), "eth1"), (("eth1", "eth2"), None)], ids=["none", "one", "two"]
)
def test_with_interfaces_unknown_only_a_single_name_is_one(
    tmp_path: Path, names: Sequence[str], expected: str | None
) -> None:
    assert bound(tmp_path, None, *names) == (expected, [])


def test_with_routes_unknown_an_address_of_no_subnet_is_left_to_the_node(tmp_path: Path) -> None:
    network = patched(state("egress-1", *BOTH), "status.currentState.routes", ...)

    assert bound(tmp_path, network, vip="198.51.100.9") == (None, [])


# §8: status


def test_status_has_a_document_for_each_gateway_with_its_condition(tmp_path: Path) -> None:
    path = tmp_path / "input.yaml"
    gone = gateway("gone", selector={"zone": "nowhere"})
    late = gateway("late", selector={"zone": "late"})
    parts = [node("egress-3", ready="False", labels={"zone": "late"}), agent("egress-3")]
    path.write_text(dump(*cluster(gateway(), policy(), gone, late), *parts), encoding="utf-8")
    files, findings = outcome(path)
    assert files is not None, findings

    documents = list(yaml.safe_load_all(files["status.yaml"]))

    kinds = {(item["apiVersion"], item["kind"]) for item in documents}
    assert kinds == {("network.deckhouse.io/v1alpha1", "EgressGateway")}
    found = {item["metadata"]["name"]: item["status"] for item in documents}
    assert found["gone"] == {
        "activeNodeName": "",
        "readyNodes": 0,
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "ElectionFailed",
                "message": "no node is suitable, so traffic is dropped (no node has the labels of spec.nodeSelector)",
            }
        ],
    }
    assert "(egress-3: NotReady)" in found["late"]["conditions"][0]["message"]
    assert (found["egress-gw"]["activeNodeName"], found["egress-gw"]["readyNodes"]) == ("egress-1", 2)
    assert found["egress-gw"]["conditions"][0]["reason"] == "ElectionSucceed"


@pytest.mark.parametrize("name", ["1e3", "0o17", "0x1f", "12", "1.5", "y", "n", "null", "true", "on", "2024-01-01"])
def test_a_name_that_looks_like_something_else_is_in_quotes(tmp_path: Path, name: str) -> None:
    path = tmp_path / "input.json"
    listed = {"apiVersion": "v1", "kind": "List", "items": cluster(gateway(name), policy(gateway_name=name))}
    path.write_text(json.dumps(listed), encoding="utf-8")
    files, findings = outcome(path)
    assert files is not None, findings

    assert f"  name: '{name}'\n" in files["status.yaml"].decode()


def test_too_many_reasons_are_cut_short(tmp_path: Path) -> None:
    names = [f"egress-{index}" for index in range(1, 8)]
    parts = [item for name in names for item in (node(name, ready="False"), agent(name))]

    report = file_of(tmp_path, "gateways.json", *parts, *member("worker-1", labels={}), gateway(), policy())

    message = report["gateways"][0]["conditions"][0]["message"]
    assert message.endswith("egress-5: NotReady; and 2 more)")
