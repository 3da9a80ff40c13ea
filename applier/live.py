"""The kernel to `Live`: what of it is ours, and what of others' stands where the plan wants to go. Changes nothing."""

from collections.abc import Iterator

from applier.errors import KernelError
from applier.kernel import Kernel
from applier.model import Live
from applier.script import TABLE
from bundle.directory import NodePart
from bundle.names import PROTOCOL
from bundle.ruleset import Ruleset, RulesetError, parse

# Writing the first sets the others as well, and taking it back would not: so these are remembered too.
_MOVED_ALONG = {
    "net/ipv4/ip_forward": ("net/ipv4/conf/*/forwarding", "net/ipv4/conf/*/accept_redirects"),
    "net/ipv4/conf/all/forwarding": ("net/ipv4/conf/*/forwarding", "net/ipv4/conf/*/accept_redirects"),
    "net/ipv6/conf/all/forwarding": ("net/ipv6/conf/*/forwarding",),
}


def observe(kernel: Kernel, part: NodePart) -> Live:
    """Reads the kernel.

    Args:
        kernel: Where to look.
        part: What is planned, and with it the settings, tables and priorities to look at besides what is ours.

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
    return Live(
        ruleset=_ruleset(kernel),
        rules=tuple(sorted(rule for rule in rules if rule.protocol == PROTOCOL)),
        routes=tuple(route for route in routes if route.protocol == PROTOCOL),
        addresses=tuple(address for address in addresses if address.protocol == PROTOCOL),
        sysctls={name: kernel.read_sysctl(name) for name in _sysctls(kernel, part)},
        foreign_rules=tuple(rule for rule in rules if rule.protocol != PROTOCOL and rule.priority in priorities),
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
    )


def _ruleset(kernel: Kernel) -> Ruleset | None:
    text = kernel.list_table()
    try:
        return None if text is None else parse(text, TABLE)
    except RulesetError as error:
        raise KernelError(f"table {TABLE} of the kernel holds what cannot be understood: {error}") from None


def _sysctls(kernel: Kernel, part: NodePart) -> Iterator[str]:
    names = [setting.name for setting in part.routing.sysctls]
    yield from names
    for name in names:
        for pattern in _MOVED_ALONG.get(name, ()):
            yield from (found for found in kernel.find_sysctls(pattern) if found not in names)


def _host(address: str) -> str:
    return address.partition("/")[0]
