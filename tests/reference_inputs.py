"""The reference, first part: what the objects say. Nodes, workloads, selectors and the ranges of the cluster.

A second opinion on the semantics, for tests only: written from them and not from the compiler, of which it imports
nothing. It loops over everything, in lists, and would rather be slow than clever.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Obj = dict[str, Any]
IP = IPv4Address | IPv6Address
Net = IPv4Network | IPv6Network

LAUNCHER_LABEL = "vm.kubevirt.internal.virtualization.deckhouse.io/name"
PRIORITY_LABEL = "network.deckhouse.io/pod-common-ip-priority"

NEVER_REDIRECTED = [
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::1/128",
    "fe80::/10",
    "ff00::/8",
]
"""Loopback, link-local, multicast, broadcast."""


@dataclass(frozen=True)
class Interface:
    name: str
    addresses: list[tuple[IP, Net]]
    """Each address with its subnet, in the order of the input."""


@dataclass(frozen=True)
class Node:
    name: str
    labels: dict[str, str]
    ready: bool
    cordoned: bool
    deleting: bool
    internal: list[IP]
    pod_cidrs: list[Net]
    interfaces: list[Interface] | None
    """None where no NodeNetworkState tells."""
    routes: list[Obj]

    def internal_of(self, family: int) -> IP | None:
        """The first InternalIP of a family."""
        for address in self.internal:
            if address.version == family:
                return address
        return None

    def every_address(self) -> list[IP]:
        """InternalIPs, and what the interfaces have."""
        found = list(self.internal)
        for interface in self.interfaces or []:
            found.extend(address for address, _ in interface.addresses)
        return found


@dataclass(frozen=True)
class Workload:
    kind: str
    namespace: str
    name: str
    node: str
    addresses: list[IP]
    labels: dict[str, str]
    service_account: str | None
    virtual_machine: str | None
    """For a virtual machine its name, for a launcher pod the name of its machine."""
    priority: float = 0
    """Of a launcher pod during migration; the lower one decides."""

    def called(self) -> str:
        return f"{self.namespace}/{self.name}"


def of_kind(objects: Sequence[Obj], group: str, kind: str) -> list[Obj]:
    """Objects of a kind, sorted by name, one that is given twice once."""
    found: list[Obj] = []
    for item in objects:
        if item["kind"] == kind and item["apiVersion"].rpartition("/")[0] == group and item not in found:
            found.append(item)
    return sorted(found, key=full_name)


def full_name(item: Obj) -> tuple[str, str]:
    metadata = item.get("metadata", {})
    return (metadata.get("namespace", ""), metadata.get("name", ""))


def labels_of(item: Obj) -> dict[str, str]:
    return dict(item["metadata"].get("labels") or {})


def condition_is_true(item: Obj, name: str) -> bool:
    return any(c["type"] == name and c["status"] == "True" for c in item.get("status", {}).get("conditions", []))


def configuration(objects: Sequence[Obj]) -> Obj:
    """The spec of the compiler's configuration; empty without one."""
    for item in of_kind(objects, "egressc.io", "EgressCompilerConfig"):
        spec: Obj = item["spec"]
        return spec
    return {}


# Nodes


def nodes(objects: Sequence[Obj]) -> list[Node]:
    found = []
    for item in of_kind(objects, "", "Node"):
        name = item["metadata"]["name"]
        interfaces, routes = network_state(objects, name)
        found.append(
            Node(
                name=name,
                labels=labels_of(item),
                ready=condition_is_true(item, "Ready"),
                cordoned=bool(item["spec"].get("unschedulable")),
                deleting="deletionTimestamp" in item["metadata"],
                internal=[ip_address(a["address"]) for a in item["status"]["addresses"] if a["type"] == "InternalIP"],
                pod_cidrs=[ip_network(text, strict=False) for text in item["spec"].get("podCIDRs", [])],
                interfaces=interfaces,
                routes=routes,
            )
        )
    return found


def network_state(objects: Sequence[Obj], name: str) -> tuple[list[Interface] | None, list[Obj]]:
    """A node's interfaces, None if unknown, and its routes."""
    for item in of_kind(objects, "nmstate.io", "NodeNetworkState"):
        if item["metadata"]["name"] != name:
            continue
        state = item["status"]["currentState"]
        interfaces = []
        for entry in state["interfaces"]:
            listed = entry.get("ipv4", {}).get("address", []) + entry.get("ipv6", {}).get("address", [])
            addresses = [
                (ip_address(a["ip"]), ip_network(f"{a['ip']}/{a['prefix-length']}", strict=False)) for a in listed
            ]
            interfaces.append(Interface(entry["name"], addresses))
        return interfaces, state.get("routes", {}).get("running", [])
    return None, []


def agents(objects: Sequence[Obj]) -> list[Obj]:
    """All agent pods, well or not."""
    return [
        pod
        for pod in of_kind(objects, "", "Pod")
        if pod["metadata"]["namespace"] == "d8-cni-cilium" and labels_of(pod).get("app") == "agent"
    ]


def agent_is_well(objects: Sequence[Obj], node: str) -> bool:
    """Whether a Ready agent pod that is not terminating runs on a node."""
    for pod in agents(objects):
        leaves = "deletionTimestamp" in pod["metadata"]
        if pod["spec"].get("nodeName") == node and condition_is_true(pod, "Ready") and not leaves:
            return True
    return False


# Workloads


def workloads(objects: Sequence[Obj]) -> tuple[list[Workload], list[tuple[Workload, Workload]]]:
    """All workloads that count, each once, and the pairs that have an address together and should not."""
    machines = virtual_machines(objects)
    pods = [pod for pod in counted_pods(objects) if (pod.namespace, pod.virtual_machine) not in at_rest(objects)]
    found: list[Workload] = []
    for machine in machines:
        launchers = [pod for pod in pods if is_of(pod, machine)]
        pods = [pod for pod in pods if pod not in launchers]
        found.append(with_addresses(machine, launchers))
    for pod in pods:
        rivals = [other for other in pods if is_migration(pod, other)]
        if all((pod.priority, pod.name) < (other.priority, other.name) for other in rivals):
            found.append(pod)
    clashes = [
        (one, other)
        for index, one in enumerate(found)
        for other in found[index + 1 :]
        if any(address in other.addresses for address in one.addresses)
    ]
    return found, clashes


def virtual_machines(objects: Sequence[Obj]) -> list[Workload]:
    found = []
    for item in of_kind(objects, "virtualization.deckhouse.io", "VirtualMachine"):
        status = item.get("status", {})
        address, node = status.get("ipAddress"), status.get("nodeName")
        name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
        if not address or not node or (namespace, name) in at_rest(objects):
            continue
        found.append(
            Workload("VirtualMachine", namespace, name, node, [ip_address(address)], labels_of(item), None, name)
        )
    return found


def at_rest(objects: Sequence[Obj]) -> list[tuple[str, str | None]]:
    """Namespace and name of machines that say of themselves that they do not run: then their pods do not count either.

    A machine without an address or a node says nothing of the kind, and its pods stand for it.
    """
    return [
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for item in of_kind(objects, "virtualization.deckhouse.io", "VirtualMachine")
        if item.get("status", {}).get("phase") in {"Stopped", "Pending"}
    ]


def counted_pods(objects: Sequence[Obj]) -> list[Workload]:
    found = []
    for item in of_kind(objects, "", "Pod"):
        spec, status, labels = item["spec"], item.get("status", {}), labels_of(item)
        addresses = [ip_address(entry["ip"]) for entry in status.get("podIPs", [])]
        if spec.get("hostNetwork") or status.get("phase") in {"Succeeded", "Failed"} or not addresses:
            continue
        found.append(
            Workload(
                kind="Pod",
                namespace=item["metadata"]["namespace"],
                name=item["metadata"]["name"],
                node=spec["nodeName"],
                addresses=addresses,
                labels=labels,
                service_account=spec.get("serviceAccountName"),
                virtual_machine=labels.get(LAUNCHER_LABEL),
                priority=float(labels.get(PRIORITY_LABEL, "-inf")),
            )
        )
    return found


def is_of(pod: Workload, machine: Workload) -> bool:
    """Whether a pod is a launcher of a virtual machine and carries its address."""
    same = (pod.namespace, pod.virtual_machine) == (machine.namespace, machine.virtual_machine)
    return same and any(address in pod.addresses for address in machine.addresses)


def is_migration(one: Workload, other: Workload) -> bool:
    """Whether two pods are launchers of one virtual machine that share an address."""
    if one is other or one.virtual_machine is None:
        return False
    same = (one.namespace, one.virtual_machine) == (other.namespace, other.virtual_machine)
    return same and any(address in other.addresses for address in one.addresses)


def with_addresses(machine: Workload, launchers: list[Workload]) -> Workload:
    """The machine with the addresses of the other family that its launchers carry: its status has room for one only."""
    addresses = list(machine.addresses)
    for pod in launchers:
        for address in pod.addresses:
            if address.version not in [known.version for known in addresses]:
                addresses.append(address)
    return Workload(
        machine.kind,
        machine.namespace,
        machine.name,
        machine.node,
        addresses,
        machine.labels,
        machine.service_account,
        machine.virtual_machine,
    )


# Selectors


def policy_selects(objects: Sequence[Obj], policy: Obj, workload: Workload) -> bool:
    """Whether an entry of a policy's selectors matches."""
    spaces = [n for n in of_kind(objects, "", "Namespace") if n["metadata"]["name"] == workload.namespace]
    space = labels_of(spaces[0]) if spaces else {}
    pseudo = ("io.kubernetes.pod.namespace", "io.cilium.k8s.policy.serviceaccount")
    labels = {
        key: value
        for key, value in workload.labels.items()
        if key not in pseudo and not key.startswith("io.cilium.k8s.namespace.labels.")
    }
    for key, value in space.items():
        labels[f"io.cilium.k8s.namespace.labels.{key}"] = value
    labels["io.kubernetes.pod.namespace"] = workload.namespace
    if workload.service_account is not None:
        labels["io.cilium.k8s.policy.serviceaccount"] = workload.service_account
    for entry in policy["spec"].get("selectors", []):
        if matches(entry.get("podSelector", {}), labels) and matches(entry.get("namespaceSelector", {}), space):
            return True
    return False


def matches(selector: Obj, labels: dict[str, str]) -> bool:
    """Whether everything that a label selector asks for holds."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(bare(key)) != value:
            return False
    for expression in selector.get("matchExpressions", []):
        value = labels.get(bare(expression["key"]))
        values = expression.get("values", [])
        holds = {
            "In": value is not None and value in values,
            "NotIn": value is None or value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not holds[expression["operator"]]:
            return False
    return True


def bare(key: str) -> str:
    """A label key without the prefix that tells where a label is from."""
    for prefix in ("k8s:", "any:"):
        if key.startswith(prefix):
            return key[len(prefix) :]
    return key


# Ranges of the cluster


def pod_ranges(objects: Sequence[Obj], known: Sequence[Node]) -> list[Net]:
    return [net for node in known for net in node.pod_cidrs] + configured(objects, "podCIDRs")


def service_ranges(objects: Sequence[Obj]) -> list[Net]:
    found = configured(objects, "serviceCIDRs")
    for item in of_kind(objects, "networking.k8s.io", "ServiceCIDR"):
        found.extend(ip_network(text, strict=False) for text in item["spec"]["cidrs"])
    return found


def machine_ranges(objects: Sequence[Obj]) -> list[Net]:
    found: list[Net] = []
    for item in of_kind(objects, "deckhouse.io", "ModuleConfig"):
        if item["metadata"]["name"] == "virtualization":
            texts = item["spec"].get("settings", {}).get("virtualMachineCIDRs", [])
            found.extend(ip_network(text, strict=False) for text in texts)
    return found


def configured(objects: Sequence[Obj], field: str) -> list[Net]:
    ranges = configuration(objects).get("clusterRanges", {})
    return [ip_network(text, strict=False) for text in ranges.get(field, [])]


def never_redirected(objects: Sequence[Obj], known: Sequence[Node], not_own: Iterable[IP]) -> list[Net]:
    """Everything that traffic to is left alone; a virtual IP that some node holds is not that node's own address."""
    taken = list(not_own)
    found = [ip_network(text) for text in NEVER_REDIRECTED]
    found += pod_ranges(objects, known) + service_ranges(objects) + machine_ranges(objects)
    found += configured(objects, "extraCIDRs")
    for node in known:
        found.extend(ip_network(address) for address in node.every_address() if address not in taken)
    return found
