"""Netlink messages to the applier's values and back. Pure; pyroute2's words stop here."""

import errno
from collections.abc import Callable, Mapping
from socket import AF_INET, AF_INET6
from typing import Any

from applier.model import DEFAULT, Address, Route, Rule
from bundle.model import FamilyName

ABSENT = frozenset({errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV})
"""What the kernel says when something to be deleted is not there."""

UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.EACCES})
"""What the kernel says when it has no route: none at all, unreachable, blackhole, prohibit."""

CLONED = 0x200
"""RTM_F_CLONED: the kernel's own note on a destination, such as a path MTU, under the name of the route it used."""

_FAMILIES: dict[FamilyName, int] = {"ipv4": AF_INET, "ipv6": AF_INET6}
_NAMES: dict[int, FamilyName] = {number: name for name, number in _FAMILIES.items()}
_TYPES = {1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole", 7: "unreachable"}
_TYPES |= {8: "prohibit", 9: "throw"}
_NUMBERS = {name: number for number, name in _TYPES.items()}
_ONLINK = 0x4  # RTNH_F_ONLINK
_TO_TABLE = 1  # FR_ACT_TO_TBL
_NODAD = 0x02  # IFA_F_NODAD: the address answers at once, and its former holder may still have it
_DEPRECATED = 0x20  # IFA_F_DEPRECATED: the only sign of it in IPv4, whose listing says "forever" all the same
_FOREVER = 0xFFFFFFFF
_PLAIN = {
    "FRA_TABLE": None,
    "FRA_PRIORITY": None,
    "FRA_FWMARK": None,
    "FRA_FWMASK": None,
    "FRA_PROTOCOL": None,
    "FRA_SUPPRESS_PREFIXLEN": _FOREVER,  # what the kernel lists when nobody asked for it
}

Message = Mapping[str, Any]
"""A message as pyroute2 gives it: header fields by name, attributes as pairs under `attrs`."""


def rule(message: Message) -> Rule:
    """Reads a rule; all that is not in every rule of ours goes to `extra`."""
    attributes: dict[str, Any] = dict(message["attrs"])
    extra = [
        (name.removeprefix("FRA_").lower(), value)
        for name, value in attributes.items()
        if isinstance(value, str | int) and (name not in _PLAIN or _PLAIN[name] not in (None, value))
    ]
    extra += [(name, message[name]) for name in ("src_len", "dst_len", "tos", "flags") if message[name]]
    extra += [("action", message["action"])] if message["action"] != _TO_TABLE else []
    return Rule(
        family=_NAMES[message["family"]],
        priority=attributes.get("FRA_PRIORITY", 0),
        fwmark=attributes.get("FRA_FWMARK", 0),
        fwmask=attributes.get("FRA_FWMASK", 0),
        table=attributes.get("FRA_TABLE") or message["table"],
        protocol=attributes.get("FRA_PROTOCOL", 0),
        extra=tuple(sorted(extra)),
    )


def of_rule(value: Rule) -> dict[str, str | int]:
    """Returns the keywords by which pyroute2 adds or deletes exactly this rule."""
    marks = {"fwmark": value.fwmark, "fwmask": value.fwmask} if value.fwmask else {}
    return {
        "family": _FAMILIES[value.family],
        "priority": value.priority,
        "table": value.table,
        "protocol": value.protocol,
        **marks,
        **dict(value.extra),
    }


def route(message: Message, names: Mapping[int, str]) -> Route:
    """Reads a route.

    Args:
        message: RTM_NEWROUTE.
        names: Interface number to name.
    """
    attributes: dict[str, Any] = dict(message["attrs"])
    kind = _TYPES.get(message["type"], str(message["type"]))
    destination = attributes.get("RTA_DST")
    # IPv6 lists `lo` as the interface of a blackhole, which nobody gave.
    device = names.get(attributes.get("RTA_OIF", 0)) if kind != "blackhole" else None
    return Route(
        family=_NAMES[message["family"]],
        table=attributes.get("RTA_TABLE") or message["table"],
        destination=f"{destination}/{message['dst_len']}" if destination else DEFAULT,
        type=kind,
        gateway=attributes.get("RTA_GATEWAY"),
        device=device,
        metric=attributes.get("RTA_PRIORITY", 0),
        protocol=message["proto"],
        onlink=bool(message["flags"] & _ONLINK),
        extra=(
            *((("scope", message["scope"]),) if message["scope"] else ()),
            *((("tos", message["tos"]),) if message["tos"] else ()),
            *((("src", f"{attributes['RTA_SRC']}/{message['src_len']}"),) if "RTA_SRC" in attributes else ()),
        ),
    )


def of_route(value: Route, index: Callable[[str], int]) -> dict[str, str | int]:
    """Returns the keywords by which pyroute2 adds or deletes exactly this route.

    Args:
        value: The route.
        index: Interface name to number.
    """
    return {
        "family": _FAMILIES[value.family],
        "table": value.table,
        "dst": value.destination,
        "type": _NUMBERS[value.type],
        "proto": value.protocol,
        "priority": value.metric,
        **({"gateway": value.gateway} if value.gateway else {}),
        **({"oif": index(value.device)} if value.device else {}),
        **({"flags": _ONLINK} if value.onlink else {}),
        **dict(value.extra),
    }


def address(message: Message, names: Mapping[int, str]) -> Address:
    """Reads an address; arguments as for `route`."""
    attributes: dict[str, Any] = dict(message["attrs"])
    flags = attributes.get("IFA_FLAGS") or message["flags"]
    preferred = attributes.get("IFA_CACHEINFO", {}).get("ifa_preferred", _FOREVER)
    lifetime = 0 if flags & _DEPRECATED else None if preferred == _FOREVER else preferred
    # On a point-to-point link IFA_ADDRESS is the other end.
    end = attributes.get("IFA_ADDRESS")
    own = attributes.get("IFA_LOCAL", end)
    return Address(
        address=f"{own}/{message['prefixlen']}",
        device=names.get(message["index"], f"#{message['index']}"),
        preferred_lifetime=lifetime,
        protocol=attributes.get("IFA_PROTO", 0),
        peer=end if end != own else None,
    )


def of_address(value: Address, index: Callable[[str], int]) -> dict[str, str | int]:
    """Returns the keywords by which pyroute2 adds or deletes this address; arguments as for `of_route`."""
    own, _, length = value.address.partition("/")
    preferred = _FOREVER if value.preferred_lifetime is None else value.preferred_lifetime
    return {
        "family": _FAMILIES[value.family],
        "index": index(value.device),
        "address": value.peer or own,
        **({"local": own} if value.peer else {}),
        "prefixlen": int(length),
        "proto": value.protocol,
        "preferred_lft": preferred,
        "valid_lft": _FOREVER,
        **({"flags": _NODAD} if value.family == "ipv6" else {}),
    }
