"""What others keep on a node: what Docker, kube-proxy and Cilium put into the kernel, with their numbers.

Docker, Cilium and one kube-proxy speak through iptables: the one over nf_tables and the legacy one, if installed.
"""

import shutil
from dataclasses import dataclass
from typing import Any

from kernel_fixtures import TABLE, Netns
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

from applier.netns import entered
from bundle.names import PROTOCOL

_LINKS = """
link add docker0 type bridge
link set docker0 addrgenmode none
link set docker0 up
address add 172.17.0.1/16 dev docker0
link add cilium_host type veth peer name cilium_net
link set cilium_host addrgenmode none
link set cilium_host up
link set cilium_net addrgenmode none
link set cilium_net up
address add 10.1.0.1/32 dev cilium_host
address add fd00:1::1/128 dev cilium_host nodad
address add 172.18.18.200/32 dev eth1
"""

# Cilium moves the kernel's own rule out of the way of its proxy's; Deckhouse has 1490 and the tables from 10000.
_ROUTES = """
route add local default dev lo table 2004
route add 10.1.0.1 dev cilium_host table 2005 proto 12
route add default dev cilium_host table 2005 proto 12 scope link
route add default via 172.18.4.99 dev eth0 table 10000 proto 80
route add 198.51.100.0/24 via 172.18.4.99 proto bird
route add unreachable 192.0.2.0/24 metric 4096
rule add priority 9 fwmark 0x200/0xf00 lookup 2004
rule add priority 10 fwmark 0xa00/0xf00 lookup 2005
rule add priority 100 lookup local
rule delete priority 0 lookup local
rule add priority 110 from 10.1.0.0/24 lookup 2005 protocol 12
rule add priority 1490 fwmark 0x4000/0x4000 lookup 10000
rule add priority 7301 fwmark 0x5000000/0xff000000 lookup 10001
"""
_ROUTES6 = """
route add local default dev lo table 2004
route add default dev cilium_host table 2005 proto 12
route add 2001:db8:1::/48 via fd00:4::99 proto bird
rule add priority 9 fwmark 0x200/0xf00 lookup 2004
rule add priority 1490 lookup 10000
"""

_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/docker0/route_localnet": "1",
    "net/ipv4/conf/cilium_host/rp_filter": "0",
    "net/ipv4/conf/docker0/rp_filter": "2",
    "net/ipv6/conf/docker0/accept_ra": "0",
}

_KUBE_PROXY = """
table ip kube-proxy {
    map service-ips {
        type ipv4_addr . inet_proto . inet_service : verdict
        elements = { 10.222.0.10 . udp . 53 : goto service-dns, 10.222.0.1 . tcp . 443 : goto service-api }
    }
    set cluster-ips { type ipv4_addr; elements = { 10.222.0.1, 10.222.0.10 }; }
    chain service-dns { meta l4proto udp dnat to numgen random mod 2 map { 0 : 10.1.0.5 . 53, 1 : 10.1.0.6 . 53 }; }
    chain service-api { meta l4proto tcp counter dnat to 172.18.4.1:6443; }
    chain nat-prerouting {
        type nat hook prerouting priority dstnat; policy accept
        ip daddr . meta l4proto . th dport vmap @service-ips
    }
    chain nat-postrouting {
        type nat hook postrouting priority srcnat; policy accept
        meta mark & 0x4000 != 0 meta mark set meta mark ^ 0x4000 masquerade fully-random
    }
}
table inet egressc_other {
    set source4 { type ipv4_addr; elements = { 10.1.0.5 }; }
    chain guard { type filter hook postrouting priority 110; policy accept; meta mark & 0xff000000 == 0 accept; }
}
"""

_IPTABLES = """
*nat
:DOCKER - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -j KUBE-POSTROUTING
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
COMMIT
*filter
:DOCKER-USER - [0:0]
:KUBE-FIREWALL - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-USER -j RETURN
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP
COMMIT
*mangle
:CILIUM_PRE_mangle - [0:0]
-A PREROUTING -m comment --comment "cilium-feeder: CILIUM_PRE_mangle" -j CILIUM_PRE_mangle
-A CILIUM_PRE_mangle -m mark --mark 0x200/0xf00 -j MARK --set-xmark 0x200/0xffffffff
-A CILIUM_PRE_mangle -j CONNMARK --restore-mark --nfmask 0xf00 --ctmask 0xf00
COMMIT
*raw
:CILIUM_PRE_raw - [0:0]
-A PREROUTING -j CILIUM_PRE_raw
-A CILIUM_PRE_raw -i lxc+ -m mark --mark 0x200/0xf00 -j CT --notrack
COMMIT
"""
_IP6TABLES = """
*nat
:KUBE-POSTROUTING - [0:0]
-A POSTROUTING -s fd00:17::/64 ! -o docker0 -j MASQUERADE
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
COMMIT
"""

_OUTSIDE = "203.0.113.10"
_CONNECTIONS = (
    ("10.1.0.99", _OUTSIDE, 6, 0x4000),  # kube-proxy's mark, on a workload that no policy selects
    ("10.1.0.99", _OUTSIDE, 17, 0x0F00),  # Cilium's
    ("172.17.0.2", _OUTSIDE, 6, 0),
    ("172.18.4.11", _OUTSIDE, 17, 0xFFFF),
)

_OURS = f" proto {PROTOCOL}"


@dataclass(frozen=True, slots=True)
class Foreign:
    """A node on which others are at home."""

    netns: Netns
    iptables: tuple[str, ...]
    """Which variants there are, as `iptables-nft`."""

    def dump(self, virtual_ips: frozenset[str] = frozenset(), settings: frozenset[str] = frozenset()) -> list[str]:
        """Returns what is not ours, as lines.

        Args:
            virtual_ips: Addresses that are ours, which `ip` does not tell.
            settings: Names of settings that a plan changes.
        """
        names = self.netns.run("nft list tables").splitlines()
        lines = [line for name in names if name != f"table {TABLE}" for line in self._nft(name)]
        for save in self._iptables("save"):
            lines += [line.partition(" [")[0] for line in self.netns.run(save).splitlines() if line[0] != "#"]
        _, _, rules4, rules6, routes4, routes6, addresses, values = self.netns.dump()
        ours = tuple(f" {address}{end}" for address in virtual_ips for end in (" ", "/"))
        lines += [
            line
            for line in (*rules4, *rules6, *routes4, *routes6, *addresses)
            if _OURS not in line and not any(mark in f" {line}" for mark in ours)
        ]
        files = {f"/proc/sys/{name}" for name in settings}
        lines += [line for line in values if line.partition(":")[0] not in files]
        return lines + self._connections()

    def forget_connections(self) -> None:
        """Empties the connection tracking table."""
        with entered(self.netns.name), NFCTSocket() as conntrack:
            conntrack.flush()

    def set_up(self) -> None:
        """Puts everything in place."""
        self.netns.run("ip -batch -", _LINKS)
        for name, value in _SETTINGS.items():
            self.netns.run(f"sh -c 'echo {value} >/proc/sys/{name}'")
        self.netns.run("ip -batch -", _ROUTES)
        self.netns.run("ip -6 -batch -", _ROUTES6)
        self.netns.nft(_KUBE_PROXY)
        for restore in self._iptables("restore"):
            self.netns.run(restore, _IP6TABLES if restore.startswith("ip6") else _IPTABLES)
        with entered(self.netns.name), NFCTSocket() as conntrack:
            for source, destination, protocol, mark in _CONNECTIONS:
                original = NFCTAttrTuple(saddr=source, daddr=destination, proto=protocol, sport=4000, dport=80)
                conntrack.entry("add", timeout=3600, mark=mark, tuple_orig=original, tuple_reply=original.reverse())

    def _nft(self, name: str) -> list[str]:
        # With handles: what was deleted and made again is not what it was.
        return self.netns.run(f"nft -s -a list {name}").splitlines()

    def _iptables(self, what: str) -> list[str]:
        return [f"{ip}tables-{name.removeprefix('iptables-')}-{what}" for name in self.iptables for ip in ("ip", "ip6")]

    def _connections(self) -> list[str]:
        with entered(self.netns.name), NFCTSocket() as conntrack:
            entries: list[dict[str, Any]] = [dict(message["attrs"]) for message in conntrack.dump()]
        told = ("CTA_ID", "CTA_TUPLE_ORIG", "CTA_TUPLE_REPLY", "CTA_MARK", "CTA_STATUS")
        lines = sorted(" ".join(f"{name} {entry.get(name)}" for name in told) for entry in entries)
        return [line for line in lines if _OUTSIDE in line]  # without what the node itself has to say, such as IGMP


def foreign(netns: Netns) -> Foreign:
    """Puts others' things on a node."""
    variants = [name for name in ("iptables-nft", "iptables-legacy") if shutil.which(name)]
    node = Foreign(netns, tuple(variants))
    node.set_up()
    return node
