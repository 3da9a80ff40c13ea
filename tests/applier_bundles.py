"""Small bundles for the applier's tests, written down by hand: no compiler, one node, every kind of thing in it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bundle.codec import encode
from bundle.directory import (
    ADDRESSES,
    CLUSTER,
    GATEWAYS,
    MANIFEST,
    POLICIES,
    ROUTING,
    RULESET,
    STATUS,
    WORKLOADS,
    node_path,
)
from bundle.model import FORMAT_VERSION, Address, Addresses, FwmarkRule, Manifest, Route, Routing, Sysctl
from bundle.ruleset import fingerprint

NODE = "node-1"
MASK = "0xff000000"
ROUTES = "type ipv4_addr : verdict; flags interval"
"""Of a class's map from destinations."""


@dataclass(frozen=True, slots=True)
class Item:
    """A set or map: its kind, its type and flags, and its elements as nft text."""

    kind: str
    spec: str
    elements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """What a bundle says of its node; chains are a hook line, empty for a regular one, and rules."""

    sets: Mapping[str, Item]
    chains: Mapping[str, tuple[str, tuple[str, ...]]]
    rules: tuple[FwmarkRule, ...] = ()
    routes: tuple[Route, ...] = ()
    addresses: tuple[Address, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)

    def with_sets(self, **sets: Item) -> "State":
        return replace(self, sets={**self.sets, **sets})

    def with_chains(self, chains: Mapping[str, tuple[str, tuple[str, ...]]]) -> "State":
        return replace(self, chains={**self.chains, **chains})


def mark_rule(number: int) -> str:
    return f"counter meta mark set meta mark & 0x00ffffff ^ 0x{number:02x}000000"


def next_hop(
    number: int, gateway: str, device: str | None = "eth0"
) -> tuple[tuple[FwmarkRule, ...], tuple[Route, ...]]:
    """The rule and the routes of one next hop."""
    family, table = ("ipv6" if ":" in gateway else "ipv4"), 7300 + number
    rule = FwmarkRule(family, 7300, f"0x{number:02x}000000", MASK, table)  # type: ignore[arg-type]
    hop = Route(family, table, "unicast", gateway, device, 100)  # type: ignore[arg-type]
    hole = Route(family, table, "blackhole", None, None, 4096)  # type: ignore[arg-type]
    return (rule,), (hop, hole)


def vip(address: str, interface: str | None = "eth1", lifetime: int | None = None) -> Address:
    return Address(address, interface, announce=True, preferred_lifetime=lifetime, gateways=("g",), peers=())


def state_a() -> State:
    rules4, routes4 = next_hop(5, "172.18.4.1")
    rules6, routes6 = next_hop(5, "fd00:4::1")
    return State(
        sets={
            "cluster4": Item("set", "type ipv4_addr; flags interval", ("10.0.0.0/8", "192.168.0.0-192.168.3.9")),
            "masqueraded": Item("set", "type mark . ifname", ('0x06000000 . "eth1"',)),
            "source4": Item("map", "type ipv4_addr : verdict", ("10.1.0.5 : goto class_a", "10.1.0.6 : goto class_a")),
            "source6": Item("map", "type ipv6_addr : verdict"),
            "route4_a": Item("map", ROUTES, ("0.0.0.0/1 : goto to_node-b", "128.0.0.0/1 : goto gateway_g")),
            "translation": Item("map", "type mark : verdict", ("0x06000000 : goto snat_g",)),
        },
        chains={
            "prerouting": ("type filter hook prerouting priority -95; policy accept", ("jump decide",)),
            "translate": (
                "type nat hook postrouting priority 90; policy accept",
                (f"meta mark & {MASK} vmap @translation", "snat ip to ip saddr", "snat ip6 to ip6 saddr"),
            ),
            "guard": (
                "type filter hook postrouting priority 110; policy accept",
                (f"ct status snat meta mark & {MASK} . oifname @masqueraded accept", f"meta mark & {MASK} == 0 accept"),
            ),
            "decide": ("", ("ct direction reply return", "ip daddr @cluster4 return", "ip saddr vmap @source4")),
            "class_a": ("", ("ip daddr vmap @route4_a", "counter drop")),
            "to_node-b": ("", (mark_rule(5),)),
            "gateway_g": ("", (mark_rule(6),)),
            "snat_g": ("", ("snat ip to 172.18.18.241", 'oifname "eth1" masquerade')),
        },
        rules=(*rules4, *rules6),
        routes=(*routes4, *routes6),
        addresses=(vip("172.18.18.241/32"), vip("2001:db8:18::241/128", lifetime=0)),
        sysctls={"net/ipv4/conf/eth0/rp_filter": "2", "net/ipv4/ip_forward": "1"},
    )


def state_b() -> State:
    """Another next hop for mark 5, one more without an interface, other elements, rules and virtual IPs."""
    rules5, routes5 = next_hop(5, "172.18.4.2")
    rules7, routes7 = next_hop(7, "172.18.4.3", device=None)
    state = state_a().with_sets(
        cluster4=Item("set", "type ipv4_addr; flags interval", ("10.0.0.0/9", "192.168.0.0-192.168.3.9")),
        source4=Item("map", "type ipv4_addr : verdict", ("10.1.0.5 : goto class_b", "10.1.0.7 : goto class_a")),
        source6=Item("map", "type ipv6_addr : verdict", ("fd00:1::5 : goto class_b",)),
        route4_a=Item("map", ROUTES, ("0.0.0.0/0 : goto to_node-b",)),
        route4_b=Item("map", ROUTES, ("0.0.0.0-9.255.255.255 : goto to_node-c",)),
        translation=Item("map", "type mark : verdict"),
        stray4=Item("set", "type ipv4_addr; flags interval", ("10.1.0.0/16",)),
    )
    state = state.with_chains(
        {
            "class_b": ("", ("ip daddr vmap @route4_b", "counter drop")),
            "to_node-c": ("", (mark_rule(7),)),
            "decide": ("", ("ip daddr @cluster4 return", "ip saddr vmap @source4", "ip saddr @stray4 counter drop")),
        }
    )
    return replace(
        state,
        chains={name: chain for name, chain in state.chains.items() if name not in ("gateway_g", "snat_g")},
        rules=(*rules5, *rules7),
        routes=(*routes5, *routes7),
        addresses=(vip("172.18.18.242/32", interface=None), vip("2001:db8:18::241/128", interface="eth0", lifetime=0)),
    )


def ruleset_text(state: State) -> str:
    """The nft file of a bundle: declarations, flushes, then elements and rules."""
    lines = ["# A ruleset of the applier's tests.", "table inet egressc {"]
    lines += [f"\t{item.kind} {name} {{ {item.spec}; }}" for name, item in state.sets.items()]
    lines += [f"\tchain {name} {{ {hook}{';' if hook else ''} }}" for name, (hook, _) in state.chains.items()]
    lines += ["}", "flush table inet egressc"]
    lines += [f"flush {item.kind} inet egressc {name}" for name, item in state.sets.items()]
    lines += ["table inet egressc {"]
    for name, item in state.sets.items():
        if item.elements:
            attributes = item.spec.split("; ")
            lines += [f"\t{item.kind} {name} {{", *(f"\t\t{text}" for text in attributes)]
            lines += ["\t\telements = {", *(f"\t\t\t{element}," for element in item.elements), "\t\t}", "\t}"]
    for name, (_, rules) in state.chains.items():
        lines += [f"\tchain {name} {{", *(f'\t\t{rule} comment "{fingerprint(rule)}"' for rule in rules), "\t}"]
    return "\n".join([*lines, "}", ""])


def write_bundle(directory: Path, state: State) -> Path:
    """Writes a whole bundle for `NODE`; returns its directory."""
    routing = Routing(
        node=NODE,
        internal_ips=("172.18.4.11",),
        rules=state.rules,
        reply_rules=(),
        routes=state.routes,
        sysctls=tuple(Sysctl(name, value) for name, value in state.sysctls.items()),
    )
    texts = {
        GATEWAYS: "{}\n",
        POLICIES: "{}\n",
        WORKLOADS: "{}\n",
        CLUSTER: "{}\n",
        STATUS: "",
        node_path(NODE, RULESET): ruleset_text(state),
        node_path(NODE, ROUTING): encode(routing),
        node_path(NODE, ADDRESSES): encode(Addresses(NODE, state.addresses)),
    }
    digests = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()}
    texts[MANIFEST] = encode(Manifest(FORMAT_VERSION, "0", "0" * 64, (NODE,), digests))
    for path, text in texts.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    return directory
