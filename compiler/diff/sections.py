"""What a diff tells people, as sections of entries: the same for text and Markdown, which only lay it out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from bundle.model import GatewayReport, PolicyReport
from compiler.destinations import range_texts, without_cluster
from compiler.diff.difference import Difference
from compiler.diff.gateways import GatewayChanges, MasterMove, Pair, VirtualIPMove
from compiler.diff.traffic import KINDS, Group
from compiler.text import counted, some_of
from compiler.wording import outcome_text

_Sign = Literal["+", "-", "~", "!"]

_SIGNS: Final[dict[str, _Sign]] = {
    "dropped": "!", "new-dropped": "!", "new": "+", "covered": "+", "gone": "-", "bypassed": "-",
}  # fmt: skip

_LOSSES: Final = ("dropped", "new-dropped")

_MOST_NAMES = 5
_MOST_RANGES = 20
_MOST_CIDRS = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that changes.

    Attributes:
        sign: `+` for what comes, `-` for what goes, `~` for what becomes something else, `!` for what is dropped.
        title: What it is about, on one line.
        lines: What there is to say of it, each as (word, text).
    """

    sign: _Sign
    title: str
    lines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Entries under one heading.

    Attributes:
        title: The heading.
        count: How much there is of it.
        entries: The gravest or largest first.
    """

    title: str
    count: str
    entries: tuple[Entry, ...]


def headline(difference: Difference) -> str:
    """Says in a line or two what the change does to traffic."""
    traffic = difference.traffic
    if not traffic.total:
        return "neither side has a workload, so that nothing can be said of traffic (is the snapshot missing?)"
    if not difference:
        return "nothing changes"
    if not traffic.groups and not traffic.moved:
        return "no workload's traffic changes"
    changed = f"traffic of {traffic.changed:,} of {counted(traffic.total, 'workload')} changes"
    dropped = {name for group in traffic.groups if group.kind in _LOSSES for name in group.workloads}
    if dropped:
        changed += f", that of {len(dropped):,} is dropped to some destinations"
    if traffic.breaking:
        changed += f"; open connections of {traffic.breaking:,} of them break"
    else:
        changed += "; no open connection breaks"
    if traffic.kept:
        changed += (
            f"; {counted(traffic.kept, 'workload')} behind gateways {'keeps' if traffic.kept == 1 else 'keep'} all"
        )
    return changed


def sections(difference: Difference) -> Iterator[Section]:
    """Gives what there is to tell, what concerns traffic first."""
    yield from _traffic(difference)
    gateways = difference.gateways
    moves = tuple(_master(move) for move in gateways.masters)
    yield from _section("masters", moves)
    yield from _section("virtual IPs", tuple(_virtual_ip(move) for move in gateways.virtual_ips))
    yield from _section("gateways", tuple(_gateway(pair) for pair in gateways.gateways))
    yield from _section("standbys", tuple(_standbys(gateways)))
    policies = tuple(_policy(pair) for pair in gateways.policies)
    if gateways.precedence:
        policies += (Entry("~", "the order of precedence, which decides between equal CIDRs"),)
    yield from _section("policies", policies)
    yield from _section("inside the cluster, never redirected", tuple(_ranges(gateways)))
    yield from _section("workloads", tuple(_workloads(difference)))
    nodes = [Entry("+", name) for name in gateways.nodes_added] + [Entry("-", name) for name in gateways.nodes_removed]
    yield from _section("nodes of the cluster", tuple(nodes))


def _section(title: str, entries: tuple[Entry, ...]) -> Iterator[Section]:
    if entries:
        yield Section(title, str(len(entries)), entries)


def _traffic(difference: Difference) -> Iterator[Section]:
    for kind, title in KINDS.items():
        groups = [group for group in difference.traffic.groups if group.kind == kind]
        if groups:
            names = {name for group in groups for name in group.workloads}
            entries = tuple(_group(group, difference) for group in groups)
            yield Section(title, counted(len(names), "workload"), entries)


def _group(group: Group, difference: Difference) -> Entry:
    ranges = without_cluster(group.ranges, difference.in_cluster[group.family], group.family)
    lines = [
        ("to", some_of(range_texts(ranges, group.family), _MOST_RANGES)),
        ("before", outcome_text(group.before) + _by(group.policies_before)),
        ("after", outcome_text(group.after) + _by(group.policies_after)),
    ]
    if group.breaking:
        of = "" if group.breaking == len(group.workloads) else f" of {counted(group.breaking, 'workload')}"
        lines.append(("", f"open connections{of} break"))
    count = f"{len(group.workloads):,}: " if len(group.workloads) > 1 else ""
    return Entry(_SIGNS.get(group.kind, "~"), count + some_of(group.workloads, _MOST_NAMES), tuple(lines))


def _by(policies: tuple[str, ...]) -> str:
    return f" (policy {some_of(policies, _MOST_NAMES)})" if policies else ""


def _master(move: MasterMove) -> Entry:
    return Entry(
        "~" if move.after else "!", move.gateway, (("", f"{_arrow(move.before, move.after)}: {why_moved(move)}"),)
    )


def why_moved(move: MasterMove) -> str:
    """Says why a gateway has another master, or none."""
    if move.before is not None and move.lost:
        if move.lost == ("Gone",):
            return f"{move.before} left the cluster"
        return f"{move.before} is unsuitable now ({', '.join(move.lost)})"
    if move.after is not None and move.gained:
        if move.gained == ("Gone",):
            return f"{move.after} joined the cluster and is preferred"
        return f"{move.after} is preferred, and was unsuitable before ({', '.join(move.gained)})"
    return "both are suitable; another one was chosen"


def _virtual_ip(move: VirtualIPMove) -> Entry:
    sign: _Sign = "+" if move.before is None else "~" if move.after else "!"
    return Entry(
        sign, f"{move.address} ({some_of(move.gateways, _MOST_NAMES)})", (("", _arrow(move.before, move.after)),)
    )


def _arrow(before: str | None, after: str | None) -> str:
    return f"{before or 'no node'} -> {after or 'no node'}"


def _gateway(pair: Pair[GatewayReport]) -> Entry:
    if pair.before is None or pair.after is None:
        one = pair.after or pair.before
        return Entry("+" if pair.before is None else "-", pair.name, (("", _described(one)),) if one else ())
    return Entry("~", pair.name, (("before", _described(pair.before)), ("after", _described(pair.after))))


def _described(gateway: GatewayReport) -> str:
    addresses = [text for text in (gateway.source_ips.ipv4, gateway.source_ips.ipv6) if text]
    master = f"master {gateway.active_node_name}" if gateway.active_node_name else "no suitable node: drops"
    return ", ".join((gateway.mode, *([f"source {' and '.join(addresses)}"] if addresses else []), master))


def _standbys(gateways: GatewayChanges) -> Iterator[Entry]:
    for change in gateways.standbys:
        shown = [some_of(nodes, _MOST_NAMES) or "none" for nodes in (change.before, change.after)]
        yield Entry("~" if change.after else "!", change.gateway, (("", f"{shown[0]} -> {shown[1]}"),))


def _policy(pair: Pair[PolicyReport]) -> Entry:
    before, after = pair.before, pair.after
    if before is None or after is None:
        one = after or before
        return Entry("+" if before is None else "-", pair.name, (("", _said(one)),) if one else ())
    lines = []
    if before.gateway != after.gateway:
        lines.append(("gateway", f"{before.gateway} -> {after.gateway}"))
    for word, was, now in (
        ("destinations", before.destination_cidrs, after.destination_cidrs),
        ("excluded", before.excluded_cidrs, after.excluded_cidrs),
    ):
        gone, come = [text for text in was if text not in now], [text for text in now if text not in was]
        shown = [f"{sign}{some_of(texts, _MOST_CIDRS)}" for sign, texts in (("- ", gone), ("+ ", come)) if texts]
        if shown:
            lines.append((word, "; ".join(shown)))
    return Entry("~", pair.name, tuple(lines))


def _said(policy: PolicyReport) -> str:
    excluded = f" except {some_of(policy.excluded_cidrs, _MOST_CIDRS)}" if policy.excluded_cidrs else ""
    return f"{some_of(policy.destination_cidrs, _MOST_CIDRS)}{excluded} by {policy.gateway}"


def _ranges(gateways: GatewayChanges) -> Iterator[Entry]:
    yield from (Entry("+", text) for text in gateways.ranges_added)
    yield from (Entry("-", text) for text in gateways.ranges_removed)


def _workloads(difference: Difference) -> Iterator[Entry]:
    traffic = difference.traffic
    lists: tuple[tuple[_Sign, str, tuple[str, ...]], ...] = (
        ("+", "new", traffic.appeared),
        ("-", "gone", traffic.disappeared),
        ("~", "replaced by another of the same name", traffic.replaced),
        ("~", "moved to another node, with whose address what goes its ordinary way leaves now", traffic.moved),
    )
    for sign, word, names in lists:
        if names:
            yield Entry(sign, f"{len(names):,} {word}: {some_of(names, _MOST_NAMES)}")
