"""Each feature of nf_tables that a ruleset of ours uses, as nft text to be tried."""

from typing import Final

_TABLE: Final = "inet egressc_doctor"
"""Never comes to be: all is tried in a transaction that is not committed."""

_SETS: Final = """
    set prefixes { type ipv4_addr; flags interval; }
    set hops { type mark . ipv4_addr; }
    set hops6 { type mark . ipv6_addr; }
    set links { type mark . ifname; }
    map decisions { type ipv4_addr : verdict; flags interval; }
    map decisions6 { type ipv6_addr : verdict; flags interval; }
    map classes { type ipv4_addr : classid; }
    map classes6 { type ipv6_addr : classid; }
    map class { type classid : verdict; }
    map remotes { type classid . ipv4_addr : verdict; flags interval; }
    map remotes6 { type classid . ipv6_addr : verdict; flags interval; }
    map sources { type ipv4_addr : verdict; }
    map sources6 { type ipv6_addr : verdict; }
    map numbers { type mark : verdict; }
"""

FEATURES: Final = {
    "base chains of types filter, route and nat in family inet": (
        # Dormant, so that no packet meets them for the moment in which the kernel looks at them.
        "flags dormant",
        "chain a { type filter hook prerouting priority -95; policy accept; }",
        "chain b { type route hook output priority -150; policy accept; }",
        "chain c { type nat hook postrouting priority 90; policy accept; }",
        "chain d { type filter hook forward priority -5; policy accept; }",
    ),
    "sets and maps of several fields with intervals": (_SETS,),
    "rules that count, drop, accept, jump and return": (
        "chain target { counter drop; }",
        "chain a { accept; }",
        "chain b { jump target; return; }",
        "chain c { goto target; }",
    ),
    "setting bits of the packet mark": ("chain a { counter meta mark set meta mark & 0x00ffffff ^ 0x01000000; }",),
    "setting and seeing bits of the connection mark": (
        "chain a { ct mark set ct mark | 0x01000000; ct mark & 0x01000000 == 0x01000000 drop; }",
    ),
    "looking up a source address in a verdict map": (
        _SETS,
        "chain a { ip saddr vmap @sources; ip6 saddr vmap @sources6; }",
    ),
    "looking up the original source address of a connection": (
        _SETS,
        "chain a { ct original ip saddr vmap @sources; ct original ip6 saddr vmap @sources6; }",
    ),
    "looking up a destination in a verdict map, and a masked mark": (
        _SETS,
        "chain a { ip daddr vmap @decisions; ip6 daddr vmap @decisions6; }",
        "chain b { ip daddr @prefixes return; meta mark & 0xff000000 vmap @numbers; }",
    ),
    "carrying a number in the packet's priority": (
        _SETS,
        "chain a { meta priority vmap @class; meta priority . ip daddr vmap @remotes; }",
        "chain b { meta priority . ip6 daddr vmap @remotes6; meta priority set none; }",
        "chain c { meta priority set ip saddr map @classes goto a; }",
        "chain d { meta priority set ct original ip6 saddr map @classes6 goto a; }",
    ),
    "the state and direction of a connection": (
        "chain a { ct state related ct direction original accept; ct direction reply accept; ct status snat accept; }",
    ),
    "translating to an address": ("chain a { snat ip to 192.0.2.1; }", "chain b { snat ip6 to 2001:db8::1; }"),
    "translating to the packet's own address": (
        "chain a { snat ip to ip saddr; }",
        "chain b { snat ip6 to ip6 saddr; }",
    ),
    "masquerading by interface": ('chain a { oifname "eth0" masquerade; iifname != { "eth0", "eth1" } accept; }',),
    "looking at the next hop": (
        _SETS,
        "chain a { meta mark & 0xff000000 . rt ip nexthop @hops accept; rt ip nexthop 169.254.73.73 counter; }",
        "chain b { meta mark & 0xff000000 . rt ip6 nexthop @hops6 accept; }",
    ),
    "asking the routing table": (
        _SETS,
        "chain a { fib saddr . oif type local meta mark & 0xff000000 . oifname @links accept; }",
        "chain b { fib daddr type local return; }",
    ),
    "rejecting with an ICMP error": ("chain a { reject with icmp net-unreachable; }",),
    "comments of rules": ('chain a { accept comment "x"; }',),
}
"""Feature, in words, to the parts of a table that uses it."""


def script(parts: tuple[str, ...]) -> str:
    """Returns nft text of a table with these parts."""
    return "\n".join((f"table {_TABLE} {{", *parts, "}", ""))
