"""How peers program a node, as rules for the same policies: their shape, with the same tools, and none of their code.

Each function returns what a source node or a gateway node holds. All shapes stand beside what any Kubernetes node has:
connection tracking, the rules by which kube-proxy lets connections pass, and the CNI's masquerade.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from bench.mix import NODE_RANGE, NODES, POD_RANGE, ROUTER, Mix, Policy, node_address, outside_address
from bench.topology import execute, nft, run

_MARK = 0x26000000
_TABLE = 1000
_INSIDE = (POD_RANGE, NODE_RANGE)

_KUBERNETES_NFT = f"""
table ip kubernetes {{
	chain forward {{
		type filter hook forward priority filter; policy accept;
		ct state invalid drop
		meta mark & 0x00004000 == 0x00004000 accept
		ct state related,established accept
		ip saddr {POD_RANGE} accept
		ip daddr {POD_RANGE} accept
	}}
	chain leave {{
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr {POD_RANGE} ip daddr != {POD_RANGE} masquerade
	}}
}}
"""
_KUBERNETES_FILTER = f"""
*filter
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -s {POD_RANGE} -j ACCEPT
-A FORWARD -d {POD_RANGE} -j ACCEPT
COMMIT
"""
_KUBERNETES_MASQUERADE = f"-A POSTROUTING -s {POD_RANGE} ! -d {POD_RANGE} -j MASQUERADE\n"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a node holds.

    Attributes:
        nft: For `nft -f`.
        ip: For `ip -batch`.
        ipset: For `ipset restore`.
        iptables: For `iptables-restore`.
    """

    nft: str = ""
    ip: str = ""
    ipset: str = ""
    iptables: str = ""


Shape = Callable[[Mix], Rules]


def load(namespace: str, rules: Rules, iptables: str = "iptables-nft") -> None:
    """Loads rules into a namespace.

    Args:
        namespace: The node's.
        rules: Are added to what is there.
        iptables: `iptables-nft` or `iptables-legacy`.

    Raises:
        SetupError: The kernel or a tool refuses.
    """
    if rules.nft:
        nft(namespace, rules.nft)
    if rules.ip:
        run(["ip", "-n", namespace, "-batch", "-"], rules.ip)
    if rules.ipset:
        execute(namespace, ["ipset", "restore"], rules.ipset)
    if rules.iptables:
        execute(namespace, [f"{iptables}-restore", "--noflush"], rules.iptables)


def no_policy(_mix: Mix) -> Rules:
    """What any Kubernetes node holds."""
    return Rules(nft=_KUBERNETES_NFT)


def spidernet_source(mix: Mix) -> Rules:
    """Ordinary node of spidernet egressgateway: one rule a policy, all walked; one `ip rule` for every other node.

    Its tunnel is left out, in its favour.
    """
    routes = [
        f"rule add fwmark {_MARK + node:#x} table {_TABLE + node} priority 99\n"
        f"route add default via {node_address(node)} dev eth0 onlink table {_TABLE + node}\n"
        for node in range(1, NODES)
    ]
    return Rules(
        ip="".join(routes),
        ipset=_ipsets(mix, mix.policies),
        iptables=_mangle(map(_mark_rule, mix.policies)) + _nat([]) + _KUBERNETES_FILTER,
    )


def spidernet_gateway(mix: Mix) -> Rules:
    """Gateway node of spidernet egressgateway: marks for others' policies, 3 rules a node, source NAT for its own.

    What the rules for each node match is their cheapest: a mark.
    """
    own = [policy for policy in mix.policies if policy.gateway_node == 0]
    others = [policy for policy in mix.policies if policy.gateway_node != 0]
    nodes = [
        f"-A {chain} -m mark --mark {_MARK + node:#x} -j ACCEPT"
        for chain in ("FORWARD", "POSTROUTING")
        for node in range(1, NODES)
    ]
    entering = [f"-A PREROUTING -m mark --mark {_MARK + node:#x} -j ACCEPT" for node in range(1, NODES)]
    translate = [
        f"-A EGRESS {_match(policy)} -j SNAT --to-source {outside_address(policy.gateway_node)}" for policy in own
    ]
    return Rules(
        ipset=_ipsets(mix, mix.policies),
        iptables=_mangle(map(_mark_rule, others), [*entering, *nodes]) + _nat(translate) + _KUBERNETES_FILTER,
    )


def _ipsets(mix: Mix, policies: Iterable[Policy]) -> str:
    lines = ["create inside hash:net", *(f"add inside {network}" for network in _INSIDE)]
    for policy in policies:
        lines += (f"create s{policy.number} hash:net", f"create d{policy.number} hash:net")
        lines += (f"add s{policy.number} {address}" for address in mix.selected[policy.number])
        lines += (f"add d{policy.number} {network}" for network in policy.destinations)
    return "".join(f"{line}\n" for line in lines)


def _match(policy: Policy) -> str:
    number = policy.number
    return f"-m set --match-set s{number} src -m set --match-set d{number} dst -m conntrack --ctdir ORIGINAL"


def _mark_rule(policy: Policy) -> str:
    return f"-A EGRESS {_match(policy)} -j MARK --set-mark {_MARK + 1 + policy.gateway_node:#x}"


def _mangle(policies: Iterable[str], more: Iterable[str] = ()) -> str:
    enter = "-A PREROUTING -m set ! --match-set inside dst -j EGRESS"
    accept = f"-A PREROUTING -m mark --mark {_MARK:#x}/0xff000000 -j ACCEPT"
    return "\n".join(["*mangle", ":EGRESS -", enter, *policies, accept, *more, "COMMIT", ""])


def _nat(translate: Iterable[str]) -> str:
    accept = f"-A POSTROUTING -m mark --mark {_MARK:#x}/0xff000000 -j ACCEPT"
    rules = "\n".join(["*nat", ":EGRESS -", accept, "-A POSTROUTING -j EGRESS", *translate, ""])
    return f"{rules}{_KUBERNETES_MASQUERADE}COMMIT\n"


def ovn_source(mix: Mix) -> Rules:
    """OVN-Kubernetes, secondary network interface: one `ip rule` a pod of the node, and a map that keeps the source."""
    pods = {
        workload.address: _gateway_node(mix, workload.app) for workload in mix.local() if mix.selecting[workload.app]
    }
    translated = {address: address for address in pods}
    return Rules(nft=_KUBERNETES_NFT + _ovn_map(translated), ip=_ovn_rules(pods) + _next_hops(mix))


def ovn_gateway(mix: Mix) -> Rules:
    """OVN-Kubernetes, secondary network interface: one `ip rule` a pod that it serves, and a map to its address."""
    pods = {workload.address: 0 for workload in mix.served() if mix.selecting[workload.app]}
    translated = dict.fromkeys(pods, outside_address(0))
    way_out = f"route add default dev eth1 via {ROUTER} table {_TABLE + 1}\n"
    return Rules(nft=_KUBERNETES_NFT + _ovn_map(translated), ip=_ovn_rules(pods) + way_out)


def _gateway_node(mix: Mix, app: int) -> int:
    return mix.selecting[app][0].gateway_node


def _ovn_rules(pods: dict[IPv4Address, int]) -> str:
    return "".join(
        f"rule add from {address} table {_TABLE + 1 + gateway} priority 6000\n" for address, gateway in pods.items()
    )


def _next_hops(mix: Mix) -> str:
    return "".join(
        f"route add default via {node_address(number + 1)} dev eth0 onlink table {_TABLE + number + 1}\n"
        for number in range(mix.gateway_nodes)
    )


def _ovn_map(translated: dict[IPv4Address, IPv4Address]) -> str:
    pairs = ",\n".join(f"{address} : {source}" for address, source in translated.items())
    elements = f"\t\telements = {{ {pairs} }}" if pairs else ""
    return f"""
table ip ovn {{
	map translated {{
		type ipv4_addr : ipv4_addr
{elements}
	}}
	chain translation {{
		type nat hook postrouting priority srcnat - 1; policy accept;
		ip daddr {_set(_INSIDE)} return
		snat to ip saddr map @translated
	}}
}}
"""


def naive_source(mix: Mix) -> Rules:
    """Naive nftables: one rule a policy with anonymous sets; the first that matches decides."""
    return _naive_source(mix, (_naive_match(mix, policy) for policy in mix.policies), mix.policies)


def naive_gateway(mix: Mix) -> Rules:
    """Naive nftables: one rule for source NAT a policy with anonymous sets."""
    own = [policy for policy in mix.policies if policy.gateway_node == 0]
    return _naive_gateway(_naive_match(mix, policy) for policy in own)


def pairs_source(mix: Mix) -> Rules:
    """Naive nftables: one rule for each policy and workload that it selects."""
    pairs = [(policy, address) for policy in mix.policies for address in mix.selected[policy.number]]
    matches = (_pair_match(policy, address) for policy, address in pairs)
    return _naive_source(mix, matches, [policy for policy, _ in pairs])


def pairs_gateway(mix: Mix) -> Rules:
    """Naive nftables: one rule for source NAT for each policy and workload that it selects."""
    own = [policy for policy in mix.policies if policy.gateway_node == 0]
    return _naive_gateway(_pair_match(policy, address) for policy in own for address in mix.selected[policy.number])


def _naive_match(mix: Mix, policy: Policy) -> str:
    return f"ip saddr {_set(mix.selected[policy.number])} ip daddr {_set(policy.destinations)}"


def _pair_match(policy: Policy, address: IPv4Address) -> str:
    return f"ip saddr {address} ip daddr {_set(policy.destinations)}"


def _set(members: Iterable[IPv4Address | IPv4Network]) -> str:
    networks = collapse_addresses([IPv4Network(member) for member in members])
    return f"{{ {', '.join(str(n.network_address) if n.prefixlen == 32 else str(n) for n in networks)} }}"  # noqa: PLR2004  # one address


def _naive_source(mix: Mix, matches: Iterable[str], policies: Iterable[Policy]) -> Rules:
    marks = (_MARK + 1 + policy.gateway_node for policy in policies)
    rules = "\n".join(f"\t\t{match} meta mark set {mark:#x} accept" for match, mark in zip(matches, marks, strict=True))
    text = f"""
table ip naive {{
	chain decide {{
		type filter hook prerouting priority dstnat + 5; policy accept;
		ct direction reply accept
		ip daddr {_set(_INSIDE)} accept
{rules}
	}}
	chain keep {{
		type nat hook postrouting priority srcnat - 1; policy accept;
		meta mark & 0xff000000 == {_MARK:#x} snat to ip saddr
	}}
}}
"""
    ways = "".join(
        f"rule add fwmark {_MARK + 1 + number:#x} table {_TABLE + 1 + number} priority 99\n"
        for number in range(mix.gateway_nodes)
    )
    return Rules(nft=_KUBERNETES_NFT + text, ip=ways + _next_hops(mix))


def _naive_gateway(matches: Iterable[str]) -> Rules:
    rules = "\n".join(f"\t\t{match} snat to {outside_address(0)}" for match in matches)
    text = f"""
table ip naive {{
	chain translation {{
		type nat hook postrouting priority srcnat - 1; policy accept;
		ip daddr {_set(_INSIDE)} accept
{rules}
	}}
}}
"""
    return Rules(nft=_KUBERNETES_NFT + text)
