"""Two values of our table to the nft text that turns one into the other in place, in one transaction. Pure.

The table and base chains that stay are never deleted, since a packet can pass the old base chain after the switch
and the new one before it, and so leave without having met either (measured). What is equal is not touched.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bundle.names import ELEMENTS_AT_ONCE, TABLE_FAMILY, TABLE_NAME
from bundle.ruleset import Chain, Rule, Ruleset, Set

TABLE = f"{TABLE_FAMILY} {TABLE_NAME}"
"""How nft names our table."""

UNSETTLED = "unsettled"
"""A set that stands in our table from the first step of an apply to its last: who finds it has to finish the work."""

SOURCES = ("source4", "source6", "remote4", "remote6")
"""The maps of workloads' addresses: of the node's own to the chain of their class, of others' to its number."""

_REMOTE = "remoteroute"
"""The chain in which packets of other nodes' workloads are decided, of whatever class."""

BEGIN = f"add set {TABLE} {UNSETTLED} {{ type mark; }}\n"
END = f"delete set {TABLE} {UNSETTLED}\n"

ALTERED = "!"
"""Stands before the comment of a rule that has the digest of ours and is printed otherwise than ours was."""

_EMPTY = Ruleset({}, {})
_DIGEST = re.compile(r"[0-9a-f]{12}")
_POLICY = re.compile(r"; policy (\w+)$")
_ELEMENT_EXTRAS = re.compile(r" (?:comment|timeout|expires|counter|quota|limit)\b.*", re.DOTALL)
_MARK_SET = re.compile(r"\bmeta mark set .*[|^] (0x[0-9a-f]+)$")  # written with ^, listed with |
_TARGET = re.compile(r"\b(?:goto|jump) (\S+)")


def script(wanted: Ruleset, live: Ruleset | None) -> str:
    """Returns nft text that makes our table from `live` to `wanted`; empty if nothing differs.

    Args:
        wanted: From a bundle, or from a listing when an apply is undone.
        live: From a listing; None if there is no table.
    """
    lines = [f"add table {TABLE}"] if live is None else []
    lines.extend(_lines(wanted, live or _EMPTY))
    return "".join(f"{line}\n" for line in lines)


def quarantine(wanted: Ruleset, live: Ruleset) -> tuple[str, Ruleset]:
    """Takes away the ways into chains that set a mark which another chain sets afterwards.

    A packet that was marked under the old meaning of a number and is looked at under the new one would get another
    gateway's source address. With the ways in gone, new packets miss, and a miss drops.

    Returns:
        nft text, empty if no number changes hands; and what the table holds after it.
    """
    numbers = _numbers(wanted)
    movers = {chain for number, chain in _numbers(live).items() if numbers.get(number, chain) != chain}
    lines: list[str] = []
    sets = dict(live.sets)
    for name, item in sorted(live.sets.items()):
        gone = sorted(key for key, value in item.elements.items() if _target(value) in movers)
        if gone:
            lines.extend(_delete_elements(item, gone))
            rest = {key: value for key, value in item.elements.items() if _target(value) not in movers}
            sets[name] = replace(item, elements=rest)
    return "".join(f"{line}\n" for line in lines), replace(live, sets=sets)


def prepare(wanted: Ruleset, live: Ruleset) -> tuple[str, Ruleset]:
    """Fills the sets and maps that are new, before there are rules that ask them.

    Of a map that comes in the transaction of its rules, packets see the rules first: while the kernel works through the
    elements of all, which it may do for a tenth of a second, they miss, and are dropped (measured, Linux 6.18).

    Returns:
        nft text, empty if there is nothing to fill; and what the table holds after it.
    """
    hooked = {name for name, chain in live.chains.items() if chain.hook}
    new = {name: item for name, item in wanted.sets.items() if item.elements and name not in live.sets}
    targets = {name: {_target(value) for value in set(item.elements.values())} - {None} for name, item in new.items()}
    # One that leads to what is no chain for it yet has to wait for the rules.
    filled = {name: item for name, item in new.items() if hooked.isdisjoint(targets[name])}
    if not filled:
        return "", live
    empty = {target: Chain(target) for name in filled for target in targets[name] if target is not None}
    ready = replace(live, chains={**empty, **live.chains}, sets={**live.sets, **filled})
    lines = _lines(replace(ready, others=()), replace(live, others=()))
    return "".join(f"{line}\n" for line in lines), ready


def unmask(ruleset: Ruleset, texts: Mapping[str, str]) -> Ruleset:
    """Returns the ruleset with the comments of forged rules marked, so that they are not taken for ours.

    Args:
        ruleset: From the kernel.
        texts: Comment to how nft printed the rule when we wrote it; rules that are not in it are believed.
    """
    chains = dict(ruleset.chains)
    for name, chain in chains.items():
        if any(texts.get(rule.comment, rule.text) != rule.text for rule in chain.rules):
            rules = tuple(
                Rule(rule.text, ALTERED + rule.comment) if texts.get(rule.comment, rule.text) != rule.text else rule
                for rule in chain.rules
            )
            chains[name] = replace(chain, rules=rules)
    return replace(ruleset, chains=chains)


def standstill(live: Ruleset) -> str:
    """Returns nft text that makes every workload's class drop; empty if there is none."""
    verdicts = {value for name in SOURCES if name in live.sets for value in live.sets[name].elements.values()}
    chains = {chain for verdict in verdicts if (chain := _target(verdict))} | {_REMOTE} & live.chains.keys()
    return "".join(f"flush chain {TABLE} {name}\nadd rule {TABLE} {name} counter drop\n" for name in sorted(chains))


@dataclass(frozen=True, slots=True)
class _Plan:
    """Names by what becomes of them; `anew` are those that nft cannot change where they stand."""

    sets_anew: frozenset[str]
    sets_kept: frozenset[str]
    chains_anew: frozenset[str]
    filled: tuple[str, ...]
    """Chains whose rules are written, all of them."""


def _lines(wanted: Ruleset, live: Ruleset) -> Iterator[str]:
    plan = _plan(wanted, live)
    if any(kind == "attribute" and text.startswith("flags ") for kind, text in live.others):
        yield f"add table {TABLE}"  # clears `dormant`, under which no base chain sees a packet
    # Chains before sets: nft 1.0.6 sends the elements of a new interval map along with the map, wherever they stand.
    yield from (_declare_chain(wanted.chains[name]) for name in sorted(wanted.chains.keys() - live.chains.keys()))
    yield from (_declare_set(wanted.sets[name]) for name in sorted(wanted.sets.keys() - live.sets.keys()))
    for name in sorted(wanted.chains.keys() & live.chains.keys() - plan.chains_anew):
        if _hook(wanted.chains[name]) != _hook(live.chains[name]):
            yield _declare_chain(wanted.chains[name])  # only the policy differs, which nft takes in place
    yield from _clear(plan, wanted, live)
    yield from (_declare_chain(wanted.chains[name]) for name in sorted(plan.chains_anew))
    yield from (_declare_set(wanted.sets[name]) for name in sorted(plan.sets_anew))
    for name, item in sorted(wanted.sets.items()):
        before = live.sets[name].elements if name in plan.sets_kept else {}
        yield from _add_elements(item, before, plan.chains_anew)
    for name in plan.filled:
        yield from (f"add rule {TABLE} {name} {_rule(rule)}" for rule in wanted.chains[name].rules)


def _clear(plan: _Plan, wanted: Ruleset, live: Ruleset) -> Iterator[str]:
    """Returns what takes away: what refers goes before what it refers to, so rules, elements, sets, chains, objects."""
    old_sets = sorted(live.sets.keys() - plan.sets_kept)
    old_chains = sorted((live.chains.keys() - wanted.chains.keys()) | plan.chains_anew)
    for name in sorted({*plan.filled, *old_chains} & live.chains.keys()):
        if live.chains[name].rules:
            yield f"flush chain {TABLE} {name}"
    for name in sorted(plan.sets_kept):
        if gone := _surplus(live.sets[name].elements, wanted.sets[name].elements, plan.chains_anew):
            yield from _delete_elements(live.sets[name], gone)
    for name in old_sets:
        yield f"flush {live.sets[name].kind} {TABLE} {name}"
        yield f"delete {live.sets[name].kind} {TABLE} {name}"
    yield from (f"delete chain {TABLE} {name}" for name in old_chains)
    for kind, name in live.others:
        if kind == "ct":  # listed as `ct helper NAME`
            what, _, bare = name.partition(" ")
            yield f"delete ct {what} {TABLE} {bare}"
        elif kind != "attribute":
            yield f"delete {kind} {TABLE} {name}"


def _plan(wanted: Ruleset, live: Ruleset) -> _Plan:
    sets_anew = frozenset(
        name
        for name in wanted.sets.keys() & live.sets.keys()
        if (wanted.sets[name].kind, wanted.sets[name].spec) != (live.sets[name].kind, live.sets[name].spec)
    )
    chains_anew = frozenset(
        name
        for name in wanted.chains.keys() & live.chains.keys()
        if _POLICY.sub("", _hook(wanted.chains[name])) != _POLICY.sub("", _hook(live.chains[name]))
    )

    anything_anew = bool(sets_anew or chains_anew)

    def differs(name: str) -> bool:
        before = live.chains.get(name, Chain(name))
        return (
            name in chains_anew
            or [_identity(rule) for rule in before.rules] != [_identity(rule) for rule in wanted.chains[name].rules]
            or (anything_anew and any(_refers(rule, sets_anew, chains_anew) for rule in before.rules))
        )

    return _Plan(
        sets_anew=sets_anew,
        sets_kept=frozenset(wanted.sets.keys() & live.sets.keys() - sets_anew),
        chains_anew=chains_anew,
        filled=tuple(name for name in sorted(wanted.chains) if differs(name)),
    )


def _hook(chain: Chain) -> str:
    if not chain.hook or _POLICY.search(chain.hook):
        return chain.hook
    return f"{chain.hook}; policy accept"  # nft lists the default that the writer left out


def _identity(rule: Rule) -> tuple[str, str]:
    # A comment that is a digest stands for the text, which nft prints in words of its own. Any other rule is not ours.
    return (rule.comment, "") if _DIGEST.fullmatch(rule.comment) else (rule.comment, rule.text)


def _refers(rule: Rule, sets: frozenset[str], chains: frozenset[str]) -> bool:
    return any(re.search(rf"@{re.escape(name)}(?!\w)", rule.text) for name in sets) or any(
        target.rstrip(",") in chains for target in _TARGET.findall(rule.text)
    )


def _target(verdict: str | None) -> str | None:
    match = _TARGET.fullmatch(verdict or "")
    return match[1] if match else None


def _numbers(ruleset: Ruleset) -> dict[int, str]:
    return {
        int(match[1], 16): name
        for name, chain in ruleset.chains.items()
        if name.startswith(("to_", "gateway_"))
        for rule in chain.rules
        if (match := _MARK_SET.search(rule.text))
    }


def _surplus(
    elements: Mapping[str, str | None], others: Mapping[str, str | None], chains_anew: frozenset[str]
) -> list[str]:
    """Returns the keys that `others` lacks or gives another value, or whose value names a chain made anew."""
    missing = object()
    return [
        key
        for key, value in elements.items()
        if others.get(key, missing) != value or (chains_anew and _target(value) in chains_anew)
    ]


def _declare_set(item: Set) -> str:
    return f"add {item.kind} {TABLE} {item.name} {{ {item.spec}; }}"


def _declare_chain(chain: Chain) -> str:
    hook = _hook(chain)
    return f"add chain {TABLE} {chain.name}" + (f" {{ {hook}; }}" if hook else "")


def _delete_elements(item: Set, keys: Iterable[str]) -> Iterator[str]:
    # nft takes the bare key: a comment that somebody put on an element is not part of it. The
    # kernel lists elements in the order of its hash; sorted, a dry run says the same each time.
    bare = sorted(_ELEMENT_EXTRAS.sub("", key) for key in keys)
    yield from (f"delete element {TABLE} {item.name} {{ {', '.join(part)} }}" for part in _parts(item, bare))


def _add_elements(item: Set, before: Mapping[str, str | None], chains_anew: frozenset[str]) -> Iterator[str]:
    texts = [
        key if item.elements[key] is None else f"{key} : {item.elements[key]}"
        for key in _surplus(item.elements, before, chains_anew)
    ]
    yield from (f"add element {TABLE} {item.name} {{ {', '.join(part)} }}" for part in _parts(item, texts))


def _parts(item: Set, texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Returns elements in as many parts as there are commands for them; none if there are no elements."""
    kind, _, flags = item.spec.partition("; ")
    size = ELEMENTS_AT_ONCE if flags and " . " in kind else len(texts)
    return (texts[start : start + size] for start in range(0, len(texts), size or 1))


def _rule(rule: Rule) -> str:
    comment = rule.comment.removeprefix(ALTERED)
    return f'{rule.text} comment "{comment}"' if comment else rule.text
