"""One node's part of a bundle, or a former state, to `Wanted`; and what on the node forbids to go there. Pure."""

import re
from collections.abc import Iterator, Mapping

from applier.errors import RefusedError
from applier.model import DEFAULT, Address, Live, Route, Rule, Wanted
from bundle.directory import NodePart
from bundle.model import Address as PlannedAddress

KEEPS_ADDRESS_PROTOCOL = (5, 18)
"""First release of Linux that keeps the protocol number of an address, by which a virtual IP of ours is known again."""


def want(part: NodePart, live: Live) -> Wanted:
    """Returns what the kernel should hold.

    Args:
        part: The node's part of a bundle.
        live: Says where a virtual IP goes that names no interface.

    Raises:
        RefusedError: Something of somebody else's is in the way, or the node lacks what the plan names.
    """
    if reasons := tuple(_reasons(part, live)):
        raise RefusedError("\n".join(reasons))
    return Wanted(
        ruleset=part.ruleset,
        ruleset_text=part.ruleset_text,
        rules=(
            *(
                Rule(rule.family, rule.priority, int(rule.fwmark, 16), int(rule.fwmask, 16), rule.table)
                for rule in part.routing.rules
            ),
            *(
                Rule(rule.family, rule.priority, 0, 0, rule.table, extra=_from(rule.source))
                for rule in part.routing.reply_rules
            ),
        ),
        routes=tuple(
            Route(
                family=route.family,
                table=route.table,
                destination=DEFAULT,
                type=route.type,
                gateway=route.gateway,
                device=route.device,
                metric=route.metric,
                onlink=route.device is not None,
            )
            for route in part.routing.routes
        ),
        addresses=tuple(
            Address(address.address, device, address.preferred_lifetime)
            for address in part.addresses.addresses
            if (device := _device(address, live))
        ),
        sysctls={setting.name: " ".join(setting.value.split()) for setting in part.routing.sysctls},
        announced=tuple(address.address for address in part.addresses.addresses if address.announce),
    )


def _from(source: str) -> tuple[tuple[str, str | int], ...]:
    address, _, length = source.partition("/")
    return (("src", address), ("src_len", int(length)))


def want_nothing(sysctls: Mapping[str, str], live: Live) -> Wanted:
    """Returns the wish that nothing of ours be there, and the settings be these where the kernel has them.

    Raises:
        RefusedError: Our table is another process's.
    """
    if reasons := tuple(_owner(live)):
        raise RefusedError("\n".join(reasons))
    there = {name: value for name, value in sysctls.items() if live.sysctls.get(name) is not None}
    return Wanted(None, None, (), (), (), there)


def want_back(live: Live) -> Wanted:
    """Returns the wish that everything of ours be as it was found."""
    return Wanted(
        ruleset=live.ruleset,
        ruleset_text=None,
        rules=live.rules,
        routes=live.routes,
        addresses=live.addresses,
        sysctls={name: value for name, value in live.sysctls.items() if value is not None},
    )


def _device(address: PlannedAddress, live: Live) -> str | None:
    if address.interface is not None:
        return address.interface
    # Once it is here, the node's own route to it is `local`; so where we put it is where it stays.
    here = [own.device for own in live.addresses if own.address == address.address]
    return min(here) if here else live.ways[address.address]


def _owner(live: Live) -> Iterator[str]:
    for kind, text in live.ruleset.others if live.ruleset else ():
        if kind == "attribute" and text.startswith("flags ") and "owner" in text:
            yield "another process owns the table `inet egressc`, and only it may change it; stop that process"


def _reasons(part: NodePart, live: Live) -> Iterator[str]:
    yield from _owner(live)
    if not live.ipv6 and (
        any(route.family == "ipv6" for route in part.routing.routes)
        or any(":" in address.address for address in part.addresses.addresses)
    ):
        yield "the plan has IPv6 routes or addresses, and IPv6 is off here; set net.ipv6.conf.all.disable_ipv6 to 0"
    for rule in live.foreign_rules:
        yield f"a rule that is not ours stands at our priority: {rule}; remove it or compile with another one"
    for rule in live.catching_rules:
        yield f"a rule that is not ours takes packets with a mark of ours: {rule}; compile with another mark mask"
    for route in live.foreign_routes:
        yield f"a route that is not ours stands in table {route.table}, which is planned for us: {route}"
    for address in live.foreign_addresses:
        yield f"the virtual IP {address.address} is already on {address.device}, and not by us; remove it there"
    for chain in live.foreign_chains:
        yield f"a NAT chain that is not ours stands at a priority of ours: {chain}; give it another priority"
    if part.addresses.addresses and version(live.release) < KEEPS_ADDRESS_PROTOCOL:
        yield (
            f"Linux {live.release} does not keep the protocol number of an address, by which a virtual IP of ours is "
            "known again; run Linux 5.18 or newer on gateway nodes, or use the mode of the node's own address"
        )
    yield from _missing_devices(part, live)
    yield from _bad_sysctls(part, live.sysctls)


def version(release: str) -> tuple[int, ...]:
    """Returns a kernel's version from its release; one that is new enough if it does not begin with a version."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return (int(numbers[1]), int(numbers[2])) if numbers else KEEPS_ADDRESS_PROTOCOL


def _missing_devices(part: NodePart, live: Live) -> Iterator[str]:
    named = {route.device for route in part.routing.routes} | {item.interface for item in part.addresses.addresses}
    for device in sorted(device for device in named if device and device not in live.devices):
        yield f"the plan names interface {device}, which this node does not have; is the snapshot out of date?"
    for address in part.addresses.addresses:
        if _device(address, live) is None:
            yield f"the virtual IP {address.address} names no interface, and this node has no route to it"


def _bad_sysctls(part: NodePart, live: Mapping[str, str | None]) -> Iterator[str]:
    for setting in part.routing.sysctls:
        if not setting.name.startswith("net/") or ".." in setting.name.split("/"):
            yield f"the plan names the setting {setting.name}, which is none of a network namespace"
        elif live[setting.name] is None:
            yield f"the plan names the setting {setting.name}, which this kernel does not have"
