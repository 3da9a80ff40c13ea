"""One node's `routing.json` and `addresses.json` against the claims: the way of each mark, and the virtual IPs held."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from bundle import names
from bundle.directory import ADDRESSES, ROUTING, NodePart, node_path
from bundle.model import Address, FwmarkRule, ReplyRule, Route, Sysctl
from compiler.model import Family, Mode
from compiler.naming import chain_name
from compiler.verify.claims import Claims
from compiler.verify.failure import Example, Failure
from compiler.verify.marks import NodeMarks

_T = TypeVar("_T", FwmarkRule, ReplyRule, Route, Sysctl, Address)


def check_routing(part: NodePart, claims: Claims, marks: NodeMarks) -> list[Failure]:
    """Compares `routing.json`; each mark of a gateway node must lead to it, and nowhere when it is gone."""
    node, routing = part.node, part.routing
    file = node_path(node, ROUTING)
    failures: list[Failure] = []
    own = tuple(link.address for family in Family if (link := claims.link(node, family)) is not None)
    if routing.internal_ips != own:
        failures.append(Failure(file, f"internalIPs must be {', '.join(own) or 'empty'}"))
    rules: list[FwmarkRule] = []
    routes: list[Route] = []
    users: dict[tuple[str, int], str] = {}
    for master, mark in marks.next_hops.items():
        table = _table(claims, mark)
        for family in Family:
            users[family.label, table] = f"goto {chain_name('to', master)}"
            mask = claims.cluster.mark_mask
            rules.append(FwmarkRule(family.label, claims.cluster.rule_priority, f"0x{mark:08x}", mask, table))
            if (address := claims.next_hop(node, master, family)) is not None:
                device = claims.interfaces(node).get(family)
                routes.append(Route(family.label, table, "unicast", address, device, names.METRIC_NEXT_HOP))
            routes.append(Route(family.label, table, "blackhole", None, None, names.METRIC_BLACKHOLE))
    replies = claims.reply_networks(node)
    base = claims.cluster.table_base
    if replies:
        device = claims.interfaces(node).get(Family.IPV4)
        routes.append(Route("ipv4", base, "unicast", names.REPLY_NEXT_HOP, device, names.METRIC_NEXT_HOP))

    def example(item: FwmarkRule | Route) -> Example | None:
        return claims.example(node, users.get((item.family, item.table), ""))

    failures.extend(_compare(file, "rule", routing.rules, sorted(rules, key=lambda r: (r.family, r.table)), example))
    failures.extend(
        _compare(file, "route", routing.routes, sorted(routes, key=lambda r: (r.family, r.table, r.metric)), example)
    )
    reply_rules = [ReplyRule("ipv4", names.REPLY_PRIORITY, str(network), base) for network in replies]
    failures.extend(_compare(file, "reply rule", routing.reply_rules, reply_rules, lambda _: None))
    failures.extend(_compare(file, "sysctl", routing.sysctls, _sysctls(node, claims), lambda _: None))
    return failures


def check_addresses(part: NodePart, claims: Claims) -> list[Failure]:
    """Compares `addresses.json`: the master holds its gateways' virtual IPs, and nobody else does."""
    wanted = []
    for gateway, served in claims.served(part.node).items():
        if served.master and served.report.mode == Mode.VIRTUAL.value:
            for family, address in served.addresses.items():
                lifetime = 0 if family is Family.IPV6 else None
                text = f"{address}/{family.bits}"
                peers = claims.peers(gateway, part.node)
                wanted.append(Address(text, served.source.interface, True, lifetime, (gateway,), peers))  # noqa: FBT003
    verdicts = {f"goto {chain_name('gateway', name)}" for item in wanted for name in item.gateways}

    def example(_: Address) -> Example | None:
        here = (claims.example(part.node, verdict) for verdict in sorted(verdicts))
        away = (claims.example(part.node, verdict, local=False) for verdict in sorted(verdicts))
        return next((found for found in (*here, *away) if found is not None), None)

    return list(
        _compare(
            node_path(part.node, ADDRESSES),
            "address",
            part.addresses.addresses,
            sorted(wanted, key=lambda a: a.address),
            example,
        )
    )


def _table(claims: Claims, mark: int) -> int:
    mask = claims.mask
    return claims.cluster.table_base + (mark >> (mask & -mask).bit_length() - 1)


def _sysctls(node: str, claims: Claims) -> list[Sysctl]:
    """What forwarding through gateways needs: of a node that sends to one, and more of one that may be one."""
    served, known = claims.served(node), claims.node(node).interfaces_known
    if not served and not claims.next_hop_nodes(node):
        return []
    settings = {"net/ipv4/ip_forward": "1"}
    if claims.node(node).ipv6 is not None:
        settings["net/ipv6/conf/all/forwarding"] = "1"
    interfaces = {*claims.interfaces(node).values(), *(item.source.interface for item in served.values())} - {None}
    for interface in interfaces if known else ():
        settings[f"net/ipv4/conf/{interface}/rp_filter"] = "2"
        if served:
            settings[f"net/ipv4/conf/{interface}/send_redirects"] = "0"
    if served and known:
        settings["net/ipv4/conf/all/send_redirects"] = "0"
    return [Sysctl(name, value) for name, value in sorted(settings.items())]


def _compare(
    file: str, what: str, found: Iterable[_T], wanted: Iterable[_T], example: Callable[[_T], Example | None]
) -> Iterator[Failure]:
    found, wanted = list(found), list(wanted)
    if found == wanted:
        return
    odd = [item for item in wanted if found.count(item) != 1]
    for item in odd:
        state = "is missing" if item not in found else "stands there more than once"
        yield Failure(file, f"{what} {state}: {_show(item)}", example(item))
    surplus = [item for item in found if item not in wanted]
    for item in surplus:
        yield Failure(file, f"{what} must not be there: {_show(item)}", example(item))
    if not odd and not surplus:
        yield Failure(file, f"each {what} is there, but not in the order in which they are written")


def _show(item: object) -> str:
    fields = ((name, getattr(item, name)) for name in getattr(item, "__slots__", ()))
    return ", ".join(f"{name} {value}" for name, value in fields if value is not None)
