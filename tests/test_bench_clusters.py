"""Made clusters are what the benchmarks say they are."""

import json
from collections import Counter
from typing import Any

import pytest

from bench.clusters import SIZES, Size, changed_cluster, make_cluster, scaled
from compiler.model import Mode
from compiler.pipeline import compile_cluster, understand
from compiler.resolve import resolve

Obj = dict[str, Any]


def _items(text: str, kind: str) -> list[Obj]:
    return [item for item in json.loads(text)["items"] if item["kind"] == kind]


def _requirements(text: str) -> list[Obj]:
    found = []
    for policy in _items(text, "EgressGatewayPolicy"):
        for entry in policy["spec"]["selectors"]:
            for selector in entry.values():
                found += selector.get("matchExpressions", [])
                found += [{"key": key, "operator": "matchLabels"} for key in selector.get("matchLabels", {})]
    return found


def test_the_same_numbers_give_the_same_cluster() -> None:
    assert make_cluster(SIZES["M"]) == make_cluster(SIZES["M"])
    assert make_cluster(SIZES["S"]) != make_cluster(SIZES["S"], seed=1)


@pytest.mark.parametrize("name", ["S", "M"])
def test_a_size_is_what_it_says(name: str) -> None:
    size = SIZES[name]

    text = make_cluster(size)

    pods = [pod for pod in _items(text, "Pod") if "hostNetwork" not in pod["spec"]]
    assert len(pods) == len({(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in pods}) == size.workloads
    assert len(_items(text, "Pod")) == size.workloads + size.nodes  # an agent on each
    assert len(_items(text, "Node")) == len(_items(text, "NodeNetworkState")) == size.nodes
    assert len(_items(text, "EgressGateway")) == size.gateways
    assert len(_items(text, "EgressGatewayPolicy")) == size.policies
    serving = [node for node in _items(text, "Node") if "egress.example.com/group" in node["metadata"]["labels"]]
    assert len(serving) == size.gateway_nodes


def test_apps_are_of_zipfian_size_and_no_node_has_more_pods_than_a_kubelet_takes() -> None:
    pods = _items(make_cluster(scaled(SIZES["M"], 2)), "Pod")

    apps = Counter((pod["metadata"]["namespace"], pod["metadata"]["labels"]["app"]) for pod in pods)
    largest = [count for _, count in apps.most_common()][1:]  # without the agents
    assert largest[0] > 100 * largest[-1]
    assert max(Counter(pod["spec"]["nodeName"] for pod in pods).values()) <= 110
    assert Counter(pod["spec"]["nodeName"] for pod in pods).total() == 30_500


@pytest.mark.parametrize("name", ["S", "M"])
def test_selectors_are_of_all_operators(name: str) -> None:
    asked = _requirements(make_cluster(SIZES[name]))

    assert {item["operator"] for item in asked} == {"matchLabels", "In", "NotIn", "Exists", "DoesNotExist"}


def test_selectors_ask_for_labels_of_all_sorts() -> None:
    asked = _requirements(make_cluster(SIZES["M"]))

    assert {item["key"] for item in asked} == {
        "app",
        "apps.kubernetes.io/pod-index",
        "tier",
        "track",
        "io.kubernetes.pod.namespace",
        "io.cilium.k8s.policy.serviceaccount",
        "pod-template-hash",
        "statefulset.kubernetes.io/pod-name",
        "team",
        "zone",
    }


def test_more_workloads_leave_the_rest_as_it_is() -> None:
    one, two = (make_cluster(scaled(SIZES["S"], factor)) for factor in (1, 2))

    for kind in ("EgressGateway", "EgressGatewayPolicy", "Node", "Namespace"):
        assert _items(one, kind) == _items(two, kind)
    assert len(_items(two, "Pod")) == 410


def test_a_small_cluster_compiles_without_a_word() -> None:
    reading = understand({"cluster.json": make_cluster(SIZES["S"]).encode()})
    assert reading.cluster is not None

    compiled = compile_cluster(reading.cluster)

    assert compiled.files is not None
    assert reading.findings + compiled.findings == ()


def test_half_of_the_workloads_are_selected_by_one_to_four_policies_in_both_families() -> None:
    cluster = understand({"cluster.json": make_cluster(SIZES["S"]).encode()}).cluster
    assert cluster is not None

    resolved = resolve(cluster)

    selected = sum(len(item.workloads) for item in resolved.classes)
    assert 1 / 3 < selected / len(cluster.workloads) < 5 / 6
    assert {len(item.table.policies) for item in resolved.classes} <= {1, 2, 3, 4}
    assert max(len(item.table.policies) for item in resolved.classes) > 1
    assert all(len(node.internal_ips) == len(node.pod_cidrs) == 2 for node in cluster.nodes.values())
    assert sum(len(workload.addresses) == 2 for workload in cluster.workloads) > 4 / 5 * len(cluster.workloads)
    versions = [{prefix.version for prefix in policy.destinations} for policy in cluster.policies]
    assert {4, 6} in versions
    assert {4} in versions
    assert any(policy.excluded for policy in cluster.policies)


def test_gateways_share_nodes_and_half_of_them_have_a_virtual_ip() -> None:
    cluster = understand({"cluster.json": make_cluster(SIZES["M"]).encode()}).cluster
    assert cluster is not None

    gateways = list(cluster.gateways.values())
    selectors = Counter(tuple(gateway.node_selector.items()) for gateway in gateways)
    nodes = [sum(node.labels.get(key) == value for node in cluster.nodes.values()) for ((key, value),) in selectors]
    assert nodes == [3, 3, 3, 3]
    assert set(selectors.values()) == {25}
    virtual = [gateway for gateway in gateways if gateway.mode is Mode.VIRTUAL]
    assert len(virtual) == 50
    assert {gateway.virtual_ip.version for gateway in virtual if gateway.virtual_ip is not None} == {4, 6}
    assert {gateway.interfaces for gateway in virtual} == {(), ("eth1",)}


def test_a_changed_cluster_compiles() -> None:
    text = make_cluster(SIZES["S"])
    changed = changed_cluster(text)
    reading = understand({"cluster.json": changed.encode()})
    assert reading.cluster is not None

    assert compile_cluster(reading.cluster).files is not None
    assert changed != text


@pytest.mark.parametrize(("nodes", "workloads", "policies"), [(5_001, 10, 1), (1, 110, 1), (10, 14, 10)])
def test_what_does_not_go_together_is_refused(nodes: int, workloads: int, policies: int) -> None:
    with pytest.raises(ValueError, match=r"more than|at least"):
        make_cluster(Size(nodes=nodes, workloads=workloads, policies=policies, gateways=1, gateway_nodes=1))
