"""Policy routing and sysctls of one node: what leads marked packets to their gateway node."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bundle import names
from bundle.model import FwmarkRule, ReplyRule, Route, Routing, Sysctl
from compiler.links import Links
from compiler.model import Config, Family, Network, Node, mask_shift
from compiler.nodeplan import NextHop
from compiler.suitability import Source


def routing(  # noqa: PLR0913, PLR0917  # the parts of one file
    node: Node,
    next_hops: Sequence[NextHop],
    sources: Sequence[Source],
    replies: Sequence[Network],
    links: Links,
    config: Config,
) -> Routing:
    """Makes `routing.json` of a node.

    Args:
        node: The node.
        next_hops: Gateway nodes that it sends packets to.
        sources: Source addresses of the gateways that it serves or stands by for.
        replies: IPv4 prefixes of its workloads, to which replies come from outside.
        links: For the interface towards the other nodes.
        config: For rule priority, mask and tables.
    """
    rules: list[FwmarkRule] = []
    routes: list[Route] = []
    interfaces = links.interfaces(node)
    devices = tuple(interfaces.get(family) for family in Family)
    for next_hop in next_hops:
        way = _way(next_hop, devices, config.mark_mask, config.rule_priority, config.table_base)
        rules += way.rules
        routes += way.routes
    reply_rules: list[ReplyRule] = []
    device = interfaces.get(Family.IPV4)
    if next_hops and replies and device is not None and not _has_way_out(node):
        hop = names.REPLY_NEXT_HOP
        routes.append(Route("ipv4", config.table_base, "unicast", hop, device, names.METRIC_NEXT_HOP))
        reply_rules.extend(
            ReplyRule("ipv4", names.REPLY_PRIORITY, str(network), config.table_base) for network in replies
        )
    return Routing(
        node=node.name,
        internal_ips=tuple(str(address) for address in node.internal_ips.values()),
        rules=tuple(sorted(rules, key=lambda rule: (rule.family, rule.table))),
        reply_rules=tuple(reply_rules),
        routes=tuple(sorted(routes, key=lambda route: (route.family, route.table, route.metric))),
        sysctls=_sysctls(node, bool(next_hops), sources, interfaces.values()),
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """What leads packets of one mark to their gateway node."""

    rules: tuple[FwmarkRule, ...]
    routes: tuple[Route, ...]


@lru_cache(maxsize=1 << 14)  # to one gateway node most nodes of a cluster have the same way
def _way(next_hop: NextHop, devices: tuple[str | None, ...], mask: int, priority: int, table_base: int) -> _Way:
    rules, routes = [], []
    table = table_base + (next_hop.mark >> mask_shift(mask))
    addresses = {Family(address.version): address for address in next_hop.addresses}
    # Both families get a table: without it a packet of the other one would leave by the node's own way.
    for family, device in zip(Family, devices, strict=True):
        label = family.label
        rules.append(FwmarkRule(label, priority, f"0x{next_hop.mark:08x}", f"0x{mask:08x}", table))
        if family in addresses:
            gateway = str(addresses[family])
            routes.append(Route(label, table, "unicast", gateway, device, names.METRIC_NEXT_HOP))
        routes.append(Route(label, table, "blackhole", None, None, names.METRIC_BLACKHOLE))
    return _Way(tuple(rules), tuple(routes))


def _sysctls(node: Node, sends: bool, sources: Sequence[Source], node_interfaces: Iterable[str]) -> tuple[Sysctl, ...]:
    """What forwarding through gateways needs of a node that has a part in it."""
    if not sends and not sources:
        return ()
    settings = {"net/ipv4/ip_forward": "1"}
    if Family.IPV6 in node.internal_ips:
        settings["net/ipv6/conf/all/forwarding"] = "1"
    if node.network is None:
        return _sorted(settings)
    interfaces = {*node_interfaces, *(source.interface for source in sources)} - {None}
    for interface in interfaces:
        # A gateway's packets come in by one interface and are answered by another.
        settings[f"net/ipv4/conf/{interface}/rp_filter"] = "2"
        if sources:
            settings[f"net/ipv4/conf/{interface}/send_redirects"] = "0"
    if sources:
        settings["net/ipv4/conf/all/send_redirects"] = "0"  # the kernel takes either as a yes
    return _sorted(settings)


def _has_way_out(node: Node) -> bool:
    """Whether the node is known to have an IPv4 default route, which is then one to every sender."""
    return node.network is not None and any(r.family is Family.IPV4 for r in node.network.default_routes)


def _sorted(settings: dict[str, str]) -> tuple[Sysctl, ...]:
    items: Iterable[tuple[str, str]] = sorted(settings.items())
    return tuple(Sysctl(name, value) for name, value in items)
