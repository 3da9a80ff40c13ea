"""nftables text of one table to a typed value: what `ruleset.nft` says and what `nft list table` prints.

Only the skeleton is understood (chains, sets, maps, their elements); a rule stays the text that it is. Both texts
differ in how a rule is printed, from one nft version to the next too, so each rule of ours ends in a comment that
holds a digest of its text: equal comments mean equal rules, whatever the listing looks like.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

_BLOCK = re.compile(r'(table|chain|set|map|[a-z ]+?) ("?[^\s"{]+"?(?: \S+)?) \{(.*)$')
_COMMENT = re.compile(r'comment "([^"]*)"$')
_QUOTED = re.compile(r'"[^"]*"')
_QUOTED_ITEM = re.compile(r'(?:[^",]|"[^"]*"|")++')


class RulesetError(ValueError):
    """The text is not what this module reads; the message holds the line number and the line."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its text without the comment, and the comment, empty where there is none."""

    text: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain: its hook line (`type … hook … priority …; policy …`, empty if not a base chain) and its rules."""

    name: str
    hook: str = ""
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Set:
    """One set or map.

    Attributes:
        name: Its name.
        kind: `set` or `map`.
        spec: Type and flags, in one normal form: `type mark . ipv4_addr : verdict; flags interval`.
        elements: Key in normal form (`10.0.0.0/8`, `1.1.1.0-1.1.1.9`, `0x05000000 . ::1`) to the value, None in a set.
    """

    name: str
    kind: str
    spec: str
    elements: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """One table.

    Attributes:
        chains: By name.
        sets: Sets and maps by name.
        others: What else is in it as (kind, name), which is never ours.
        flushed: Sets and maps that the text empties before it fills them, and `""` if it empties all chains.
    """

    chains: Mapping[str, Chain]
    sets: Mapping[str, Set]
    others: tuple[tuple[str, str], ...] = ()
    flushed: frozenset[str] = frozenset()


def fingerprint(text: str) -> str:
    """Returns the comment that a rule with this text carries: 12 hexadecimal digits of its SHA-256.

    nft allows 128 bytes in a comment.
    """
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:12]


def parse(text: str, table: str) -> Ruleset:
    """Reads `ruleset.nft` or the listing of one table.

    A chain or set that stands in several blocks is one: its rules and elements add up, as they do in nft. The commands
    `flush table` and `flush set|map` may only empty what the text has not filled yet: the value says what holds after
    loading, and `flushed` that it holds on a node that had another ruleset too.

    Args:
        text: nft text.
        table: Family and name, as in `inet egressc`; a block of any other table is an error.

    Raises:
        RulesetError: Something that is neither a block, an element list nor a flush of this table.
    """
    return _Parser(text, table).parse()


class _Parser:
    def __init__(self, text: str, table: str) -> None:
        self._table = table
        # Not `splitlines`, which sees ends of lines where nft sees none.
        self._lines = enumerate(text.split("\n"), 1)
        self._number = 0
        self._line = ""
        self._hooks: dict[str, str] = {}
        self._rules: dict[str, list[Rule]] = {}
        self._specs: dict[str, tuple[str, str]] = {}
        self._elements: dict[str, dict[str, str | None]] = {}
        self._others: list[tuple[str, str]] = []
        self._flushed: set[str] = set()

    def parse(self) -> Ruleset:
        for line in self._next():
            if match := re.fullmatch(rf"flush (?:table|set|map) {self._table}(?: (\S+))?", line):
                self._flush(match[1] or "")
                continue
            if line != f"table {self._table} {{":
                raise self._error("expected a block or a flush of table", self._table)
            self._parse_table()
        return Ruleset(
            chains={name: Chain(name, hook, tuple(self._rules[name])) for name, hook in self._hooks.items()},
            sets={name: Set(name, *spec, self._elements[name]) for name, spec in self._specs.items()},
            others=tuple(self._others),
            flushed=frozenset(self._flushed),
        )

    def _flush(self, name: str) -> None:
        if self._elements.get(name) if name else any(self._rules.values()):
            raise self._error("empties what it filled before")
        if name and name not in self._specs:
            raise self._error("empties what it does not declare")
        self._flushed.add(name)

    def _next(self) -> Iterator[str]:
        for self._number, line in self._lines:  # noqa: B020  # the line number is for messages
            self._line = line.strip()
            if self._line and not self._line.startswith("#"):
                yield self._line

    def _error(self, what: str, name: str = "") -> RulesetError:
        return RulesetError(f"line {self._number}: {what} {name[:80]}: {self._line[:80]}".replace(" :", ":"))

    def _parse_table(self) -> None:
        for line in self._next():
            if line == "}":
                return
            match = _BLOCK.match(line)
            if match is None:
                if line.startswith(("flags ", "comment ")):
                    self._others.append(("attribute", line))
                    continue
                raise self._error("expected a chain, set or map")
            kind, name, rest = match[1], match[2].strip('"'), match[3].strip()
            if kind == "chain":
                self._parse_chain(name, rest)
            elif kind in ("set", "map"):
                self._parse_set(kind, name, rest)
            else:
                self._others.append((kind, name))
                self._skip_block(rest)
        raise self._error("the table does not end")

    def _skip_block(self, rest: str) -> None:
        depth = 1 + _braces(rest)
        while depth > 0:
            line = next(self._next(), None)
            if line is None:
                raise self._error("the block does not end")
            depth += _braces(line)

    def _parse_chain(self, name: str, rest: str) -> None:
        rules = self._rules.setdefault(name, [])
        self._hooks.setdefault(name, "")
        if rest:  # the whole chain on one line, as it is declared
            body, end, tail = rest.rpartition("}")
            if not end or tail:
                raise self._error("expected a chain")
            if body.strip():
                self._set_hook(name, body)
            return
        for line in self._next():
            if line == "}":
                return
            if re.match(r"type \w+ hook ", line):
                self._set_hook(name, line)
            elif line.startswith("comment "):
                self._others.append(("attribute", line))
            else:
                match = _COMMENT.search(line)
                rules.append(Rule(line[: match.start()].rstrip(), match[1]) if match else Rule(line))
        raise self._error("the chain does not end")

    def _set_hook(self, name: str, text: str) -> None:
        hook = _hook(text)
        if self._hooks[name] not in ("", hook):
            raise self._error("hooked twice, and not alike:", name)
        self._hooks[name] = hook

    def _parse_set(self, kind: str, name: str, rest: str) -> None:
        parts = []
        if rest:
            body, end, tail = rest.rpartition("}")
            if not end or tail:
                raise self._error("expected a set")
            parts.append(body)
        else:
            open_braces = 1
            for line in self._next():
                open_braces += _braces(line)
                if open_braces == 0:
                    break
                parts.append(line)
            else:
                raise self._error("the set does not end")
        start = next((place for place, part in enumerate(parts) if part.startswith("elements = {")), len(parts))
        head, elements = "\n".join(parts[:start]), "\n".join(parts[start:]).removeprefix("elements = {")
        attributes = [part.strip() for part in re.split(r"[;\n]", head) if part.strip()]
        spec = "; ".join(sorted(attributes, key=lambda part: not part.startswith("type")))
        previous = self._specs.setdefault(name, (kind, spec))
        if previous != (kind, spec):
            raise self._error("declared twice, and not alike:", name)
        target = self._elements.setdefault(name, {})
        body, _, tail = elements.rpartition("}")
        if tail.strip():
            raise self._error("something stands behind the elements of", name)
        split = _QUOTED_ITEM.findall(body) if '"' in body else body.split(",")
        for item in split:
            if element := item.strip():
                key, colon, value = element.rpartition(" : ") if kind == "map" else (element, "", "")
                if (key := _normal_key(key)) in target:
                    raise self._error("holds an element twice, which nft refuses:", f"{name} {key}")
                target[key] = value if colon else None


def _braces(line: str) -> int:
    """Returns how many blocks a line opens, less those that it closes; what is quoted is no block."""
    bare = _QUOTED.sub("", line) if '"' in line else line
    return bare.count("{") - bare.count("}")


def _hook(text: str) -> str:
    return "; ".join(part.strip() for part in text.split(";") if part.strip())


def _normal_key(key: str) -> str:
    # The writer and nft print alike, so the common case must cost nothing: a gateway may hold 150,000 elements.
    if "-" not in key:
        return key
    head, dot, last = key.rpartition(" . ")
    try:
        low, _, high = last.partition("-")
        return head + dot + format_range(ip_address(low), ip_address(high))
    except ValueError:
        return key


def format_classid(number: int) -> str:
    """Returns a number of 32 bits as nft prints one of type `classid`, that of packet priorities: `1a2b:3c4d`.

    Of a number with a half of zeros nft prints only the other half, which it does not read again; 0 and the number of
    all ones have names. None of these is the number of a class.
    """
    return f"{number >> 16:x}:{number & 0xFFFF:x}"


def parse_classid(text: str) -> int:
    """Reads what `format_classid` returns.

    Raises:
        ValueError: It is anything else.
    """
    major, colon, minor = text.partition(":")
    number = int(major, 16) << 16 | int(minor, 16)
    if not colon or format_classid(number) != text:
        raise ValueError(f"{text[:80]!r} is no classid")
    return number


def format_range(low: IPv4Address | IPv6Address, high: IPv4Address | IPv6Address) -> str:
    """Returns the range as nft prints it: one address, a prefix where it is one, else `low-high`."""
    if low == high:
        return str(low)
    size = int(high) - int(low) + 1
    if size & (size - 1) or int(low) % size:
        return f"{low}-{high}"
    return f"{low}/{low.max_prefixlen - size.bit_length() + 1}"
