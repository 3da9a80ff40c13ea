"""What becomes of workloads' packets on the two sides: who leaves otherwise, to which destinations, and what breaks.

In: the outcomes of both sides. Out: groups of workloads that meet the same change. Exact: a destination is in a
group if and only if the outcome there differs.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal

from bundle.model import WorkloadReport
from compiler.destinations import Range, common
from compiler.model import Family
from compiler.outcomes import BYPASS, Deciding, Outcome, Outcomes, Span

Kind = Literal[
    "dropped", "source", "bypassed", "covered", "path", "restored", "still-dropped", "new-dropped", "new", "gone"
]

KINDS: Final[Mapping[Kind, str]] = {
    "dropped": "dropped now",
    "source": "another source address",
    "bypassed": "goes its ordinary way now, by no gateway",
    "covered": "goes by a gateway now",
    "path": "the same source address by another way",
    "restored": "not dropped any more",
    "still-dropped": "dropped as before, for another reason",
    "new-dropped": "new, and dropped",
    "new": "new, and goes by a gateway",
    "gone": "gone, and went by a gateway or was dropped",
}
"""Every kind of change and what it says of a workload, the gravest first."""

_ABSENT: Final = "absent"


@dataclass(frozen=True, slots=True)
class Group:
    """Workloads that meet the same change.

    Attributes:
        kind: What sort of change.
        before: What became of their packets; None where the workload was not there, or had no address of the family.
        after: What becomes of them now.
        family: Address family.
        ranges: The destinations, exactly; sorted and apart.
        workloads: As NAMESPACE/NAME, sorted; with the kind behind it where a pod and a virtual machine share a name.
        policies_before: Names of the policies that decided about any of the destinations, sorted.
        policies_after: Those that decide now.
        breaking: How many of the workloads may have connections that break: packets of theirs got through, and now get
            another source address, another way, or nowhere. Not those that are themselves new, gone or another pod of
            the same name, whose connections began or ended with them.
    """

    kind: Kind
    before: Outcome | None
    after: Outcome | None
    family: Family
    ranges: tuple[Range, ...]
    workloads: tuple[str, ...]
    policies_before: tuple[str, ...]
    policies_after: tuple[str, ...]
    breaking: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """The people's half of a diff, as far as it is about packets.

    Attributes:
        groups: The gravest kinds first.
        appeared: Workloads that only the second side has, as NAMESPACE/NAME, sorted.
        disappeared: Those that only the first side has.
        replaced: Those of the same name that have another address, or run on another node and are pods: other ones.
        moved: Virtual machines that run on another node with the address that they had. What goes its ordinary way
            leaves with another node's address then, so that such connections break.
        changed: How many workloads are in any group.
        breaking: How many workloads may have connections that break.
        kept: How many workloads that go by a gateway keep every connection.
        total: How many workloads both sides have, together.
    """

    groups: tuple[Group, ...]
    appeared: tuple[str, ...]
    disappeared: tuple[str, ...]
    replaced: tuple[str, ...]
    moved: tuple[str, ...]
    changed: int
    breaking: int
    kept: int
    total: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """One change of one workload, as long as it stands alone; what makes a group."""

    before: Outcome | None
    after: Outcome | None
    ranges: tuple[Range, ...]


def kind_of(before: Outcome | None, after: Outcome | None) -> Kind:
    """Returns the kind of a change, of two outcomes that differ."""
    was, now = (_ABSENT if item is None else item.verdict for item in (before, after))
    if after is None or before is None:
        return "gone" if after is None else "new-dropped" if now == "drop" else "new"
    if now == "drop":
        return "still-dropped" if was == "drop" else "dropped"
    if was == "drop":
        return "restored"
    if now == "bypass":
        return "bypassed"
    if was == "bypass":
        return "covered"
    return "path" if _leaves_as(before) == _leaves_as(after) else "source"


def breaks(before: Outcome | None, after: Outcome | None) -> bool:
    """Tells whether a connection that was open cannot go on.

    What was dropped had none. A connection that leaves by the same node with the same address is bound as before,
    whichever gateway it is counted to.
    """
    if before is None or after is None or before.verdict == "drop":
        return False
    return (before.verdict, before.node, _leaves_as(before)) != (after.verdict, after.node, _leaves_as(after))


def _leaves_as(outcome: Outcome) -> tuple[str | None, str | None, str | None]:
    """Returns the source address, or where only a node can tell it, that node and its interface."""
    if outcome.source is not None:
        return outcome.source, None, None
    return None, outcome.node, outcome.interface


def compare_traffic(old: Outcomes, new: Outcomes) -> Traffic:
    """Compares what becomes of the packets of all workloads to all destinations."""
    befores, afters = _by_key(old.workloads), _by_key(new.workloads)
    shared = _shared_names((*old.workloads, *new.workloads))
    groups = _Groups(old, new, shared)
    replaced: list[str] = []
    moved: list[str] = []
    changed = breaking = kept = 0
    for key in sorted(befores.keys() | afters.keys()):
        before, after = befores.get(key), afters.get(key)
        lasting = before is not None and after is not None and not _is_another(before, after)
        if before is not None and after is not None and not lasting:
            replaced.append(_name(before, shared))
        pieces = groups.add(before, after, lasting=lasting)
        broken = lasting and any(breaks(piece.before, piece.after) for piece in pieces)
        if lasting and before is not None and after is not None and before.node != after.node:
            moved.append(_name(before, shared))
            broken = broken or groups.bypasses(before)
        changed += bool(pieces)
        breaking += broken
        kept += lasting and not broken and groups.leaves(before)
    return Traffic(
        groups=groups.finish(),
        appeared=tuple(_name(afters[key], shared) for key in sorted(afters.keys() - befores.keys())),
        disappeared=tuple(_name(befores[key], shared) for key in sorted(befores.keys() - afters.keys())),
        replaced=tuple(replaced),
        moved=tuple(moved),
        changed=changed,
        breaking=breaking,
        kept=kept,
        total=len(befores.keys() | afters.keys()),
    )


class _Groups:
    """Puts workloads with the same change together; tables of outcomes are compared once each pair."""

    def __init__(self, old: Outcomes, new: Outcomes, shared: frozenset[str]) -> None:
        self._old = old
        self._new = new
        self._shared = shared
        self._pieces: dict[tuple[int, int], tuple[_Piece, ...]] = {}
        self._members: dict[tuple[Family, _Piece], list[tuple[str, bool]]] = {}
        self._policies: dict[tuple[object, ...], tuple[frozenset[str], frozenset[str]]] = {}
        self._deciders: dict[tuple[Family, _Piece], tuple[set[str], set[str]]] = {}
        self._leaving: dict[int, bool] = {}

    def add(self, before: WorkloadReport | None, after: WorkloadReport | None, *, lasting: bool) -> list[_Piece]:
        """Adds one workload as it is on both sides; returns its changes."""
        found: list[_Piece] = []
        for family in Family:
            tables = (_table(self._old, before, family), _table(self._new, after, family))
            for piece in self._compare(*tables):
                key = (family, piece)
                broken = lasting and breaks(piece.before, piece.after)
                holder = after or before
                if holder is not None:
                    self._members.setdefault(key, []).append((_name(holder, self._shared), broken))
                deciders = self._deciders.setdefault(key, (set(), set()))
                for own, names in zip(deciders, self._decide(before, after, family, piece), strict=True):
                    own.update(names)
                found.append(piece)
        return found

    def leaves(self, before: WorkloadReport | None) -> bool:
        """Tells whether any packet of a workload left by a gateway."""
        return any(self._has_egress(_table(self._old, before, family)) for family in Family)

    def bypasses(self, before: WorkloadReport) -> bool:
        """Tells whether any packet of a workload to outside of the cluster went its ordinary way."""
        for family in Family:
            inside = self._old.in_cluster(family)
            for low, high, outcome in _table(self._old, before, family) or ():
                if outcome is BYPASS and common(((low, high),), inside) != ((low, high),):
                    return True
        return False

    def _has_egress(self, table: tuple[Span, ...] | None) -> bool:
        if id(table) not in self._leaving:
            self._leaving[id(table)] = any(outcome.verdict == "egress" for _, _, outcome in table or ())
        return self._leaving[id(table)]

    def finish(self) -> tuple[Group, ...]:
        """Returns the groups, the gravest kinds first, in each the largest."""
        groups = []
        for (family, piece), members in self._members.items():
            was, now = self._deciders[family, piece]
            groups.append(
                Group(
                    kind=kind_of(piece.before, piece.after),
                    before=piece.before,
                    after=piece.after,
                    family=family,
                    ranges=piece.ranges,
                    workloads=tuple(sorted(name for name, _ in members)),
                    policies_before=tuple(sorted(was)),
                    policies_after=tuple(sorted(now)),
                    breaking=sum(broken for _, broken in members),
                )
            )
        kinds = list(KINDS)
        groups.sort(key=lambda item: (kinds.index(item.kind), -len(item.workloads), item.family, item.workloads))
        return tuple(groups)

    def _compare(self, old: tuple[Span, ...] | None, new: tuple[Span, ...] | None) -> tuple[_Piece, ...]:
        key = (id(old), id(new))
        if key not in self._pieces:
            self._pieces[key] = tuple(_differences(old, new))
        return self._pieces[key]

    def _decide(
        self, before: WorkloadReport | None, after: WorkloadReport | None, family: Family, piece: _Piece
    ) -> tuple[frozenset[str], frozenset[str]]:
        key = (before and before.policies, after and after.policies, family, piece)
        if key not in self._policies:
            self._policies[key] = (
                _names(self._old.deciding(before, family), piece.ranges) if before else frozenset(),
                _names(self._new.deciding(after, family), piece.ranges) if after else frozenset(),
            )
        return self._policies[key]


def _by_key(workloads: Iterable[WorkloadReport]) -> dict[tuple[str, str, str], WorkloadReport]:
    return {(item.namespace, item.name, item.kind): item for item in workloads}


def _shared_names(workloads: Iterable[WorkloadReport]) -> frozenset[str]:
    """Returns the names that both a pod and a virtual machine have."""
    kinds: dict[str, str] = {}
    names = ((f"{item.namespace}/{item.name}", item.kind) for item in workloads)
    return frozenset(name for name, kind in names if kinds.setdefault(name, kind) != kind)


def _name(workload: WorkloadReport, shared: frozenset[str]) -> str:
    name = f"{workload.namespace}/{workload.name}"
    return f"{name} ({workload.kind})" if name in shared else name


def _is_another(before: WorkloadReport, after: WorkloadReport) -> bool:
    """Tells whether what has the same name is not the same: pods do not move, and virtual machines keep an address."""
    moved = before.node != after.node and after.kind == "Pod"
    return moved or before.addresses != after.addresses


def _table(outcomes: Outcomes, workload: WorkloadReport | None, family: Family) -> tuple[Span, ...] | None:
    if workload is None or all(ip_address(address).version != family for address in workload.addresses):
        return None
    return outcomes.table(workload, family)


def _differences(old: tuple[Span, ...] | None, new: tuple[Span, ...] | None) -> Iterator[_Piece]:
    """Tells two tables apart; to have no table and to go its ordinary way are the same to a gateway."""
    found: dict[tuple[Outcome | None, Outcome | None], list[Range]] = {}
    for low, high, before, after in _side_by_side(old, new):
        if before == after or {before, after} == {None, BYPASS}:
            continue
        ranges = found.setdefault((before, after), [])
        if ranges and ranges[-1][1] + 1 == low:
            ranges[-1] = (ranges[-1][0], high)
        else:
            ranges.append((low, high))
    for (before, after), ranges in found.items():
        yield _Piece(before, after, tuple(ranges))


def _side_by_side(
    old: tuple[Span, ...] | None, new: tuple[Span, ...] | None
) -> Iterator[tuple[int, int, Outcome | None, Outcome | None]]:
    if old is None or new is None:
        yield from ((low, high, item, None) for low, high, item in old or ())
        yield from ((low, high, None, item) for low, high, item in new or ())
        return
    befores, afters = iter(old), iter(new)
    low, (_, end, before), (_, other_end, after) = 0, next(befores), next(afters)
    last = old[-1][1]
    while True:
        high = min(end, other_end)
        yield low, high, before, after
        if high == last:
            return
        low = high + 1
        if end == high:
            _, end, before = next(befores)
        if other_end == high:
            _, other_end, after = next(afters)


def _names(deciding: Iterable[Deciding], ranges: tuple[Range, ...]) -> frozenset[str]:
    return frozenset(
        policy.name
        for low, high, policy, _, _ in deciding
        if policy is not None and any(low <= end and start <= high for start, end in ranges)
    )
