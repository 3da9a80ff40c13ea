"""Which connection tracking entries are bound otherwise than a node's rules would bind them. Pure.

A connection keeps the source address that its first packet got, whatever the rules say later. What is stale follows
from the rules, the addresses that the node holds and the entries alone, not from what was before: so the pass can be
done again, and one that was cut off is made good by the next.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from applier.decision import Decision, Decisions, Fate
from applier.model import Address


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection tracking entry.

    Attributes:
        source: Source address of the original direction: who opened it.
        destination: Source address of the reply direction: who answers, so the destination after destination NAT.
        reply_destination: Destination address of the reply direction: the source address that the other end sees.
        mark: The connection mark.
        zone: The conntrack zone of both directions; only 0 is what nftables sees by itself.
        identity: What the kernel tells this entry by, as netlink attributes: a later entry of the same addresses and
            ports has another one.
    """

    source: str
    destination: str
    reply_destination: str
    mark: int
    zone: int
    identity: bytes

    @property
    def keeps_source(self) -> bool:
        """Returns whether the other end sees the source address that the connection was opened with."""
        return self.reply_destination == self.source


def stale(decisions: Decisions, held: Iterable[Address], connections: Iterable[Connection]) -> Iterator[Connection]:
    """Finds the entries that must go, and no other.

    Looked at are entries with the bit by which our rules mark what they bind, and those of source addresses for which
    the rules decide. Stale is what would be, when a packet of it came now:

    - sent to a gateway node, and has another source than its own (a CNI's masquerade, or a translation of the time when
      this node was the gateway);
    - translated, and has another address, or has the right one while the node does not hold it, so that replies go
      elsewhere: a virtual IP that moved away;
    - masqueraded, and has an address that is not of that interface, or is one of another gateway;
    - left to itself, and has our bit: bound by a policy that says nothing any more;
    - dropped, or delivered inside the cluster or on the node, and has both our bit and another source than its own.

    An entry with our bit that keeps its source stays when its packets are dropped: they cannot leave, it can do nothing
    wrong when a gateway node is there again, and without it a late reply would become a connection of its own (see
    `applier.late`). Connections that were opened from outside have neither the bit nor such a source.

    Args:
        decisions: What the rules say that the kernel has now.
        held: The addresses that the node holds now. Where another program moves virtual IPs and copies connections to
            nodes that stand by, the virtual IPs of the node's gateways belong here too.
        connections: All entries; each is asked for once.
    """
    here: dict[str, set[str]] = {}
    for address in held:
        here.setdefault(address.address.partition("/")[0], set()).add(address.device)
    for connection in connections:
        bound = bool(connection.mark & decisions.bit)
        # What another program tracks in a zone of its own is ours only if it bears our bit.
        if bound or (not connection.zone and decisions.knows(connection.source)):
            decision = decisions.decide(connection.source, connection.destination)
            if not _agrees(connection, decision, bound, here, decisions.owned):
                yield connection


def _agrees(
    connection: Connection, decision: Decision, bound: bool, here: Mapping[str, set[str]], owned: frozenset[str]
) -> bool:
    address = connection.reply_destination
    if decision.fate in (Fate.INSIDE, Fate.DROPPED) or connection.destination in here:
        return not bound or connection.keeps_source
    match decision.fate:
        case Fate.KEPT:
            return connection.keeps_source
        case Fate.TRANSLATED:
            return address == decision.address and address in here
        case Fate.MASQUERADED:
            return decision.interface in here.get(address, ()) and address not in owned
    return not bound
