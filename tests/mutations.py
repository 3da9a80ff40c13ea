"""Bundles with one thing wrong: every sort of harm that a hand, a disk or a faulty compiler may do to a node's files.

The digests are made anew, so that only who understands the files can tell.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from bundle.directory import MANIFEST, RULESET
from compiler.render import seal

Files = Mapping[str, bytes]

_ROUTES = r"(?:remote)?route[46]_[0-9a-f]+"
"""The name of a map of routes, of a class or a bucket."""


class Mutant(NamedTuple):
    """What was done, in words that are unique in a bundle, and the files after it."""

    name: str
    files: Files


def resealed(files: Files, path: str, text: str) -> Files:
    """The files with one of them replaced, and rule comments and manifest made to fit."""
    if path.endswith(RULESET):
        text = seal(re.sub(r' comment "[0-9a-f]{12}"$', "", text, flags=re.MULTILINE))
    manifest = json.loads(files[MANIFEST])
    manifest["files"][path] = hashlib.sha256(text.encode()).hexdigest()
    return {**files, path: text.encode(), MANIFEST: json.dumps(manifest).encode()}


def of_rulesets(files: Files) -> Iterator[Mutant]:
    """One line of one ruleset dropped, changed or moved."""
    for path, content in files.items():
        if path.endswith(RULESET):
            lines = content.decode().splitlines()
            for number, what, changed in _ruleset(lines):
                text = "\n".join((*lines[:number], *changed, *lines[number + len(what) :])) + "\n"
                yield Mutant(f"{path}:{number + 1}: {what} -> {changed}", resealed(files, path, text))


def of_json(files: Files, paths: tuple[str, ...]) -> Iterator[Mutant]:
    """One field of one JSON file changed, or one item of a list or mapping dropped."""
    for path, content in files.items():
        if path.endswith(paths):
            for name, data in _values(json.loads(content)):
                yield Mutant(f"{path}: {name}", resealed(files, path, json.dumps(data, indent=2)))


def _ruleset(lines: list[str]) -> Iterator[tuple[int, list[str], list[str]]]:
    """Line number from 0, the lines there, and what to put in their place."""
    inside = ""
    text = "\n".join(lines)
    chains = re.findall(r"^\tchain (\S+) \{ \}", text, re.MULTILINE)
    maps = re.findall(rf"^\tmap ({_ROUTES}) \{{ type", text, re.MULTILINE)
    for number, line in enumerate(lines):
        bare = re.sub(r' comment "[0-9a-f]{12}"$', "", line)
        if match := re.match(r"\t(chain|set|map) \S+ \{$", line):
            inside = match[1]
        if line.startswith("flush "):
            yield number, [line], []
        elif match := re.match(rf"\tmap ({_ROUTES}) \{{", line):
            yield from ((number, [line], changed) for changed in _map(line, match[1], maps))
        elif match := re.match(r"\tchain \S+ \{ type .* priority (-?\d+); policy accept; \}", line):
            yield number, [line], [line.replace(match[1], str(int(match[1]) + 1))]
            yield number, [line], [line.replace("policy accept", "policy drop")]
        elif line.startswith("\t\t\t"):
            yield from ((number, [line], [changed] if changed else []) for changed in _element(line, chains))
            if not line.endswith(","):
                continue
            following = lines[number + 1]
            if " : " in line and " : " in following and _value(line) != _value(following):
                yield number, [line, following], _swapped_verdicts(line, following)
        elif inside == "chain" and line.startswith("\t\t"):
            yield number, [line], []
            yield from ((number, [line], [changed]) for changed in (*_rule(bare), *_asking_others(bare, maps)))
            after = lines[number + 1]
            if after.startswith("\t\t") and not _commute(bare, re.sub(r' comment ".*"$', "", after)):
                yield number, [line, after], [after, line]


def _map(line: str, name: str, maps: list[str]) -> Iterator[list[str]]:
    """A map of routes not declared, one more declared, or its elements in another's map."""
    if "type" in line:
        yield []
        yield [line, line.replace(name, f"{name}0")]
    else:
        yield from ([line.replace(name, other)] for other in _others(name, maps))


def _others(name: str, maps: list[str]) -> list[str]:
    """The maps of routes of other classes or buckets."""
    return [other for other in maps if other != name and other.partition("_")[0] == name.partition("_")[0]]


def _asking_others(rule: str, maps: list[str]) -> Iterator[str]:
    if match := re.search(rf"@({_ROUTES})$", rule):
        yield from (rule.replace(match[1], other) for other in _others(match[1], maps))


def _value(line: str) -> str:
    return line.rpartition(" : ")[2].rstrip(",")


def _swapped_verdicts(first: str, second: str) -> list[str]:
    (key1, verdict1), (key2, verdict2) = (line.split(" : ") for line in (first, second))
    return [f"{key1} : {verdict2.rstrip(',')},", f"{key2} : {verdict1.rstrip(',')}{',' * verdict2.endswith(',')}"]


def _element(line: str, chains: list[str]) -> Iterator[str]:
    """The element dropped, its range widened, narrowed or moved, its mark or verdict changed, one more beside it."""
    comma = "," * line.endswith(",")
    body = line.strip().rstrip(",")
    key, colon, verdict = body.partition(" : ")
    head, dot, last = key.rpartition(" . ")
    yield ""
    yield f"\t\t\t{body},\n{line}"
    for changed in _address(last):
        yield f"\t\t\t{head}{dot}{changed}{colon}{verdict}{comma}"
        yield f"\t\t\t{body},\n\t\t\t{head}{dot}{changed}{colon}{verdict}{comma}"
    if match := re.match(r"0x([0-9a-f]{8})", key):
        yield line.replace(match[0], f"0x{int(match[1], 16) ^ 0x03000000:08x}", 1)
    if match := re.search(r"\b[0-9a-f]{1,4}:([0-9a-f]{1,4})(?= \. | : |,?$)", line):  # a class by its number
        yield line.replace(match[0], match[0][:-1] + ("1" if match[0][-1] == "2" else "2"), 1)
    if verdict:
        yield from (f"\t\t\t{key} : {other}{comma}" for other in _verdicts(verdict, chains))


def _verdicts(verdict: str, chains: list[str]) -> Iterator[str]:
    kind = verdict.partition("_")[0]
    alike = [f"goto {name}" for name in chains if f"goto {name}".startswith(kind)]
    others = [*alike, "return", "accept", "drop", "goto drop_no_gateway", "goto drop_stray", "goto ordinary"]
    yield from (other for other in others if other != verdict)


def _address(text: str) -> Iterator[str]:
    try:
        low, dash, high = text.partition("-")
        if dash:
            yield f"{low}-{ip_address(int(ip_address(high)) - 1)}"
            yield f"{ip_address(int(ip_address(low)) + 1)}-{high}"
            return
        network = ip_network(text)
    except ValueError:
        return
    if network.prefixlen:
        yield str(network.supernet())
    if network.num_addresses > 1:
        yield str(next(network.subnets()))
    with_bit = ip_address(int(network.network_address) ^ (1 << network.max_prefixlen - network.prefixlen))
    if network.prefixlen:
        yield f"{with_bit}/{network.prefixlen}" if "/" in text else str(with_bit)


def _rule(rule: str) -> Iterator[str]:
    """The rule with one word changed."""
    for pattern, replacement in (
        (r"snat ip to \d+\.\d+\.\d+\.\d+", "snat ip to 192.0.2.77"),
        (r"snat ip6 to [0-9a-f]+:[0-9a-f:]+", "snat ip6 to 2001:db8::77"),
        (r"snat ip to ip saddr", "snat ip to 192.0.2.77"),
        (r"counter drop", "drop"),
        (r"counter drop", "counter accept"),
        (r"counter drop", "counter return"),
        (r"goto unproven", "accept"),
        (r"goto ordinary", "accept"),
        (r"\baccept$", "counter drop"),
        (r"\breturn$", "accept"),
        (r"== 0x00000000", "!= 0x00000000"),
        (r"0xff000000", "0x7f000000"),
        (r"0x00ffffff", "0x00fffff0"),
        (r"\^ 0x([0-9a-f]{2})", "^ 0x01"),
        (r"iifname != ", "iifname "),
        (r'"eth0"', '"eth9"'),
        (r'oifname "eth1"', 'oifname "eth0"'),
        (r"@cluster4", "@stray4"),
        (r"@stray6", "@cluster6"),
        (r"@translated4", "@nexthop4"),
        (r"@route4", "@route6"),
        (r"@remote4", "@remote6"),
        (r"@remoteroute6", "@remoteroute4"),
        (r"goto remote$", "jump remote"),
        (r"jump remoteroute", "goto remoteroute"),
        (r"vmap @remoteclass", "vmap @translation"),
        (r"meta priority \. ", ""),
        (r"meta priority set ct original ip ", "meta priority set ip "),
        (r"saddr map", "daddr map"),
        (r"saddr vmap", "daddr vmap"),
        (r"ct original ip", "ip"),
        (r"ct direction reply", "ct direction original"),
        (r"ct status snat ", ""),
        (r"jump decide", "jump ordinary"),
        (r"ct direction original ct mark", "ct mark"),
        (r"ct mark & 0x01000000 == 0x01000000", "ct mark & 0x01000000 != 0x01000000"),
        (r"ct mark & 0x01000000 == 0x01000000", "ct mark & 0x02000000 == 0x02000000"),
        (r"ct mark & 0x01000000 == 0x01000000", "ct mark & 0xff000000 == 0x01000000"),
        (r"ct mark & 0x01000000 == 0x01000000", "ct mark & 0xff000000 != 0x00000000"),
        (r"ct mark set ct mark \| 0x01000000", "ct mark set ct mark | 0x02000000"),
        (r"ct mark set ct mark \| 0x01000000", "ct mark set ct mark | 0xff000000"),
        (r"ct mark set ct mark \| 0x01000000", "ct mark set 0x01000000"),
        (r"meta mark & 0xff000000 == 0x00000000 ct direction", "ct direction"),
        (r"goto outdated", "goto ordinary"),
        (r"goto outdated", "goto unproven"),
        (r"rt ip nexthop 169\S+", "rt ip nexthop 169.254.73.74"),
    ):
        changed = re.sub(pattern, replacement, rule, count=1)
        if changed != rule:
            yield changed


def _commute(first: str, second: str) -> bool:
    """Whether two neighbouring rules do the same in either order."""
    families = [{word for word in ("ip", "ip6") if re.search(rf"\b{word} (saddr|daddr|to|nexthop)", rule)}
                for rule in (first, second)]  # fmt: skip
    if families in ([{"ip"}, {"ip6"}], [{"ip6"}, {"ip"}]):
        return True
    last = [rule.rpartition(" ")[2] if "vmap" not in rule else rule for rule in (first, second)]
    # A packet without mark is in no set of marks, nor is an original source unknown where it was asked for.
    return last[0] == last[1] or ("goto ordinary" in first and "@translated" in second)


def _values(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # any JSON
    """The data with one value changed or one item dropped."""
    if isinstance(data, dict):
        for key, value in data.items():
            for name, changed in _values(value, f"{path}.{key}"):
                yield name, {**data, key: changed}
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield f"{path}[{index}] dropped", [*data[:index], *data[index + 1 :]]
            yield f"{path}[{index}] doubled", [*data[: index + 1], *data[index:]]
            for name, changed in _values(item, f"{path}[{index}]"):
                yield name, [*data[:index], changed, *data[index + 1 :]]
        for index, (first, second) in enumerate(itertools.pairwise(data)):
            if first != second and not isinstance(first, str):
                yield f"{path}[{index}] moved", [*data[:index], second, first, *data[index + 2 :]]
    else:
        yield f"{path}: {data} -> {_other(data)}", _other(data)


def _other(value: Any) -> Any:  # noqa: ANN401  # any JSON
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value is None:
        return "eth7"
    swapped = {"ipv4": "ipv6", "ipv6": "ipv4", "unicast": "blackhole", "blackhole": "unicast"}
    if value in swapped:
        return swapped[value]
    if match := re.fullmatch(r"(.*?)(\d)(\D*)", value):
        return f"{match[1]}{(int(match[2]) + 1) % 10}{match[3]}"
    return f"{value}x"
