"""Every name and number of ours that lands on a host, each with its reason and its neighbours.

Both sides need them: the compiler to write them down, the applier to tell from the kernel alone what is ours.
"""

from typing import Final

TABLE_FAMILY: Final = "inet"
TABLE_NAME: Final = "egressc"
"""The one nftables table we own; every other table is somebody else's."""

PROTOCOL: Final = 173
"""Marks routes (`rtm_protocol`), rules (`FRA_PROTOCOL`) and addresses (`IFA_PROTO`) as ours.

Free in iproute2's `rt_protos`: 2 kernel, 3 boot, 4 static, 16 dhcp, 18 keepalived, 42 babel, 80 Calico's BIRD,
84 openr, 186 to 192 FRR.
"""

ELEMENTS_AT_ONCE: Final = 256
"""Elements in one command or block, where a key has several fields and an interval.

nft 1.0.6 turns round the bytes of a mark or classid twice where its netlink message is full, which the longest ones
make it with some 420, and so adds another element, or fails to delete one (seen).
"""

RULE_PRIORITY: Final = 7300
"""Priority of our `ip rule`s.

After `local` (0), Cilium (1 to 112), AWS VPC CNI (512 to 1536), Deckhouse (1490) and Tailscale (5210 to 5270), before
`main` (32766), which would send the packet out by the node's own way.
"""

MAIN_PRIORITY: Final = 32766
"""Priority of the rule that leads to the table `main`; ours come before it."""

REPLY_PRIORITY: Final = 32770
"""Priority of the rules that answer reverse path filtering.

After `main` (32766) and `default` (32767): they speak for senders that no other table knows.
"""

REPLY_NEXT_HOP: Final = "169.254.73.73"
"""Next hop of the route that those rules lead to. Link-local, so no router passes it on, and nobody has it."""

TABLE_BASE: Final = 7300
"""Routing table of mark number n, from 1, is `TABLE_BASE + n`; this one itself is for replies, see `ReplyRule`.

Clear of Tailscale's 52, kube-router's 77 to 79, Calico's 1 to 250, the reserved 253 to 255, Deckhouse's 1490 and
10000 upwards, and Cilium's 2004 to 2005.
"""

TABLE_LIMIT: Final = 10000
"""First routing table we may not use: Deckhouse numbers its own from here."""

TABLES_OF_OTHERS: Final = (253, 254, 255, 1490)
"""Below the limit, `default`, `main` and `local` are the kernel's, and one is Deckhouse's."""

MARK_MASK: Final = 0xFF000000
"""Default bits of the packet mark that are ours; 255 numbers on each node.

Clear of kube-proxy's 0x4000 and 0x8000, Cilium's 0x0f00 field, the AWS VPC CNI's 0x80, Weave's and kube-router's
0x30000, Tailscale's 0xff0000, and of the low bits of Calico's 0xffff0000, which it gives out from 0x10000 upwards.
"""


def bound_bit(mark_mask: int) -> int:
    """Returns the bit of the *connection* mark that says that our rules bound the connection to a source address.

    The lowest bit of the packet mark's mask: who keeps clear of our bits of the packet mark, as all named above do, and
    saves or restores marks under a mask of its own, keeps clear of it too. The other bits of the mask are ours in the
    connection mark as well, and never written.
    """
    return mark_mask & -mark_mask


PRIORITY_DECIDE: Final = -95
"""Just after destination NAT (`dstnat`, -100): a ClusterIP has become its backend, and the route is not yet chosen."""

PRIORITY_ERRORS: Final = -150
"""`mangle`, where the mark of a packet of the node's own can still choose its route."""

PRIORITY_FORWARD: Final = -5
"""Before others' filters (0), so that a packet with nowhere to go is answered and not counted as somebody's."""

PRIORITY_TRANSLATE: Final = 90
"""Just before `srcnat` (100), where CNIs masquerade: whoever binds a connection first keeps it."""

PRIORITY_GUARD: Final = 110
"""Just after `srcnat`: sees the source address with which the packet is about to leave."""

METRIC_NEXT_HOP: Final = 100
METRIC_BLACKHOLE: Final = 4096
"""Below the next hop in the same table: when its device goes, the packet is dropped and not sent by `main`."""

STATE_DIRECTORY: Final = "/var/lib/egressc"
"""Where a node keeps what was applied and how to go back; what systemd's `StateDirectory=egressc` makes too."""
