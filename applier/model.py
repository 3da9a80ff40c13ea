"""What the applier compares: the part of the kernel that is ours, and what it should be, in the same frozen values.

Both sides are of the same types, so that going back to what was found before is the same work as going forward.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bundle.model import FamilyName
from bundle.names import PROTOCOL
from bundle.ruleset import Ruleset

DEFAULT = "default"
"""Destination of a default route, of either family."""


_INVERTED = 2  # FIB_RULE_INVERT


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """One `ip rule`.

    Attributes:
        family: Address family.
        priority: Lower is asked first.
        fwmark: Value of the packet mark under `fwmask`.
        fwmask: Bits compared; 0 if the rule does not look at the mark.
        table: Routing table asked; 0 if the rule does something else.
        protocol: Who made it (`FRA_PROTOCOL`).
        extra: Whatever else the kernel says of the rule, by netlink name; always empty in a rule of ours that is as
            it should be, and needed to name exactly this rule when it is deleted.
    """

    family: FamilyName
    priority: int
    fwmark: int
    fwmask: int
    table: int
    protocol: int = PROTOCOL
    extra: tuple[tuple[str, str | int], ...] = ()

    @property
    def compares_mark(self) -> bool:
        """Returns whether it takes packets by their mark: turned round, a comparison holds for nearly every packet."""
        return self.fwmask != 0 and not int(dict(self.extra).get("flags", 0)) & _INVERTED

    def __str__(self) -> str:
        extra = "".join(f" {name} {value}" for name, value in self.extra)
        return (
            f"priority {self.priority} fwmark 0x{self.fwmark:08x}/0x{self.fwmask:08x}{extra} "
            f"lookup {self.table} protocol {self.protocol}"
        )


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    Attributes:
        family: Address family.
        table: Routing table.
        destination: `DEFAULT` or a prefix.
        type: iproute2's word for it: `unicast`, `blackhole`, …
        gateway: Next hop; None where there is none, or several.
        device: Interface; None where there is none, or where the kernel may choose.
        metric: Lower wins.
        protocol: Who made it (`rtm_protocol`).
        onlink: Whether the kernel takes the next hop for a neighbour without asking its other routes.
        extra: Whatever else tells the route from others, by pyroute2's name; always empty in a route that is as it
            should be, and needed to delete exactly this one.
    """

    family: FamilyName
    table: int
    destination: str
    type: str
    gateway: str | None
    device: str | None
    metric: int
    protocol: int = PROTOCOL
    onlink: bool = False
    extra: tuple[tuple[str, str | int], ...] = ()

    @property
    def key(self) -> tuple[str, int, str, int]:
        """Returns what the kernel tells routes apart by; two routes of one key replace each other."""
        return (self.family, self.table, self.destination, self.metric)

    def satisfies(self, wanted: "Route") -> bool:
        """Returns whether this route of the kernel is the wanted one, in the fields that were asked for."""
        return (
            (self.key, self.extra) == (wanted.key, wanted.extra)
            and (self.type, self.gateway, self.protocol) == (wanted.type, wanted.gateway, wanted.protocol)
            and wanted.device in (None, self.device)
            and self.onlink == wanted.onlink
        )

    def __str__(self) -> str:
        extra = "".join(f" {name} {value}" for name, value in self.extra)
        return self._text(f"{extra} table {self.table} metric {self.metric} proto {self.protocol}")

    def next_hop(self) -> str:
        """Returns the part that a replacement changes, for people."""
        return self._text("")

    def _text(self, end: str) -> str:
        kind = "" if self.type == "unicast" else f"{self.type} "
        via = f" via {self.gateway}" if self.gateway else ""
        device = f" dev {self.device}" if self.device else ""
        return f"{kind}{self.destination}{via}{device}{' onlink' if self.onlink else ''}{end}"


@dataclass(frozen=True, slots=True)
class Address:
    """One address on an interface.

    Attributes:
        address: With its prefix length.
        device: Interface.
        preferred_lifetime: Seconds; 0 is a deprecated address, None an unlimited one.
        protocol: Who made it (`IFA_PROTO`); 0 if nobody said so.
        peer: The other end's address on a point-to-point link; None where there is none, as always in ours.
    """

    address: str
    device: str
    preferred_lifetime: int | None
    protocol: int = PROTOCOL
    peer: str | None = None

    @property
    def family(self) -> FamilyName:
        """Returns the address family."""
        return "ipv6" if ":" in self.address else "ipv4"

    def satisfies(self, wanted: "Address") -> bool:
        """Returns whether this address of the kernel is the wanted one; a lifetime counts down and may be less."""
        if (self.address, self.device, self.protocol, self.peer) != (
            *(wanted.address, wanted.device, wanted.protocol, wanted.peer),
        ):
            return False
        if not self.preferred_lifetime or not wanted.preferred_lifetime:
            return self.preferred_lifetime == wanted.preferred_lifetime
        return self.preferred_lifetime <= wanted.preferred_lifetime

    def __str__(self) -> str:
        nodad = " nodad" if self.family == "ipv6" else ""
        lifetime = "" if self.preferred_lifetime is None else f" preferred_lft {self.preferred_lifetime}"
        return f"{self.address} dev {self.device}{nodad}{lifetime} proto {self.protocol}"


@dataclass(frozen=True, slots=True)
class Live:
    """What the kernel holds.

    Attributes:
        ruleset: Our nft table; None if there is none.
        rules: Our rules.
        routes: Our routes, of any table.
        addresses: Our addresses.
        sysctls: Every setting that the plan names or moves along with it; None if the kernel has no such setting.
        foreign_rules: Rules of others at our priorities.
        catching_rules: Rules of others that would take packets with a mark of ours before our rules do.
        foreign_routes: Routes of others in the planned tables.
        foreign_addresses: Planned virtual IPs that are here and not ours.
        devices: Interfaces.
        release: The kernel's release, as `uname -r` prints it; empty if nobody asked.
        ways: Virtual IP that names no interface to the interface of the node's own route to it; None if it has none.
        unsettled: Whether the last apply did not come to its end; the marker of that is not in `ruleset`.
        ipv6: Whether the node has IPv6.
        foreign_chains: NAT chains of others at a hook and priority of ours, as lines for people.
    """

    ruleset: Ruleset | None
    rules: tuple[Rule, ...]
    routes: tuple[Route, ...]
    addresses: tuple[Address, ...]
    sysctls: Mapping[str, str | None]
    foreign_rules: tuple[Rule, ...] = ()
    catching_rules: tuple[Rule, ...] = ()
    foreign_routes: tuple[Route, ...] = ()
    foreign_addresses: tuple[Address, ...] = ()
    devices: tuple[str, ...] = ()
    release: str = ""
    ways: Mapping[str, str | None] = field(default_factory=dict)
    unsettled: bool = False
    ipv6: bool = True
    foreign_chains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the kernel should hold of ours.

    Attributes:
        ruleset: Our nft table; None if there should be none.
        ruleset_text: nft text that makes the table where there is none; None to make it from `ruleset`.
        rules: Our rules.
        routes: Our routes.
        addresses: Our addresses.
        sysctls: Settings to hold; all others are not looked at.
        announced: Which of `addresses` neighbours are told of when they are new here.
    """

    ruleset: Ruleset | None
    ruleset_text: str | None
    rules: tuple[Rule, ...]
    routes: tuple[Route, ...]
    addresses: tuple[Address, ...]
    sysctls: Mapping[str, str]
    announced: tuple[str, ...] = ()
