"""Boxes: what stands in each box of the drawing, in words short enough for one."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final, Literal

from bundle.model import GatewayReport, PolicyReport, WorkloadReport
from bundle.text import printable
from compiler.graph.lanes import Lane
from compiler.model import Family, Mode

_NAMED: Final = 3  # examples in a box
_LONGEST: Final = 40  # letters of a name; a box as wide as that leaves the drawing in proportion
_PREFIXES: Final = 2  # in one line of a box

Kind = Literal["workloads", "ordinary", "policy", "gateway", "node", "source", "dropped", "outside"]

_MODES: Final = {
    Mode.VIRTUAL.value: "virtual IP",
    Mode.PRIMARY.value: "address of the node",
}


@dataclass(frozen=True, slots=True)
class Box:
    """One box.

    Attributes:
        kind: What it stands for, which chooses its colour and, mostly, its place from left to right.
        caption: The same as words for people; empty where the title says it.
        title: The name, or the count where several things are one box.
        lines: What else there is to say.
        warning: Whether it is drawn in the colour of a warning.
    """

    kind: Kind
    caption: str
    title: str
    lines: tuple[str, ...] = ()
    warning: bool = False


OUTSIDE: Final = Box("outside", "", "outside", ("of the cluster",))
DROPPED: Final = Box("dropped", "", "dropped", ("never sent another way",), warning=True)


def workloads_box(members: Sequence[WorkloadReport]) -> Box:
    """Returns the box of workloads that the same boxes of policies select."""
    spaces = Counter(item.namespace for item in members)
    if len(spaces) == 1:
        names = _shown([item.name for item in members])
        return Box("workloads", "namespace", _clip(next(iter(spaces))), (_workloads(members), *names))
    largest = sorted(spaces, key=lambda name: (-spaces[name], name))
    lines = _shown([f"{_clip(name)} ({spaces[name]:,})" for name in largest])
    return Box("workloads", _counted(len(spaces), "namespace"), _workloads(members), lines)


def ordinary_box(members: Sequence[WorkloadReport]) -> Box:
    """Returns the box of workloads that no policy selects."""
    return Box("ordinary", "no policy", _workloads(members), ("go their ordinary way",))


def policies_box(policies: Sequence[PolicyReport]) -> Box:
    """Returns the box of the policies of one lane, or of one of them."""
    if len(policies) == 1:
        (policy,) = policies
        lines = [f"to {_prefixes(policy.destination_cidrs)}"]
        if policy.excluded_cidrs:
            lines.append(f"except {_prefixes(policy.excluded_cidrs)}")
        return Box("policy", "policy", _clip(policy.name), tuple(lines))
    destinations = sorted({text for policy in policies for text in policy.destination_cidrs}, key=_widest_first)
    excluded = {text for policy in policies for text in policy.excluded_cidrs}
    lines = [*_shown([item.name for item in policies]), f"to {_prefixes(destinations)}"]
    if excluded:
        lines.append(f"{_counted(len(excluded), 'exclusion')}")
    return Box("policy", "", f"{len(policies):,} policies", tuple(lines))


def gateway_box(lane: Lane) -> Box:
    """Returns the box of the gateways of a lane."""
    lines = [_mode(lane)] if lane.gateways else ["not in the bundle: left out"]
    if lane.dropped and lane.gateways:
        lines.append(_why_dropped(lane.gateways))
    if not lane.policies:
        lines.append("no policy names it" if len(lane.names) == 1 else "no policy names them")
    if len(lane.names) == 1:
        return Box("gateway", "gateway", _clip(lane.names[0]), tuple(lines), warning=lane.dropped)
    title = _counted(len(lane.names), "gateway")
    return Box("gateway", "", title, (*_shown(lane.names), *lines), warning=lane.dropped)


def node_box(gateways: Sequence[GatewayReport]) -> Box:
    """Returns the box of the masters of gateways."""
    masters = Counter(item.active_node_name for item in gateways if item.active_node_name is not None)
    if len(masters) > 1:
        busiest = sorted(masters, key=lambda name: (-masters[name], name))
        lines = _shown([f"{_clip(name)} ({_counted(masters[name], 'gateway')})" for name in busiest])
        spare = {node for item in gateways for node in item.standby_node_names} - masters.keys()
        if spare:
            lines = (*lines, f"{_counted(len(spare), 'more node')} on standby")
        return Box("node", "", _counted(len(masters), "master node"), lines)
    orders = {item.standby_node_names for item in gateways}
    if len(orders) == 1:
        lines = (_standby(next(iter(orders))),)
    else:
        lines = _shown([f"for {_clip(item.name)}: {_standby(item.standby_node_names)}" for item in gateways])
    return Box("node", "master node", _clip(next(iter(masters))), lines)


def source_box(lane: Lane, policies: Collection[PolicyReport], *, shared: bool) -> Box:
    """Returns the box of the source addresses of a lane.

    Args:
        lane: Its gateways have masters.
        policies: Those of the lane, which say what families are wanted.
        shared: Whether other lanes have the same master node, so that the gateway must be told.
    """
    known = list(dict.fromkeys(address for item in lane.gateways for address in _addresses(item)))
    asked = dict.fromkeys(_interface(item) for item in lane.gateways if not _addresses(item))
    missing = [
        f"no IPv{family.value} address: dropped"
        for family in Family
        if _wants(policies, family) and any(_lacks(item, family) for item in lane.gateways)
    ]
    own = (f"of {_clip(lane.names[0])}",) if shared else ()
    if len(lane.gateways) == 1:
        title = known[0] if known else next(iter(asked))
        told = () if known else ("known on the node only",)
        return Box("source", "source address", title, (*known[1:], *told, *own, *missing), warning=bool(missing))
    every = [*known, *asked]
    title = _counted(len(every), "source address")
    return Box("source", "", title, (*_shown(every), *missing), warning=bool(missing))


def _mode(lane: Lane) -> str:
    return " or ".join(dict.fromkeys(_MODES[item.mode] for item in lane.gateways))


def _why_dropped(gateways: Iterable[GatewayReport]) -> str:
    reasons = Counter(reason for item in gateways for node in item.nodes.values() for reason in node.reasons)
    if not reasons:
        return "its selector takes no node"
    return f"no suitable node: {', '.join(f'{count} {reason}' for reason, count in sorted(reasons.items()))}"


def _addresses(gateway: GatewayReport) -> list[str]:
    return [text for text in (gateway.source_ips.ipv4, gateway.source_ips.ipv6) if text is not None]


def _interface(gateway: GatewayReport) -> str:
    source = gateway.sources.get(gateway.active_node_name or "")
    return f"that of {source.interface}" if source and source.interface else "that of the node"


def _lacks(gateway: GatewayReport, family: Family) -> bool:
    source = gateway.sources.get(gateway.active_node_name or "")
    if source is None or source.masquerade:
        return False
    return (gateway.source_ips.ipv4 if family is Family.IPV4 else gateway.source_ips.ipv6) is None


def _wants(policies: Iterable[PolicyReport], family: Family) -> bool:
    return any((":" in text) == (family is Family.IPV6) for item in policies for text in item.destination_cidrs)


def _standby(names: Sequence[str]) -> str:
    return f"standby: {', '.join(_shown(names))}" if names else "no standby"


def _workloads(members: Sequence[WorkloadReport]) -> str:
    return _counted(len(members), "workload")


def _prefixes(texts: Sequence[str]) -> str:
    more = len(texts) - _PREFIXES
    return ", ".join(texts[:_PREFIXES]) + (f" and {more:,} more" if more > 0 else "")


def _widest_first(text: str) -> tuple[int, int, int]:
    network = ip_network(text)
    return network.version, network.prefixlen, int(network.network_address)


def _shown(names: Sequence[str]) -> tuple[str, ...]:
    more = len(names) - _NAMED
    if more == 1:  # as long as saying so
        more = 0
    shown = names[: len(names) if more <= 0 else _NAMED]
    return (*map(_clip, shown), *((f"and {more:,} more",) if more > 0 else ()))


def _counted(number: int, what: str) -> str:
    if number == 1:
        return f"1 {what}"
    return f"{number:,} {what}es" if what.endswith("ss") else f"{number:,} {what}s"


def _clip(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
