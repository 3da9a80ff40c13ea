"""Small inputs and a bundle of them, for targets to begin with."""

from functools import cache

from builders import Obj, agent, cluster, config, dump, gateway, member, namespace, node, pod, policy, state

from compiler.pipeline import compile_cluster, understand

LAUNCHER = "vm.kubevirt.internal.virtualization.deckhouse.io/name"


def _machine() -> list[Obj]:
    machine = {
        "apiVersion": "virtualization.deckhouse.io/v1alpha2",
        "kind": "VirtualMachine",
        "metadata": {"name": "vm-1", "namespace": "default", "labels": {"vm": "linux"}},
        "status": {"ipAddress": "10.66.10.5", "nodeName": "worker-1", "phase": "Running"},
    }
    launcher = pod("launcher-1", "worker-1", ips=["10.66.10.5"], labels={LAUNCHER: "vm-1"})
    ranges = {
        "apiVersion": "deckhouse.io/v1alpha1",
        "kind": "ModuleConfig",
        "metadata": {"name": "virtualization"},
        "spec": {"settings": {"virtualMachineCIDRs": ["10.66.10.0/24"]}},
    }
    services = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": ["10.222.0.0/16"]},
    }
    return [machine, launcher, ranges, services]


SELECTORS = (
    {"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["backend", "web"]}]}},
    {"namespaceSelector": {"matchLabels": {"team": "a"}}, "podSelector": {}},
    {"podSelector": {"matchLabels": {"io.kubernetes.pod.namespace": "default"}}},
)


def objects() -> tuple[list[Obj], ...]:
    """Inputs that compile, of many kinds."""
    return (
        cluster(gateway(), policy()),
        cluster(gateway(vip="172.18.18.240"), policy(to=["203.0.113.0/24", "::/0"], excluded=["203.0.113.8/29"])),
        cluster(
            gateway(),
            gateway("second", vip="172.18.18.241", interfaces=["eth1", "eth2"]),
            policy(selectors=SELECTORS, created="2024-01-01T00:00:00Z"),
            policy("late", "second", excluded=["0.0.0.0/1"], created="2025-01-01T00:00:00+03:00"),
            namespace("default", team="a"),
            *_machine(),
        ),
        [
            node("egress-1"),
            node("worker-1", labels={}, six=False),
            pod("backend", "worker-1", ips=["10.111.11.5"]),
            gateway(),
            policy(),
            config(
                agent={"enabled": False}, clusterRanges={"podCIDRs": ["10.111.0.0/16"]}, datapath={"rulePriority": 9}
            ),
        ],
        [
            node("egress-1", ready="Unknown"),
            agent("egress-1", ready="False"),
            state("egress-1"),
            *member("worker-1", labels={}),
            pod("backend", "worker-1"),
            gateway(),
            policy(),
        ],
    )


@cache
def bundle(index: int = 2) -> dict[str, bytes]:
    """The files of a bundle made of one of `objects`."""
    reading = understand({"input.yaml": dump(*objects()[index]).encode()})
    assert reading.cluster is not None, reading.findings
    files = compile_cluster(reading.cluster).files
    assert files is not None
    return dict(files)
