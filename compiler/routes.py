"""Policy routing and sysctls of one node: what leads marked packets to their gateway node."""

from collections.abc import Iterable, Sequence

from bundle import names
from bundle.model import FwmarkRule, Route, Routing, Sysctl
from compiler.links import Links
from compiler.model import Config, Family, Node
from compiler.nodeplan import NextHop
from compiler.suitability import Source


def routing(
    node: Node, next_hops: Sequence[NextHop], sources: Sequence[Source], links: Links, config: Config
) -> Routing:
    """Makes `routing.json` of a node.

    Args:
        node: The node.
        next_hops: Gateway nodes that it sends packets to.
        sources: Source addresses of the gateways that it serves or stands by for.
        links: For the interface towards the other nodes.
        config: For rule priority, mask and tables.
    """
    shift = (config.mark_mask & -config.mark_mask).bit_length() - 1
    rules = []
    routes = []
    for next_hop in next_hops:
        table = config.table_base + (next_hop.mark >> shift)
        addresses = {Family(address.version): address for address in next_hop.addresses}
        # Both families get a table: without it a packet of the other one would leave by the node's own way.
        for family in Family:
            label = family.label
            mark, mask = f"0x{next_hop.mark:08x}", f"0x{config.mark_mask:08x}"
            rules.append(FwmarkRule(label, config.rule_priority, mark, mask, table))
            if family in addresses:
                device, gateway = links.interface(node), str(addresses[family])
                routes.append(Route(label, table, "unicast", gateway, device, names.METRIC_NEXT_HOP))
            routes.append(Route(label, table, "blackhole", None, None, names.METRIC_BLACKHOLE))
    return Routing(
        node=node.name,
        internal_ips=tuple(str(address) for address in node.internal_ips.values()),
        rules=tuple(sorted(rules, key=lambda rule: (rule.family, rule.table))),
        routes=tuple(sorted(routes, key=lambda route: (route.family, route.table, route.metric))),
        sysctls=_sysctls(node, bool(next_hops), sources, links.interface(node)),
    )


def _sysctls(node: Node, sends: bool, sources: Sequence[Source], node_interface: str | None) -> tuple[Sysctl, ...]:
    """What forwarding through gateways needs of a node that has a part in it."""
    if not sends and not sources:
        return ()
    settings = {"net/ipv4/ip_forward": "1"}
    if Family.IPV6 in node.internal_ips:
        settings["net/ipv6/conf/all/forwarding"] = "1"
    if node.network is None:
        return _sorted(settings)
    interfaces = {node_interface, *(source.interface for source in sources)} - {None}
    for interface in interfaces:
        # A gateway's packets come in by one interface and are answered by another. Loose (2) still wants some route to
        # the sender, which a node without a way out lacks for every reply from outside: there it must be off (0).
        way_out = any(route.family is Family.IPV4 for route in node.network.default_routes)
        loose = sources or way_out or not node.network.routes_known
        settings[f"net/ipv4/conf/{interface}/rp_filter"] = "2" if loose else "0"
        if sources:
            settings[f"net/ipv4/conf/{interface}/send_redirects"] = "0"
    if sources:
        settings["net/ipv4/conf/all/send_redirects"] = "0"  # the kernel takes either as a yes
    return _sorted(settings)


def _sorted(settings: dict[str, str]) -> tuple[Sysctl, ...]:
    items: Iterable[tuple[str, str]] = sorted(settings.items())
    return tuple(Sysctl(name, value) for name, value in items)
