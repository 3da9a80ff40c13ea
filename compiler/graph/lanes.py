"""Lanes: the gateways of a drawing, several in one lane where there are many.

In: the account of a bundle. Out: lanes in the order in which they are drawn. Gateways without a master are never in one
lane with others, so that what is dropped stays to be seen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bundle.model import GatewayReport
from compiler.account import Account

MOST_APART: Final = 8
"""Gateways that have a lane each; more are put together by mode and nodes."""

MOST_LANES: Final = 12
"""Lanes of gateways that are put together; the least used of more are one lane."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Gateways that are drawn as one.

    Attributes:
        gateways: In order of their names.
        missing: Names of gateways that policies name and the bundle does not have.
        policies: Names of the policies of all of them, in order of precedence.
    """

    gateways: tuple[GatewayReport, ...]
    missing: tuple[str, ...]
    policies: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all its gateways."""
        return (*(item.name for item in self.gateways), *self.missing)

    @property
    def dropped(self) -> bool:
        """Whether none of its gateways has a master: all have one, or none."""
        return not any(item.active_node_name for item in self.gateways)


def lanes_of(account: Account) -> tuple[Lane, ...]:
    """Returns the lanes, those whose traffic is dropped last."""
    gateways = account.gateways.gateways
    known = {item.name for item in gateways}
    missing = sorted({item.gateway for item in account.policies.policies} - known)
    groups: dict[object, list[GatewayReport]] = {}
    for gateway in gateways:
        groups.setdefault(gateway.name if len(gateways) <= MOST_APART else _alike(gateway), []).append(gateway)
    if len(groups) > MOST_LANES:
        groups = _without_least_used(groups)
    lanes = [_lane(account, group, ()) for group in groups.values()]
    if missing:
        lanes.append(_lane(account, (), missing))
    return tuple(sorted(lanes, key=lambda lane: (lane.dropped, lane.names)))


def _alike(gateway: GatewayReport) -> object:
    members = (gateway.active_node_name, *gateway.standby_node_names)
    return gateway.active_node_name is None, gateway.mode, tuple(sorted(filter(None, members)))


def _without_least_used(groups: dict[object, list[GatewayReport]]) -> dict[object, list[GatewayReport]]:
    """Puts all groups but the most used together: those with a master, and those without."""
    ranked = sorted(groups.items(), key=lambda entry: (-sum(len(g.policies) for g in entry[1]), entry[1][0].name))
    kept = dict(ranked[: MOST_LANES - 2])
    for _, group in ranked[MOST_LANES - 2 :]:
        for gateway in group:
            kept.setdefault(("rest", gateway.active_node_name is None), []).append(gateway)
    return {key: sorted(group, key=lambda item: item.name) for key, group in kept.items()}


def _lane(account: Account, gateways: Sequence[GatewayReport], missing: Iterable[str]) -> Lane:
    missing = tuple(missing)
    names = {*(item.name for item in gateways), *missing}
    policies = tuple(item.name for item in account.policies.policies if item.gateway in names)
    return Lane(tuple(gateways), missing, policies)
