"""The kernel to `Live`: what of it is ours, and what of others' stands where the plan wants to go. Changes nothing."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from applier.kernel import Kernel
from applier.late import OBJECTS, is_bar
from applier.model import Live, Rule
from applier.script import UNSETTLED, unmask
from bundle.directory import NodePart
from bundle.names import PROTOCOL
from bundle.ruleset import Ruleset

_NAT_HOOK = re.compile(r"type nat hook \w+ priority -?\d+")

# Writing the first sets the others as well, and taking it back would not: so these are remembered too.
_MOVED_ALONG = {
    "net/ipv4/ip_forward": ("net/ipv4/conf/*/forwarding", "net/ipv4/conf/*/accept_redirects"),
    "net/ipv4/conf/all/forwarding": ("net/ipv4/conf/*/forwarding", "net/ipv4/conf/*/accept_redirects"),
    "net/ipv6/conf/all/forwarding": ("net/ipv6/conf/*/forwarding",),
}


def observe(kernel: Kernel, part: NodePart, texts: Mapping[str, str]) -> Live:
    """Reads the kernel.

    Args:
        kernel: Where to look.
        part: What is planned, and with it the settings, tables and priorities to look at besides what is ours.
        texts: How nft printed the rules that an earlier apply wrote, by their comment; see `applier.table.unmask`.

    Raises:
        KernelError: The kernel cannot be read, or our table holds what cannot be understood.
    """
    rules = kernel.list_rules()
    routes = kernel.list_routes()
    addresses = kernel.list_addresses()
    priorities = {rule.priority for rule in part.routing.rules}
    priorities |= {rule.priority for rule in part.routing.reply_rules}
    tables = {rule.table for rule in part.routing.rules} | {route.table for route in part.routing.routes}
    planned = {address.address for address in part.addresses.addresses}
    ruleset = kernel.read_table(part.scope)
    return Live(
        ruleset=None if ruleset is None else unmask(settled(ruleset), texts),
        rules=tuple(sorted(rule for rule in rules if rule.protocol == PROTOCOL)),
        routes=tuple(route for route in routes if route.protocol == PROTOCOL),
        addresses=tuple(address for address in addresses if address.protocol == PROTOCOL),
        sysctls={name: kernel.read_sysctl(name) for name in _sysctls(kernel, part)},
        foreign_rules=tuple(rule for rule in rules if rule.protocol != PROTOCOL and rule.priority in priorities),
        catching_rules=tuple(rule for rule in rules if rule.protocol != PROTOCOL and _catches(rule, part)),
        foreign_routes=tuple(route for route in routes if route.protocol != PROTOCOL and route.table in tables),
        foreign_addresses=tuple(
            address
            for address in addresses
            if address.protocol != PROTOCOL and _host(address.address) in {_host(item) for item in planned}
        ),
        devices=kernel.list_devices(),
        release=kernel.release(),
        ways={
            address.address: kernel.find_device(_host(address.address))
            for address in part.addresses.addresses
            if address.interface is None
        },
        ipv6=kernel.read_sysctl("net/ipv6/conf/all/disable_ipv6") == "0",
        unsettled=ruleset is not None and UNSETTLED in ruleset.sets,
        # Only before ours are there: later ones of others come after ours, and are theirs to explain.
        foreign_chains=tuple(_rivals(kernel.list_chains(), part.ruleset)) if ruleset is None else (),
    )


def _catches(rule: Rule, part: NodePart) -> bool:
    """Tells whether a rule may take packets with a mark of ours before our own rule sees them."""
    if not rule.compares_mark:
        return False  # such as WireGuard's, which asks for packets without a mark of its own
    for own in part.routing.rules:
        value, mask = int(own.fwmark, 16), int(own.fwmask, 16)
        shared = rule.fwmask & mask
        asked_before = own.family == rule.family and rule.priority < own.priority
        if asked_before and rule.fwmark & mask and rule.fwmark & shared == value & shared:
            return True
    return False


def settled(ruleset: Ruleset) -> Ruleset:
    """Returns the ruleset without what an apply puts beside the plan: its marker, and the bar of late replies."""
    beside = {("set", UNSETTLED)}
    if "late" in ruleset.chains and is_bar(ruleset.chains["late"]):
        beside |= set(OBJECTS)
    return replace(
        ruleset,
        chains={name: chain for name, chain in ruleset.chains.items() if ("chain", name) not in beside},
        sets={name: item for name, item in ruleset.sets.items() if ("set", name) not in beside},
    )


def _rivals(listing: str, ours: Ruleset) -> Iterator[str]:
    """Returns NAT chains that would meet packets at the very place of one of ours, before or after it by chance."""
    places = {match[0] for chain in ours.chains.values() if (match := _NAT_HOOK.search(chain.hook))}
    table = chain = ""
    for line in listing.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "table":
            table = rest.removesuffix(" {")
        elif word == "chain":
            chain = rest.removesuffix(" {")
        elif (match := _NAT_HOOK.search(line)) and match[0] in places:
            yield f"chain {chain} of table {table} ({match[0]})"


def _sysctls(kernel: Kernel, part: NodePart) -> Iterator[str]:
    names = [setting.name for setting in part.routing.sysctls]
    yield from names
    for name in names:
        for pattern in _MOVED_ALONG.get(name, ()):
            yield from (found for found in kernel.find_sysctls(pattern) if found not in names)


def _host(address: str) -> str:
    return address.partition("/")[0]
