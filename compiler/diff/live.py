"""`egressc diff --live`: what an apply would change on a node, told by meaning. Reads the kernel and changes nothing.

The one module of the compiler that knows the applier: how the kernel is read, and when it is as it should be, is said
there and not a second time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from applier.delivery import opened
from applier.difference import difference
from applier.errors import KernelError, RefusedError
from applier.live import observe
from applier.lock import locked
from applier.model import DEFAULT, Live, Wanted
from applier.model import Address as OwnAddress
from applier.model import Route as OwnRoute
from applier.model import Rule as OwnRule
from applier.script import TABLE
from applier.session import Session
from applier.want import want
from bundle.directory import WORKLOADS, BundleError, NodePart, open_bundle
from bundle.model import Address, Addresses, FwmarkRule, ReplyRule, Route, Routing, Sysctl, Workloads
from bundle.ruleset import Chain, Rule, Ruleset, RulesetError, parse
from bundle.text import json_text, printable
from compiler.diff.change import Change
from compiler.diff.compare import compare
from compiler.diff.meaning import Key, Meaning, Names, meaning, names_of
from compiler.diff.nodeforms import Line, change_json, change_lines, coloured
from compiler.markdown import LARGEST, folded
from compiler.outputs import LiveDiffOutput

Form = Literal["text", "markdown", "json"]

_SAME: Final = 0
_DIFFERS: Final = 1
_REFUSED: Final = 2

_WAIT: Final = 10.0
"""Seconds to wait for an apply to end, which would be seen half done."""
_LINES: Final = 200
"""Lines of changes and of steps that are for people."""
_OPTION: Final = {"ipv4": "-4", "ipv6": "-6"}


@dataclass(frozen=True, slots=True)
class Difference:
    """What an apply would change.

    Attributes:
        node: Name of the node.
        changes: What is otherwise in the bundle than in the kernel; empty where only work is left that leaves no trace.
        steps: Lines that a dry run prints, in its order; empty if there is nothing to do.
    """

    node: str
    changes: tuple[Change, ...]
    steps: tuple[str, ...]


def plain(line: Line) -> str:
    """Returns a line without colours."""
    return printable(str(line))


def live_diff(
    directory: Path, node: str, netns: str | None, form: Form = "text", paint: Callable[[Line], str] = plain
) -> tuple[str, int]:
    """Compares the live kernel with a node's part of a bundle.

    Args:
        directory: The bundle.
        node: Name of the node.
        netns: Network namespace, a path or the name of one under `/run/netns`; None for the current one.
        form: How to write it.
        paint: Makes a line of text printable, and coloured where it may be.

    Returns:
        What to print, and the exit status: 0 an apply has nothing to do; 1 it has; 2 the bundle or the node will not
        do, or the kernel cannot be read, and the text says why and is for standard error.
    """
    try:
        bundle = open_bundle(directory)
        part = bundle.node(node)
        names = names_of(bundle.decode(Workloads, WORKLOADS))
        with opened(netns) as session, locked(_WAIT):
            found = _look(session, part, names)
    except RefusedError as fault:
        return f"an apply would be refused:\n{fault}\n", _REFUSED
    except KernelError as fault:
        return f"the kernel cannot be read: {fault}\n", _REFUSED
    except BundleError as fault:
        return f"{fault}\n", _REFUSED
    return _written(found, form, paint), _DIFFERS if found.steps else _SAME


def _look(session: Session, part: NodePart, names: Names) -> Difference:
    record = session.records.load() if session.records else None
    live = observe(session.kernel, part, record.texts if record else {})
    wanted = want(part, live)
    steps = difference(wanted, live)
    texts = _texts(part.ruleset)
    if record:
        with suppress(RulesetError):  # it only helps to say things in the words that they were written in
            texts = {**_texts(parse(record.ruleset_text, TABLE)), **texts}
    changes = compare(
        _of_kernel(live, wanted, texts, names),
        _of_plan(wanted, names),
        lambda address: names.workloads.get(address, ""),
    )
    return Difference(part.node, changes, tuple(line for step in steps for line in step.lines()))


def _texts(ruleset: Ruleset) -> dict[str, str]:
    """Returns each rule as it was written, by its comment, which nft keeps and prints the rule otherwise."""
    return {rule.comment: rule.text for chain in ruleset.chains.values() for rule in chain.rules}


def _of_plan(wanted: Wanted, names: Names) -> Meaning:
    return _meaning(wanted.ruleset, (wanted.rules, wanted.routes, wanted.addresses), wanted.sysctls, names)


def _of_kernel(live: Live, wanted: Wanted, texts: Mapping[str, str], names: Names) -> Meaning:
    """Returns what the kernel holds, in the plan's words where it is as planned: the kernel fills in more fields."""
    ruleset = live.ruleset
    if ruleset is not None:
        ruleset = replace(
            ruleset,
            chains={name: _in_words(chain, texts) for name, chain in ruleset.chains.items()},
            flushed=frozenset({"", *ruleset.sets}),
        )
    unmet = list(wanted.routes)
    routes = []
    for own in live.routes:
        met = next((route for route in unmet if own.satisfies(route)), None)
        if met is not None:
            unmet.remove(met)
        routes.append(met or own)
    places = {(address.address, address.device): address for address in wanted.addresses}
    addresses = [
        planned if (planned := places.get((own.address, own.device))) and own.satisfies(planned) else own
        for own in live.addresses
    ]
    sysctls = {name: value for name in wanted.sysctls if (value := live.sysctls.get(name)) is not None}
    return _meaning(ruleset, (live.rules, routes, addresses), sysctls, names)


def _in_words(chain: Chain, texts: Mapping[str, str]) -> Chain:
    # Of a rule that nobody knows any more, nft's own words; it writes a number that is put into a mark with `|`.
    rules = (Rule(texts.get(rule.comment) or rule.text.replace(" | 0x", " ^ 0x"), rule.comment) for rule in chain.rules)
    return replace(chain, rules=tuple(rules))


def _meaning(
    ruleset: Ruleset | None,
    others: tuple[Sequence[OwnRule], Sequence[OwnRoute], Sequence[OwnAddress]],
    sysctls: Mapping[str, str],
    names: Names,
) -> Meaning:
    rules, routes, addresses = others
    odd: dict[Key, str] = {}
    routing = Routing(
        node="",
        internal_ips=(),
        rules=tuple(_fwmark_rules(rules, odd)),
        reply_rules=tuple(rule for own in rules if (rule := _reply_rule(own))),
        routes=tuple(_routes(routes, odd)),
        sysctls=tuple(Sysctl(name, value) for name, value in sorted(sysctls.items())),
    )
    plan = Addresses("", tuple(_addresses(addresses, odd)))
    if ruleset is None:
        found = meaning(Ruleset({}, {}, flushed=frozenset({""})), routing, plan, names)
    else:
        found = meaning(ruleset, routing, plan, names)
    return replace(found, facts={**found.facts, **odd})


def _fwmark_rules(rules: Iterable[OwnRule], odd: dict[Key, str]) -> Iterable[FwmarkRule]:
    for own in rules:
        if own.fwmask and not own.extra:
            yield FwmarkRule(own.family, own.priority, f"0x{own.fwmark:08x}", f"0x{own.fwmask:08x}", own.table)
        elif _reply_rule(own) is None:
            odd["ip-rule", f"ip {_OPTION[own.family]} rule", str(own)] = ""


def _reply_rule(own: OwnRule) -> ReplyRule | None:
    extra = dict(own.extra)
    if own.fwmask or extra.keys() != {"src", "src_len"}:
        return None
    return ReplyRule(own.family, own.priority, f"{extra['src']}/{extra['src_len']}", own.table)


def _routes(routes: Iterable[OwnRoute], odd: dict[Key, str]) -> Iterable[Route]:
    for own in routes:
        as_planned = (own.destination, own.onlink, own.extra) == (DEFAULT, own.device is not None, ())
        if as_planned and own.type == "unicast":
            yield Route(own.family, own.table, "unicast", own.gateway, own.device, own.metric)
        elif as_planned and own.type == "blackhole":
            yield Route(own.family, own.table, "blackhole", own.gateway, own.device, own.metric)
        else:
            odd["route", f"ip {_OPTION[own.family]} route", str(own)] = ""


def _addresses(addresses: Iterable[OwnAddress], odd: dict[Key, str]) -> Iterable[Address]:
    for own in addresses:
        if own.peer is None:
            # To whom it is announced and for which gateways it is, the kernel does not know.
            yield Address(
                own.address,
                own.device,
                announce=False,
                preferred_lifetime=own.preferred_lifetime,
                gateways=(),
                peers=(),
            )
        else:
            odd["address", f"ip {_OPTION[own.family]} address", f"{own} peer {own.peer}"] = ""


def _written(found: Difference, form: Form, paint: Callable[[Line], str]) -> str:
    if form == "json":
        return json_text(_output(found))
    return _markdown(found) if form == "markdown" else _text(found, paint)


def _text(found: Difference, paint: Callable[[Line], str]) -> str:
    if not found.steps:
        return "nothing to do\n"
    lines = (*_changes(found, _LINES), Line(" ", 0, "steps of an apply, in this order:"), *_steps(found, _LINES))
    return "".join(f"{paint(line)}\n" for line in lines)


def _markdown(found: Difference) -> str:
    if not found.steps:
        return f"Node `{found.node}`: nothing to do\n"
    most = _LINES
    while True:
        steps = folded("steps of an apply, in their order", coloured(_steps(found, most)))
        text = f"An apply changes this on node `{found.node}`:\n\n{coloured(_changes(found, most))}\n{steps}"
        if len(text.encode()) <= LARGEST or not most:
            return text
        most //= 2


def _output(found: Difference) -> LiveDiffOutput:
    changes = [change_json(change) for change in found.changes]
    return {"node": found.node, "changes": changes, "steps": list(found.steps)}


def _changes(found: Difference, most: int) -> Iterable[Line]:
    yield Line("~", 0, f"node {found.node}")
    lines = list(change_lines(found.changes))
    yield from lines[:most] or [Line(" ", 1, "the kernel holds what it should; the last apply did not come to its end")]
    if more := len(lines[most:]):
        yield Line(" ", 1, f"… and {more:,} more lines; --format json has all of it")


def _steps(found: Difference, most: int) -> Iterable[Line]:
    yield from (Line(" ", 1, step) for step in found.steps[:most])
    if more := len(found.steps[most:]):
        yield Line(" ", 1, f"… and {more:,} more; egressc apply --dry-run prints all of them")
