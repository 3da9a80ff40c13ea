"""What is known of a node, as frozen values: all that the checks are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from applier.model import Address, Route, Rule
from applier.probe import Answer, Target

EVERY_BIT = 0xFFFFFFFF
"""Mask of a mark that is compared or set as a whole."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the path of a packet something stands."""

    hook: str
    priority: int


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A base chain of somebody else.

    Attributes:
        where: Family, table and chain, for people.
        type: `filter`, `nat` or `route`.
        place: Its hook and priority.
        drops: Whether its policy is to drop.
        translates: Whether a rule of its table changes source addresses.
    """

    where: str
    type: str
    place: Place
    drops: bool = False
    translates: bool = False


@dataclass(frozen=True, slots=True)
class MarkUse:
    """What rules of somebody else do with a mark.

    Attributes:
        where: Family, table and chain, for people.
        mark: Which mark.
        writes: Whether it is set; else it is looked at.
        mask: Bits that are set or looked at.
        places: From which base chains the rule is reached.
        may_set: Bits that may be 1 afterwards; 0 for what only looks.
    """

    where: str
    mark: Literal["packet", "connection"]
    writes: bool
    mask: int
    places: frozenset[Place]
    may_set: int = 0


@dataclass(frozen=True, slots=True)
class Others:
    """The packet filters of others.

    Attributes:
        chains: Base chains.
        marks: Rules that have to do with marks.
        flowtables: Names of flowtables, for people.
        unreadable: What could not be read and why, as lines for people.
    """

    chains: tuple[BaseChain, ...] = ()
    marks: tuple[MarkUse, ...] = ()
    flowtables: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cilium:
    """How Cilium is set up here; None where the node does not tell.

    Attributes:
        host_routing: Whether pod traffic passes netfilter by.
        bpf_masquerade: Whether its BPF programs translate source addresses.
    """

    host_routing: bool | None
    bpf_masquerade: bool | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a node.

    Attributes:
        release: The kernel's release, as `uname -r` prints it.
        capabilities: Numbers of the capabilities in effect.
        libnftables: Why libnftables cannot be loaded; empty if it can.
        failed_features: Feature of nf_tables to what was said when it was tried; those that work are left out.
        sysctls: Kernel settings by name, in the slash form; None if the kernel has no such setting.
        sysctls_writable: Whether they can be written.
        rules: All `ip rule`s.
        routes: All routes.
        addresses: All addresses.
        devices: Names of interfaces.
        ways: Address to the interface by which the node would reach it; None if it has no route.
        others: The packet filters of others.
        processes: Names of running programs, cut to 15 letters as the kernel keeps them.
        networkd: Settings of the section `[Network]` of `networkd.conf`.
        unmanaged: Whether NetworkManager is told to leave interfaces alone.
        cni: Type of the plugin that connects pods; None without a configuration, empty if it could not be read.
        cilium: None if it is not here.
        answers: Who answers on the network for an address.
    """

    release: str
    capabilities: frozenset[int]
    libnftables: str = ""
    failed_features: Mapping[str, str] = field(default_factory=dict)
    sysctls: Mapping[str, str | None] = field(default_factory=dict)
    sysctls_writable: bool = True
    rules: tuple[Rule, ...] = ()
    routes: tuple[Route, ...] = ()
    addresses: tuple[Address, ...] = ()
    devices: tuple[str, ...] = ()
    ways: Mapping[str, str | None] = field(default_factory=dict)
    others: Others = field(default_factory=Others)
    processes: frozenset[str] = frozenset()
    networkd: Mapping[str, str] = field(default_factory=dict)
    unmanaged: bool = False
    cni: str | None = None
    cilium: Cilium | None = None
    answers: Mapping[Target, Answer] = field(default_factory=dict)
