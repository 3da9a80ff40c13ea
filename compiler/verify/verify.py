"""Verify a whole bundle: the account, then every node's files against it, then the account against the inputs.

In: an opened bundle and, where there are inputs, the account that they give. Out: a `Verdict`. Reads no file itself.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from bundle import __version__
from bundle.codec import encode
from bundle.directory import CLUSTER, GATEWAYS, POLICIES, STATUS, WORKLOADS, Bundle
from bundle.model import Cluster, Gateways, Policies, Workloads
from compiler.account import Account
from compiler.evaluate import EvaluationError
from compiler.progress import Progress, counted, silent
from compiler.source import read_documents
from compiler.trace import TraceError, Tracer
from compiler.verify.account import check_account
from compiler.verify.claims import Claims
from compiler.verify.failure import Example, Failure
from compiler.verify.routing import check_addresses, check_routing
from compiler.verify.ruleset import check_ruleset

_TRACED: Final = 50  # of so many failures the packet is followed through the files


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result: what failed, and how much was looked at.

    Attributes:
        failures: In order of files; none means that the bundle is proved.
        nodes: Nodes whose files were read.
        workloads: Workloads of the bundle.
        classes: Classes of (workload, destination) that are decided alike on a node, over all nodes.
    """

    failures: tuple[Failure, ...]
    nodes: int
    workloads: int
    classes: int


def verify(bundle: Bundle, expected: Account | None, progress: Progress = silent) -> Verdict:
    """Verifies a bundle, against the account that the inputs give if there is one; tells how far it is.

    The digest of the inputs is not compared: a newer snapshot that says the same of all that matters has another one.

    Raises:
        BundleError: A file does not hold what a bundle's file holds.
    """
    progress("verifying the account")
    account = read_account(bundle)
    gateways, policies, workloads, cluster = account.gateways, account.policies, account.workloads, account.cluster
    documents, faults = read_documents(STATUS, bundle.files[STATUS])
    failures = [Failure(STATUS, fault.message) for fault in faults]
    failures += check_account(gateways, policies, workloads, cluster, tuple(item.data for item in documents))
    if expected is not None:
        failures += compare_accounts(account, expected)
    if set(cluster.nodes) != set(bundle.manifest.nodes):
        failures.append(Failure(CLUSTER, "its nodes are not those that have a part in the bundle"))
    if failures:
        return Verdict(tuple(failures), 0, len(workloads.workloads), 0)
    claims = Claims(gateways, policies, workloads, cluster)
    # Another version may write the same in other words.
    as_written = bundle.manifest.compiler_version == __version__
    for name in counted(bundle.manifest.nodes, "verifying nodes", progress):
        part = bundle.node(name)
        found, marks = check_ruleset(part, claims, as_written=as_written)
        # Without its marks a ruleset says nothing about the routing.
        found += check_routing(part, claims, marks) if marks is not None else []
        failures += found + check_addresses(part, claims)
    shown = [_traced(item, bundle) for item in failures[:_TRACED]]
    return Verdict((*shown, *failures[_TRACED:]), len(bundle.manifest.nodes), len(workloads.workloads), claims.count())


def read_account(bundle: Bundle) -> Account:
    """Reads the account that a bundle gives of itself.

    Raises:
        BundleError: One of its files is not of the expected shape.
    """
    return Account(
        bundle.decode(Gateways, GATEWAYS),
        bundle.decode(Policies, POLICIES),
        bundle.decode(Workloads, WORKLOADS),
        bundle.decode(Cluster, CLUSTER),
    )


def compare_accounts(found: Account, expected: Account) -> list[Failure]:
    """Compares what a bundle says of the cluster with what the inputs say."""
    failures: list[Failure] = []
    for field, file in zip(dataclasses.fields(Account), (GATEWAYS, POLICIES, WORKLOADS, CLUSTER), strict=True):
        ours, theirs = (json.loads(encode(getattr(account, field.name))) for account in (found, expected))
        failures.extend(
            Failure(file, f"{path}: the bundle says {_show(one)}, the inputs say {_show(other)}")
            for path, one, other in _differences(ours, theirs, "")
        )
    return failures


def _differences(found: Any, expected: Any, path: str) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401  # any JSON
    if isinstance(found, list) and isinstance(expected, list):
        found, expected = _named(found), _named(expected)
        if isinstance(found, dict) and isinstance(expected, dict) and list(found) != list(expected):
            yield f"{path} (their order)".strip(), ", ".join(found), ", ".join(expected)
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in itertools.chain(found, (key for key in expected if key not in found)):
            if key not in found or key not in expected:
                yield f"{path}.{key}".strip("."), found.get(key, "nothing"), expected.get(key, "nothing")
            else:
                yield from _differences(found[key], expected[key], f"{path}.{key}".strip("."))
    elif found != expected:
        yield path, found, expected


def _named(items: list[Any]) -> Any:  # noqa: ANN401  # any JSON
    """Returns a list of named objects by name, any other list as it is."""
    if not items or not all(isinstance(item, dict) and "name" in item for item in items):
        return items
    named = {"/".join(item[key] for key in ("kind", "namespace", "name") if key in item): item for item in items}
    return named if len(named) == len(items) else items


def _show(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:99] + "…"  # noqa: PLR2004  # what fits on a line with the rest


def _traced(failure: Failure, bundle: Bundle) -> Failure:
    """Adds what the files do to the packet of a failure."""
    return failure if failure.example is None else replace(failure, actual=_follow(failure.example, bundle))


def _follow(example: Example, bundle: Bundle) -> str:
    if example.node not in bundle.manifest.nodes:
        return f"its node {example.node} has no part in the bundle"
    try:
        trace = Tracer(bundle).trace(example.node, example.source, example.destination)
    except (TraceError, EvaluationError) as fault:
        return f"the files contradict each other: {fault}"
    if trace.verdict == "egress":
        return f"it leaves by node {trace.node} with source {trace.source or 'of its interface'}"
    return "it goes its ordinary way" if trace.verdict == "bypass" else f"it is dropped on node {trace.node}"
