"""The steps of an apply as frozen values; `lines` of a step is what both a dry run and an apply print for it."""

from collections.abc import Iterator
from dataclasses import dataclass

from applier.model import Address, Route, Rule
from bundle.model import FamilyName

_OPTION: dict[FamilyName, str] = {"ipv4": "-4", "ipv6": "-6"}


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """Writes one kernel setting."""

    name: str
    value: str
    before: str | None

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        yield f"sysctl {self.name} = {self.value} (was {self.before})"


@dataclass(frozen=True, slots=True)
class AddRule:
    """Adds an `ip rule`."""

    rule: Rule

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        yield f"ip {_OPTION[self.rule.family]} rule add {self.rule}"


@dataclass(frozen=True, slots=True)
class DeleteRule:
    """Deletes an `ip rule`."""

    rule: Rule

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        yield f"ip {_OPTION[self.rule.family]} rule delete {self.rule}"


@dataclass(frozen=True, slots=True)
class AddRoute:
    """Adds a route where there is none of its key."""

    route: Route

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        yield f"ip {_OPTION[self.route.family]} route add {self.route}"


@dataclass(frozen=True, slots=True)
class ReplaceRoute:
    """Puts a route in the place of another of the same key, without a moment in between."""

    route: Route
    before: Route

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        yield f"ip {_OPTION[self.route.family]} route replace {self.route} (was {self.before.next_hop()})"


@dataclass(frozen=True, slots=True)
class DeleteRoute:
    """Deletes a route."""

    route: Route

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        yield f"ip {_OPTION[self.route.family]} route delete {self.route}"


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Adds an address to an interface."""

    address: Address

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        yield f"ip {_OPTION[self.address.family]} address add {self.address}"


@dataclass(frozen=True, slots=True)
class ReplaceAddress:
    """Gives an address that stays another lifetime."""

    address: Address

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        yield f"ip {_OPTION[self.address.family]} address replace {self.address}"


@dataclass(frozen=True, slots=True)
class DeleteAddress:
    """Deletes an address from an interface."""

    address: Address

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        yield f"ip {_OPTION[self.address.family]} address delete {self.address}"


@dataclass(frozen=True, slots=True)
class RunNft:
    """Runs nft text as one transaction."""

    script: str

    def lines(self) -> Iterator[str]:
        """Returns the step for people: the nft text, without its comments and empty lines."""
        for line in self.script.splitlines():
            if line.strip() and not line.startswith("#"):
                yield f"nft {line.expandtabs(2)}"


@dataclass(frozen=True, slots=True)
class Wait:
    """Lets packets leave that were marked under rules just taken away."""

    seconds: float

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        yield f"wait {self.seconds} s for packets that carry a mark about to get another meaning"


@dataclass(frozen=True, slots=True)
class Announce:
    """Tells the neighbours where an address is now."""

    address: str
    device: str

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        yield f"announce {self.address} on {self.device}"


@dataclass(frozen=True, slots=True)
class Settle:
    """Makes connection tracking forget the connections that are bound otherwise than the rules now bind them.

    Attributes:
        sources: Addresses of the workloads whose connections to look at; None looks at all.
    """

    sources: frozenset[str] | None

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        whose = "" if self.sources is None else f" from {', '.join(sorted(self.sources)) or 'nobody'}"
        yield f"conntrack delete what the rules now bind otherwise{whose}"


@dataclass(frozen=True, slots=True)
class Forget:
    """Makes connection tracking forget all connections that our rules have bound, which have this bit in their mark."""

    bit: int

    def lines(self) -> Iterator[str]:
        """Returns the step for people."""
        yield f"conntrack delete -m 0x{self.bit:08x}/0x{self.bit:08x}"


Change = (
    SetSysctl
    | AddRule
    | DeleteRule
    | AddRoute
    | ReplaceRoute
    | DeleteRoute
    | AddAddress
    | ReplaceAddress
    | DeleteAddress
    | RunNft
    | Wait
    | Announce
    | Settle
    | Forget
)
