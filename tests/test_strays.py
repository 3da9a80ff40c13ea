"""What may be another node's workload: the quick answer is that of looking at all nodes and workloads."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network

from hypothesis import given, settings
from hypothesis import strategies as st
from test_members import NOWHERE, a_node

from compiler.model import Address, Family, Network, Node, Workload
from compiler.ranges import collapse, without
from compiler.strays import Strays

MANY = settings(max_examples=300, deadline=None, derandomize=True)
NAMES = ("node-1", "node-2", "node-3")


def by_looking_at_all(
    name: str, nodes: Mapping[str, Node], selected: Iterable[Workload], own: Mapping[str, Iterable[Address]]
) -> tuple[Network, ...]:
    others: set[Network] = set()
    for node in nodes.values():
        if node.name != name:
            others.update(node.pod_cidrs)
    for workload in selected:
        if workload.node != name:
            others.update(ip_network(address) for address in workload.addresses.values())
    return without(collapse(others), own.get(name, ()))


def numbers() -> st.SearchStrategy[int]:
    """Near each other, and at both ends of what there is."""
    return st.integers(0, 40)


def addresses() -> st.SearchStrategy[Address]:
    ends = st.sampled_from(["10.0.0.0", "fd00::", "255.255.255.200", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00"])
    return st.tuples(ends, numbers()).map(lambda pair: ip_address(pair[0]) + pair[1])


def ranges() -> st.SearchStrategy[Network]:
    def network(address: Address, bits: int) -> Network:
        return ip_network(f"{address}/{address.max_prefixlen - bits}", strict=False)

    return st.builds(network, addresses(), st.integers(0, 6))


def workloads() -> st.SearchStrategy[Workload]:
    def workload(node: str, found: list[Address]) -> Workload:
        by_family = {Family(address.version): address for address in found}
        return Workload("Pod", "default", "a", node, {}, "", by_family, NOWHERE)

    return st.builds(workload, st.sampled_from((*NAMES, "nowhere")), st.lists(addresses(), max_size=2))


@MANY
@given(
    cidrs=st.lists(st.lists(ranges(), max_size=3).map(tuple), min_size=3, max_size=3),
    every=st.lists(workloads(), max_size=12),
    data=st.data(),
)
def test_the_answer_is_that_of_looking_at_all(
    cidrs: list[tuple[Network, ...]], every: list[Workload], data: st.DataObject
) -> None:
    nodes = {name: replace(a_node(name, {}), pod_cidrs=own) for name, own in zip(NAMES, cidrs, strict=True)}
    selected = [workload for workload in every if data.draw(st.booleans())]
    own: dict[str, list[Address]] = {}
    for workload in every:
        own.setdefault(workload.node, []).extend(workload.addresses.values())
    strays = Strays(nodes, selected, own)

    for name in NAMES:
        assert by_looking_at_all(name, nodes, selected, own) == strays.of(name)
