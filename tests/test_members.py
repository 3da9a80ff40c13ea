"""Which nodes a gateway's selector takes, and that verdicts are about those alone."""

import json
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from builders import EGRESS_LABEL, Obj, cluster, dump, gateway, member, node, outcome, patched, policy
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.directory import GATEWAYS
from compiler.diagnostics import Place
from compiler.diff.difference import compare_sides
from compiler.diff.gateways import MasterMove
from compiler.members import Members
from compiler.model import Gateway, InterfaceAddress, Mode, Node
from compiler.sides import open_side
from compiler.suitability import holds

MANY = settings(max_examples=200, deadline=None, derandomize=True)
NOWHERE = Place("input.yaml")
LABELS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["", "1", "2"]))


def a_node(name: str, labels: Mapping[str, str]) -> Node:
    return Node(
        name=name,
        labels=labels,
        ready=True,
        cordoned=False,
        deleting=False,
        internal_ips={},
        addresses=(),
        pod_cidrs=(),
        network=None,
        place=NOWHERE,
    )


@MANY
@given(
    labels=st.dictionaries(st.sampled_from([f"node-{index}" for index in range(8)]), LABELS),
    selector=LABELS,
)
def test_members_are_the_nodes_that_have_all_labels_in_order_of_name(
    labels: Mapping[str, Mapping[str, str]], selector: Mapping[str, str]
) -> None:
    members = Members({name: a_node(name, own) for name, own in labels.items()})
    asking = Gateway("g", selector, Mode.PRIMARY, "eth1", None, (), NOWHERE)

    expected = [
        name for name, own in sorted(labels.items()) if all(own.get(key) == value for key, value in selector.items())
    ]
    assert expected == list(members.of(asking))


def addresses() -> st.SearchStrategy[IPv4Address | IPv6Address]:
    """Near each other, so that subnets of many lengths hold some of them."""
    near = st.tuples(st.sampled_from(["10.0.0.0", "fd00::", "::", "255.255.0.0"]), st.integers(0, 600))
    return near.map(lambda pair: ip_address(pair[0]) + pair[1])


@MANY
@given(own=addresses(), length=st.integers(0, 128), other=addresses())
def test_the_subnet_of_an_interface_s_address_holds_what_the_network_holds(
    own: IPv4Address | IPv6Address, length: int, other: IPv4Address | IPv6Address
) -> None:
    length = min(length, own.max_prefixlen)

    expected = other in ip_network(f"{own}/{length}", strict=False)

    assert holds(InterfaceAddress(own, length), other) is expected


def written(path: Path, *objects: Obj) -> str:
    path.write_text(dump(*objects), encoding="utf-8")
    return str(path)


def test_a_gateway_s_report_names_its_members_only(tmp_path: Path) -> None:
    labels = {**EGRESS_LABEL, "more": "x"}
    unwell = patched(
        node("egress-3", labels=labels, ready="False"), "metadata.deletionTimestamp", "2026-01-01T00:00:00Z"
    )
    files, _ = outcome(Path(written(tmp_path / "input.yaml", *cluster(unwell, gateway(), policy()))))

    assert files is not None
    (report,) = json.loads(files[GATEWAYS])["gateways"]
    reasons = {name: verdict["reasons"] for name, verdict in report["nodes"].items()}
    assert reasons == {"egress-1": [], "egress-2": [], "egress-3": ["NotReady", "Deleting", "AgentNotReady"]}


@pytest.mark.parametrize(
    ("before", "after", "move"),
    [
        (
            [*member("egress-1"), *member("egress-2")],
            [*member("egress-1", labels={}), *member("egress-2")],
            MasterMove("egress-gw", "egress-1", "egress-2", lost=("SelectorMismatch",), gained=()),
        ),
        (
            [*member("egress-1"), *member("egress-2")],
            member("egress-2"),
            MasterMove("egress-gw", "egress-1", "egress-2", lost=("Gone",), gained=()),
        ),
        (
            [*member("egress-1", labels={}), *member("egress-2")],
            [*member("egress-1"), *member("egress-2")],
            MasterMove("egress-gw", "egress-2", "egress-1", lost=(), gained=("SelectorMismatch",)),
        ),
        (
            member("egress-2"),
            [*member("egress-1"), *member("egress-2")],
            MasterMove("egress-gw", "egress-2", "egress-1", lost=(), gained=("Gone",)),
        ),
    ],
)
def test_a_diff_tells_a_master_that_is_not_selected_from_one_that_is_gone(
    tmp_path: Path, before: list[Obj], after: list[Obj], move: MasterMove
) -> None:
    rest = [*member("worker-1", labels={}), gateway(), policy()]
    old = open_side([written(tmp_path / "before.yaml", *before, *rest)])
    new = open_side([written(tmp_path / "after.yaml", *after, *rest)])

    assert compare_sides(old, new).gateways.masters == (move,)
