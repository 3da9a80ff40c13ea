"""The cluster as the snapshot tells it: nodes, their interfaces, workloads, ranges.

In: loaded objects and the configuration. Out: typed values; faults go to the findings. Part of the validate stage.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

from compiler.findings import Findings, listed
from compiler.inputs import kubernetes
from compiler.load import Loaded, Object, texts_at
from compiler.model import Address, AgentPod, Config, Labels, Network, Node, Workload
from compiler.nodes import read_network, read_node
from compiler.ranges import collapse
from compiler.shape import read_as
from compiler.text import TextError, parse_network, readable_addresses
from compiler.workloads import check_addresses, merge, read_pod

_M = TypeVar("_M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the cluster consists of; fields as in `Cluster`, and `own_ranges`: pods, machines, services."""

    nodes: Mapping[str, Node]
    workloads: tuple[Workload, ...]
    agents: tuple[AgentPod, ...]
    namespaces: Mapping[str, Labels]
    contested: tuple[tuple[Workload, ...], ...]
    lost_addresses: tuple[Address, ...]
    workload_ranges: tuple[Network, ...]
    own_ranges: tuple[Network, ...]
    cluster_ranges: tuple[Network, ...]


def read_snapshot(loaded: Loaded, config: Config, findings: Findings) -> Snapshot:
    """Reads all of Kubernetes' own kinds."""
    networks = {item.name: read_network(item, findings) for item in loaded.of("NodeNetworkState")}
    read = ((item.name, read_node(item, networks.get(item.name), findings)) for item in loaded.of("Node"))
    nodes = {name: node for name, node in read if node is not None}
    pods = [read_pod(item, config, findings) for item in loaded.of("Pod")]
    machines = list(_each(loaded, "VirtualMachine", kubernetes.VirtualMachine, findings))
    workloads = merge((workload for workload, _ in pods if workload is not None), machines, findings)
    namespaces = {
        item.name: namespace.metadata.labels
        for item, namespace in _each(loaded, "Namespace", kubernetes.Namespace, findings)
    }
    workload_ranges, own_ranges = _ranges(loaded, nodes, config, findings)
    known = {*nodes, *(item.name for item in loaded.left_out if item.kind == "Node")}
    _check_nodes(workloads, known, findings)
    return Snapshot(
        nodes=nodes,
        workloads=workloads,
        agents=tuple(agent for _, agent in pods if agent is not None),
        namespaces=namespaces,
        contested=check_addresses(workloads, loaded, findings),
        lost_addresses=_lost_addresses(loaded),
        workload_ranges=workload_ranges,
        own_ranges=own_ranges,
        cluster_ranges=collapse((*own_ranges, *config.extra_cidrs)),
    )


def _each(loaded: Loaded, kind: str, model: type[_M], findings: Findings) -> Iterator[tuple[Object, _M]]:
    for item in loaded.of(kind):
        if (read := read_as(model, item, findings)) is not None:
            yield item, read


def _check_nodes(workloads: tuple[Workload, ...], nodes: Collection[str], findings: Findings) -> None:
    missing: dict[str, list[Workload]] = {}
    for workload in workloads:
        if workload.node not in nodes:
            missing.setdefault(workload.node, []).append(workload)
    for name, group in sorted(missing.items()):
        first = group[0]
        more = f" and {len(group) - 1} more" if len(group) > 1 else ""
        message = (
            f"{first.kind} {first.key}{more} runs on node {name}, which is not in the input, so no rules are made for "
            "it; add the node"
        )
        part = "status" if first.kind == "VirtualMachine" else "spec"
        findings.warning("EG312", first.place.at(part, "nodeName"), message)


def _ranges(
    loaded: Loaded, nodes: Mapping[str, Node], config: Config, findings: Findings
) -> tuple[tuple[Network, ...], tuple[Network, ...]]:
    pods = {network for node in nodes.values() for network in node.pod_cidrs} | {*config.pod_cidrs}
    pods.update(_lost_ranges(loaded, "Node", "podCIDR", "podCIDRs"))
    machines = _lost_ranges(loaded, "ModuleConfig", "virtualMachineCIDRs")
    for item, module in _each(loaded, "ModuleConfig", kubernetes.ModuleConfig, findings):
        place = item.place.at("spec", "settings", "virtualMachineCIDRs")
        machines.update(findings.ranges(listed(module.spec.settings.virtual_machine_cidrs, place)))
    services = {*config.service_cidrs} | _lost_ranges(loaded, "ServiceCIDR", "cidrs")
    for item, service in _each(loaded, "ServiceCIDR", kubernetes.ServiceCIDR, findings):
        services.update(findings.ranges(listed(service.spec.cidrs, item.place.at("spec", "cidrs"))))
    if nodes and not pods:
        place = next(iter(nodes.values())).place.at("spec", "podCIDRs")
        message = (
            "no pod range is known, so traffic between pods may match a policy; give the nodes' spec.podCIDRs or set "
            "spec.clusterRanges.podCIDRs in an EgressCompilerConfig"
        )
        findings.warning("EG310", place, message)
    own = {*pods, *machines, *services}
    whole = [network for network in collapse({*own, *config.extra_cidrs}) if network.prefixlen == 0]
    if whole and not any(network.prefixlen == 0 for network in (*own, *config.extra_cidrs)):
        item = next(item for kind in ("ServiceCIDR", "ModuleConfig", "Node") for item in loaded.of(kind))
        message = (
            f"the ranges of the cluster are {whole[0]} together: nothing would ever be redirected; write what it has"
        )
        findings.error("EG216", item.place, message)
    return collapse({*pods, *machines}), collapse(own)


def _lost_ranges(loaded: Loaded, kind: str, *keys: str) -> set[Network]:
    """Returns the ranges that can be read in objects that are left out: their traffic stays inside the cluster."""
    found = set()
    for item in loaded.left_out:
        for text in texts_at(item.data, keys) if item.kind == kind else ():
            try:
                network, _ = parse_network(text)
            except TextError:
                continue
            if network.prefixlen:
                found.add(network)
    return found


def _lost_addresses(loaded: Loaded) -> tuple[Address, ...]:
    """Returns the addresses that can be read of nodes that are left out, by themselves or with their interfaces."""
    kinds = {"Node": "address", "NodeNetworkState": "ip"}
    lost = {item.name for item in loaded.left_out if item.kind in kinds}
    objects = (item for item in (*loaded.objects, *loaded.left_out) if item.kind in kinds and item.name in lost)
    texts = (text for item in objects for text in texts_at(item.data.get("status"), (kinds[item.kind],)))
    return readable_addresses(texts)
