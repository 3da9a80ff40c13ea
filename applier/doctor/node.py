"""Checks of the kernel, and of what it lets this process do. Pure."""

from collections.abc import Iterator

from applier.doctor.facts import Facts
from applier.want import KEEPS_ADDRESS_PROTOCOL, version
from bundle.checkup import Check

NET_ADMIN = 12
"""Number of CAP_NET_ADMIN."""

_CAPABILITIES = {NET_ADMIN: "CAP_NET_ADMIN", 13: "CAP_NET_RAW"}
_FULL = 80  # per cent of connection tracking's table; at 100 it drops new connections


def check_means(facts: Facts) -> Iterator[Check]:
    """Yields whether there are the means to do anything, even to look further; see `can_look`."""
    yield _release(facts)
    yield _capabilities(facts)
    if facts.libnftables:
        yield Check("libnftables", "blocks", facts.libnftables, "install the package libnftables1")
    else:
        yield Check("libnftables", "ok", "libnftables is there", None)


def can_look(facts: Facts) -> bool:
    """Returns whether anything else can be known of the node."""
    return NET_ADMIN in facts.capabilities and not facts.libnftables


def check_node(facts: Facts) -> Iterator[Check]:
    """Yields what there is to say of the kernel."""
    yield from _features(facts)
    yield from _forwarding(facts)
    yield from _reverse_path(facts)
    yield from _conntrack(facts)
    if facts.sysctls_writable:
        yield Check("sysctls-writable", "ok", "kernel settings can be written", None)
    else:
        yield Check(
            "sysctls-writable",
            "warning",
            "/proc/sys/net cannot be written, so an apply that has to change a setting fails",
            "mount it writable where the applier runs, or set beforehand what the plan wants",
        )


def _release(facts: Facts) -> Check:
    if version(facts.release) < KEEPS_ADDRESS_PROTOCOL:
        return Check(
            "kernel-release",
            "warning",
            f"Linux {facts.release} does not keep the protocol number of an address, which virtual IPs need",
            "run Linux 5.18 or newer on gateway nodes, or use the mode of the node's own address",
        )
    return Check("kernel-release", "ok", f"Linux {facts.release}", None)


def _capabilities(facts: Facts) -> Check:
    if missing := [name for number, name in _CAPABILITIES.items() if number not in facts.capabilities]:
        return Check(
            "capabilities",
            "blocks",
            f"this process lacks {' and '.join(missing)}",
            "run it as root, or in a unit or container that has them",
        )
    return Check("capabilities", "ok", "CAP_NET_ADMIN and CAP_NET_RAW are in effect", None)


def _features(facts: Facts) -> Iterator[Check]:
    for feature, said in facts.failed_features.items():
        yield Check(
            "nft-features",
            "blocks",
            f"nf_tables does not take: {feature} ({said})",
            "load the kernel's nf_tables modules (on some systems in a package of extra modules), or run a newer "
            "kernel and libnftables 1.0.6 or newer",
        )
    if not facts.failed_features:
        yield Check("nft-features", "ok", "nf_tables takes everything that a ruleset uses", None)


def _forwarding(facts: Facts) -> Iterator[Check]:
    if facts.sysctls.get("net/ipv4/ip_forward") == "1":
        yield Check("ip-forward", "ok", "the node forwards IPv4", None)
    else:
        yield Check(
            "ip-forward",
            "info",
            "the node does not forward IPv4",
            "an apply turns it on, where the plan needs it; nothing in /etc/sysctl.d must turn it off again",
        )


def _reverse_path(facts: Facts) -> Iterator[Check]:
    everywhere = facts.sysctls.get("net/ipv4/conf/all/rp_filter") == "1"
    strict = sorted(
        device
        for device in facts.devices
        if (own := facts.sysctls.get(f"net/ipv4/conf/{device}/rp_filter")) == "1" or (everywhere and own == "0")
    )
    if strict:
        shown = ", ".join(strict[:5]) + (f" and {len(strict) - 5} more" if len(strict) > 5 else "")  # noqa: PLR2004  # as shown
        yield Check(
            "rp-filter",
            "info",
            f"reverse path filtering is strict on {shown}",
            "an apply makes it loose on the interfaces of the plan; nothing in /etc/sysctl.d must make it strict again",
        )
    else:
        yield Check("rp-filter", "ok", "reverse path filtering is nowhere strict", None)


def _conntrack(facts: Facts) -> Iterator[Check]:
    count, most = (facts.sysctls.get(f"net/netfilter/nf_conntrack_{name}") for name in ("count", "max"))
    if count is None or most is None:
        yield Check("conntrack-size", "info", "connection tracking is not loaded yet", "an apply loads it")
    elif int(most) and int(count) * 100 >= int(most) * _FULL:
        yield Check(
            "conntrack-size",
            "warning",
            f"connection tracking holds {count} of at most {most} connections; when it is full, new ones are dropped",
            "raise net.netfilter.nf_conntrack_max",
        )
    else:
        yield Check("conntrack-size", "ok", f"connection tracking holds {count} of at most {most} connections", None)
    if facts.sysctls.get("net/netfilter/nf_conntrack_tcp_loose") == "0":
        yield Check(
            "conntrack-loose",
            "warning",
            "TCP connections that connection tracking does not know are not picked up: those that a move or a restart "
            "takes from it break",
            "set net.netfilter.nf_conntrack_tcp_loose to 1",
        )
    else:
        yield Check("conntrack-loose", "ok", "TCP connections are picked up in mid-stream", None)
