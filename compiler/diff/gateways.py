"""What changes about gateways, policies and the cluster's ranges: who is master and why, who holds a virtual IP.

In: the accounts of both sides. Out: values, one a thing that differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from ipaddress import ip_address
from typing import Generic, TypeVar

from bundle.model import SELECTOR_MISMATCH, Cluster, GatewayReport, Gateways, Policies, PolicyReport
from compiler.account import Account
from compiler.destinations import range_texts
from compiler.model import Family, Mode
from compiler.verify.intervals import bounds, difference

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Pair(Generic[_T]):
    """A thing of one name on both sides; None where it is not there."""

    name: str
    before: _T | None
    after: _T | None


@dataclass(frozen=True, slots=True)
class MasterMove:
    """A gateway of both sides with another master.

    Attributes:
        gateway: Its name.
        before: The old master, None where it had none.
        after: The new master, None where there is none.
        lost: Why the old master is none any more, in the words of `nodes` of `gateways.json`; empty where it could
            still be.
        gained: Why the new master could not be before; empty where it could.
    """

    gateway: str
    before: str | None
    after: str | None
    lost: tuple[str, ...]
    gained: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VirtualIPMove:
    """A virtual IP that another node holds, or that comes or goes."""

    address: str
    gateways: tuple[str, ...]
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class StandbyChange:
    """A gateway of both sides with other nodes that could take over; in order, which alone is no change."""

    gateway: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GatewayChanges:
    """The people's half of a diff, as far as it is about other things than packets.

    Attributes:
        gateways: Those that come or go, or have another mode or another source address on the same master.
        masters: Gateways with another master.
        virtual_ips: Virtual IPs that move, come or go.
        standbys: Gateways whose standbys are others.
        policies: Policies that come, go or say something else.
        precedence: Whether policies of both sides stand in another order, which decides between equal CIDRs.
        ranges_added: Destinations that are inside the cluster now and were not, and so are never redirected.
        ranges_removed: Destinations that were inside the cluster and are not now.
        nodes_added: Nodes that only the second side has.
        nodes_removed: Nodes that only the first side has.
    """

    gateways: tuple[Pair[GatewayReport], ...]
    masters: tuple[MasterMove, ...]
    virtual_ips: tuple[VirtualIPMove, ...]
    standbys: tuple[StandbyChange, ...]
    policies: tuple[Pair[PolicyReport], ...]
    precedence: bool
    ranges_added: tuple[str, ...]
    ranges_removed: tuple[str, ...]
    nodes_added: tuple[str, ...]
    nodes_removed: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return any(getattr(self, field.name) for field in fields(self))


def compare_gateways(old: Account, new: Account) -> GatewayChanges:
    """Compares what two accounts say of gateways, policies and the cluster."""
    both = _pairs(old.gateways.gateways, new.gateways.gateways)
    common = [(pair.before, pair.after) for pair in both if pair.before is not None and pair.after is not None]
    added, removed = _ranges(old.cluster, new.cluster)
    return GatewayChanges(
        gateways=tuple(pair for pair in both if _is_other(pair.before, pair.after)),
        masters=tuple(
            MasterMove(
                after.name,
                before.active_node_name,
                after.active_node_name,
                lost=_why_not(after, before.active_node_name, new.cluster),
                gained=_why_not(before, after.active_node_name, old.cluster),
            )
            for before, after in common
            if before.active_node_name != after.active_node_name
        ),
        virtual_ips=_virtual_ip_moves(old.gateways, new.gateways),
        standbys=tuple(
            StandbyChange(after.name, before.standby_node_names, after.standby_node_names)
            for before, after in common
            if set(before.standby_node_names) != set(after.standby_node_names)
        ),
        policies=tuple(
            pair for pair in _pairs(old.policies.policies, new.policies.policies) if pair.before != pair.after
        ),
        precedence=_order(old.policies, new.policies) != _order(new.policies, old.policies),
        ranges_added=added,
        ranges_removed=removed,
        nodes_added=_more(new.cluster, old.cluster),
        nodes_removed=_more(old.cluster, new.cluster),
    )


_Named = TypeVar("_Named", GatewayReport, PolicyReport)


def _pairs(old: Sequence[_Named], new: Sequence[_Named]) -> tuple[Pair[_Named], ...]:
    befores, afters = {item.name: item for item in old}, {item.name: item for item in new}
    return tuple(Pair(name, befores.get(name), afters.get(name)) for name in sorted(befores.keys() | afters.keys()))


def _is_other(before: GatewayReport | None, after: GatewayReport | None) -> bool:
    if before is None or after is None:
        return True
    if before.mode != after.mode:
        return True
    moved = before.active_node_name != after.active_node_name and before.mode == Mode.PRIMARY.value
    # That another node has another address of its own is said where the master moves.
    return before.source_ips != after.source_ips and not moved


def _why_not(gateway: GatewayReport, node: str | None, cluster: Cluster) -> tuple[str, ...]:
    """Returns why a node cannot serve a gateway of that cluster, nothing if it can."""
    if node is None:
        return ()
    if node not in cluster.nodes:
        return ("Gone",)
    verdict = gateway.nodes.get(node)
    return (SELECTOR_MISMATCH,) if verdict is None else verdict.reasons


def _virtual_ip_moves(old: Gateways, new: Gateways) -> tuple[VirtualIPMove, ...]:
    befores, afters = _holders(old), _holders(new)
    moves = []
    for address in sorted(befores.keys() | afters.keys(), key=_numbered):
        before, after = befores.get(address, {}), afters.get(address, {})
        was, now = (next(iter(item.values()), None) for item in (before, after))
        if was != now or before.keys() != after.keys():
            moves.append(VirtualIPMove(address, tuple(sorted(before.keys() | after.keys())), was, now))
    return tuple(moves)


def _holders(gateways: Gateways) -> dict[str, dict[str, str | None]]:
    """Returns virtual IP to gateway to the node that holds it for it."""
    result: dict[str, dict[str, str | None]] = {}
    for gateway in gateways.gateways:
        if gateway.mode == Mode.VIRTUAL.value:
            for source in gateway.sources.values():
                for address in (source.ipv4, source.ipv6):
                    if address is not None:
                        result.setdefault(address, {})[gateway.name] = gateway.active_node_name
    return result


def _numbered(address: str) -> tuple[int, int]:
    number = ip_address(address)
    return number.version, int(number)


def _order(one: Policies, other: Policies) -> list[str]:
    """Returns the policies of one side that the other has too, in order of precedence."""
    names = {policy.name for policy in other.policies}
    return [policy.name for policy in one.policies if policy.name in names]


def _ranges(old: Cluster, new: Cluster) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns destinations that are never redirected now and were before, and the other way round."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    for family in Family:
        sides = (
            [bounds(text) for text in side.never_redirected if (":" in text) == (family is Family.IPV6)]
            for side in (new, old)
        )
        come, gone = difference(*sides)
        added += range_texts(come, family)
        removed += range_texts(gone, family)
    return added, removed


def _more(one: Cluster, other: Cluster) -> tuple[str, ...]:
    return tuple(sorted(one.nodes.keys() - other.nodes.keys()))
