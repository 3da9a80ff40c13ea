"""The rules that do not vary: every chain that rules, and not map elements, lead to.

Their meaning does not depend on what the sets hold, only on what they look up there. So a small table with one element
of each sort stands for every node's, and all sorts of packets are sent through the rules: each must be marked,
translated, let out or dropped just as `_Promise` says, which is the contract of the data path in plain words.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import ip_address
from typing import Final

from bundle import names
from bundle.ruleset import Chain, Rule, Ruleset, Set, format_classid
from compiler.evaluate import EvaluationError, Evaluator, Packet, Result
from compiler.model import Address, Family
from compiler.verify.specs import route_specs, specs

Skeleton = tuple[Chain, ...]

HOOKS: Final = (
    f"type filter hook prerouting priority {names.PRIORITY_DECIDE}; policy accept",
    f"type route hook output priority {names.PRIORITY_ERRORS}; policy accept",
    f"type nat hook postrouting priority {names.PRIORITY_TRANSLATE}; policy accept",
    f"type filter hook postrouting priority {names.PRIORITY_GUARD}; policy accept",
)
ANSWER_HOOK: Final = f"type filter hook forward priority {names.PRIORITY_FORWARD}; policy accept"
"""Where the table's base chains stand among those of others, which no packet of ours shows (`bundle/names.py`)."""

_CONSTANT: Final = re.compile(r'"[^"]*"|0x[0-9a-f]+|[0-9]+(?:\.[0-9]+)+|[0-9a-f]*:[0-9a-f:]+')
"""A name in quotes, a mark, an address."""

_ALL_BITS: Final = 0xFFFFFFFF
_REMOTE: Final = 0x20003
"""The number of the class of remote workloads in the small table, which is also what packets have as their priority."""
_PREFIXES: Final = (("ip", 4), ("ip6", 6))
_OUTSIDE: Final = "outside"  # the interface on which the masquerading gateway's packets leave
_ELSEWHERE: Final = "elsewhere"
_SOURCES: Final = ("local", "remote", "unselected", "foreign", "ours", "standby")
_DESTINATIONS: Final = ("inside", "ordinary", "refused", "stray", "away", "here", "masquerading", "missing")
_EITHER: Final = (False, True)
_HOPS: Final = ("hop", "other", "nowhere")
_KNOWN_SOURCES: Final = (("here", "ours"), ("standby", "standby"))  # the mark and its source address
_ROLES: Final = ("away", "here", "masquerading", "standby")


@dataclass(frozen=True, slots=True)
class World:
    """What the rules of a node are written for.

    Attributes:
        mask: Bits of the packet mark that are ours.
        node_interfaces: Interfaces by which other nodes' packets come, empty when unknown.
        serves: Whether the node serves gateways, or stands by for them.
        masquerades: Whether a gateway's source address is known on the node only.
        answers: Whether the node answers reverse path filtering (`bundle.model.ReplyRule`).
    """

    mask: int
    node_interfaces: tuple[str, ...]
    serves: bool
    masquerades: bool
    answers: bool


def skeleton_of(ruleset: Ruleset) -> tuple[Skeleton, frozenset[str]]:
    """Returns the chains that hooks and rules lead to, and the names of those that the elements of maps lead to."""
    found: dict[str, Chain] = {}
    waiting = [chain for chain in ruleset.chains.values() if chain.hook]
    while waiting:
        chain = waiting.pop()
        if chain.name not in found:
            found[chain.name] = chain
            words = (word for rule in chain.rules for word in _targets(rule))
            waiting.extend(ruleset.chains[word] for word in words if word in ruleset.chains)
    targets = {
        verdict.rpartition(" ")[2]
        for item in ruleset.sets.values()
        for verdict in item.elements.values()
        if verdict is not None and " " in verdict
    }
    return tuple(found[name] for name in sorted(found)), frozenset(targets)


def _targets(rule: Rule) -> Iterator[str]:
    for word, target in itertools.pairwise(rule.text.split(" ")):
        if word in ("jump", "goto"):
            yield target


@cache
def check_skeleton(skeleton: Skeleton, world: World) -> str:
    """Returns what is wrong with the rules and the packet that shows it; nothing if they keep the promise."""
    hooks = sorted(chain.hook for chain in skeleton if chain.hook)
    wanted = sorted((*HOOKS, ANSWER_HOOK) if world.answers else HOOKS)
    if hooks != wanted:
        odd = next((text for text in hooks if hooks.count(text) > wanted.count(text)), "one too few")
        return f"the base chains are not those that there must be: {odd}"
    if odd := _strange_constant(skeleton, world):
        return odd
    roles = [role for role in _ROLES if world.masquerades or role != "masquerading"]
    # A narrow mask has fewer numbers than there are roles for a mark: then each choice of roles is a table.
    numbers = world.mask >> _shift(world.mask)
    for chosen in itertools.combinations(roles, max(1, min(numbers - 1, len(roles)))):
        # Numbers with almost all bits, so that a rule that asks for fewer of them is found out.
        marks = {role: numbers - index << _shift(world.mask) for index, role in enumerate(chosen)}
        try:
            if fault := _try_packets(Evaluator(_Table(skeleton, world, marks).make()), world, marks):
                return fault
        except EvaluationError as unknown:
            return str(unknown)
    return ""


def _strange_constant(skeleton: Skeleton, world: World) -> str:
    """Finds what no packet that is tried has: a rule that asks for it would never be seen to act."""
    numbers = (0, world.mask, world.mask ^ _ALL_BITS, names.bound_bit(world.mask))
    texts = (f"0x{number:08x}" for number in numbers)
    known = {*(f'"{name}"' for name in world.node_interfaces), *texts, names.REPLY_NEXT_HOP}
    for chain in skeleton:
        for rule in chain.rules:
            for constant in _CONSTANT.findall(rule.text):
                if constant not in known:
                    return f"rule {rule.text!r} of chain {chain.name} asks for {constant}, which no such rule does"
    return ""


def _try_packets(evaluator: Evaluator, world: World, marks: Mapping[str, int]) -> str:
    promise = _Promise(world, marks)
    for hook, packet in _packets(world, marks):
        result = evaluator.run(hook, packet)
        expected = promise.keep(hook, packet)
        if _outcome(result) != expected:
            return _explain(hook, packet, expected, result, marks)
        if not result.accepted and "counter" not in result.steps[-1].rule:
            return f"rule {result.steps[-1].rule!r} of chain {result.steps[-1].chain} drops and does not count"
    return ""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of a packet at a hook; of a dropped one nothing else matters."""

    accepted: bool
    mark: int = 0
    connection_mark: int = 0
    source: Address | None = None
    priority: int = 0
    bound: bool = False
    masqueraded: bool = False


_DROPPED: Final = _Outcome(accepted=False)


def _passed(
    marks: tuple[int, int], source: Address, priority: int, bound: bool = False, masqueraded: bool = False
) -> _Outcome:
    return _Outcome(True, *marks, source, priority, bound, masqueraded)  # noqa: FBT003  # accepted


def _outcome(result: Result) -> _Outcome:
    packet = result.packet
    if not result.accepted:
        return _DROPPED
    marks = packet.mark, packet.connection_mark
    return _passed(marks, packet.source, packet.priority, result.bound, result.masqueraded)


def _shift(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


@cache
def _address(family: Family, name: str) -> Address:
    number = (*_SOURCES, *_DESTINATIONS, *_HOPS).index(name) + 1
    if name == "nowhere" and family is Family.IPV4:
        return ip_address(names.REPLY_NEXT_HOP)
    return ip_address(f"192.0.2.{number}" if family is Family.IPV4 else f"2001:db8::{number:x}")


class _Table:
    """The skeleton with one element of each sort."""

    def __init__(self, skeleton: Skeleton, world: World, marks: Mapping[str, int]) -> None:
        self._chains = {chain.name: chain for chain in skeleton}
        self._serves = world.serves
        routes = route_specs("test", among=False)
        buckets = route_specs("test", among=True) if world.serves else {}
        self._specs = {**specs(world.serves), **routes, **buckets}
        self._elements: dict[str, dict[str, str | None]] = {name: {} for name in self._specs}
        self._rest = world.mask ^ _ALL_BITS
        self._marks = {role: f"0x{mark:08x}" for role, mark in marks.items()}

    def make(self) -> Ruleset:
        """Returns the table."""
        verdicts = self._verdicts()
        own = self._chain("test_class", *(f"{ip} daddr vmap @route{n}_test" for ip, n in _PREFIXES), "counter drop")
        for family in Family:
            self._add_ranges(family)
            self._add_class(family, own, verdicts)
        if self._serves:
            self._add_bucket(verdicts)
        self._add_translations()
        sets = {name: Set(name, *self._specs[name], found) for name, found in self._elements.items()}
        return Ruleset(self._chains, sets)

    def _add(self, name: str, element: str, verdict: str | None = None) -> None:
        self._elements[name][element] = verdict

    def _chain(self, name: str, *rules: str) -> str:
        self._chains[name] = Chain(name, "", tuple(Rule(text) for text in rules))
        return f"goto {name}"

    def _verdicts(self) -> dict[str, str]:
        """Returns the verdict on each sort of destination; what is inside must not be looked up at all."""
        refused = self._chain("test_drops", "counter drop")
        verdicts = {"inside": refused, "ordinary": "return", "refused": refused, "stray": "goto drop_stray"}
        for role in ("away", "here", "masquerading"):
            if role in self._marks:
                rule = f"counter meta mark set meta mark & 0x{self._rest:08x} ^ {self._marks[role]}"
                verdicts[role] = verdicts["inside"] = self._chain(f"test_marks_{role}", rule)
        return verdicts

    def _add_ranges(self, family: Family) -> None:
        number = family.value
        self._add(f"cluster{number}", str(_address(family, "inside")))
        for name in ("local", "remote", "unselected"):
            self._add(f"stray{number}", str(_address(family, name)))
        if "away" in self._marks:
            self._add(f"nexthop{number}", f"{self._marks['away']} . {_address(family, 'hop')}")

    def _add_class(self, family: Family, chain: str, verdicts: Mapping[str, str]) -> None:
        number = family.value
        self._add(f"source{number}", str(_address(family, "local")), chain)
        for destination, verdict in verdicts.items():
            self._add(f"route{number}_test", str(_address(family, destination)), verdict)

    def _add_bucket(self, verdicts: Mapping[str, str]) -> None:
        lookups = (f"meta priority . {ip} daddr vmap @remoteroute{number}_test" for ip, number in _PREFIXES)
        self._add("remoteclass", format_classid(_REMOTE), self._chain("test_bucket", *lookups, "counter drop"))
        for family in Family:
            number = family.value
            self._add(f"remote{number}", str(_address(family, "remote")), format_classid(_REMOTE))
            for destination, verdict in verdicts.items():
                key = f"{format_classid(_REMOTE)} . {_address(family, destination)}"
                self._add(f"remoteroute{number}_test", key, verdict)

    def _add_translations(self) -> None:
        for role, source in _KNOWN_SOURCES:
            if role in self._marks:
                four, six = (_address(family, source) for family in Family)
                chain = self._chain(f"test_translates_{role}", f"snat ip to {four}", f"snat ip6 to {six}")
                self._add("translation", self._marks[role], chain)
                for number, address in ((4, four), (6, six)):
                    self._add(f"translated{number}", f"{self._marks[role]} . {address}")
                    self._add(f"owned{number}", str(address))
        if (mark := self._marks.get("masquerading")) is not None:
            chain = self._chain("test_masquerades", f'oifname "{_OUTSIDE}" masquerade')
            self._add("translation", mark, chain)
            self._add("masqueraded", f'{mark} . "{_OUTSIDE}"')


def _packets(world: World, marks: Mapping[str, int]) -> Iterator[tuple[str, Packet]]:
    """Every sort of packet at every hook."""
    bits = [1 << bit for bit in range(32) if world.mask >> bit & 1]
    strange = [bit for bit in bits if bit not in marks.values()]  # marks that mean nothing here
    numbers = [0, *marks.values(), *strange[:1]]
    foreign = next((1 << bit for bit in range(32) if not world.mask >> bit & 1), 0)
    for family in Family:
        address = {name: _address(family, name) for name in (*_SOURCES, *_DESTINATIONS, *_HOPS)}
        origins = [None, *(address[name] for name in _SOURCES[:4])]
        sources = [address[name] for name in _SOURCES]
        # As connection tracking has it: unknown, the packet's own, or from before a translation.
        pairs = [(s, o) for s, o in itertools.product(sources, origins) if o in (None, s) or s in sources[3:]]
        destinations = [address[name] for name in _DESTINATIONS]
        for others, mark, pair, to in itertools.product(_EITHER, numbers, pairs, destinations):
            known = _ALL_BITS if others else 0
            yield from _before_routing(mark | foreign * others, known, *pair, to)
        hops = [None, *(address[name] for name in _HOPS)]
        for mark, pair, to, hop in itertools.product(numbers, pairs, destinations, hops):
            # Of a marked packet only matters whether it stays inside.
            if mark == 0 or to in destinations[:2]:
                yield from _after_routing(world, mark | foreign, 0, *pair, to, hop)
        # Connections that we bound; and, of the connection's own source, what else others may have marked.
        bound = names.bound_bit(world.mask)
        for mark, (source, origin), to in itertools.product(numbers, pairs, destinations):
            if origin is not None and (mark == 0 or to in destinations[:2]):
                for known in (bound, bound ^ _ALL_BITS, _ALL_BITS)[: 3 if source == origin else 1]:
                    yield from _after_routing(world, mark | foreign, known, source, origin, to, address["hop"])
        # Every further bit once, for a rule that overlooks it.
        for mark in strange[1:]:
            yield from _before_routing(mark, 0, address["local"], address["local"], address["away"])
            yield from _after_routing(world, mark, 0, address["ours"], address["local"], address["away"], None)


def _before_routing(
    mark: int, known: int, source: Address, origin: Address | None, to: Address
) -> Iterator[tuple[str, Packet]]:
    for reply, local in itertools.product(_EITHER, _EITHER):
        packet = Packet(source, to, origin, reply, mark, local=local, connection_mark=known, priority=_REMOTE)
        yield "prerouting", replace(packet, iif=_ELSEWHERE)
        for related in _EITHER:
            yield "output", replace(packet, related=related)


def _after_routing(  # noqa: PLR0913, PLR0917  # the parts of a packet
    world: World,
    mark: int,
    known: int,
    source: Address,
    origin: Address | None,
    to: Address,
    hop: Address | None,
) -> Iterator[tuple[str, Packet]]:
    forwarded = Packet(source, to, origin, mark=mark, next_hop=hop, connection_mark=known, priority=_REMOTE)
    yield "forward", forwarded
    interfaces = itertools.product((*world.node_interfaces, _ELSEWHERE), (_OUTSIDE, _ELSEWHERE))
    marked = bool(mark & world.mask)
    for (iif, oif), reply, translated, local in itertools.product(interfaces, _EITHER, _EITHER, _EITHER[: 2 - marked]):
        yield (
            "postrouting",
            replace(forwarded, iif=iif, oif=oif, reply=reply, translated=translated, local=local),
        )


class _Promise:
    """What the rules must do with a packet, in plain words."""

    def __init__(self, world: World, marks: Mapping[str, int]) -> None:
        self._world = world
        self._marks = marks

    def keep(self, hook: str, packet: Packet) -> _Outcome:
        """Returns what must become of a packet at a hook."""
        family = Family(packet.source.version)
        mark, known = packet.mark, packet.connection_mark
        if hook == "forward":
            nowhere = self._world.answers and str(packet.next_hop) == names.REPLY_NEXT_HOP
            return _DROPPED if nowhere else _passed((mark, known), packet.source, packet.priority)
        if hook == "prerouting":
            # Our bits of a mark that somebody else set mean nothing.
            mark &= ~self._world.mask
        if hook == "output" and (packet.reply or packet.original_source is None or not packet.related):
            return _passed((mark, known), packet.source, packet.priority)
        if hook != "postrouting":
            decided = self._decide(packet, family)
            if decided is None:
                return _DROPPED
            mark = mark & ~self._world.mask | decided if decided else mark
            return _passed((mark, known), packet.source, self._priority(packet, family))
        return self._leave(packet, family)

    def _is(self, address: Address | None, family: Family, *roles: str) -> bool:
        return address is not None and any(address == _address(family, role) for role in roles)

    def _mark(self, role: str) -> int:
        return self._marks.get(role, -1)

    def _decide(self, packet: Packet, family: Family) -> int | None:
        """Returns the mark that a packet's class and destination give it, 0 for none, None when it is dropped."""
        if not self._class(packet, family):
            return 0
        if self._is(packet.destination, family, "ordinary"):
            return 0
        if self._is(packet.destination, family, "stray"):
            return 0 if packet.local else None
        roles = (role for role in ("away", "here", "masquerading") if self._is(packet.destination, family, role))
        return self._marks.get(next(roles, ""))

    def _class(self, packet: Packet, family: Family) -> str:
        """Returns whose workload decides a packet; nobody's if it is a reply, or goes to somewhere inside."""
        if not packet.reply and not self._is(packet.destination, family, "inside"):
            for address in (packet.original_source, packet.source):
                for role in ("local", "remote") if self._world.serves else ("local",):
                    if self._is(address, family, role):
                        return role
        return ""

    def _priority(self, packet: Packet, family: Family) -> int:
        """Returns the priority of a packet that was decided and goes on: no class shows in it."""
        return 0 if self._class(packet, family) == "remote" else packet.priority

    def _leave(self, packet: Packet, family: Family) -> _Outcome:
        """After routing: source NAT for what is marked, then the guard."""
        source, translated, bound, masqueraded = packet.source, packet.translated, False, False
        mark, known = packet.mark, packet.connection_mark
        ours, priority = mark & self._world.mask, packet.priority
        inside = self._is(packet.destination, family, "inside")
        if ours and not inside and not packet.reply and packet.original_source is not None:
            known |= names.bound_bit(self._world.mask)
            if ours in (self._mark("here"), self._mark("standby")):
                source = _address(family, "ours" if ours == self._mark("here") else "standby")
                translated, bound = source != packet.source, True
            elif ours == self._mark("masquerading"):
                translated = translated or packet.oif == _OUTSIDE
                bound = masqueraded = packet.oif == _OUTSIDE
            else:
                bound = True  # to the source that it has
        if not ours:
            decided, priority = self._decide(packet, family), self._priority(packet, family)
            if decided is None:
                return _DROPPED
            if decided == 0:
                passes = self._may_pass_unmarked(packet, family, inside)
                return _passed((mark, known), source, priority) if passes else _DROPPED
            mark, ours = mark & ~self._world.mask | decided, decided
        if not (inside or self._may_leave(ours, packet, family, source, translated)):
            return _DROPPED
        return _passed((mark, known), source, priority, bound, masqueraded)

    def _may_pass_unmarked(self, packet: Packet, family: Family, inside: bool) -> bool:
        """Nothing decides it, and it may leave the cluster if it is not of a connection that was bound while one did.

        Nor if it comes from another node's workload.
        """
        known = packet.original_source is not None and not packet.reply
        if known and not inside and packet.connection_mark & names.bound_bit(self._world.mask):
            return False
        from_node = not self._world.node_interfaces or packet.iif in self._world.node_interfaces
        pods = ("local", "remote", "unselected")
        stray = self._is(packet.original_source, family, *pods) or self._is(packet.source, family, *pods)
        return not (from_node and stray) or packet.reply or inside or packet.local

    def _may_leave(self, ours: int, packet: Packet, family: Family, source: Address, translated: bool) -> bool:
        """Only with the source address of its mark, or untouched and to the next hop of its mark."""
        known = {role: address for role, address in _KNOWN_SOURCES if role in self._marks}
        if any(ours == self._mark(role) and self._is(source, family, address) for role, address in known.items()):
            return True
        if self._world.masquerades and self._is(source, family, *known.values()):
            return False  # another gateway's address, which masquerading must not take
        if translated:
            return self._world.masquerades and ours == self._mark("masquerading") and packet.oif == _OUTSIDE
        return ours == self._mark("away") and self._is(packet.next_hop, family, "hop")


def _explain(hook: str, packet: Packet, expected: _Outcome, result: Result, marks: Mapping[str, int]) -> str:
    """Says what a packet shows, in the roles of the small table."""
    family = Family(packet.source.version)
    roles = {str(_address(family, name)): name for name in (*_SOURCES, *_DESTINATIONS, *_HOPS)}
    marked = {number: role for role, number in marks.items()}

    def role(address: Address | None) -> str:
        return roles.get(str(address), "unknown")

    facts = [
        f"IPv{family.value} packet from a source that is {role(packet.source)}",
        f"of a connection from {role(packet.original_source)}",
        f"to a destination that is {role(packet.destination)}",
        *(["a reply"] if packet.reply else []),
        *(["translated"] if packet.translated else []),
        *([f"connection marked 0x{packet.connection_mark:08x}"] if packet.connection_mark else []),
        *([f"by next hop {role(packet.next_hop)}"] if packet.next_hop else []),
        *([f"in by {packet.iif}"] if packet.iif else []),
        *([f"out by {packet.oif}"] if packet.oif else []),
    ]
    mark = next((name for number, name in marked.items() if packet.mark & number == number), f"0x{packet.mark:08x}")
    said = f"; last rule: {result.steps[-1].chain}: {result.steps[-1].rule}" if result.steps else ""
    must, does = (_words(outcome, role, marked) for outcome in (expected, _outcome(result)))
    return f"at {hook}, {', '.join(facts)}, marked {mark}: must {must}, and does {does}{said}"


def _words(outcome: _Outcome, role: Callable[[Address | None], str], marked: Mapping[int, str]) -> str:
    if not outcome.accepted:
        return "be dropped"
    mark = next((name for number, name in marked.items() if outcome.mark & number == number), f"0x{outcome.mark:08x}")
    source = "that of the interface" if outcome.masqueraded else role(outcome.source)
    known = f", connection marked 0x{outcome.connection_mark:08x}" if outcome.connection_mark else ""
    bound = ", bound to it" if outcome.bound else ""
    return f"pass with source {source}, marked {mark}{bound}{known}, priority {format_classid(outcome.priority)}"
