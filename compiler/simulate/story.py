"""Story: what simulate has to tell, in words and tables; `text` and `markdown` only lay it out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from compiler.outcomes import Outcome
from compiler.simulate.sweep import Sweep
from compiler.simulate.whatif import Change, Impact, Kind, Load, Scenario, Takeover
from compiler.text import some_of
from compiler.wording import drop_text

_NAMED: Final = 3
"""Names that a sentence gives before it counts the rest."""

_KINDS: Final[dict[Kind, str]] = {
    "drop": "dropped now",
    "source": "another source address",
    "cut": "cut, the source address stays",
    "restored": "dropped no more",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title; the most important come first, since a layout may leave the last ones out."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Story:
    """What there is to tell.

    Attributes:
        headline: The sentence that matters.
        notes: Further sentences.
        tables: None of them empty.
    """

    headline: str
    notes: tuple[str, ...]
    tables: tuple[Table, ...]


def of_scenario(impact: Impact, down: Sequence[str], idle: Sequence[str]) -> Story:
    """Tells of one scenario.

    Args:
        impact: What it does.
        down: Gateways that have no suitable node as it is.
        idle: Nodes of the scenario that serve no gateway as it is, because they are not well or cordoned already.
    """
    return Story(
        f"If {_supposed(impact.scenario)}: {_effects(impact)}.",
        tuple(_notes(impact, down, idle)),
        _filled(
            Table(
                "Gateways that move",
                ("GATEWAY", "FROM", "TO", "VIRTUAL IP", "WHY"),
                tuple(map(_takeover_row, impact.takeovers)),
            ),
            Table(
                "Traffic that changes",
                ("GATEWAY", "FAMILY", "TRAFFIC", "WORKLOADS", "FROM", "TO", "SUCH AS"),
                tuple(map(_change_row, impact.changes)),
            ),
            Table(
                "Load, before and after",
                ("NODE", "GATEWAYS", "WORKLOADS"),
                _load_rows(impact.load),
            ),
            Table("Compile would refuse the cluster after", ("ERROR", "MESSAGE"), _error_rows(impact)),
        ),
    )


def of_sweep(swept: Sweep) -> Story:
    """Tells of the loss of each node."""
    return Story(
        _worst(swept),
        tuple(_sweep_notes(swept)),
        _filled(
            Table(
                "Loss of one node, worst first",
                (
                    "NODE",
                    "GATEWAYS",
                    "TAKEN OVER BY",
                    "LEFT WITHOUT",
                    "DROPPED",
                    "NEW SOURCE",
                    "CUT",
                    "GONE",
                    "REFUSED",
                ),
                tuple(map(_sweep_row, swept.impacts)),
            ),
            Table("Gateways that the loss of one node takes out", ("GATEWAY", "ITS ONLY NODE"), swept.single),
            Table(
                "Compile would refuse the cluster after",
                ("LOST NODE", "ERROR", "MESSAGE"),
                tuple(
                    (impact.scenario.down[0], *row) for impact in swept.impacts for row in _error_rows(impact, limit=1)
                ),
            ),
        ),
    )


def _supposed(scenario: Scenario) -> str:
    """Says what is supposed: `a and b are lost and c is cordoned`."""
    parts = [
        f"{_names(nodes)} {'is' if len(nodes) == 1 else 'are'} {what}"
        for nodes, what in ((scenario.down, "lost"), (scenario.cordoned, "cordoned"))
        if nodes
    ]
    return " and ".join(parts)


def _effects(impact: Impact) -> str:
    parts = [_moves(impact.takeovers)] if impact.takeovers else ["no gateway moves"]
    if not impact.touches_others:
        stay = "no other workload's traffic changes" if impact.scenario.down else "no workload's traffic changes"
        return f"{parts[0]}{' and ' if not impact.takeovers else ', '}{stay}"
    if impact.readdressed:
        parts.append(f"{_workloads(impact.readdressed, 'gets', 'get')} another source address")
    if impact.cut:
        parts.append(f"connections of {_workloads(impact.cut)} are cut")
    if impact.restored:
        parts.append(f"{_workloads(impact.restored, 'gets', 'get')} through that {_is(impact.restored)} dropped now")
    parts.append(_dropped(impact))
    return ", ".join(parts)


def _dropped(impact: Impact) -> str:
    return f"traffic of {_workloads(impact.dropped)} is newly dropped" if impact.dropped else "nothing is newly dropped"


def _moves(takeovers: Sequence[Takeover]) -> str:
    targets = Counter(item.new for item in takeovers if item.new is not None)
    out = [item.gateway for item in takeovers if item.new is None]
    parts = []
    if len(targets) == 1:
        ((target, number),) = targets.items()
        parts.append(f"{_count(number, 'gateway moves', 'gateways move')} to {target}")
    elif targets:
        shown = [f"{number} to {target}" for target, number in sorted(targets.items(), key=lambda x: (-x[1], x[0]))]
        parts.append(f"{targets.total()} gateways move, {_names(shown)}")
    if out:
        parts.append(f"{_names(out)} {'has' if len(out) == 1 else 'have'} no suitable node any more")
    return ", ".join(parts)


def _notes(impact: Impact, down: Sequence[str], idle: Sequence[str]) -> Iterable[str]:
    if impact.gone:
        go = "goes" if impact.gone == 1 else "go"
        them = "it" if len(impact.scenario.down) == 1 else "them"
        yield f"{_workloads(impact.gone)} on {_names(impact.scenario.down)} {go} with {them}, and count nowhere else."
    if idle:
        serve = "serves" if len(idle) == 1 else "serve"
        yield f"{_names(idle)} {serve} no gateway even now: not Ready, cordoned or deleted."
    standing = [name for name in impact.no_standby if name not in {i.gateway for i in impact.takeovers if not i.new}]
    if standing:
        has, them = ("has", "it") if len(standing) == 1 else ("have", "them")
        yield f"{_names(standing)} {has} no standby then: the next loss would drop what goes by {them}."
    yield from _already_down(down)


def _already_down(down: Sequence[str]) -> Iterable[str]:
    if down:
        has = "has" if len(down) == 1 else "have"
        yield f"{_names(down)} {has} no suitable node even now: what policies send there is dropped."


def _takeover_row(item: Takeover) -> tuple[str, ...]:
    why = f"{item.old}: {', '.join(item.reasons)}" if item.reasons else "balance"
    return (
        item.gateway,
        item.old,
        item.new or "none",
        item.virtual_ip or "-",
        why if item.new else f"no node is suitable ({item.why_none})",
    )


def _change_row(item: Change) -> tuple[str, ...]:
    return (
        item.gateway,
        f"IPv{item.family.value}",
        _KINDS[item.kind],
        f"{item.workloads:,}",
        _left(item.before),
        _left(item.after),
        ", ".join(item.examples),
    )


def _left(outcome: Outcome) -> str:
    if outcome.verdict == "drop":
        return f"nowhere: {drop_text(outcome)}"
    return f"{outcome.source or f'address of {outcome.interface}'} ({outcome.node})"


def _difference(item: Load) -> int:
    return abs(item.workloads[1] - item.workloads[0]) + abs(item.gateways[1] - item.gateways[0])


def _load_rows(load: Sequence[Load]) -> tuple[tuple[str, ...], ...]:
    if not any(map(_difference, load)):
        return ()
    ordered = sorted(load, key=lambda item: (-_difference(item), item.node))
    return tuple((item.node, _arrow(item.gateways), _arrow(item.workloads)) for item in ordered)


def _arrow(numbers: tuple[int, int]) -> str:
    before, after = numbers
    return f"{before:,}" if before == after else f"{before:,} -> {after:,}"


def _error_rows(impact: Impact, limit: int | None = None) -> tuple[tuple[str, str], ...]:
    return tuple((finding.code, finding.message) for finding in impact.errors[:limit])


def _worst(swept: Sweep) -> str:
    if not swept.touches_others:
        return "The loss of any one node changes the traffic of no workload on another node."
    worst = swept.impacts[0]
    return f"The worst loss of one node is that of {worst.scenario.down[0]}: {_effects(worst)}."


def _sweep_notes(swept: Sweep) -> Iterable[str]:
    if swept.harmless:
        are, their = ("is", "its") if swept.harmless == 1 else ("are", "their")
        nodes = _count(swept.harmless, "other node", "other nodes")
        yield f"{nodes} {are} master of no gateway: {their} loss changes nothing for workloads elsewhere."
    yield from _already_down(swept.unserved)


def _sweep_row(item: Impact) -> tuple[str, ...]:
    targets = sorted({takeover.new for takeover in item.takeovers if takeover.new is not None})
    out = sum(takeover.new is None for takeover in item.takeovers)
    numbers = (out, item.dropped, item.readdressed, item.cut, item.gone)
    return (
        item.scenario.down[0],
        str(len(item.takeovers)),
        some_of(targets, _NAMED) or "-",
        *(f"{number:,}" for number in numbers),
        "yes" if item.errors else "-",
    )


def _filled(*tables: Table) -> tuple[Table, ...]:
    return tuple(table for table in tables if table.rows)


def _names(names: Sequence[str]) -> str:
    if len(names) > _NAMED:
        return some_of(names, _NAMED)
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _workloads(number: int, singular: str = "", plural: str = "") -> str:
    return _count(number, f"workload {singular}".rstrip(), f"workloads {plural}".rstrip())


def _count(number: int, singular: str, plural: str) -> str:
    return f"{number:,} {singular if number == 1 else plural}"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
