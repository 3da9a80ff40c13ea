"""Changes data at places that matter: fields of YAML and JSON, lines of text, words that mean something."""

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from compiler.source import read_documents

Draw = random.Random

_HALF_CHARACTER = re.compile(r"(?<!\\)\\ud[89a-f][0-9a-f]{2}")

WORDS = (
    "", " ", "-", ".", "..", "/", "../../etc/passwd", "a/../b", "10.0.0.0/8", "10.0.0.1", "10.0.0.1/33", "10.0.0.9/8",
    "0.0.0.0/0", "0.0.0.0/1", "::/0", "::1", "::", "fe80::1%eth0", "::ffff:10.0.0.1", "255.255.255.255", "010.0.0.1",
    "1", "-1", "0", "4294967295", "99999999999999999999", "1e999", "true", "null", "~", "0x00", "0xff000000", "0x0ff0",
    "0xffffffff", "egress-1", "egress-2", "worker-1", "egress-gw", "eth0", "eth1", "lo", "default", "default/backend-1",
    "d8-cni-cilium", "x" * 15, "x" * 16, "x" * 64, "x" * 254, "a\nb", "a\tb", "a\rb", "a\0b", "\x1b[31m", "\x85",
    "\u2028", "\u202e", "é", "日本", "\U0001d4b3", "\ufeff", "\ud800", '"', "'", "`", "\\", "; drop", "} table ip x {",
    'x" accept comment "', "# x", "{{ x }}", "{% x %}", "$(id)", "*", "k8s:app", "any:app", "example.com/role", "app",
    "io.kubernetes.pod.namespace", "io.cilium.k8s.namespace.labels.team", "io.cilium.k8s.policy.serviceaccount", "In",
    "NotIn", "Exists", "DoesNotExist", "Ready", "True", "False", "Unknown", "Running", "Succeeded", "VirtualIPAddress",
    "PrimaryIPFromEgressGatewayNodeInterface", "List", "PodList", "2024-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59", "goto drop_stray", "return", "accept", "interval",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 32, 128, 254, 255, 7300, 32766, 2**31, 2**32, 2**63, 2**64, 10**39, 0.5, 1e300)
SCRAPS = (
    "---\n", "...\n", "- ", ": ", "? ", "&a ", "*a", "<<: *a\n", "<<: [*a, *a]\n", "!!str ", "!!binary ", "|\n", ">-\n",
    "%YAML 1.1\n", "%TAG ! x\n", "#", "{", "}", "[", "]", ",", '"', "'", "\\", "\\ud800", "\\u0000", "\t", "\r\n", "\r",
    "\0", "\ufeff", "\u2028", "\x85", "\x0b", "\x1c", "\x1b[2J", "NaN", "-Infinity", "1e999", "0" * 50, "[" * 120,
    '{"a":' * 120, "kind: List\nitems:\n", '"kind": "List", ', "elements = { ", "flush set inet egressc ", "table ",
    "chain ", "set ", "map ", "type ", "comment ", "vmap @", "counter", " . ", " : ", "10.0.0.1-10.0.0.9", "::-::9",
    "0x00000000", "jump ", "goto ", "snat ip to ", "meta mark & ", "ct mark & ", "ct direction reply ",
)  # fmt: skip


def text_mutation(data: bytes, draw: Draw) -> bytes:
    """Drops, doubles, swaps, joins or spoils lines."""
    lines = data.split(b"\n")
    index = draw.randrange(len(lines))
    other = draw.randrange(len(lines))
    match draw.randrange(7):
        case 0:
            del lines[index]
        case 1:
            lines.insert(other, lines[index])
        case 2:
            lines[index], lines[other] = lines[other], lines[index]
        case 3:
            lines[index] = draw.choice((b"  ", b"\t", b"- ", b"")) + lines[index].lstrip()
        case 4:
            words = lines[index].split(b" ")
            words[draw.randrange(len(words))] = _scrap(draw)
            lines[index] = b" ".join(words)
        case 5:
            start, end = sorted((index, other))
            del lines[start:end]
        case _:
            at = draw.randrange(len(lines[index]) + 1)
            lines[index] = lines[index][:at] + _scrap(draw) + lines[index][at:]
    return b"\n".join(lines)


def _scrap(draw: Draw) -> bytes:
    return draw.choice((*SCRAPS, *WORDS)).encode(errors="surrogatepass")


def fields(documents: list[Any], draw: Draw) -> list[Any]:
    """Changes some fields of plain data: dropped, replaced, renamed, doubled, or exchanged for one from elsewhere."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        places = list(_places(documents))
        if not places:
            break
        holder, key = draw.choice(places)
        match draw.randrange(8):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[draw.choice(WORDS)] = holder.pop(key)
            case 2 if isinstance(holder, list):
                holder.insert(key, json.loads(json.dumps(holder[key])))
            case 3:
                elsewhere, at = draw.choice(places)
                holder[key] = json.loads(json.dumps(elsewhere[at]))
            case 4:
                holder[key] = draw.choice(([], {}, None, [None], {"a": None}, True, [holder[key]], {"a": holder[key]}))
            case 5 if isinstance(holder[key], str):
                holder[key] = _spoilt(holder[key], draw)
            case 6:
                holder[key] = draw.choice(NUMBERS)
            case _:
                holder[key] = draw.choice(WORDS)
    return documents


def _spoilt(text: str, draw: Draw) -> str:
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice(WORDS) + text[at + draw.randrange(2) :]


def _places(data: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401  # plain data
    if isinstance(data, dict):
        items: list[tuple[Any, Any]] = list(data.items())
    elif isinstance(data, list):
        items = list(enumerate(data))
    else:
        return
    for key, value in items:
        yield data, key
        yield from _places(value)


def document_mutation(data: bytes, draw: Draw) -> bytes:
    """Changes YAML or JSON as data, and writes it in either; what cannot be read is changed as text."""
    found, faults = read_documents("-", data)
    documents = [json.loads(json.dumps(document.data)) for document in found]
    if faults or not documents or draw.random() < 0.2:
        return text_mutation(data, draw)
    return dump(fields(documents, draw), draw)


def json_mutation(data: bytes, draw: Draw) -> bytes:
    """Changes JSON as data, or as text where it is none."""
    try:
        document = [json.loads(data)]
    except (ValueError, RecursionError):
        return text_mutation(data, draw)
    changed = fields(document, draw)
    return json.dumps(changed[0] if changed else None, indent=1).encode()


def dump(documents: list[Any], draw: Draw) -> bytes:
    """Writes documents as YAML of some style, or as JSON."""
    style = draw.randrange(6)
    if style == 0:
        whole = documents[0] if len(documents) == 1 else {"kind": "List", "apiVersion": "v1", "items": documents}
        return json.dumps(whole, indent=draw.choice((None, 1, "\t"))).encode()
    documents = json.loads(_HALF_CHARACTER.sub("?", json.dumps(documents)))  # which YAML cannot hold
    text: str = yaml.dump_all(
        documents,
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        sort_keys=False,
        default_flow_style=style == 1,
        allow_unicode=style == 2,
        line_break="\r\n" if style == 3 else None,
    )
    return text.encode()


SEPARATOR = b"=== "


def parts(data: bytes) -> dict[str, bytes]:
    """Reads a text of several files, each below a line `=== NAME`."""
    result: dict[str, bytes] = {}
    for part in (b"\n" + data).split(b"\n" + SEPARATOR)[1:]:
        name, _, content = part.partition(b"\n")
        result[name.decode(errors="replace")] = content
    return result


def join(named: dict[str, bytes]) -> bytes:
    """Writes what `parts` reads."""
    return b"\n".join(SEPARATOR + name.encode(errors="replace") + b"\n" + content for name, content in named.items())


def part_mutation(data: bytes, draw: Draw, mutations: dict[str, Callable[[bytes, Draw], bytes]]) -> bytes:
    """Changes one file of a text of several, by the mutation of its suffix; or drops, renames or doubles one."""
    named = parts(data)
    if not named:
        return text_mutation(data, draw)
    name = draw.choice(sorted(named))
    match draw.randrange(12):
        case 0:
            del named[name]
        case 1:
            named[draw.choice((*WORDS, f"{name}/../x", f"nodes/{draw.choice(WORDS)}/routing.json"))] = named.pop(name)
        case 2:
            named[name] = named[draw.choice(sorted(named))]
        case _:
            mutation = mutations.get(name.rpartition(".")[2], text_mutation)
            named[name] = mutation(named[name], draw)
    return join(named)
