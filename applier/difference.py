"""What is wanted and what is live to the steps between them, in the order in which they are safe. Pure.

What the new rules need comes first and is invisible to traffic until the one nft transaction that commits; what only
the old rules needed goes after it. What is equal is not touched.
"""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

from applier.change import (
    AddAddress,
    AddRoute,
    AddRule,
    Announce,
    Change,
    DeleteAddress,
    DeleteRoute,
    DeleteRule,
    Forget,
    ReplaceAddress,
    ReplaceRoute,
    RunNft,
    SetSysctl,
    Settle,
    Wait,
)
from applier.decision import bound_bit
from applier.model import Address, Live, Route, Wanted
from applier.script import BEGIN, END, SOURCES, TABLE, prepare, quarantine, script, standstill
from bundle.ruleset import Ruleset, Set

_QUARANTINE = 0.1  # seconds; a packet crosses the stack in well under a millisecond, unless it is queued


def difference(wanted: Wanted, live: Live) -> tuple[Change, ...]:
    """Returns the steps from `live` to `wanted`; empty if nothing differs and the last apply came to its end."""
    if wanted.ruleset is None and live.ruleset is not None:
        return (*_taking_away(live.ruleset), *difference(wanted, replace(live, ruleset=None, unsettled=False)))
    first, commit = _nft(wanted, live)
    addresses_before, announcements, addresses_after = _addresses(wanted, live)
    routes_before, routes_after = _routes(wanted, live)
    sysctls = tuple(_sysctls(wanted, live))
    steps = (
        *first,
        *(setting for setting in sysctls if not _opens(setting)),
        *addresses_before,
        *routes_before,
        *(AddRule(rule) for rule in sorted(set(wanted.rules) - set(live.rules))),
        *commit,
        *(setting for setting in sysctls if _opens(setting)),
        *announcements,
        *(DeleteRule(rule) for rule in sorted(set(live.rules) - set(wanted.rules))),
        *routes_after,
        *addresses_after,
    )
    concerned = _concerned(wanted, live)
    settle = () if concerned == frozenset() else (Settle(concerned),)
    if not settle and not announcements:
        return steps
    # Announcements and forgotten connections leave no trace in the kernel, so a marker says that they are still due.
    begun = live.unsettled or live.ruleset is None
    return (
        *(() if begun else (RunNft(BEGIN),)),
        *steps,
        *settle,
        RunNft(END),
    )


def _taking_away(live: Ruleset) -> Iterator[Change]:
    """Returns the steps that end all decisions; a connection that was bound by them must not outlive them."""
    if stop := standstill(live):
        yield RunNft(stop)
    if bit := bound_bit(live):
        yield Forget(bit)
    yield RunNft(f"delete table {TABLE}\n")


def _concerned(wanted: Wanted, live: Live) -> frozenset[str] | None:
    """Returns the workloads' addresses of which alone something is decided anew; None if it may be any."""
    old, new = live.ruleset, wanted.ruleset
    if new is None:
        return frozenset()
    if old is None or live.unsettled:
        return None
    if script(replace(new, sets=_but_sources(new)), replace(old, sets=_but_sources(old))):
        return None
    if set(wanted.addresses) != set(live.addresses):
        return None
    pairs = [(old.sets[name].elements, new.sets[name].elements) for name in SOURCES if name in old.sets]
    keys = frozenset(key for one, other in pairs for key, _ in one.items() ^ other.items())
    # A key may be somebody's own, which is no address.
    return keys if all(map(_is_address, keys)) else None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _but_sources(ruleset: Ruleset) -> dict[str, Set]:
    return {name: replace(item, elements={}) if name in SOURCES else item for name, item in ruleset.sets.items()}


def _nft(wanted: Wanted, live: Live) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """Returns what comes before everything else, and the commit."""
    if wanted.ruleset is None:
        return (), ()
    if live.ruleset is None:
        return (), (RunNft((wanted.ruleset_text or script(wanted.ruleset, None)) + BEGIN),)
    cut, rest = quarantine(wanted.ruleset, live.ruleset)
    first: tuple[Change, ...] = (RunNft(cut), Wait(_QUARANTINE)) if cut else ()
    fill, ready = prepare(wanted.ruleset, rest)
    text = script(wanted.ruleset, ready)
    return (*first, *((RunNft(fill),) if fill else ())), (RunNft(text),) if text else ()


def _sysctls(wanted: Wanted, live: Live) -> Iterator[SetSysctl]:
    for name, value in wanted.sysctls.items():
        if live.sysctls.get(name) != value:
            yield SetSysctl(name, value, live.sysctls.get(name))


def _opens(setting: SetSysctl) -> bool:
    # A node that forwards before it has its rules would let a workload's packet out as it came.
    return setting.value != "0" and setting.name.endswith(("/ip_forward", "/forwarding"))


def _addresses(wanted: Wanted, live: Live) -> tuple[tuple[Change, ...], tuple[Change, ...], tuple[Change, ...]]:
    """Returns what comes before the commit, right after it, and last.

    An address may be there before the rules that translate to it, but the neighbours are told only when these are: so
    no packet comes for a virtual IP that nobody can take back to its workload.
    """
    places = {(own.address, own.device): own for own in live.addresses}
    before: list[Change] = []
    announcements: list[Change] = []
    for address in sorted(wanted.addresses, key=_place):
        own = places.pop(_place(address), None)
        if own is None:
            before.append(AddAddress(address))
        elif not own.satisfies(address):
            before.append(ReplaceAddress(address))
        # One that is here since an apply that did not come to its end may never have been told of.
        if address.address in wanted.announced and (own is None or live.unsettled or live.ruleset is None):
            announcements.append(Announce(address.address.partition("/")[0], address.device))
    after = (DeleteAddress(places[place]) for place in sorted(places))
    return tuple(before), tuple(announcements), tuple(after)


def _place(address: Address) -> tuple[str, str]:
    return (address.address, address.device)


def _routes(wanted: Wanted, live: Live) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """Returns what comes before the commit and what comes after it."""
    rest = list(live.routes)
    unmet: list[Route] = []
    # The blackhole first, so that a table that is half made drops.
    for route in sorted(wanted.routes, key=lambda route: (route.family, route.table, -route.metric)):
        found = next((own for own in rest if own.satisfies(route)), None)
        if found is None:
            unmet.append(route)
        else:
            rest.remove(found)
    before: list[Change] = []
    for route in unmet:
        # Replaced and not deleted and added, between which the table would have only its blackhole.
        found = next((own for own in rest if own.key == route.key), None)
        if found is None:
            before.append(AddRoute(route))
        else:
            rest.remove(found)
            before.append(ReplaceRoute(route, found))
    rest.sort(key=lambda route: (*route.key, str(route)))
    return tuple(before), tuple(DeleteRoute(route) for route in rest)
