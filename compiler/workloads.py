"""Workloads as the snapshot tells of them: pods and virtual machines, of which some are one.

In: loaded objects. Out: typed values; faults go to the findings. A pod is read by itself; what becomes of it beside
others, `merge` and `check_addresses` say.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, Literal

import msgspec

from compiler.diagnostics import Diagnostic, Place, error
from compiler.fastjson import Raw
from compiler.findings import Findings
from compiler.inputs import kubernetes
from compiler.inputs.pods import Pod, PodSpec, PodStatus
from compiler.load import Key, Loaded, Object
from compiler.model import Address, AgentPod, Config, Family, Labels, Workload, by_family
from compiler.shape import check_names, read_as
from compiler.text import check_name, parse_address

LAUNCHER_LABEL: Final = "vm.kubevirt.internal.virtualization.deckhouse.io/name"
PRIORITY_LABEL: Final = "network.deckhouse.io/pod-common-ip-priority"
_NOT_RUNNING: Final = ("Stopped", "Pending")

_NO_SPEC: Final = PodSpec()
_NO_STATUS: Final = PodStatus()
_decode: Final = msgspec.json.Decoder(Pod).decode


def read_pod(item: Object, config: Config, findings: Findings) -> tuple[Workload | None, AgentPod | None]:
    """Reads a Pod.

    Args:
        item: The object.
        config: Says which pods are agents.
        findings: Get what is wrong with it.

    Returns:
        The workload that it is, None for one that has no address of its own, no node, or has ended; and the agent that
        it is, None for others.
    """
    pod = _shape(item, findings)
    if pod is None:
        return None, None
    return _workload(item, pod, findings), _agent(pod, config)


def _shape(item: Object, findings: Findings) -> Pod | None:
    try:
        pod = _decode(item.content) if isinstance(item.content, Raw) else msgspec.convert(item.content, Pod)
    except msgspec.ValidationError:
        read = read_as(kubernetes.Pod, item, findings)
        return None if read is None else msgspec.convert(read.model_dump(by_alias=True), Pod)
    check_names(item, findings)
    return pod


def _agent(pod: Pod, config: Config) -> AgentPod | None:
    meta, labels = pod.metadata, pod.metadata.labels or {}
    if (meta.namespace or "default") != config.agent_namespace or any(
        labels.get(key) != value for key, value in config.agent_labels
    ):
        return None
    conditions = (pod.status or _NO_STATUS).conditions or ()
    ready = next((condition.status for condition in conditions if condition.type == "Ready"), None)
    return AgentPod((pod.spec or _NO_SPEC).node_name or "", ready == "True", meta.deletion_timestamp is not None)


def _workload(item: Object, pod: Pod, findings: Findings) -> Workload | None:
    spec, status = pod.spec or _NO_SPEC, pod.status or _NO_STATUS
    if spec.host_network or status.phase in ("Succeeded", "Failed") or not spec.node_name:
        return None
    found = [
        findings.check(item.place, parse_address, entry.ip or "", "status", "podIPs", index, "ip")
        for index, entry in enumerate(status.pod_ips or ())
    ]
    if not found and status.pod_ip:
        found = [findings.check(item.place, parse_address, status.pod_ip, "status", "podIP")]
    addresses = by_family(address for address in found if address is not None)
    if not addresses:
        return None
    findings.check(item.place, check_name, spec.node_name, "spec", "nodeName")
    return Workload(
        kind="Pod",
        namespace=item.namespace,
        name=item.name,
        node=_one(spec.node_name),
        labels=_shared(tuple((pod.metadata.labels or {}).items())),
        service_account=_one(spec.service_account_name or ""),
        addresses=addresses,
        place=item.place,
    )


# Thousands of pods have the labels of one Deployment, and run on one node: equal values become one, for the sake of
# memory and of those who group by them.
@lru_cache(maxsize=1 << 14)
def _shared(labels: tuple[tuple[str, str], ...]) -> Labels:
    return dict(labels)


@lru_cache(maxsize=1 << 14)
def _one(text: str) -> str:
    return text


def merge(
    pods: Iterable[Workload], machines: Sequence[tuple[Object, kubernetes.VirtualMachine]], findings: Findings
) -> tuple[Workload, ...]:
    """Makes a virtual machine and its pods one workload, and of two pods in live migration one."""
    launchers: dict[tuple[str, str], list[Workload]] = {}
    workloads = []
    for pod in pods:
        if vm := pod.labels.get(LAUNCHER_LABEL):
            launchers.setdefault((pod.namespace, vm), []).append(pod)
        else:
            workloads.append(pod)
    for item, read in machines:
        own = launchers.get((item.namespace, item.name), [])
        machine = _machine(item, read, own, findings)
        if machine is not None:
            workloads.append(machine)
        # Where the machine's status lags behind, a pod with an address that it does not tell stands for itself, as all
        # do where there is no machine at all: traffic from that address is real.
        taken = set(machine.addresses.values()) if machine is not None else set()
        launchers[item.namespace, item.name] = [
            pod for pod in own if taken.isdisjoint(pod.addresses.values()) and read.status.phase not in _NOT_RUNNING
        ]
    for group in launchers.values():
        workloads.extend(_migrating(group))
    return tuple(sorted(workloads, key=lambda workload: workload.identity))


def _machine(
    item: Object, read: kubernetes.VirtualMachine, pods: list[Workload], findings: Findings
) -> Workload | None:
    status = read.status
    if not status.ip_address or not status.node_name or status.phase in _NOT_RUNNING:
        return None
    findings.check(item.place.at("status", "nodeName"), check_name, status.node_name)
    address = findings.check(item.place.at("status", "ipAddress"), parse_address, status.ip_address)
    if address is None:
        return None
    # The VM tells one address only; the other family is the one that its pod carries beside it, that on the same node
    # where there are two.
    carriers = sorted(
        (pod for pod in pods if address in pod.addresses.values()),
        key=lambda pod: (pod.node != status.node_name, pod.name),
    )
    beside = carriers[0].addresses if carriers else {}
    kind: Literal["VirtualMachine"] = "VirtualMachine"
    addresses = dict(sorted({**beside, Family(address.version): address}.items()))
    labels = read.metadata.labels
    return Workload(kind, item.namespace, item.name, status.node_name, labels, "", addresses, item.place)


def _migrating(pods: list[Workload]) -> list[Workload]:
    """Of pods of one virtual machine that share an address, keeps the one whose priority label is lower."""

    def order(pod: Workload) -> tuple[int, str]:
        priority = pod.labels.get(PRIORITY_LABEL, "")
        digits = priority.isascii() and priority.isdigit()
        return (int(priority) if digits else -1, pod.name)

    kept: list[Workload] = []
    for pod in sorted(pods, key=order):
        taken = {address for workload in kept for address in workload.addresses.values()}
        if taken.isdisjoint(pod.addresses.values()):
            kept.append(pod)
    return kept


def check_addresses(
    workloads: tuple[Workload, ...], loaded: Loaded, findings: Findings
) -> tuple[tuple[Workload, ...], ...]:
    """Tells which workloads have an address of another; returns the groups of those that do."""
    holders: dict[Address, Workload] = {}
    groups: dict[int, list[Workload]] = {}
    clashes = []
    for workload in workloads:
        for address in workload.addresses.values():
            first = holders.setdefault(address, workload)
            if first is not workload:
                own, other = (groups.get(id(item), [item]) for item in (workload, first))
                if own is not other:
                    other.extend(own)
                    groups.update({id(item): other for item in other})
                clashes.append((workload, address, first))
    objects = {item.key: item for item in loaded.objects} if clashes else {}
    for workload, address, first in clashes:
        findings.add(contested_address(address, objects[object_of(workload)], objects[object_of(first)]))
    return tuple(tuple(group) for group in {id(group): group for group in groups.values()}.values())


def object_of(workload: Workload) -> Key:
    """Returns the key of the object that a workload is read from."""
    return (workload.kind, workload.namespace, workload.name)


def contested_address(address: Address, item: Object, first: Object) -> Diagnostic:
    """Makes the error that a workload has the address of another."""
    message = (
        f"{item.kind} {item.title} has the address {address} of {first.kind} {first.title}; take a new snapshot, or "
        "remove the stale one"
    )
    return error("EG304", _address_place(item, address), message, first.place)


def _address_place(item: Object, address: Address) -> Place:
    """Finds where a workload's object gives an address, which the workload itself does not keep."""
    status, place = item.data["status"], item.place.at("status")
    if item.kind == "VirtualMachine":
        return place.at("ipAddress")
    for index, entry in enumerate(status.get("podIPs") or ()):
        if entry.get("ip") and parse_address(entry["ip"]) == address:
            return place.at("podIPs", index, "ip")
    return place.at("podIP")
