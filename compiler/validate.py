"""Validate: objects to a typed cluster; every fault of every object is found in one run.

In: loaded objects. Out: a `Cluster`, or None when there was an error, and the findings. Looks at objects by themselves
and at what they say about each other's names and addresses; does not resolve selectors.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from pydantic import BaseModel

from bundle import names
from compiler.diagnostics import Diagnostic, Place
from compiler.findings import Findings
from compiler.inputs import egress
from compiler.load import Loaded, Object
from compiler.model import Address, Cluster, Config, Gateway, Mode, Node, Policy, Requirement, Selector, mask_shift
from compiler.selectors import NAMESPACE_LABELS_PREFIX
from compiler.shape import shape
from compiler.snapshot import Snapshot, read_snapshot
from compiler.text import (
    check_interface,
    check_label_key,
    check_label_value,
    check_name,
    check_source_address,
    did_you_mean,
    parse_address,
)

_M = TypeVar("_M", bound=BaseModel)
_V = TypeVar("_V")

_MOST_COMPARED: Final = 5000  # names of gateways, of which each takes up to a tenth of a millisecond
_NODE_LABEL_LIMIT: Final = 52  # 63 less `active-for-`, which Deckhouse puts before a gateway's name in a node label
_MARK_BITS: Final = 32
_MAX_PRIORITY: Final = 32765  # the last one before `main`


def validate(loaded: Loaded) -> tuple[Cluster | None, tuple[Diagnostic, ...]]:
    """Turns objects into a cluster.

    Returns:
        The cluster, None if any finding is an error; and the findings.
    """
    findings = Findings()
    config = _config(loaded, findings)
    gateways = _each(loaded, "EgressGateway", egress.EgressGateway, _gateway, findings)
    policies = _each(loaded, "EgressGatewayPolicy", egress.EgressGatewayPolicy, _policy, findings)
    snapshot = read_snapshot(loaded, config, findings)
    _check_references(loaded, gateways, policies, findings)
    _check_virtual_ips(gateways, snapshot, findings)
    if findings.any_errors:
        return None, findings.done()
    cluster = Cluster(
        nodes=snapshot.nodes,
        workloads=snapshot.workloads,
        agents=snapshot.agents,
        namespaces=snapshot.namespaces,
        gateways=gateways,
        policies=tuple(sorted(policies.values(), key=lambda policy: policy.precedence)),
        workload_ranges=snapshot.workload_ranges,
        cluster_ranges=snapshot.cluster_ranges,
        config=config,
        digest=loaded.digest,
    )
    return cluster, findings.done()


def _each(
    loaded: Loaded, kind: str, model: type[_M], make: Callable[[Object, _M, Findings], _V], findings: Findings
) -> dict[str, _V]:
    made = {}
    for item in loaded.of(kind):
        read, faults = shape(model, item)
        findings.add(*faults)
        findings.check(item.place.at("metadata", "name"), check_name, item.name)
        if read is not None:
            made[item.name] = make(item, read, findings)
    return made


def _gateway(item: Object, read: egress.EgressGateway, findings: Findings) -> Gateway:
    place = item.place.at("spec")
    for key, value in read.spec.node_selector.items():
        _check_label(key, value, place.at("nodeSelector", key), findings)
    if len(item.name.encode()) > _NODE_LABEL_LIMIT:
        message = f"a gateway name over {_NODE_LABEL_LIMIT} bytes breaks the label that Deckhouse puts on its node"
        findings.warning("EG214", item.place.at("metadata", "name"), message)
    source, where = read.spec.source_ip, place.at("sourceIP")
    mode = Mode(source.mode)
    blocks = {
        Mode.PRIMARY: ("primaryIPFromEgressGatewayNodeInterface", source.primary),
        Mode.VIRTUAL: ("virtualIPAddress", source.virtual),
    }
    for each, (field, block) in blocks.items():
        if each is mode and block is None:
            findings.error("EG201", where, f"mode {mode.value} needs {field}")
        elif each is not mode and block is not None:
            findings.warning("EG212", where.at(field), f"is ignored: the mode is {mode.value}")
    gateway = Gateway(item.name, dict(read.spec.node_selector), mode, None, None, (), item.place)
    if mode is Mode.PRIMARY and source.primary is not None:
        name, at = source.primary.interface_name, where.at(blocks[mode][0], "interfaceName")
        findings.check(at, check_interface, name)
        return replace(gateway, interface=name)
    if mode is Mode.VIRTUAL and source.virtual is not None:
        at = where.at(blocks[mode][0])
        virtual_ip = findings.check(at.at("ip"), parse_address, source.virtual.ip)
        if virtual_ip is not None:
            findings.check(at.at("ip"), lambda _: check_source_address(virtual_ip), source.virtual.ip)
        for index, name in enumerate(source.virtual.interfaces):
            findings.check(at.at("interfaces", index), check_interface, name)
        return replace(gateway, virtual_ip=virtual_ip, interfaces=tuple(source.virtual.interfaces))
    return gateway


def _policy(item: Object, read: egress.EgressGatewayPolicy, findings: Findings) -> Policy:
    place = item.place.at("spec")
    if not read.spec.destination_cidrs:
        message = "a policy needs at least one destination; 0.0.0.0/0 and ::/0 are everything outside the cluster"
        findings.error("EG201", place.at("destinationCIDRs"), message)
    selectors = tuple(
        _selector(entry, place.at("selectors", index), findings) for index, entry in enumerate(read.spec.selectors)
    )
    return Policy(
        name=item.name,
        gateway=read.spec.egress_gateway_name,
        destinations=findings.networks(read.spec.destination_cidrs, place.at("destinationCIDRs")),
        excluded=findings.networks(read.spec.excluded_cidrs, place.at("excludedCIDRs")),
        selectors=selectors,
        created=_timestamp(read.metadata.creation_timestamp, item.place, findings),
        place=item.place,
    )


def _timestamp(text: str | None, place: Place, findings: Findings) -> str | None:
    """Returns a timestamp such that the order of texts is that of times."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"{text!r} is not a timestamp such as 2026-01-31T12:00:00Z"
        findings.error("EG202", place.at("metadata", "creationTimestamp"), message)
        return None
    return moment.isoformat(timespec="microseconds")


def _selector(entry: egress.PolicySelector, place: Place, findings: Findings) -> Selector:
    if entry.pod_selector is None and entry.namespace_selector is None:
        message = "needs a podSelector or a namespaceSelector; podSelector: {} selects every workload"
        findings.error("EG211", place, message)
    return Selector(
        pod=_requirements(entry.pod_selector, place.at("podSelector"), findings),
        namespace=_requirements(entry.namespace_selector, place.at("namespaceSelector"), findings),
    )


def _requirements(
    selector: egress.LabelSelector | None, place: Place, findings: Findings
) -> tuple[Requirement, ...] | None:
    if selector is None:
        return None
    made = []
    for key, value in sorted(selector.match_labels.items()):
        _check_label(_bare_key(key), value, place.at("matchLabels", key), findings)
        made.append(Requirement(_bare_key(key), "In", (value,)))
    for index, entry in enumerate(selector.match_expressions):
        at = place.at("matchExpressions", index)
        key = _bare_key(entry.key)
        findings.check(at.at("key"), _check_key, key)
        for position, value in enumerate(entry.values):
            findings.check(at.at("values", position), check_label_value, value)
        if entry.operator in ("In", "NotIn") and not entry.values:
            findings.error("EG210", at, f"operator {entry.operator} needs values")
        if entry.operator in ("Exists", "DoesNotExist") and entry.values:
            findings.error("EG210", at.at("values"), f"operator {entry.operator} takes no values; leave them out")
        made.append(Requirement(key, entry.operator, tuple(entry.values)))
    return tuple(made)


def _bare_key(key: str) -> str:
    # Cilium's label sources; Kubernetes labels are `k8s`, and `any` means whichever.
    return key.removeprefix("k8s:").removeprefix("any:")


def _check_key(key: str) -> None:
    # A pseudo-label's key is a prefix and a key of the Namespace, which may be as long as any.
    check_label_key(key.removeprefix(NAMESPACE_LABELS_PREFIX) or key)


def _check_label(key: str, value: str, place: Place, findings: Findings) -> None:
    findings.check(place, _check_key, key)
    findings.check(place, check_label_value, value)


def _config(loaded: Loaded, findings: Findings) -> Config:
    items = loaded.of("EgressCompilerConfig")
    default = Config(mark_mask=names.MARK_MASK, rule_priority=names.RULE_PRIORITY, table_base=names.TABLE_BASE)
    for item in items[1:]:
        findings.error("EG106", item.place, f"a second EgressCompilerConfig; the first is in {items[0].place.file}")
    if not items:
        return default
    read, faults = shape(egress.CompilerConfig, items[0])
    findings.add(*faults)
    if read is None:
        return default
    place, spec = items[0].place.at("spec"), read.spec
    for key, value in spec.agent.match_labels.items():
        _check_label(key, value, place.at("agent", "matchLabels", key), findings)
    ranges, at = spec.cluster_ranges, place.at("clusterRanges")
    priority, base = spec.datapath.rule_priority, spec.datapath.table_base
    if priority is not None and not 1 <= priority <= _MAX_PRIORITY:
        findings.error("EG215", place.at("datapath", "rulePriority"), f"must be 1 to {_MAX_PRIORITY}, not {priority}")
    config = Config(
        agent_enabled=spec.agent.enabled,
        agent_namespace=spec.agent.namespace,
        agent_labels=tuple(sorted(spec.agent.match_labels.items())),
        pod_cidrs=findings.ranges(ranges.pod_cidrs, at.at("podCIDRs")),
        service_cidrs=findings.ranges(ranges.service_cidrs, at.at("serviceCIDRs")),
        extra_cidrs=findings.ranges(ranges.extra_cidrs, at.at("extraCIDRs")),
        mark_mask=_mark_mask(spec.datapath.mark_mask, place.at("datapath", "markMask"), findings),
        rule_priority=names.RULE_PRIORITY if priority is None else priority,
        table_base=names.TABLE_BASE if base is None else base,
    )
    numbers = config.mark_mask >> config.mark_shift
    reserved = {253, 254, 255, 1490}.intersection(range(config.table_base, config.table_base + numbers + 1))
    if config.table_base < 1 or config.table_base + numbers >= names.TABLE_LIMIT or reserved:
        message = (
            f"the tables from it to {config.table_base + numbers} must lie in 1 to 9999, clear of 253-255 and 1490"
        )
        findings.error("EG215", place.at("datapath", "tableBase"), message)
    return config


def _mark_mask(text: str | None, place: Place, findings: Findings) -> int:
    if text is None:
        return names.MARK_MASK
    try:
        mask = int(text, 16) if text.lower().startswith("0x") else 0
    except ValueError:
        mask = 0
    if not 0 < mask < 1 << _MARK_BITS or (mask >> mask_shift(mask)) + 1 & (mask >> mask_shift(mask)):
        findings.error("EG215", place, f'{text!r} is not a mask of neighbouring bits such as "0xff000000"')
        return names.MARK_MASK
    return mask


def _check_references(
    loaded: Loaded, gateways: Mapping[str, Gateway], policies: Mapping[str, Policy], findings: Findings
) -> None:
    known = sorted(item.name for item in loaded.of("EgressGateway"))
    names = set(known)
    lost = [policy for policy in policies.values() if policy.gateway not in names]
    for number, policy in enumerate(lost):
        hint = did_you_mean(policy.gateway, known) if number * len(known) < _MOST_COMPARED else ""
        place = policy.place.at("spec", "egressGatewayName")
        findings.error("EG301", place, f"there is no EgressGateway {policy.gateway}{hint}")
    holders: dict[object, str] = {}
    for gateway in gateways.values():
        if gateway.virtual_ip is not None:
            first = holders.setdefault(gateway.virtual_ip, gateway.name)
            if first != gateway.name:
                message = f"{gateway.virtual_ip} is already the virtual IP of EgressGateway {first}; give it another"
                findings.error("EG302", _vip_place(gateway), message)


def _vip_place(gateway: Gateway) -> Place:
    return gateway.place.at("spec", "sourceIP", "virtualIPAddress", "ip")


def _check_virtual_ips(gateways: Mapping[str, Gateway], snapshot: Snapshot, findings: Findings) -> None:
    # The extra ranges are not the cluster's own, so a virtual IP may lie in one.
    ranges = snapshot.own_ranges
    holders = _address_holders(snapshot.nodes.values())
    for gateway in gateways.values():
        address = gateway.virtual_ip
        if address is None:
            continue
        if address in holders:
            message = f"{address} is an address of node {holders[address]}; a virtual IP belongs to no node"
            findings.error("EG303", _vip_place(gateway), message)
        for network in ranges:
            if address in network:
                message = f"{address} lies in the cluster's range {network}; choose an address of the outside network"
                findings.error("EG303", _vip_place(gateway), message)


def _address_holders(nodes: Iterable[Node]) -> dict[Address, str]:
    """Which node has which address of its own; a host prefix may be a virtual IP that we bound there."""
    holders: dict[Address, str] = {}
    for node in nodes:
        for address in node.addresses:
            holders.setdefault(address, node.name)
        for interface in node.network.interfaces if node.network else ():
            for entry in interface.addresses:
                if entry.prefix_length < entry.address.max_prefixlen:
                    holders.setdefault(entry.address, node.name)
    return holders
