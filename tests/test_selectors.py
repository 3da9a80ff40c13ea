"""Which workloads a policy selects, from YAML to `workloads.json`."""

from pathlib import Path
from typing import Any

import pytest
from builders import EGRESS_LABEL, Obj, dump, gateway, member, namespace, outcome, pod, policy

from bundle.codec import decode
from bundle.directory import WORKLOADS
from bundle.model import Workloads

PODS = [
    pod("api", "worker-1", 5, labels={"app": "api", "tier": "back"}, serviceAccountName="robot"),
    pod("web", "worker-1", 6, labels={"app": "web", "tier": "front"}),
    pod("bare", "worker-1", 7, labels={}),
    pod("api", "worker-1", 8, namespace="shop", labels={"app": "api"}),
    pod("lone", "worker-1", 9, namespace="unlisted", labels={"app": "lone"}, serviceAccountName=""),
]
NAMESPACES = [namespace("default", team="core", stage="prod"), namespace("shop", team="sales")]
EVERYTHING = ["default/api", "default/bare", "default/web", "shop/api", "unlisted/lone"]


def selected(directory: Path, selectors: list[Obj]) -> list[str]:
    objects = [*member("egress-1"), *member("worker-1", labels={}), *NAMESPACES, *PODS, gateway()]
    path = directory / "input.yaml"
    path.write_text(dump(*objects, policy(selectors=selectors)), encoding="utf-8")
    files, findings = outcome(path)
    assert files is not None, findings
    workloads = decode(Workloads, files[WORKLOADS]).workloads
    return [f"{item.namespace}/{item.name}" for item in workloads if item.policies == ("egress-gw-policy",)]


def labels(**match: str) -> Obj:
    return {"podSelector": {"matchLabels": match}}


def expression(key: str, operator: str, *values: str, where: str = "podSelector") -> Obj:
    entry: dict[str, Any] = {"key": key, "operator": operator}
    if values:
        entry["values"] = list(values)
    return {where: {"matchExpressions": [entry]}}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (labels(app="api"), ["default/api", "shop/api"]),
        (labels(app="api", tier="back"), ["default/api"]),
        (labels(app=""), []),
        (expression("app", "In", "api", "web"), ["default/api", "default/web", "shop/api"]),
        (expression("app", "NotIn", "api"), ["default/bare", "default/web", "unlisted/lone"]),
        (expression("tier", "NotIn", "back"), ["default/bare", "default/web", "shop/api", "unlisted/lone"]),
        (expression("tier", "Exists"), ["default/api", "default/web"]),
        (expression("tier", "DoesNotExist"), ["default/bare", "shop/api", "unlisted/lone"]),
        (expression("nowhere", "In", "x"), []),
        (expression("nowhere", "NotIn", "x"), EVERYTHING),
        (expression("nowhere", "Exists"), []),
        (expression("nowhere", "DoesNotExist"), EVERYTHING),
    ],
)
def test_operators_on_present_and_absent_labels(tmp_path: Path, selector: Obj, expected: list[str]) -> None:
    assert expected == selected(tmp_path, [selector])


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("io.kubernetes.pod.namespace", "shop", ["shop/api"]),
        ("k8s:io.kubernetes.pod.namespace", "shop", ["shop/api"]),
        ("any:io.kubernetes.pod.namespace", "unlisted", ["unlisted/lone"]),
        ("io.cilium.k8s.namespace.labels.team", "core", ["default/api", "default/bare", "default/web"]),
        ("k8s:io.cilium.k8s.namespace.labels.team", "sales", ["shop/api"]),
        ("io.cilium.k8s.policy.serviceaccount", "robot", ["default/api"]),
        ("any:io.cilium.k8s.policy.serviceaccount", "robot", ["default/api"]),
        ("k8s:app", "web", ["default/web"]),
        ("any:app", "web", ["default/web"]),
    ],
)
def test_pseudo_labels_and_prefixes_of_keys(tmp_path: Path, key: str, value: str, expected: list[str]) -> None:
    assert expected == selected(tmp_path, [labels(**{key: value})])
    assert expected == selected(tmp_path, [expression(key, "In", value)])


def test_namespace_label_exists_only_where_the_snapshot_has_it(tmp_path: Path) -> None:
    expected = ["default/api", "default/bare", "default/web"]

    assert expected == selected(tmp_path, [expression("io.cilium.k8s.namespace.labels.stage", "Exists")])
    assert selected(tmp_path, [expression("io.cilium.k8s.namespace.labels.stage", "DoesNotExist")]) == [
        "shop/api",
        "unlisted/lone",
    ]


def test_a_label_cannot_pose_as_another_namespace(tmp_path: Path) -> None:
    impostor = pod("sly", "worker-1", 30, labels={"io.kubernetes.pod.namespace": "shop"})
    objects = [*member("egress-1"), *member("worker-1", labels={}), *NAMESPACES, *PODS, impostor, gateway()]
    path = tmp_path / "input.yaml"
    path.write_text(
        dump(*objects, policy(selectors=[labels(**{"io.kubernetes.pod.namespace": "shop"})])), encoding="utf-8"
    )

    files, findings = outcome(path)

    assert files is not None, findings
    workloads = decode(Workloads, files[WORKLOADS]).workloads
    assert [f"{item.namespace}/{item.name}" for item in workloads if item.policies] == ["shop/api"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"namespaceSelector": {"matchLabels": {"team": "core"}}}, ["default/api", "default/bare", "default/web"]),
        (expression("team", "In", "sales", "core", where="namespaceSelector"), EVERYTHING[:-1]),
        (expression("team", "Exists", where="namespaceSelector"), EVERYTHING[:-1]),
        (expression("team", "NotIn", "core", where="namespaceSelector"), ["shop/api", "unlisted/lone"]),
        (expression("team", "DoesNotExist", where="namespaceSelector"), ["unlisted/lone"]),
        ({"namespaceSelector": {}}, EVERYTHING),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "api"}}}, ["default/api", "shop/api"]),
        ({**labels(app="api"), "namespaceSelector": {"matchLabels": {"team": "sales"}}}, ["shop/api"]),
        ({**labels(app="web"), "namespaceSelector": {"matchLabels": {"team": "sales"}}}, []),
    ],
)
def test_namespace_selector_narrows_the_pod_selector(tmp_path: Path, selector: Obj, expected: list[str]) -> None:
    assert expected == selected(tmp_path, [selector])


@pytest.mark.parametrize(
    "selector",
    [
        {"podSelector": {}},
        {"podSelector": {"matchLabels": {}}},
        {"podSelector": {"matchExpressions": []}},
        {"podSelector": {"matchLabels": {}, "matchExpressions": []}},
        {"podSelector": {}, "namespaceSelector": {}},
    ],
)
def test_an_empty_selector_selects_every_workload_of_every_namespace(tmp_path: Path, selector: Obj) -> None:
    assert selected(tmp_path, [selector]) == EVERYTHING


def test_an_empty_list_of_selectors_selects_nothing(tmp_path: Path) -> None:
    assert selected(tmp_path, []) == []


def test_entries_are_alternatives(tmp_path: Path) -> None:
    assert selected(tmp_path, [labels(app="web"), labels(app="lone")]) == ["default/web", "unlisted/lone"]


def test_within_an_entry_all_must_hold(tmp_path: Path) -> None:
    entry = {
        "podSelector": {
            "matchLabels": {"app": "api"},
            "matchExpressions": [
                {"key": "tier", "operator": "Exists"},
                {"key": "tier", "operator": "NotIn", "values": ["front"]},
            ],
        }
    }

    assert selected(tmp_path, [entry]) == ["default/api"]


def test_labels_of_the_agent_and_of_host_network_pods_are_never_selected(tmp_path: Path) -> None:
    assert selected(tmp_path, [labels(app="agent")]) == []


def test_node_labels_are_no_labels_of_workloads(tmp_path: Path) -> None:
    assert selected(tmp_path, [labels(**EGRESS_LABEL)]) == []


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (expression("team", "Exists", where="namespaceSelector"), True),
        (expression("io.cilium.k8s.namespace.labels.team", "DoesNotExist"), True),
        ({"namespaceSelector": {}}, False),
        (labels(**{"io.kubernetes.pod.namespace": "unlisted"}), False),
    ],
)
def test_a_missing_namespace_is_told_where_its_labels_are_asked_for(
    tmp_path: Path, selector: Obj, expected: bool
) -> None:
    objects = [*member("egress-1"), *member("worker-1", labels={}), *NAMESPACES, *PODS, gateway()]
    path = tmp_path / "input.yaml"
    path.write_text(dump(*objects, policy(selectors=[selector])), encoding="utf-8")

    told = [item.message for item in outcome(path)[1] if item.code == "EG323"]

    assert bool(told) is expected
    assert all("no Namespace unlisted, which" in message for message in told)
