"""What a ruleset does to a packet, from its text alone.

Knows just the nft that our templates write, with the kernel's meaning, and refuses the rest: a rule that this module
does not understand is an error and never passed over. Knows nothing of gateways and policies.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from bundle.ruleset import Ruleset, parse_classid
from compiler.lookup import Table, TableError, index
from compiler.model import Address


class EvaluationError(Exception):
    """The ruleset holds something that this evaluator does not know; the message names it."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet on one node.

    Attributes:
        source: Source address as it is now.
        destination: Destination address, after destination NAT.
        original_source: Source of the connection's first packet; None when connection tracking does not know it.
        reply: Whether it goes in the reply direction.
        mark: Packet mark.
        iif: Name of the interface it came in by, empty when this node made it.
        oif: Name of the interface it leaves by, empty before routing.
        next_hop: Next hop chosen by routing, None before it or when the destination is on the link.
        translated: Whether source NAT changed the connection's source.
        local: Whether the destination is an address of this node.
        related: Whether it is an ICMP error about the connection.
        connection_mark: Mark of the connection; without meaning when connection tracking does not know it.
        priority: Packet priority.
    """

    source: Address
    destination: Address
    original_source: Address | None
    reply: bool = False
    mark: int = 0
    iif: str = ""
    oif: str = ""
    next_hop: Address | None = None
    translated: bool = False
    local: bool = False
    related: bool = False
    connection_mark: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that matched and said what happens: its chain, its text, the map element that it found."""

    chain: str
    rule: str
    element: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a packet at one hook.

    Attributes:
        packet: As it is now.
        accepted: False when it was dropped.
        steps: The rules that said so.
        masqueraded: Whether it takes the address of its `oif`, which is unknown.
        bound: Whether our source NAT, also to the source that it has, keeps later NAT chains from it.
    """

    packet: Packet
    accepted: bool
    steps: tuple[Step, ...]
    masqueraded: bool = False
    bound: bool = False


@dataclass(slots=True)
class _State:
    """A packet on its way through the chains."""

    packet: Packet
    steps: list[Step] = field(default_factory=list)
    bound: bool = False
    masqueraded: bool = False
    rules: int = 0

    def count_rule(self, chain: str) -> None:
        self.rules += 1
        if self.rules > _MAX_RULES:
            raise EvaluationError(f"a packet passes more than {_MAX_RULES} rules, the last ones in chain {chain}")


_Match = Callable[[_State], "tuple[bool, str, str | None]"]
"""Tells whether an expression matches, the element of a map that it found and the verdict that it gives."""

_KeyOf = Callable[[Packet], "tuple[tuple[object, ...], int] | None"]
"""Makes the key of a packet in a set or map, in two parts as `Table.find` takes it; None if it has none there."""

_SHOWN = 200  # letters of a wrong text that a message shows
_TERMINAL = ("accept", "drop", "return")
_MAX_JUMPS = 16  # NFT_JUMP_STACK_SIZE
_MAX_RULES = 10_000  # a packet passes some dozens; jumps within jumps could make it as many as one likes

_ADDRESS = r"(?P<ct>ct original )?(?P<family>ip6?) (?P<side>[sd]addr)"
_MASKED = r"meta mark & (?P<mask>0x[0-9a-f]{8})"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern + r"(?= |$)"), name)
    for pattern, name in (
        (r"counter", "nothing"),
        (r"ct direction reply", "reply"),
        (r"ct direction original", "original"),
        (r"ct state related", "related"),
        (r"ct status snat", "translated"),
        (r"fib daddr type local", "local"),
        (r"fib saddr \. oif type local", "own_source"),
        (r'(?P<which>[io]ifname) (?P<op>!= )?(?P<names>"[^"]+"|\{ "[^"]+"(?:, "[^"]+")* \})', "interface"),
        (rf"{_MASKED} (?P<op>==|!=) (?P<value>0x[0-9a-f]{{8}})", "mark"),
        (r"ct mark & (?P<mask>0x[0-9a-f]{8}) (?P<op>==|!=) (?P<value>0x[0-9a-f]{8})", "connection_mark"),
        (r"ct mark set ct mark \| (?P<value>0x[0-9a-f]{8})", "set_connection_mark"),
        (rf"{_MASKED} vmap @(?P<set>\S+)", "mark_map"),
        (rf"{_MASKED} \. ip6? saddr @(?P<set>\S+)", "mark_source"),
        (rf"{_MASKED} \. oifname @(?P<set>\S+)", "mark_interface"),
        (rf"{_MASKED} \. rt ip6? nexthop @(?P<set>\S+)", "mark_next_hop"),
        (rf"meta mark set {_MASKED}(?: \^ (?P<value>0x[0-9a-f]{{8}}))?", "set_mark"),
        (r"meta priority vmap @(?P<set>\S+)", "class_map"),
        (r"meta priority \. (?P<family>ip6?) daddr vmap @(?P<set>\S+)", "route_map"),
        (r"meta priority set none", "clear_priority"),
        (rf"meta priority set {_ADDRESS} map @(?P<set>\S+)", "set_priority"),
        (rf"{_ADDRESS} (?P<vmap>vmap )?@(?P<set>\S+)", "address"),
        (r"snat (?P<family>ip6?) to (?P=family) saddr", "keep_source"),
        (r"snat (?P<family>ip6?) to (?P<address>[0-9a-f.:]+)", "snat"),
        (r"rt ip6? nexthop (?P<address>[0-9a-f.:]+)", "next_hop"),
        (r"reject with icmp net-unreachable", "reject"),
        (r"masquerade", "masquerade"),
        (r"(?P<verdict>accept|drop|return|(?:jump|goto) \S+)", "verdict"),
    )
)


class Evaluator:
    """A node's ruleset, understood as a whole: an unknown rule or element is refused when it is made."""

    def __init__(self, ruleset: Ruleset) -> None:
        """Understands a ruleset.

        Raises:
            EvaluationError: It holds something unknown, or refers to a chain or set that it does not hold.
        """
        if ruleset.others:
            raise EvaluationError(f"the table holds {' '.join(ruleset.others[0])}, which is unknown")
        self._ruleset = ruleset
        try:
            self._tables = {name: index(item) for name, item in ruleset.sets.items()}
        except TableError as fault:
            raise EvaluationError(str(fault)) from None
        self._hooks: dict[str, list[tuple[int, str, str]]] = {
            "prerouting": [],
            "output": [],
            "forward": [],
            "postrouting": [],
        }
        for chain in ruleset.chains.values():
            if chain.hook:
                kind, hook, priority = _parse_hook(chain.hook)
                self._hooks[hook].append((priority, chain.name, kind))
        self._chains = {
            name: tuple(self._parse(rule.text) for rule in chain.rules) for name, chain in ruleset.chains.items()
        }
        for item in ruleset.sets.values():
            if " : verdict" in item.spec:
                for element, verdict in item.elements.items():
                    self._check_verdict(verdict or "", element)

    def run(self, hook: str, packet: Packet) -> Result:
        """Sends a packet through the base chains of a hook, in order of priority.

        NAT chains see only the first packet of a connection, which `packet` is taken to be unless it is a reply.
        """
        state = _State(packet)
        for _, chain, kind in sorted(self._hooks[hook]):
            if kind == "nat" and (state.bound or packet.reply or packet.original_source is None):
                continue
            if self._walk(chain, state, 0) == "drop":
                return Result(state.packet, accepted=False, steps=tuple(state.steps))
        return Result(state.packet, True, tuple(state.steps), state.masqueraded, state.bound)  # noqa: FBT003

    def _walk(self, chain: str, state: _State, depth: int) -> str | None:
        """Returns `accept` or `drop`, or None at the end of the chain."""
        if depth > _MAX_JUMPS:
            raise EvaluationError(f"chain {chain} is entered more than {_MAX_JUMPS} deep")
        for text, matches in self._chains[chain]:
            state.count_rule(chain)
            verdict: str | None = None
            shown = ""
            for match in matches:
                holds, element, found = match(state)
                if not holds:
                    break
                verdict, shown = found or verdict, element or shown
                if found:
                    state.steps.append(Step(chain, text, shown))
            else:
                if verdict in ("accept", "drop"):
                    return verdict
                if verdict == "return":
                    return None
                if verdict:
                    word, target = verdict.split(" ")
                    outcome = self._walk(target, state, depth + 1)
                    if outcome is not None or word == "goto":
                        return outcome
        return None

    def _parse(self, text: str) -> tuple[str, tuple[_Match, ...]]:
        at, matches = 0, []
        while at < len(text):
            for pattern, name in _PATTERNS:
                if found := pattern.match(text, at):
                    matches.append(self._make(name, found))
                    at = found.end()
                    while text[at : at + 1] == " ":
                        at += 1
                    break
            else:
                raise EvaluationError(f"unknown rule: {text[:_SHOWN]} (at: {text[at : at + _SHOWN]})")
        return text, tuple(matches)

    def _make(self, name: str, found: re.Match[str]) -> _Match:
        try:
            match: _Match = getattr(self, f"_on_{name}")(found)
        except ValueError:
            raise EvaluationError(f"no address in a rule: {found[0][:_SHOWN]}") from None
        return match

    def _check_verdict(self, verdict: str, where: str) -> None:
        word, _, target = verdict.partition(" ")
        known = target in self._ruleset.chains if word in ("goto", "jump") else verdict in _TERMINAL
        if not known:
            raise EvaluationError(f"unknown verdict {verdict} of {where}")

    def _set(self, name: str, data: str = "") -> Table:
        if name not in self._tables:
            raise EvaluationError(f"there is no set or map {name}")
        if data and f" : {data}" not in self._ruleset.sets[name].spec:
            raise EvaluationError(f"{name} is no map to a {data}")
        return self._tables[name]

    # One method a pattern. Each returns a function of the state.

    def _on_nothing(self, _: re.Match[str]) -> _Match:
        return lambda _: (True, "", None)

    def _on_reply(self, _: re.Match[str]) -> _Match:
        return lambda state: (state.packet.reply, "", None)

    def _on_original(self, _: re.Match[str]) -> _Match:
        return lambda state: (not state.packet.reply and state.packet.original_source is not None, "", None)

    def _on_related(self, _: re.Match[str]) -> _Match:
        return lambda state: (state.packet.related, "", None)

    def _on_translated(self, _: re.Match[str]) -> _Match:
        return lambda state: (state.packet.translated, "", None)

    def _on_local(self, _: re.Match[str]) -> _Match:
        return lambda state: (state.packet.local, "", None)

    def _on_own_source(self, _: re.Match[str]) -> _Match:
        # Masquerading takes an address of the interface, which is not known here: whoever was translated passes.
        return lambda state: (state.packet.translated, "", None)

    def _on_reject(self, _: re.Match[str]) -> _Match:
        return lambda _: (True, "", "drop")

    def _on_next_hop(self, found: re.Match[str]) -> _Match:
        address = ip_address(found["address"])
        return lambda state: (state.packet.next_hop == address, "", None)

    def _on_interface(self, found: re.Match[str]) -> _Match:
        side, equal = found["which"][:3], not found["op"]
        names = re.findall(r'"([^"]+)"', found["names"])

        def match(state: _State) -> tuple[bool, str, str | None]:
            return ((state.packet.iif if side == "iif" else state.packet.oif) in names) == equal, "", None

        return match

    def _on_mark(self, found: re.Match[str]) -> _Match:
        mask, value, equal = int(found["mask"], 16), int(found["value"], 16), found["op"] == "=="
        return lambda state: ((state.packet.mark & mask == value) == equal, "", None)

    def _on_connection_mark(self, found: re.Match[str]) -> _Match:
        mask, value, equal = int(found["mask"], 16), int(found["value"], 16), found["op"] == "=="

        def match(state: _State) -> tuple[bool, str, str | None]:
            packet = state.packet
            known = packet.original_source is not None
            return known and (packet.connection_mark & mask == value) == equal, "", None

        return match

    def _on_set_connection_mark(self, found: re.Match[str]) -> _Match:
        bits = int(found["value"], 16)

        def act(state: _State) -> tuple[bool, str, str | None]:
            packet = state.packet
            if packet.original_source is not None:
                state.packet = replace(packet, connection_mark=packet.connection_mark | bits)
            return packet.original_source is not None, "", None

        return act

    def _on_set_mark(self, found: re.Match[str]) -> _Match:
        mask, value = int(found["mask"], 16), int(found["value"] or "0", 16)

        def act(state: _State) -> tuple[bool, str, str | None]:
            state.packet = replace(state.packet, mark=state.packet.mark & mask ^ value)
            return True, "", None

        return act

    def _lookup(self, name: str, key: _KeyOf, vmap: bool) -> _Match:
        table = self._set(name, "verdict" if vmap else "")

        def match(state: _State) -> tuple[bool, str, str | None]:
            at = key(state.packet)
            found = table.find(*at) if at is not None else None
            if found is None:
                return False, "", None
            return (True, *found) if vmap else (True, "", None)

        return match

    def _on_address(self, found: re.Match[str]) -> _Match:
        return self._lookup(found["set"], _address_key(found), bool(found["vmap"]))

    def _on_set_priority(self, found: re.Match[str]) -> _Match:
        key, table = _address_key(found), self._set(found["set"], "classid")

        def act(state: _State) -> tuple[bool, str, str | None]:
            at = key(state.packet)
            element = table.find(*at) if at is not None else None
            if element is None:
                return False, "", None  # the kernel ends the rule, and sets nothing
            shown, number = element
            state.packet = replace(state.packet, priority=parse_classid(number or ""))
            return True, shown, None

        return act

    def _on_clear_priority(self, _: re.Match[str]) -> _Match:
        def act(state: _State) -> tuple[bool, str, str | None]:
            state.packet = replace(state.packet, priority=0)
            return True, "", None

        return act

    def _on_mark_map(self, found: re.Match[str]) -> _Match:
        mask = int(found["mask"], 16)
        return self._lookup(found["set"], lambda packet: ((), packet.mark & mask), vmap=True)

    def _on_class_map(self, found: re.Match[str]) -> _Match:
        return self._lookup(found["set"], lambda packet: ((), packet.priority), vmap=True)

    def _on_route_map(self, found: re.Match[str]) -> _Match:
        version = 4 if found["family"] == "ip" else 6

        def key(packet: Packet) -> tuple[tuple[object, ...], int] | None:
            if packet.destination.version != version:
                return None
            return (packet.priority,), int(packet.destination)

        return self._lookup(found["set"], key, vmap=True)

    def _on_mark_source(self, found: re.Match[str]) -> _Match:
        return self._marked_address(found, lambda packet: packet.source)

    def _on_mark_next_hop(self, found: re.Match[str]) -> _Match:
        return self._marked_address(found, lambda packet: packet.next_hop)

    def _marked_address(self, found: re.Match[str], get: Callable[[Packet], Address | None]) -> _Match:
        mask = int(found["mask"], 16)
        version = 6 if " ip6 " in found[0] else 4

        def key(packet: Packet) -> tuple[tuple[object, ...], int] | None:
            address = get(packet)
            if address is None or address.version != version:
                return None
            return (packet.mark & mask,), int(address)

        return self._lookup(found["set"], key, vmap=False)

    def _on_mark_interface(self, found: re.Match[str]) -> _Match:
        mask = int(found["mask"], 16)
        return self._lookup(found["set"], lambda packet: ((packet.mark & mask, packet.oif), 0), vmap=False)

    def _on_keep_source(self, found: re.Match[str]) -> _Match:
        version = 4 if found["family"] == "ip" else 6

        def act(state: _State) -> tuple[bool, str, str | None]:
            if state.packet.source.version != version:
                return False, "", None
            state.bound = True
            return True, "", "accept"

        return act

    def _on_snat(self, found: re.Match[str]) -> _Match:
        address = ip_address(found["address"])

        def act(state: _State) -> tuple[bool, str, str | None]:
            if state.packet.source.version != address.version:
                return False, "", None
            changed = address != state.packet.source
            state.packet = replace(state.packet, source=address, translated=changed)
            state.bound = True
            return True, "", "accept"

        return act

    def _on_masquerade(self, _: re.Match[str]) -> _Match:
        def act(state: _State) -> tuple[bool, str, str | None]:
            state.packet = replace(state.packet, translated=True)
            state.bound = state.masqueraded = True
            return True, "", "accept"

        return act

    def _on_verdict(self, found: re.Match[str]) -> _Match:
        verdict = found["verdict"]
        self._check_verdict(verdict, "a rule")
        return lambda _: (True, "", verdict)


def _address_key(found: re.Match[str]) -> _KeyOf:
    version = 4 if found["family"] == "ip" else 6
    side, original = found["side"], bool(found["ct"])

    def key(packet: Packet) -> tuple[tuple[object, ...], int] | None:
        address = packet.destination if side == "daddr" else packet.source
        if original:
            if packet.original_source is None or side == "daddr":
                return None
            address = packet.original_source
        return ((), int(address)) if address.version == version else None

    return key


def _parse_hook(text: str) -> tuple[str, str, int]:
    found = re.fullmatch(
        r"type (filter|nat|route) hook (prerouting|output|forward|postrouting) priority (-?\d+); policy accept", text
    )
    if found is None:
        raise EvaluationError(f"unknown base chain: {text}")
    return found[1], found[2], int(found[3])
