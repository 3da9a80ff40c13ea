"""What must hold of whatever the project says or writes; each function raises where it does not."""

import json
import re
from collections.abc import Mapping
from typing import TypeVar

from bundle.codec import decode, encode
from bundle.directory import (
    ACCOUNT_FILES,
    ADDRESSES,
    CLUSTER,
    GATEWAYS,
    MANIFEST,
    NODE_FILES,
    POLICIES,
    ROUTING,
    RULESET,
    WORKLOADS,
)
from bundle.model import Addresses, Cluster, Gateways, Manifest, Policies, Routing, Workloads
from bundle.names import TABLE_FAMILY, TABLE_NAME
from bundle.ruleset import fingerprint, parse
from bundle.text import printable
from compiler import report
from compiler.diagnostics import Diagnostic
from compiler.evaluate import Evaluator
from compiler.explain import Explainer
from compiler.files import Sources

_T = TypeVar("_T")

NODE = re.compile(r"nodes/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/")
NO_PLACE = ("EG101", "EG107")
"""Findings about a file as a whole, which have no line."""

RULESET_LINE = re.compile(
    r"""
      \#!/usr/sbin/nft\ -f | \# [ -~]* | \t\# [ -~]*                       # comments
    | table\ inet\ egressc\ \{ | \} | \t\} | \t\t\}                        # frames
    | flush\ table\ inet\ egressc | flush\ (set|map)\ inet\ egressc\ [a-z0-9_]+
    | \t(set|map)\ [a-z0-9_]+\ \{ (\ type\ [a-z0-9_ .:]+;(\ flags\ interval;)?\ \})?
    | \tchain\ [a-z][A-Za-z0-9_.-]*\ \{ (\ (type\ [a-z]+\ hook\ [a-z]+\ priority\ -?[0-9]+;\ policy\ accept;\ )?\})?
    | \t\ttype\ [a-z0-9_ .:]+ | \t\tflags\ interval | \t\telements\ =\ \{
    | \t\t\t[0-9a-f.:/x-]+ (\ \.\ ([0-9a-f.:/-]+|"[A-Za-z0-9_.@+=-]{1,15}"))?      # elements
      (\ :\ (goto\ [a-z][A-Za-z0-9_.-]*|return|[0-9a-f]{1,4}:[0-9a-f]{1,4}))? ,?
    | \t\t[a-z] [A-Za-z0-9 @.:=!&|^{}",+_-]* \ comment\ "[0-9a-f]{12}"      # rules; the evaluator knows each
    """,
    re.VERBOSE,
)


def sound_findings(findings: tuple[Diagnostic, ...], sources: Sources) -> None:
    """All findings can be shown, at a place that the file has, on lines that no input can forge."""
    text = report.findings_text(findings, sources)
    as_json = report.findings_json(findings, sources)
    sound_text(as_json)
    shown = json.loads(as_json)
    assert len(shown) == len(findings)
    heads = [line for line in text.split("\n") if line and not re.match(r"[ 0-9]{6,} \| |       \| ", line)]
    assert len(heads) == len(findings), heads
    sound_text(text)
    for finding, item, head in zip(findings, shown, heads, strict=True):
        assert finding.place.file in sources or finding.code in NO_PLACE, finding
        if finding.code in NO_PLACE:
            continue
        assert head.startswith(f"{printable(item['file'])}:{item['line']}:{item['column']}: "), head
        raw = sources[finding.place.file]
        lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", raw.decode("utf-8-sig", errors="replace"))
        assert 1 <= item["line"] <= len(lines), (finding, item)
        assert item["column"] >= 1, (finding, item)


def sound_text(text: str) -> None:
    """Text that people read holds nothing that moves a cursor or forges a line."""
    text.encode()
    assert all(letter.isprintable() or letter == "\n" for letter in text), text
    assert not text or text.endswith("\n"), text


def sound_bundle(files: Mapping[str, bytes]) -> None:
    """A compiled bundle holds the files that it should, each reads back as itself, and each line is one of ours."""
    manifest = _round_trip(Manifest, files[MANIFEST])
    expected = {MANIFEST, *ACCOUNT_FILES, *manifest.files}
    assert set(files) == expected, sorted(set(files) ^ expected)
    assert {f"nodes/{node}/{file}" for node in manifest.nodes for file in NODE_FILES} <= expected
    for path in files:
        if path.startswith("nodes/"):
            match = NODE.match(path)
            assert match, path
            assert path[match.end() :] in NODE_FILES, path
    for cls, name in ((Gateways, GATEWAYS), (Policies, POLICIES), (Workloads, WORKLOADS), (Cluster, CLUSTER)):
        _round_trip(cls, files[name])
    for node in manifest.nodes:
        _round_trip(Routing, files[f"nodes/{node}/{ROUTING}"])
        _round_trip(Addresses, files[f"nodes/{node}/{ADDRESSES}"])
        sound_ruleset(files[f"nodes/{node}/{RULESET}"].decode())
    Explainer.of(files)


def sound_ruleset(text: str) -> None:
    """Each line has a known shape, and the whole is understood by both readers."""
    for line in text.split("\n"):
        assert not line or RULESET_LINE.fullmatch(line), repr(line)
    ruleset = parse(text, f"{TABLE_FAMILY} {TABLE_NAME}")
    assert all(rule.comment == fingerprint(rule.text) for chain in ruleset.chains.values() for rule in chain.rules)
    Evaluator(ruleset)


def _round_trip(cls: type[_T], raw: bytes) -> _T:
    value = decode(cls, raw)
    assert encode(value).encode() == raw
    return value
