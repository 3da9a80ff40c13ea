"""Validate: objects to a typed cluster; every fault of every object is found in one run.

In: loaded objects. Out: a `Cluster`, of use only if nothing in it has an error, and the findings. Looks at objects by
themselves and at what they say about each other's names and addresses; does not resolve selectors.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from pydantic import BaseModel

from bundle import names
from compiler.diagnostics import Diagnostic, Place
from compiler.findings import Findings, listed, network_key
from compiler.inputs import egress
from compiler.load import Loaded, Object, texts_at
from compiler.model import (
    Address,
    Cluster,
    Config,
    Gateway,
    Mode,
    Network,
    Node,
    Policy,
    Requirement,
    Selector,
    mask_shift,
)
from compiler.patterns import NAMESPACE_LABELS_PREFIX
from compiler.shape import read_as, shape
from compiler.snapshot import Snapshot, read_snapshot
from compiler.text import (
    check_interface,
    check_label_key,
    check_label_value,
    check_source_address,
    did_you_mean,
    parse_address,
    readable_addresses,
)

_M = TypeVar("_M", bound=BaseModel)
_V = TypeVar("_V")

_MOST_COMPARED: Final = 5000  # names of gateways, of which each takes up to a tenth of a millisecond
_NODE_LABEL_LIMIT: Final = 52  # 63 less `active-for-`, which Deckhouse puts before a gateway's name in a node label
_MASK: Final = re.compile("0[xX][0-9a-fA-F]{1,8}")
_MARK_BITS: Final = 32


def validate(loaded: Loaded) -> tuple[Cluster, tuple[Diagnostic, ...]]:
    """Turns objects into a cluster.

    Returns:
        The cluster, whose values are whole where no finding is an error; and the findings.
    """
    findings = Findings()
    config = read_config(loaded, findings)
    return assemble(loaded, config, read_snapshot(loaded, config, findings), findings)


def assemble(
    loaded: Loaded, config: Config, snapshot: Snapshot, findings: Findings
) -> tuple[Cluster, tuple[Diagnostic, ...]]:
    """Reads gateways and policies, and puts a cluster together from what else is read already.

    Args:
        loaded: All objects.
        config: The knobs.
        snapshot: What there is of Kubernetes' own kinds.
        findings: Those made so far.

    Returns:
        As for `validate`.
    """
    gateways = _each(loaded, "EgressGateway", egress.EgressGateway, _gateway, findings)
    policies = _each(loaded, "EgressGatewayPolicy", egress.EgressGatewayPolicy, _policy, findings)
    _check_references(loaded, gateways, policies, findings)
    _check_virtual_ips(gateways, snapshot, findings)
    bound = (item for item in loaded.left_out if item.kind == "EgressGateway")
    lost = readable_addresses(text for item in bound for text in texts_at(item.data.get("spec"), ("ip",)))
    virtual_ips = (gateway.virtual_ip for gateway in gateways.values() if gateway.virtual_ip is not None)
    cluster = Cluster(
        nodes=snapshot.nodes,
        workloads=snapshot.workloads,
        contested=snapshot.contested,
        agents=snapshot.agents,
        namespaces=snapshot.namespaces,
        gateways=gateways,
        policies=tuple(sorted(policies.values(), key=lambda policy: policy.precedence)),
        virtual_ips=frozenset((*virtual_ips, *lost)),
        lost_addresses=snapshot.lost_addresses,
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
        if (read := read_as(model, item, findings)) is not None:
            made[item.name] = make(item, read, findings)
    return made


def _gateway(item: Object, read: egress.EgressGateway, findings: Findings) -> Gateway:
    place = item.place.at("spec")
    for key, value in read.spec.node_selector.items():
        _check_label(key, value, place.at("nodeSelector", key), findings)
    if len(item.name.encode()) > _NODE_LABEL_LIMIT:
        message = (
            f"more than {_NODE_LABEL_LIMIT} bytes break the label that Deckhouse puts on the node; write a shorter one"
        )
        findings.warning("EG214", item.place.at("metadata", "name"), message)
    source, where = read.spec.source_ip, place.at("sourceIP")
    mode = Mode(source.mode)
    blocks = {
        Mode.PRIMARY: ("primaryIPFromEgressGatewayNodeInterface", source.primary),
        Mode.VIRTUAL: ("virtualIPAddress", source.virtual),
    }
    for each, (field, block) in blocks.items():
        if each is mode and block is None:
            findings.error("EG201", where, f"mode {mode.value} needs {field}; give it, or write another mode")
        elif each is not mode and block is not None:
            findings.warning(
                "EG212", where.at(field), f"is ignored, since the mode is {mode.value}; take it out or change the mode"
            )
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
        destinations=_cidrs(read.spec.destination_cidrs, place.at("destinationCIDRs"), findings),
        excluded=_cidrs(read.spec.excluded_cidrs, place.at("excludedCIDRs"), findings),
        selectors=selectors,
        created=_timestamp(read.metadata.creation_timestamp, item.place, findings),
        place=item.place,
    )


def _cidrs(texts: Iterable[str], place: Place, findings: Findings) -> dict[Network, Place]:
    known: dict[Network, Place] = {}
    for network, at in findings.networks(listed(texts, place)):
        first = known.setdefault(network, at)
        if first is not at:
            message = f"{network} is in this list already, as {first.field}; take one of the two out"
            findings.warning("EG217", at, message)
    return dict(sorted(known.items(), key=lambda item: network_key(item[0])))


def _timestamp(text: str | None, place: Place, findings: Findings) -> str | None:
    """Returns a timestamp such that the order of texts is that of times."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"{text!r} is not a timestamp; write one such as 2026-01-31T12:00:00Z"
        findings.error("EG202", place.at("metadata", "creationTimestamp"), message)
        return None
    return moment.isoformat(timespec="microseconds")


def _selector(entry: egress.PolicySelector, place: Place, findings: Findings) -> Selector:
    if entry.pod_selector is None and entry.namespace_selector is None:
        message = "needs a podSelector or a namespaceSelector; write podSelector: {} for every workload"
        findings.error("EG211", place, message)
    return Selector(
        pod=read_requirements(entry.pod_selector, place.at("podSelector"), findings),
        namespace=read_requirements(entry.namespace_selector, place.at("namespaceSelector"), findings),
        place=place,
    )


def read_requirements(
    selector: egress.LabelSelector | None, place: Place, findings: Findings
) -> tuple[Requirement, ...] | None:
    """Returns what a label selector requires, None where there is none."""
    if selector is None:
        return None
    made = read_labels(selector.match_labels, place.at("matchLabels"), findings)
    for index, entry in enumerate(selector.match_expressions):
        at = place.at("matchExpressions", index)
        key = _bare_key(entry.key)
        findings.check(at.at("key"), _check_key, key)
        for position, value in enumerate(entry.values):
            findings.check(at.at("values", position), check_label_value, value)
        if entry.operator in ("In", "NotIn") and not entry.values:
            where = at.at("values") if "values" in entry.model_fields_set else at
            findings.error("EG210", where, f"operator {entry.operator} needs values; Exists takes any value")
        if entry.operator in ("Exists", "DoesNotExist") and entry.values:
            findings.error("EG210", at.at("values"), f"operator {entry.operator} takes no values; leave them out")
        made.append(Requirement(key, entry.operator, tuple(entry.values), at))
    return tuple(made)


def read_labels(labels: Mapping[str, str], place: Place, findings: Findings) -> list[Requirement]:
    """Returns what a mapping of labels requires: all of them."""
    made = []
    for key, value in sorted(labels.items()):
        at = place.at(key)
        _check_label(_bare_key(key), value, at, findings)
        made.append(Requirement(_bare_key(key), "In", (value,), at))
    return made


def _bare_key(key: str) -> str:
    # Cilium's label sources; Kubernetes labels are `k8s`, and `any` means whichever. One of them, not both.
    bare = key.removeprefix("k8s:")
    return bare if bare != key else key.removeprefix("any:")


def _check_key(key: str) -> None:
    # A pseudo-label's key is a prefix and a key of the Namespace, which may be as long as any.
    check_label_key(key.removeprefix(NAMESPACE_LABELS_PREFIX) or key)


def _check_label(key: str, value: str, place: Place, findings: Findings) -> None:
    findings.check(replace(place, of_key=True), _check_key, key)
    findings.check(place, check_label_value, value)


def read_config(loaded: Loaded, findings: Findings) -> Config:
    """Reads the configuration; the defaults where there is none."""
    items = loaded.of("EgressCompilerConfig")
    default = Config(mark_mask=names.MARK_MASK, rule_priority=names.RULE_PRIORITY, table_base=names.TABLE_BASE)
    for item in items[1:]:
        findings.error(
            "EG106", item.place, f"a second EgressCompilerConfig; the first is in {items[0].place.file}: keep one"
        )
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
    if priority is not None and not 1 <= priority <= egress.MAX_RULE_PRIORITY:
        findings.error(
            "EG215",
            place.at("datapath", "rulePriority"),
            f"{priority} is out of range; write 1 to {egress.MAX_RULE_PRIORITY}",
        )
    config = Config(
        agent_enabled=spec.agent.enabled,
        agent_namespace=spec.agent.namespace,
        agent_labels=tuple(sorted(spec.agent.match_labels.items())),
        election=spec.election.algorithm,
        pod_cidrs=findings.ranges(listed(ranges.pod_cidrs, at.at("podCIDRs"))),
        service_cidrs=findings.ranges(listed(ranges.service_cidrs, at.at("serviceCIDRs"))),
        extra_cidrs=findings.ranges(listed(ranges.extra_cidrs, at.at("extraCIDRs"))),
        mark_mask=_mark_mask(spec.datapath.mark_mask, place.at("datapath", "markMask"), findings),
        rule_priority=names.RULE_PRIORITY if priority is None else priority,
        table_base=names.TABLE_BASE if base is None else base,
    )
    numbers = config.mark_mask >> config.mark_shift
    reserved = set(names.TABLES_OF_OTHERS).intersection(range(config.table_base, config.table_base + numbers + 1))
    if config.table_base < 1 or config.table_base + numbers >= names.TABLE_LIMIT or reserved:
        message = (
            f"the tables from {config.table_base} to {config.table_base + numbers} must lie in 1 to 9999, clear of "
            "253-255 and 1490; write another first one"
        )
        findings.error("EG215", place.at("datapath", "tableBase"), message)
    return config


def _mark_mask(text: str | None, place: Place, findings: Findings) -> int:
    if text is None:
        return names.MARK_MASK
    try:
        mask = int(text, 16) if _MASK.fullmatch(text) else 0
    except ValueError:
        mask = 0
    if not 0 < mask < 1 << _MARK_BITS or (mask >> mask_shift(mask)) + 1 & (mask >> mask_shift(mask)):
        findings.error("EG215", place, f'{text!r} is not a mask of neighbouring bits; write one such as "0xff000000"')
        return names.MARK_MASK
    return mask


def _check_references(
    loaded: Loaded, gateways: Mapping[str, Gateway], policies: Mapping[str, Policy], findings: Findings
) -> None:
    known = sorted(item.name for item in (*loaded.objects, *loaded.left_out) if item.kind == "EgressGateway")
    names = set(known)
    lost = [policy for policy in policies.values() if policy.gateway not in names]
    for number, policy in enumerate(lost):
        hint = did_you_mean(policy.gateway, known) if number * len(known) < _MOST_COMPARED else ""
        message = f"there is no EgressGateway {policy.gateway}{hint or '; create it or name another'}"
        findings.error("EG301", policy.place.at("spec", "egressGatewayName"), message)
    holders: dict[Address, Gateway] = {}
    for gateway in gateways.values():
        if gateway.virtual_ip is not None:
            first = holders.setdefault(gateway.virtual_ip, gateway)
            if first is not gateway:
                message = (
                    f"{gateway.virtual_ip} is already the virtual IP of EgressGateway {first.name}; give it another"
                )
                findings.error("EG302", _vip_place(gateway), message, first.place)


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
            message = f"{address} is an address of node {holders[address]}; choose one that belongs to no node"
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
