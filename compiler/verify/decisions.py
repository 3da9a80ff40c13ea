"""What the policies of a workload decide, by the plainest way there is (semantics.md §5)."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from bundle.model import Policies, PolicyReport, WorkloadReport, Workloads
from compiler.model import Family, Network

Decisions = tuple[tuple[int, int, str | None], ...]
"""Destinations from low to high as numbers, and the gateway that takes them, None where they go their ordinary way."""


@dataclass(frozen=True, slots=True)
class Class:
    """Workloads whose packets are decided alike.

    Attributes:
        policies: Names of the policies that select them, in order of precedence.
        contest: Where an address is that of several workloads, the policies of each; empty as a rule.
        rivals: The names of those workloads.
    """

    policies: tuple[str, ...]
    contest: tuple[tuple[str, ...], ...] = ()
    rivals: tuple[str, ...] = ()


def classes_of(workloads: Workloads) -> dict[Class, list[WorkloadReport]]:
    """Groups the workloads whose packets any policy decides."""
    result: dict[Class, list[WorkloadReport]] = {}
    for group in _sharing_addresses(workloads):
        contest: tuple[tuple[str, ...], ...] = ()
        rivals: tuple[str, ...] = ()
        if len(group) > 1:
            contest = tuple(sorted({workload.policies for workload in group}))
            rivals = tuple(sorted(f"{w.kind} {w.namespace}/{w.name}" for w in group))
        for workload in group:
            if workload.policies or any(contest):
                result.setdefault(Class(workload.policies, contest, rivals), []).append(workload)
    return result


def _sharing_addresses(workloads: Workloads) -> list[list[WorkloadReport]]:
    """Returns groups of workloads that have an address of each other, which are one workload each as a rule."""
    group_of: dict[str, list[WorkloadReport]] = {}
    groups: dict[int, list[WorkloadReport]] = {}
    for workload in workloads.workloads:
        joined = [workload]
        for other in {id(group_of[a]): group_of[a] for a in workload.addresses if a in group_of}.values():
            joined = [*other, *joined]
            del groups[id(other)]
        groups[id(joined)] = joined
        group_of.update((address, joined) for member in joined for address in member.addresses)
    return list(groups.values())


class Decider:
    """Decides for classes, each once."""

    def __init__(self, policies: Policies) -> None:
        self._policies = {item.name: item for item in policies.policies}
        self._known: dict[tuple[Class, Family], Decisions] = {}

    def gateways(self, item: Class) -> set[str]:
        """Returns the gateways that the policies of a class name; in a contest nothing goes by any."""
        return set() if item.contest else {self._policies[name].gateway for name in item.policies}

    def decide(self, item: Class, family: Family) -> Decisions:
        """Returns which gateway takes which destinations of a class; in a contest that of any of its workloads."""
        if (item, family) not in self._known:
            if item.contest:
                found = _any_gateway([self.decide(Class(policies), family) for policies in item.contest])
            else:
                found = tuple(_longest_prefixes(self._table(item.policies, family), family))
            self._known[item, family] = found
        return self._known[item, family]

    def _table(self, policies: tuple[str, ...], family: Family) -> dict[tuple[int, int], str | None]:
        """Returns the gateway of each (prefix length, address); of equal ones the first policy's counts.

        Inside of a policy it is the exclusion.
        """
        table: dict[tuple[int, int], str | None] = {}
        for name in policies:
            for network, gateway in _entries(self._policies[name]):
                if network.version == family:
                    table.setdefault((network.prefixlen, int(network.network_address)), gateway)
        return table


def _entries(policy: PolicyReport) -> Iterator[tuple[Network, str | None]]:
    yield from ((ip_network(text), None) for text in policy.excluded_cidrs)
    yield from ((ip_network(text), policy.gateway) for text in policy.destination_cidrs)


def _longest_prefixes(
    table: Mapping[tuple[int, int], str | None], family: Family
) -> Iterator[tuple[int, int, str | None]]:
    lengths = sorted({length for length, _ in table}, reverse=True)
    edges = {0}
    for length, number in table:
        edges.update((number, number + (1 << family.bits - length)))
    starts = sorted(edges - {1 << family.bits})
    ends = [*(start - 1 for start in starts[1:]), (1 << family.bits) - 1]
    for low, high in zip(starts, ends, strict=True):
        # Between two edges all destinations lie in the same prefixes.
        prefixes = ((length, low >> family.bits - length << family.bits - length) for length in lengths)
        yield low, high, next((table[prefix] for prefix in prefixes if prefix in table), None)


def _any_gateway(tables: list[Decisions]) -> Decisions:
    starts = sorted({low for table in tables for low, _, _ in table})
    ends = [*(start - 1 for start in starts[1:]), tables[0][-1][1]]
    lows = [[low for low, _, _ in table] for table in tables]
    result = []
    for low, high in zip(starts, ends, strict=True):
        found = (table[bisect_right(own, low) - 1][2] for table, own in zip(tables, lows, strict=True))
        result.append((low, high, next((gateway for gateway in found if gateway is not None), None)))
    return tuple(result)
