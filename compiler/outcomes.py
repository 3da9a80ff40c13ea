"""Outcomes: what becomes of packets, for all destinations at once, from the account that a bundle gives of itself.

In: the account. Out: for each workload and family a table of the whole address space. The same claims are what `verify`
proves the nodes' files against, so that of a verified bundle they hold to the letter.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final, Literal, TypeVar

from bundle.model import Gateways, PolicyReport, WorkloadReport
from compiler.account import Account
from compiler.intervals import longest_prefix_intervals, merge
from compiler.model import Family, Network
from compiler.naming import chain_name
from compiler.verify.claims import CONTESTED, NO_GATEWAY, NO_NEXT_HOP, NO_SOURCE, STRAY, Claims
from compiler.verify.decisions import Class

Reason = Literal["", "no_gateway", "no_source", "no_next_hop", "stray", "contested"]

_T = TypeVar("_T")

_REASONS: Final[dict[str, Reason]] = {
    NO_GATEWAY: "no_gateway",
    NO_SOURCE: "no_source",
    NO_NEXT_HOP: "no_next_hop",
    STRAY: "stray",
    CONTESTED: "contested",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of the first packet of a connection.

    Attributes:
        verdict: It leaves by a gateway, goes its ordinary way, or is dropped.
        gateway: The EgressGateway that takes it; None for a bypass, and where an address is contested.
        node: Where it leaves, which is the gateway's master; None unless it leaves.
        source: The address that it leaves with; None where only the node can tell, and unless it leaves.
        interface: Where only the node can tell the address, the interface that has it, if that is known.
        reason: Why it is dropped; empty unless it is.
    """

    verdict: Literal["egress", "bypass", "drop"]
    gateway: str | None = None
    node: str | None = None
    source: str | None = None
    interface: str | None = None
    reason: Reason = ""


BYPASS: Final = Outcome("bypass")

Span = tuple[int, int, Outcome]
"""Destinations from low to high as numbers, both included, and what becomes of packets to them."""

Deciding = tuple[int, int, PolicyReport | None, str | None, bool]
"""Destinations from low to high, the policy and its CIDR that decide, None where none does, and whether it excludes."""


class Outcomes:
    """The account of a bundle, ready to be asked.

    Attributes:
        account: As it was given.
        workloads: Those of the account.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.workloads = account.workloads.workloads
        self._claims = Claims(account.gateways, account.policies, account.workloads, account.cluster)
        self._policies = {policy.name: policy for policy in account.policies.policies}
        self._class_of = {id(workload): item for item, members in self._claims.classes.items() for workload in members}
        self._in_cluster = {family: _bounds(self._claims.never_redirected[family]) for family in Family}
        self._everything = {family: ((0, (1 << family.bits) - 1, BYPASS),) for family in Family}
        self._decisions: dict[tuple[Class, Family], tuple[tuple[int, int, str | None], ...]] = {}
        self._deciding: dict[tuple[tuple[str, ...], Family], tuple[Deciding, ...]] = {}
        self._interned: dict[Outcome, Outcome] = {BYPASS: BYPASS}
        self._tables: dict[tuple[Span, ...], tuple[Span, ...]] = {}
        self._forget()

    def _forget(self) -> None:
        """Drops what depends on who serves a gateway."""
        self._outcomes: dict[tuple[str, str, Family], Outcome] = {}
        self._known: dict[tuple[str, Class, Family], tuple[Span, ...]] = {}

    def under(self, gateways: Gateways) -> "Outcomes":
        """Returns what becomes of the same workloads under the same policies, with the gateways served otherwise.

        Args:
            gateways: Of the same names.
        """
        account = self.account
        other = object.__new__(Outcomes)
        other.__dict__.update(self.__dict__)
        other.account = Account(gateways, account.policies, account.workloads, account.cluster)
        other._claims = self._claims.under(gateways)
        other._forget()
        return other

    def in_cluster(self, family: Family) -> tuple[tuple[int, int], ...]:
        """Returns the destinations that are never redirected, as numbers from low to high, sorted and apart."""
        return self._in_cluster[family]

    def table(self, workload: WorkloadReport, family: Family) -> tuple[Span, ...]:
        """Returns what becomes of a workload's packets to every address of a family.

        Neighbours of one outcome are joined. Equal tables of one object of this class, and of those made of it by
        `under`, are one object.

        Args:
            workload: One of `workloads`.
            family: One of which the workload has an address, for the answer to mean anything.
        """
        item = self._class_of.get(id(workload))
        if item is None or workload.node not in self.account.cluster.nodes:
            return self._everything[family]
        key = (workload.node, item, family)
        if key not in self._known:
            self._known[key] = self._table(*key)
        return self._known[key]

    def outcome(self, node: str, gateway: str, family: Family) -> Outcome:
        """Returns what becomes of a packet that a policy sends to a gateway.

        Args:
            node: Where its workload runs; one of which the bundle has a part.
            gateway: The EgressGateway.
            family: Address family.
        """
        key = (node, gateway, family)
        if key not in self._outcomes:
            self._outcomes[key] = self._intern(self._outcome(*key))
        return self._outcomes[key]

    def gateways(self, workload: WorkloadReport) -> frozenset[str]:
        """Returns the gateways that take any of a workload's packets."""
        item = self._class_of.get(id(workload))
        if item is None or item.contest or workload.node not in self.account.cluster.nodes:
            return frozenset()
        families = {Family(ip_address(address).version) for address in workload.addresses}
        return frozenset(
            gateway for family in families for _, _, gateway in self._decided(item, family) if gateway is not None
        )

    def contested(self, workload: WorkloadReport) -> bool:
        """Whether a workload has an address of another one, so that what a policy takes of either is dropped."""
        item = self._class_of.get(id(workload))
        return item is not None and bool(item.contest)

    def deciding(self, workload: WorkloadReport, family: Family) -> tuple[Deciding, ...]:
        """Returns the policy and the CIDR that decide about every address of a family, from the lowest to the highest.

        No interval crosses the end of a CIDR or of a range of the cluster; inside the cluster no policy decides. Of a
        contested workload it is what its own policies say.
        """
        key = (workload.policies, family)
        if key not in self._deciding:
            self._deciding[key] = tuple(self._decide(*key))
        return self._deciding[key]

    def _table(self, node: str, item: Class, family: Family) -> tuple[Span, ...]:
        contested = self._intern(Outcome("drop", reason="contested"))

        def outcome(gateway: str | None) -> Outcome:
            if gateway is None:
                return BYPASS
            return contested if item.contest else self.outcome(node, gateway, family)

        spans = ((low, high, outcome(gateway)) for low, high, gateway in self._decided(item, family))
        table = merge(spans)
        return self._tables.setdefault(table, table)

    def _outcome(self, node: str, gateway: str, family: Family) -> Outcome:
        claims, item = self._claims, Class(())
        verdict = claims.verdict(node, item, gateway, family, local=True)
        master = claims.master(gateway)
        if master is not None and verdict == f"goto {chain_name('to', master)}":
            verdict = claims.verdict(master, item, gateway, family, local=False)
        if verdict in _REASONS:
            return Outcome("drop", gateway, reason=_REASONS[verdict])
        if master is None:
            raise AssertionError(f"{gateway} takes packets and has no master")
        served = claims.served(master)[gateway]
        source = served.addresses.get(family)
        return Outcome("egress", gateway, master, source, None if source else served.source.interface)

    def _intern(self, outcome: Outcome) -> Outcome:
        return self._interned.setdefault(outcome, outcome)

    def _decided(self, item: Class, family: Family) -> tuple[tuple[int, int, str | None], ...]:
        key = (item, family)
        if key not in self._decisions:
            masked = _masked(self._claims.decisions(item, family), self._in_cluster[family], None)
            self._decisions[key] = merge(masked)
        return self._decisions[key]

    def _decide(self, names: Iterable[str], family: Family) -> Iterable[Deciding]:
        entries: dict[Network, tuple[PolicyReport, str, bool]] = {}
        for policy in (self._policies[name] for name in names):
            for excluded, texts in ((True, policy.excluded_cidrs), (False, policy.destination_cidrs)):
                for text in texts:
                    network = ip_network(text)
                    if network.version == family:
                        entries.setdefault(network, (policy, text, excluded))
        spans = ((int(net.network_address), int(net.broadcast_address), entry) for net, entry in entries.items())
        intervals = longest_prefix_intervals(spans, family)
        for low, high, entry in _masked(intervals, self._in_cluster[family], None):
            yield (low, high, *(entry or (None, None, False)))


def _bounds(networks: Iterable[Network]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted((int(item.network_address), int(item.broadcast_address)) for item in networks))


def _masked(
    spans: Iterable[tuple[int, int, _T]], ranges: Sequence[tuple[int, int]], value: _T
) -> list[tuple[int, int, _T]]:
    """Gives what lies in any of the ranges, which are sorted and apart, another value; cuts spans at their ends."""
    result: list[tuple[int, int, _T]] = []
    index = 0
    for first, high, found in spans:
        low = first
        while low <= high:
            while index < len(ranges) and ranges[index][1] < low:
                index += 1
            start, end = ranges[index] if index < len(ranges) else (high + 1, high + 1)
            if start > low:
                end = min(high, start - 1)
                result.append((low, end, found))
            else:
                end = min(high, end)
                result.append((low, end, value))
            low = end + 1
    return result
