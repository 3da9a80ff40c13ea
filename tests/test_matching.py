"""The index of selectors finds the policies that asking every one of them would find."""

from dataclasses import replace
from ipaddress import IPv4Address

from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.diagnostics import Place
from compiler.matching import Matching
from compiler.model import Family, Policy, Requirement, Selector, Workload
from compiler.selectors import selects, workload_labels

FEW = settings(max_examples=400, deadline=None, derandomize=True)
HERE = Place("input.yaml")
KEYS = [
    *("app", "tier", "io.kubernetes.pod.namespace", "io.cilium.k8s.policy.serviceaccount"),
    *("io.cilium.k8s.namespace.labels.team", "io.cilium.k8s.namespace.labels.app"),
]
VALUES = ["", "a", "b", "default", "shop"]
NAMESPACES = {"default": {"team": "a"}, "shop": {"team": "b", "app": "a"}, "bare": {}}

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=4)
workloads = st.builds(
    lambda namespace, account, own: Workload(
        "Pod", namespace, "pod", "node", own, account, {Family.IPV4: IPv4Address("10.0.0.1")}, HERE
    ),
    st.sampled_from([*NAMESPACES, "unknown"]),
    st.sampled_from(["", "default", "mailer"]),
    labels,
)


def requirements(keys: list[str]) -> st.SearchStrategy[tuple[Requirement, ...]]:
    listed = st.builds(
        lambda key, operator, values: Requirement(key, operator, tuple(values), HERE),
        st.sampled_from(keys),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from(VALUES), min_size=1, max_size=3),
    )
    bare = st.builds(
        lambda key, operator: Requirement(key, operator, (), HERE),
        st.sampled_from(keys),
        st.sampled_from(["Exists", "DoesNotExist"]),
    )
    return st.lists(st.one_of(listed, bare), max_size=3).map(tuple)


selectors = st.builds(
    Selector,
    st.one_of(st.none(), requirements(KEYS)),
    st.one_of(st.none(), requirements(["team", "app"])),
    st.integers(0, 99).map(lambda number: HERE.at("selectors", number)),
)
policies = st.lists(st.lists(selectors, max_size=3), max_size=6).map(
    lambda found: [Policy(f"p{n}", "gw", {}, {}, tuple(entries), None, HERE) for n, entries in enumerate(found)]
)


@FEW
@given(known=st.lists(workloads, max_size=5), others=st.lists(workloads, max_size=5), asked=policies)
def test_the_index_finds_what_asking_all_finds(
    known: list[Workload], others: list[Workload], asked: list[Policy]
) -> None:
    matching = Matching(asked, NAMESPACES, known)

    for workload in (*known, *others):
        own = NAMESPACES.get(workload.namespace, {})
        expected = [item for item in asked if selects(item.selectors, workload_labels(workload, own), own)]
        assert list(matching.policies_of(workload)) == expected
        assert matching.policies_of(replace(workload, name="twin")) is matching.policies_of(workload)
