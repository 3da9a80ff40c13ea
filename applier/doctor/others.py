"""Checks for what others have taken: rules, tables, marks, and places in the path of a packet. Pure."""

from collections.abc import Iterator

from applier.doctor.facts import Facts, MarkUse, Place
from applier.doctor.ours import Ours
from applier.model import DEFAULT, Route, Rule
from bundle.checkup import Check
from bundle.names import PRIORITY_DECIDE, PRIORITY_GUARD, PRIORITY_TRANSLATE, PROTOCOL

_LOCAL = 255
_NO_SELECTORS = frozenset({"action", "flags", "suppress_prefixlen"})


def check_others(facts: Facts, ours: Ours) -> Iterator[Check]:
    """Yields what there is to say of what others have taken.

    Args:
        facts: What is known of the node.
        ours: The numbers that are ours.
    """
    foreign = tuple(rule for rule in facts.rules if rule.protocol != PROTOCOL)
    for code, fine, found in (
        ("rule-priority", "no rule of others stands at a priority of ours", _priorities(foreign, ours)),
        ("rule-order", "no rule of others decides before ours", _order(foreign, facts.routes, ours)),
        ("rule-marks", "no rule of others looks at our bits of the packet mark", _rule_marks(foreign, ours)),
        ("routing-tables", "no route of others stands in a table of ours", _tables(facts.routes, ours)),
        ("packet-mark", "no packet filter of others uses our bits of the packet mark", _packet_marks(facts, ours)),
        ("connection-mark", "nobody else sets our bit of the connection mark", _connection_marks(facts, ours)),
        ("source-nat", "no source NAT of others comes before ours", _source_nat(facts)),
        ("flowtables", "nobody else has a flowtable", _flowtables(facts)),
        ("forward-policy", "no chain of others drops what is forwarded by its policy", _policies(facts)),
        ("unreadable-rules", "all rules of others could be read", _unreadable(facts)),
    ):
        yield from tuple(found) or (Check(code, "ok", fine, None),)


def _priorities(foreign: tuple[Rule, ...], ours: Ours) -> Iterator[Check]:
    for rule in foreign:
        if rule.priority in ours.priorities:
            yield Check(
                "rule-priority",
                "blocks",
                f"a rule of others stands at our priority: {rule}",
                "remove it, or compile with another spec.datapath.rulePriority",
            )


def _order(foreign: tuple[Rule, ...], routes: tuple[Route, ...], ours: Ours) -> Iterator[Check]:
    ends = {(route.family, route.table) for route in routes if route.destination == DEFAULT and route.type != "throw"}
    for rule in foreign:
        extra = dict(rule.extra)
        selectors = extra.keys() - _NO_SELECTORS
        catches = "action" in extra or ((rule.family, rule.table) in ends and "suppress_prefixlen" not in extra)
        if rule.priority >= ours.first or rule.table == _LOCAL or not catches or rule.compares_mark:
            continue
        if not selectors:
            yield Check(
                "rule-order",
                "blocks",
                f"a rule of others decides about every packet before ours do: {rule}",
                f"give it a priority after {ours.first}, or compile with an earlier spec.datapath.rulePriority",
            )
        elif selectors <= {"src", "src_len"}:
            yield Check(
                "rule-order",
                "warning",
                f"a rule of others decides by source before ours do: {rule}",
                f"if workloads have such addresses, give it a priority after {ours.first}, or compile with an earlier "
                "spec.datapath.rulePriority: else what they send is dropped",
            )


def _rule_marks(foreign: tuple[Rule, ...], ours: Ours) -> Iterator[Check]:
    for rule in foreign:
        if not (rule.fwmask & ours.mask and rule.compares_mark):
            continue
        if rule.priority < ours.first and ours.may_match(rule.fwmark, rule.fwmask):
            yield Check(
                "rule-marks",
                "blocks",
                f"a rule of others takes packets with a mark of ours before ours do: {rule}",
                "compile with another spec.datapath.markMask, whose bits nobody else uses",
            )
        else:
            yield Check(
                "rule-marks",
                "warning",
                f"a rule of others looks at our bits of the packet mark, which we clear: {rule}",
                "if it is needed, compile with another spec.datapath.markMask, whose bits nobody else uses",
            )


def _tables(routes: tuple[Route, ...], ours: Ours) -> Iterator[Check]:
    found = {route.table for route in routes if route.protocol != PROTOCOL}
    for table in sorted(table for table in found if table in ours.tables or table in ours.reserved):
        yield Check(
            "routing-tables",
            "blocks" if table in ours.tables else "warning",
            f"table {table} holds routes of others, and {'the plan uses it' if table in ours.tables else 'is ours'}",
            "give them another table, or compile with another spec.datapath.tableBase",
        )


def _packet_marks(facts: Facts, ours: Ours) -> Iterator[Check]:
    for use in facts.others.marks:
        if use.mark != "packet" or not use.mask & ours.mask:
            continue
        late = any(map(_after_decision, use.places))
        if use.writes and late:
            yield Check(
                "packet-mark",
                "blocks",
                f"{_said(use)}, after our decision, which it undoes",
                "give that rule a mask without our bits, or compile with another spec.datapath.markMask",
            )
        elif use.writes and use.may_set & ours.mask:
            yield Check(
                "packet-mark",
                "warning",
                f"{_said(use)}, which mean nothing to us before our decision, and we clear them",
                "if somebody needs them, compile with another spec.datapath.markMask",
            )
        elif late and not use.writes:
            yield Check(
                "packet-mark",
                "warning",
                f"{_said(use)}, after our decision has set them",
                "give that rule a mask without our bits, or compile with another spec.datapath.markMask",
            )


def _after_decision(place: Place) -> bool:
    if place.hook == "prerouting":
        return place.priority >= PRIORITY_DECIDE
    return place.hook == "forward" or (place.hook == "postrouting" and place.priority <= PRIORITY_GUARD)


def _said(use: MarkUse) -> str:
    return f"{use.where} {'sets' if use.writes else 'looks at'} bits 0x{use.mask:08x} of the {use.mark} mark"


def _connection_marks(facts: Facts, ours: Ours) -> Iterator[Check]:
    for use in facts.others.marks:
        if use.mark == "connection" and use.writes and use.mask & ours.connection_bit:
            yield Check(
                "connection-mark",
                "blocks",
                f"{_said(use)}, and with them the one by which we know connections that we have bound",
                f"give that rule a mask without 0x{ours.connection_bit:08x}, or compile with another "
                "spec.datapath.markMask",
            )


def _source_nat(facts: Facts) -> Iterator[Check]:
    # Connection tracking calls all nat chains from one place, in the order of their priorities: so ours must be first
    # among them, and destination NAT comes before our decision at whatever priority its chain was made.
    for chain in facts.others.chains:
        if chain.type == "nat" and chain.place.hook == "postrouting" and chain.place.priority <= PRIORITY_TRANSLATE:
            yield Check(
                "source-nat",
                "blocks" if chain.translates else "info",
                f"{chain.where} translates at priority {chain.place.priority}, not after ours at {PRIORITY_TRANSLATE}: "
                "what it binds keeps its address, and is dropped"
                if chain.translates
                else f"{chain.where} stands at priority {chain.place.priority}, before ours, and translates nothing",
                f"give that chain a priority after {PRIORITY_TRANSLATE}, such as srcnat" if chain.translates else None,
            )


def _flowtables(facts: Facts) -> Iterator[Check]:
    for name in facts.others.flowtables:
        yield Check(
            "flowtables",
            "warning",
            f"flowtable {name} takes packets of connections that it holds past our rules",
            "leave the traffic of workloads out of it",
        )


def _policies(facts: Facts) -> Iterator[Check]:
    for chain in facts.others.chains:
        if chain.place.hook == "forward" and chain.drops:
            yield Check(
                "forward-policy",
                "warning",
                f"{chain.where} drops what is forwarded and not accepted by a rule of it",
                "see that it accepts what workloads send and what comes back to them, on gateway nodes also for "
                "workloads of other nodes",
            )


def _unreadable(facts: Facts) -> Iterator[Check]:
    for line in facts.others.unreadable:
        yield Check(
            "unreadable-rules",
            "warning",
            line,
            "install iptables, so that doctor can read these rules, or see yourself that they leave our marks alone",
        )
