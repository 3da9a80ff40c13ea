"""The sets and maps that a node's table must have: what each is, and its type and flags."""

from collections.abc import Mapping
from typing import Final

_SPECS: Final[Mapping[str, tuple[str, str]]] = {
    **{
        f"{name}{version}": (kind, spec.format(f"ipv{version}_addr"))
        for version in (4, 6)
        for name, kind, spec in (
            ("cluster", "set", "type {}; flags interval"),
            ("stray", "set", "type {}; flags interval"),
            ("nexthop", "set", "type mark . {}"),
            ("translated", "set", "type mark . {}"),
            ("owned", "set", "type {}"),
            ("source", "map", "type {} : verdict"),
        )
    },
    "masqueraded": ("set", "type mark . ifname"),
    "translation": ("map", "type mark : verdict"),
}
"""Every set and map of a node's table, save those of routes: what it is, and its type and flags."""

_REMOTE_SPECS: Final[Mapping[str, tuple[str, str]]] = {
    "remote4": ("map", "type ipv4_addr : classid"),
    "remote6": ("map", "type ipv6_addr : classid"),
    "remoteclass": ("map", "type classid : verdict"),
}
"""Those that nodes have besides which serve gateways."""


def specs(serves: bool) -> Mapping[str, tuple[str, str]]:
    """Returns every set and map that a node must have, which serves gateways or not, save those of routes."""
    return {**_SPECS, **_REMOTE_SPECS} if serves else _SPECS


def route_specs(number: str, *, among: bool) -> Mapping[str, tuple[str, str]]:
    """Returns the two maps of routes of a class of the node's own workloads, or of a bucket of classes of others.

    Args:
        number: The digits in the names of the maps.
        among: Whether it is a bucket.
    """
    name, key = ("remoteroute", "classid . ") if among else ("route", "")
    return {
        f"{name}{version}_{number}": ("map", f"type {key}ipv{version}_addr : verdict; flags interval")
        for version in (4, 6)
    }
