"""What a snapshot means where it is odd: machines that lag, interfaces that nobody names, addresses that pass by."""

import json
from pathlib import Path
from typing import Any

import pytest
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
OUTSIDE = "203.0.113.10"


def write(tmp_path: Path, *objects: Obj) -> Path:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*objects), encoding="utf-8")
    return path


def file_of(path: Path, name: str) -> Any:  # noqa: ANN401  # JSON
    files, findings = outcome(path)
    assert files is not None, findings
    return json.loads(files[name])


def codes(path: Path) -> list[str]:
    return [finding.code for finding in outcome(path)[1]]


def machine(**status: str) -> Obj:
    return {
        "apiVersion": "virtualization.deckhouse.io/v1alpha2",
        "kind": "VirtualMachine",
        "metadata": {"name": "vm", "namespace": "default", "labels": {"app": "vm"}},
        "status": status,
    }


@pytest.mark.parametrize(("phase", "expected"), [("Starting", ["backend", "launcher"]), ("Stopped", ["backend"])])
def test_the_pod_stands_for_a_machine_whose_status_lags(tmp_path: Path, phase: str, expected: list[str]) -> None:
    launcher = pod("launcher", "worker-1", 9, labels={LAUNCHER: "vm", "app": "vm"})
    path = write(tmp_path, *cluster(gateway(), policy()), machine(nodeName="worker-1", phase=phase), launcher)

    assert [item["name"] for item in file_of(path, "workloads.json")["workloads"]] == expected


def test_a_launcher_pod_with_another_address_than_its_machine_tells_counts_by_itself(tmp_path: Path) -> None:
    launcher = pod("launcher", "worker-1", labels={LAUNCHER: "vm"}, ips=["10.66.10.9"])
    running = machine(nodeName="worker-1", phase="Running", ipAddress="10.66.10.5")
    path = write(tmp_path, *cluster(gateway(), policy()), running, launcher)

    assert explainer(path).explain("10.66.10.9", OUTSIDE).trace.verdict == "egress"
    assert explainer(path).explain("10.66.10.5", OUTSIDE).trace.verdict == "egress"


def test_a_machine_has_its_pods_second_address_also_before_the_pod_is_on_its_node(tmp_path: Path) -> None:
    launcher = pod("launcher", "worker-1", labels={LAUNCHER: "vm"}, ips=["10.66.10.5", "fd00:66::5"])
    moved = machine(nodeName="egress-1", phase="Running", ipAddress="10.66.10.5")
    found = file_of(write(tmp_path, *cluster(gateway(), policy()), moved, launcher), "workloads.json")["workloads"]

    assert [(item["name"], item["node"], item["addresses"]) for item in found if item["name"] != "backend"] == [
        ("vm", "egress-1", ["10.66.10.5", "fd00:66::5"])
    ]


@pytest.mark.parametrize(("to", "expected"), [("0.0.0.0/0", []), ("::/0", ["EG403"])])
def test_a_link_matters_only_in_a_family_that_a_policy_sends(tmp_path: Path, to: str, expected: list[str]) -> None:
    alone = state("worker-1", interface("eth0", "172.18.4.11/24", "fd00:4::11/128"))
    parts = [*member("egress-1"), node("worker-1", labels={}), agent("worker-1"), alone, pod("backend", "worker-1")]

    assert codes(write(tmp_path, *parts, gateway(), policy(to=[to]))) == expected


def test_a_namespace_of_a_gateway_means_nothing(tmp_path: Path) -> None:
    second = patched(gateway(vip="172.18.18.249"), "metadata.namespace", "elsewhere")

    assert "EG106" in codes(write(tmp_path, *cluster(gateway(), second, policy())))


@pytest.mark.parametrize("name", ["patch-br-ex_node-1-to-br-int", "wg#1", 'quote"d'])
def test_an_interface_that_no_gateway_can_name_is_passed_over(tmp_path: Path, name: str) -> None:
    odd = state("worker-1", interface(name), interface("eth0", "172.18.4.11/24"))
    parts = [*member("egress-1"), node("worker-1", labels={}, six=False), agent("worker-1"), odd]

    files, findings = outcome(write(tmp_path, *parts, pod("backend", "worker-1"), gateway(), policy()))

    assert files is not None
    assert "EG209" not in [finding.code for finding in findings]


def test_an_unknown_field_that_is_null_is_told(tmp_path: Path) -> None:
    selectors = [{"podSelector": {"matchlabels": None}}]

    assert "EG204" in codes(write(tmp_path, *cluster(gateway(), policy(selectors=selectors))))


def test_a_known_field_that_is_null_is_absent(tmp_path: Path) -> None:
    selectors = [{"podSelector": {"matchLabels": None}, "namespaceSelector": None}]

    assert codes(write(tmp_path, *cluster(gateway(), policy(selectors=selectors, to=["0.0.0.0/0"])))) == []


def one_gateway_node(*interfaces: Obj, defaults: tuple[str, ...] = ()) -> list[Obj]:
    return [node("egress-1"), agent("egress-1"), state("egress-1", *interfaces, defaults=defaults)]


def test_a_virtual_ip_goes_to_the_longest_connected_subnet(tmp_path: Path) -> None:
    parts = one_gateway_node(interface("eth0", "172.18.4.1/8"), interface("eth1", "172.18.18.1/24"))
    path = write(tmp_path, *parts, gateway(vip="172.18.18.242"), policy())

    assert file_of(path, "nodes/egress-1/addresses.json")["addresses"][0]["interface"] == "eth1"


def test_of_two_default_routes_the_lower_metric_decides(tmp_path: Path) -> None:
    parts = one_gateway_node(interface("eth0", "172.18.4.1/24"), interface("eth1", "172.18.18.1/24"))
    routes = [
        {"destination": "0.0.0.0/0", "next-hop-interface": name, "metric": metric, "table-id": 254}
        for name, metric in (("eth0", 200), ("eth1", 100))
    ]
    parts[2]["status"]["currentState"]["routes"]["running"] = routes
    path = write(tmp_path, *parts, gateway(vip="198.51.100.9"), policy())

    assert file_of(path, "nodes/egress-1/addresses.json")["addresses"][0]["interface"] == "eth1"


def test_an_ipv6_host_address_beside_is_not_the_primary_one(tmp_path: Path) -> None:
    own = interface("eth1", "172.18.18.1/24", "2001:db8:18::77/128", "2001:db8:18::1/64")
    parts = one_gateway_node(interface("eth0", "172.18.4.1/24", "fd00:4::1/64"), own)
    path = write(tmp_path, *parts, gateway(), policy())

    assert file_of(path, "gateways.json")["gateways"][0]["sourceIPs"]["ipv6"] == "2001:db8:18::1"


def test_addresses_of_nodes_are_inside_the_cluster(tmp_path: Path) -> None:
    ask = explainer(write(tmp_path, *cluster(gateway(), policy())))

    assert ask.explain("default/backend", "172.18.18.2").trace.verdict == "bypass"
    assert ask.explain("default/backend", OUTSIDE).trace.verdict == "egress"


def test_a_bound_virtual_ip_changes_nothing(tmp_path: Path) -> None:
    before = cluster(gateway(vip="172.18.18.242"), policy())
    bound = interface("eth1", "172.18.18.242/32", "172.18.18.1/24", "2001:db8:18::1/64")
    after = [item for item in before if item["metadata"]["name"] != "egress-1" or item["kind"] != "NodeNetworkState"]
    after.append(state("egress-1", interface("eth0", "172.18.4.1/24", "fd00:4::1/64"), bound))

    first, _ = outcome(write(tmp_path, *before))
    second, _ = outcome(write(tmp_path, *after))

    assert first is not None
    assert second is not None
    assert {name for name in first if first[name] != second[name]} == {"manifest.json"}


def test_each_family_goes_by_the_interface_of_its_own_internal_ip(tmp_path: Path) -> None:
    split = (interface("eth0", "172.18.4.11/24"), interface("eth1", "fd00:4::11/64"))
    parts = [*member("egress-1"), node("worker-1", labels={}), agent("worker-1"), state("worker-1", *split)]
    path = write(tmp_path, *parts, pod("backend", "worker-1"), gateway(), policy(to=["0.0.0.0/0", "::/0"]))
    files, _ = outcome(path)
    assert files is not None

    routes = file_of(path, "nodes/worker-1/routing.json")["routes"]

    assert {(item["gateway"], item["device"]) for item in routes if item["gateway"]} == {
        ("172.18.4.1", "eth0"),
        ("fd00:4::1", "eth1"),
    }
    assert 'iifname != { "eth0", "eth1" } accept' in files["nodes/worker-1/ruleset.nft"].decode()


def test_without_interfaces_workloads_of_other_nodes_are_strays_all_the_same(tmp_path: Path) -> None:
    machine_of_worker = machine(nodeName="worker-1", phase="Running", ipAddress="10.66.10.5")
    parts = [node("egress-1"), agent("egress-1"), *member("worker-1", labels={})]
    path = write(tmp_path, *parts, pod("local", "egress-1"), machine_of_worker, gateway(vip="172.18.18.242"), policy())
    files, _ = outcome(path)
    assert files is not None

    text = files["nodes/egress-1/ruleset.nft"].decode()
    stray = text[text.index("set stray4 {\n") :].split("}", maxsplit=1)[0]

    assert "10.66.10.5" in stray
    assert "10.111.11.0/24" in stray
    assert "10.111.1." not in stray


@pytest.mark.parametrize("text", ["::ffff:192.0.2.1", "::ffff:c000:201"])
def test_ipv4_in_ipv6_clothes_is_no_address(tmp_path: Path, text: str) -> None:
    assert "EG206" in codes(write(tmp_path, *cluster(gateway(vip=text), policy())))
