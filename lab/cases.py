"""`egressc test --lab`: the cases with real packets, beside the proof.

Outside sees from which address a packet comes, or that none comes. No packet tells which gateway, policy and CIDR it
was, nor that something never happens: these are left to the proof.
"""

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from compiler.console import Console
from compiler.files import write_bundle
from compiler.model import Address, Cluster, Network
from compiler.telling import BAD_INPUT
from compiler.testing import command
from compiler.testing.cases import Assertion
from compiler.testing.command import Prepared
from compiler.testing.examine import Breach, Result, Sample
from compiler.text import counted
from lab import commands
from lab.model import LabError, Limits
from lab.topology import plan_lab

_ANSWERED: Final = 2.0
_SILENT: Final = 0.5
"""Seconds to wait where an answer should come, and where none should."""

_UNUSABLE: Final = tuple(
    map(
        ip_network,
        ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)
"""Destinations that a kernel sends nothing to, or not by a router."""


@dataclass(frozen=True, slots=True)
class Question:
    """A packet to send; `sample` is the range of destinations that it stands for."""

    sample: Sample
    to: Address


def main(arguments: argparse.Namespace) -> int:
    """`egressc test --lab`; returns the exit status."""
    try:
        return command.run(arguments, _with_packets)
    except LabError as fault:
        sys.stderr.write(f"egressc test --lab: {fault}\n")
        return BAD_INPUT


def _with_packets(prepared: Prepared, console: Console) -> Iterable[Result]:
    with console.working() as progress:
        results = prepared.examine(progress)
    # An entry that cannot be asked has no packets, and one that says "never" would need all that there are.
    asked = [result.assertion for result in results if not result.error and not result.assertion.never]
    samples = [[(item, sample) for sample in prepared.examiner.samples(item)] for item in asked]
    name, limits = f"test-{os.getpid()}", Limits()
    chosen = list(dict.fromkeys(_key(sample) for group in samples for _, sample in group))[: limits.workloads]
    plan = plan_lab(prepared.cluster, name, limits, chosen)
    blocked = [*_UNUSABLE, *map(ip_network, plan.inside_ranges)]
    built = {workload.key for workload in plan.workloads}
    questions: dict[int, list[Question]] = {}
    for item, sample in (pair for group in samples for pair in group):
        to = _usable(sample, blocked) if not sample.in_cluster and _key(sample) in built else None
        if to is not None:
            questions.setdefault(id(item), []).append(Question(sample, to))
    ways_out = frozenset(
        (node.name, ip_network(route.everything).version) for node in plan.nodes for route in node.defaults
    )
    sent = sum(map(len, questions.values()))
    left = sum(map(len, samples)) - sent
    console.note(
        f"sending {counted(sent, 'packet')}; which gateway, policy, CIDR and node each met is left to the proof, and "
        f"so are {counted(sum(result.assertion.never for result in results), 'assertion')} of `never` and "
        f"{counted(left, 'range')} of destinations that packets cannot be sent to from here"
    )
    if not sent:
        return results
    with tempfile.TemporaryDirectory() as directory:
        bundle = Path(directory) / "bundle"
        write_bundle(prepared.files, bundle)
        try:
            commands.up(prepared.cluster, name, "nft", io.StringIO(), limits=limits, only=chosen)
            _apply(name, bundle)
            return [
                _sent(name, prepared.cluster, ways_out, result, questions.get(id(result.assertion), ()))
                for result in results
            ]
        finally:
            commands.down(name)


def _key(sample: Sample) -> str:
    return f"{sample.workload.namespace}/{sample.workload.name}"


def _apply(name: str, bundle: Path) -> None:
    said = io.StringIO()
    if status := commands.apply(name, bundle, said):
        raise LabError(f"the bundle cannot be applied, exit status {status}:\n{said.getvalue()}")


def _usable(sample: Sample, blocked: Sequence[Network]) -> Address | None:
    """Returns the lowest destination of a sample to which a packet leaves the lab, None if there is none."""
    make = type(sample.low)
    own = [network for network in blocked if network.version == sample.low.version]
    last = int(sample.high)
    starts = sorted({int(sample.low), *(int(network.broadcast_address) + 1 for network in own)})
    for number in starts:
        if int(sample.low) <= number <= last and not any(make(number) in network for network in own):
            return make(number)
    return None


def _sent(
    name: str, cluster: Cluster, ways_out: frozenset[tuple[str, int]], result: Result, questions: Sequence[Question]
) -> Result:
    breaches = [
        breach for question in questions for breach in _ask(name, cluster, ways_out, result.assertion, question)
    ]
    return replace(result, breaches=(*result.breaches, *breaches), packets=len(questions))


def _ask(
    name: str, cluster: Cluster, ways_out: frozenset[tuple[str, int]], assertion: Assertion, question: Question
) -> Iterator[Breach]:
    """Sends a packet and compares what outside saw with what the case expects.

    Args:
        name: Of the lab.
        cluster: What it was built of.
        ways_out: Nodes and families in which they have a way out of their own.
        assertion: The case.
        question: The packet.
    """
    (verdict,) = assertion.wanted["verdict"]
    workload, to = _key(question.sample), str(question.to)
    commands.clear_seen(name)
    timeout = _ANSWERED if verdict == "egress" else _SILENT
    answer = commands.request(name, workload, to, timeout=timeout)
    seen = {packet.source for packet in commands.seen(name) if packet.destination == to}
    expected: set[str] = set()
    if verdict == "egress":
        expected = set(assertion.wanted.get("sourceIP", ())) or _sources(cluster, question.sample)
        good = answer in expected and seen == {answer}
    elif verdict == "drop":
        good = answer is None and not seen
    else:
        # From a node without a way out its workloads get no answer, with or without our rules.
        node = question.sample.workload.node
        expected = _addresses(cluster, node) if (node, question.to.version) in ways_out else set()
        good = seen <= expected and (answer in expected if expected else answer is None)
    if not good:
        found = f"outside saw it come from {', '.join(sorted(seen))}" if seen else "nothing arrived outside"
        wanted = f"; expected was {' or '.join(sorted(expected)) or 'nothing'}"
        texts = (f"{to}/{question.to.max_prefixlen}",)
        reason = f"a packet from {workload} to {to} was sent, and {found}{wanted}"
        yield Breach((workload,), texts, (to,), question.sample.fate, reason)


def _sources(cluster: Cluster, sample: Sample) -> set[str]:
    """Returns the addresses that a packet may leave with by the account, any of its node where only that knows."""
    if sample.fate.source is not None:
        return {sample.fate.source}
    return _addresses(cluster, sample.fate.node or "") if sample.fate.verdict == "egress" else set()


def _addresses(cluster: Cluster, name: str) -> set[str]:
    """Returns the addresses of a node."""
    node = cluster.nodes[name]
    interfaces = node.network.interfaces if node.network else ()
    own = {str(entry.address) for interface in interfaces for entry in interface.addresses}
    return own | {str(address) for address in node.addresses}
