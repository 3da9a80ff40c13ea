"""Rules against late replies to connections that are about to be deleted. Pure: connections to nft text.

A workload's connection that keeps its source, because another node translates it, has replies addressed to the workload
itself. Once its entry is gone, the next packet decides what it becomes. In a download that is nearly always a reply
that another node, whose rules are still the old ones, sends on: connection tracking takes it for the first packet of a
connection that was opened from outside. All the workload's packets are replies then, which no rule decides, and leave
with the workload's own address for as long as the download lasts (seen on Linux 6.18, in 5 downloads of 5). So a new
connection from that destination to that workload is dropped until the late replies have stopped for a while.
"""

from collections.abc import Iterable

from applier.connections import Connection
from applier.script import TABLE
from bundle.names import PRIORITY_DECIDE
from bundle.ruleset import Chain, fingerprint

OBJECTS = (("chain", "late"), ("set", "late4"), ("set", "late6"))
"""What the text makes in our table besides the plan: kinds and names."""

_MOST = 1_000_000  # pairs; without a number the kernel takes 65,535
_HOOK = f"type filter hook prerouting priority {PRIORITY_DECIDE - 1}; policy accept"
_RULES = (
    "tcp flags & (syn | ack) == syn return",  # opens a connection, which no late reply does
    "ct state new ip saddr . ip daddr @late4 update @late4 { ip saddr . ip daddr } counter drop",
    "ct state new ip6 saddr . ip6 daddr @late6 update @late6 { ip6 saddr . ip6 daddr } counter drop",
)
_QUIET = "5m"  # longer than TCP waits between two repetitions of a packet (2 minutes, RFC 6298)


def bar_late_replies(connections: Iterable[Connection]) -> str:
    """Returns nft text to be run before these connections are deleted; empty if none of them keeps its source.

    It can be run again, and adds. The elements go by themselves when no late reply came for five minutes; chain and
    sets stay until somebody deletes them, and cost the first packets of connections two lookups.
    """
    pairs: dict[str, set[str]] = {"4": set(), "6": set()}
    for connection in connections:
        if connection.keeps_source:
            family = "6" if ":" in connection.source else "4"
            pairs[family].add(f"{connection.destination} . {connection.source}")
    if not any(pairs.values()):
        return ""
    lines = [f"add chain {TABLE} late {{ {_HOOK}; }}", f"flush chain {TABLE} late"]
    for family in "46":
        name, kind = f"late{family}", f"ipv{family}_addr"
        spec = f"type {kind} . {kind}; size {_MOST}; flags dynamic,timeout; timeout {_QUIET};"
        lines.append(f"add set {TABLE} {name} {{ {spec} }}")
        if pairs[family]:
            lines.append(f"add element {TABLE} {name} {{ {', '.join(sorted(pairs[family]))} }}")
    lines.extend(f'add rule {TABLE} late {rule} comment "{fingerprint(rule)}"' for rule in _RULES)
    return "\n".join((*lines, ""))


def is_bar(chain: Chain) -> bool:
    """Tells whether a chain is the one that such a text makes, and nobody has put anything into it."""
    return chain.hook == _HOOK and [rule.comment for rule in chain.rules] == [fingerprint(rule) for rule in _RULES]
