"""Checks of what a node's part of a bundle expects of the node and of its neighbours. Pure."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from applier.doctor.facts import Facts
from applier.model import Address
from applier.probe import Answer, Target
from applier.want import KEEPS_ADDRESS_PROTOCOL, version
from bundle.checkup import Check
from bundle.directory import NodePart
from bundle.model import Address as PlannedAddress
from bundle.names import PROTOCOL

_SILENT = Answer()


def check_plan(facts: Facts, part: NodePart) -> Iterator[Check]:
    """Yields what there is to say of what the plan expects.

    Args:
        facts: What is known of the node, with the answers for `virtual_ips` and `neighbours`.
        part: Its part of a bundle.
    """
    for code, fine, found in (
        ("plan-interfaces", "the interfaces that the plan names are there and up", _interfaces(facts, part)),
        ("plan-ipv6", "IPv6 is there, where the plan needs it", _ipv6(facts, part)),
        ("plan-sysctls", "kernel settings are as the plan wants them", _sysctls(facts, part)),
        ("plan-next-hops", "the gateway nodes that the plan sends to answer", _next_hops(facts, part)),
        ("plan-virtual-ips", "the virtual IPs of the plan can be bound here", _virtual_ips(facts, part)),
        ("virtual-ip-answered", "nobody else answers for a virtual IP of the plan", _answered(facts, part)),
    ):
        yield from tuple(found) or (Check(code, "ok", fine, None),)


def virtual_ips(part: NodePart, ways: Mapping[str, str | None]) -> Iterator[Target]:
    """Yields the plan's virtual IPs, each with the interface where it goes.

    Args:
        part: The node's part of a bundle.
        ways: Address without a planned interface to the interface of the node's own route to it.
    """
    for address in part.addresses.addresses:
        if device := address.interface or ways.get(host(address)):
            yield ip_address(host(address)), device


def neighbours(part: NodePart, ways: Mapping[str, str | None]) -> Iterator[Target]:
    """Yields the plan's next hops, and the nodes that may answer for its virtual IPs; arguments as above."""
    for route in part.routing.routes:
        if route.gateway and (device := route.device or ways.get(route.gateway)):
            yield ip_address(route.gateway), device
    for address in part.addresses.addresses:
        if device := address.interface or ways.get(host(address)):
            yield from ((ip_address(peer), device) for peer in address.peers)


def wayless(part: NodePart) -> Iterator[str]:
    """Yields addresses of the plan that name no interface: the node's own routes say where they are."""
    yield from (route.gateway for route in part.routing.routes if route.gateway and not route.device)
    yield from (host(address) for address in part.addresses.addresses if not address.interface)


def host(address: PlannedAddress | Address) -> str:
    """Returns an address without its prefix length."""
    return address.address.partition("/")[0]


def _interfaces(facts: Facts, part: NodePart) -> Iterator[Check]:
    named = {route.device for route in part.routing.routes} | {item.interface for item in part.addresses.addresses}
    named |= {_interface_of(setting.name) for setting in part.routing.sysctls}
    down = {device for (_, device), answer in facts.answers.items() if answer.fault == "down"}
    for device in sorted(device for device in named if device):
        if device not in facts.devices:
            yield Check(
                "plan-interfaces",
                "blocks",
                f"the plan names interface {device}, which this node does not have",
                "compile again with a new snapshot of the cluster, or give the interface that name",
            )
        elif device in down:
            yield Check(
                "plan-interfaces",
                "warning",
                f"interface {device} is down or has no carrier",
                f"see `ip link show dev {device}`",
            )


def _ipv6(facts: Facts, part: NodePart) -> Iterator[Check]:
    planned = any(route.family == "ipv6" for route in part.routing.routes)
    planned |= any(":" in address.address for address in part.addresses.addresses)
    if planned and facts.sysctls.get("net/ipv6/conf/all/disable_ipv6", None) != "0":
        yield Check(
            "plan-ipv6",
            "blocks",
            "the plan has IPv6 routes or addresses, and IPv6 is turned off here",
            "set net.ipv6.conf.all.disable_ipv6 to 0, and start the kernel without ipv6.disable=1",
        )


def _sysctls(facts: Facts, part: NodePart) -> Iterator[Check]:
    differ = []
    for setting in part.routing.sysctls:
        value = facts.sysctls.get(setting.name)
        if value is None and _interface_of(setting.name) in {None, *facts.devices}:  # a missing interface was told
            yield Check(
                "plan-sysctls",
                "blocks",
                f"the plan names the setting {setting.name}, which this kernel does not have",
                "run a kernel that has it, or compile with the egressc that fits this one",
            )
        elif value is not None and value != " ".join(setting.value.split()):
            differ.append(f"{setting.name} is {value} and not {setting.value}")
    if differ:
        yield Check(
            "plan-sysctls",
            "info" if facts.sysctls_writable else "blocks",
            f"kernel settings differ from the plan: {', '.join(differ)}",
            "an apply sets them; nothing in /etc/sysctl.d must set them back"
            if facts.sysctls_writable
            else "set them, since an apply cannot: /proc/sys/net is not writable here",
        )


def _interface_of(setting: str) -> str | None:
    """Returns the interface that a setting is of; None for one of all, and for what new ones get."""
    parts = setting.split("/")
    name = parts[3] if parts[0] == "net" and parts[2:3] in (["conf"], ["neigh"]) and len(parts) > 4 else None  # noqa: PLR2004  # net/FAMILY/conf/NAME/SETTING
    return None if name in {"all", "default"} else name


def _next_hops(facts: Facts, part: NodePart) -> Iterator[Check]:
    seen = set()
    for route in part.routing.routes:
        if route.gateway is None or (route.gateway, route.device) in seen:
            continue
        seen.add((route.gateway, route.device))
        device = route.device or facts.ways.get(route.gateway)
        if device is None:
            yield Check(
                "plan-next-hops",
                "warning",
                f"this node has no route to gateway node {route.gateway}",
                "see that the node network is up: what goes there is dropped until then",
            )
            continue
        answer = facts.answers.get((ip_address(route.gateway), device), _SILENT)
        if not answer.macs and answer.fault is None:
            yield Check(
                "plan-next-hops",
                "warning",
                f"gateway node {route.gateway} does not answer on {device}",
                "if it is up, see that both nodes are on one link there: what goes to it is lost until then",
            )


def _virtual_ips(facts: Facts, part: NodePart) -> Iterator[Check]:
    planned = part.addresses.addresses
    if planned and version(facts.release) < KEEPS_ADDRESS_PROTOCOL:
        yield Check(
            "plan-virtual-ips",
            "blocks",
            f"Linux {facts.release} does not keep the protocol number of an address, by which we know a virtual IP",
            "run Linux 5.18 or newer on gateway nodes, or use the mode of the node's own address",
        )
    for address in planned:
        here = [own for own in facts.addresses if host(own) == host(address)]
        for own in here:
            if own.protocol != PROTOCOL:
                yield Check(
                    "plan-virtual-ips",
                    "blocks",
                    f"the virtual IP {host(address)} is already on {own.device}, and not by us",
                    f"ip address delete {own.address} dev {own.device}",
                )
        if not (address.interface or here or facts.ways.get(host(address))):
            yield Check(
                "plan-virtual-ips",
                "blocks",
                f"the virtual IP {host(address)} names no interface, and this node has no route to it",
                "name the interface in the EgressGateway, or give the node a route to the address",
            )


def _answered(facts: Facts, part: NodePart) -> Iterator[Check]:
    for address in part.addresses.addresses:
        device = address.interface or facts.ways.get(host(address))
        if device is None:
            continue
        peers = {mac for peer in address.peers for mac in facts.answers.get((ip_address(peer), device), _SILENT).macs}
        macs = facts.answers.get((ip_address(host(address)), device), _SILENT).macs
        if strangers := sorted(macs - peers):
            yield Check(
                "virtual-ip-answered",
                "blocks",
                f"{', '.join(strangers)} on {device} answers for the virtual IP {host(address)}, and is none of the "
                "gateway's nodes",
                "find that machine and take the address from it, or give the gateway another one",
            )
        elif macs:
            yield Check(
                "virtual-ip-answered",
                "info",
                f"a node of its gateway has the virtual IP {host(address)}: {', '.join(sorted(macs))} on {device}",
                "apply the bundle there too, so that it gives the address up",
            )
