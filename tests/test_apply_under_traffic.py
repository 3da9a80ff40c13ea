"""Applies on a source node and a gateway node while packets flow: none goes astray, none is lost that is not meant."""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

import pytest
from builders import (
    Obj,
    dump,
    gateway,
    interface,
    member,
    outcome,
    pod,
    policy,
    state,
)
from crossing import Crossing, Flow, Report, crossing
from mutations import resealed
from older_shape import single, verdicts

from applier.cli import run
from applier.counters import counters
from bundle.directory import RULESET, node_path
from compiler.files import write_bundle

pytestmark = pytest.mark.kernel

SHAPES = {"single": single, "verdicts": verdicts}
NODES = {"worker": "worker-1", "gateway": "egress-1"}
OWN = {4: "172.18.18.1", 6: "2001:db8:18::1"}
VIP = "172.18.18.242"


def ip(index: int, version: int) -> str:
    return f"10.111.11.{index}" if version == 4 else f"fd00:111:0:11::{index}"


def by_app(app: str) -> list[Obj]:
    return [{"podSelector": {"matchLabels": {"app": app}}}]


def inputs(*, workloads: int = 0, destinations: int = 0, moved: bool = False) -> list[Obj]:
    """Pods 5 and 6 leave by the node's own address, 7 and 8 by a virtual IP; nothing that varies concerns them.

    Args:
        workloads: How many more pods are selected.
        destinations: How many more destinations the policy of pods 5 and 6 has.
        moved: Whether the policy of pod 9 has another gateway and other destinations.
    """
    addresses = ("eth0", "172.18.4.11/24", "fd00:4::11/64"), ("eth1", "192.0.2.11/24", "2001:db8:2::11/64")
    worker = [*member("worker-1", labels={})[:-1], state("worker-1", *(interface(*each) for each in addresses))]
    apps = {5: "own", 6: "own", 7: "vip", 8: "vip", 9: "other"} | {20 + n: "own" for n in range(workloads)}
    more = [f"198.51.{100 + n}.0/24" for n in range(destinations)]
    return [
        *member("egress-1"),
        *worker,
        *(pod(f"pod-{index}", "worker-1", index, labels={"app": app}) for index, app in apps.items()),
        gateway("gw-own"),
        gateway("gw-vip", vip=VIP),
        policy("own", "gw-own", to=["203.0.113.0/24", "2001:db8:ffff::/48", *more], selectors=by_app("own")),
        policy("vip", "gw-vip", to=["203.0.113.0/24"], selectors=by_app("vip")),
        policy(
            "other",
            "gw-vip" if moved else "gw-own",
            to=["0.0.0.0/1" if moved else "0.0.0.0/0"],
            selectors=by_app("other"),
        ),
    ]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The plan that the flows are of, and others that differ in what concerns none of them."""
    home = tmp_path_factory.mktemp("bundles")
    plans = {
        "base": inputs(),
        "workload": inputs(workloads=1),
        "destination": inputs(destinations=1),
        "class": inputs(moved=True),
    }
    for name, objects in plans.items():
        (home / f"{name}.yaml").write_text(dump(*objects))
        files, findings = outcome(home / f"{name}.yaml")
        assert files is not None, findings
        write_bundle(files, home / name)
        for shape, older in SHAPES.items():
            changed = files
            for node in NODES.values():
                path = node_path(node, RULESET)
                changed = resealed(changed, path, older(files[path].decode()))
            write_bundle(changed, home / f"{shape} {name}")
    return {path.name: path for path in home.iterdir() if path.is_dir()}


STEADY = [
    *(Flow(index, ip(index, 4), OWN[4]) for index in (5, 6)),
    Flow(7, ip(7, 4), VIP),
    Flow(15, ip(5, 6), OWN[6]),
]
FRESH = [Flow(106, ip(6, 4), OWN[4]), Flow(108, ip(8, 4), VIP), Flow(116, ip(6, 6), OWN[6])]
TALKS = [Flow(205, ip(5, 4), OWN[4]), Flow(207, ip(7, 4), VIP), Flow(215, ip(5, 6), OWN[6])]


@pytest.fixture
def lab(bundles: dict[str, Path]) -> Iterator[Crossing]:
    pods = [ip(index, version) + ("/32" if version == 4 else "/128") for index in range(5, 10) for version in (4, 6)]
    with crossing(pods) as built:
        for where in NODES:
            apply(built, where, bundles["base"])
        yield built


def apply(lab: Crossing, where: str, bundle: Path) -> str:
    out, err = io.StringIO(), io.StringIO()
    status = run(bundle, NODES[where], lab.namespaces[where].name, dry_run=False, out=out, err=err)

    assert (status, err.getvalue()) == (0, "")
    return out.getvalue()


def load(lab: Crossing, where: str, bundle: Path, head: str = "") -> None:
    """Loads the ruleset as a person could."""
    text = (bundle / "nodes" / NODES[where] / "ruleset.nft").read_text()
    lab.namespaces[where].nft(head + text)


def under_traffic(lab: Crossing, work: Callable[[], None], talks: Sequence[Flow] = TALKS) -> Report:
    with lab.traffic(STEADY, FRESH, talks, steady_rate=250, fresh_rate=1500) as reports:
        work()
    return reports[0]


def unharmed(report: Report) -> None:
    assert report.wrong == {}
    assert report.broken == {}
    assert report.twice == 0
    assert sum(report.lost.values()) <= report.dropped, report.lost
    assert min(report.sent.values()) > 100
    assert min(report.answers.values()) > 100


def test_flows_do_not_notice_that_a_plan_is_applied_again(lab: Crossing, bundles: dict[str, Path]) -> None:
    """1,000 times: half of them by the applier, which writes nothing, half by nft, which writes everything."""

    def work() -> None:
        for _ in range(250):
            for where in NODES:
                assert apply(lab, where, bundles["base"]) == "nothing to do\n"
                load(lab, where, bundles["base"])

    unharmed(under_traffic(lab, work))


def test_flows_do_not_notice_changes_that_do_not_concern_them(lab: Crossing, bundles: dict[str, Path]) -> None:
    """1,000 of them."""

    def work() -> None:
        for name in islice(cycle(("workload", "destination", "class")), 250):
            for plan in (name, "base"):
                for where in NODES:
                    assert apply(lab, where, bundles[plan]).startswith("nft ")

    unharmed(under_traffic(lab, work))


@pytest.mark.parametrize("shape", SHAPES)
def test_flows_do_not_notice_that_a_table_of_an_older_shape_is_taken_over(
    lab: Crossing, bundles: dict[str, Path], shape: str
) -> None:
    """50 times on both nodes, and back, most of them with a change that concerns nobody."""
    found = []

    def work() -> None:
        for name in islice(cycle(("base", "workload", "class")), 50):
            for where in NODES:
                assert "nft add map inet egressc route4 " in apply(lab, where, bundles[f"{shape} {name}"])
                assert "nft delete map inet egressc route4\n" in apply(lab, where, bundles["base"])
                found.append(missed(lab, where))

    report = under_traffic(lab, work)
    assert report.wrong == {}
    assert report.broken == {}
    assert report.twice == 0
    # Nobody misses on the way there; on the way back, as of a node that is rolled back, some do for a millisecond.
    assert found == [0] * 100


@pytest.mark.parametrize("shape", SHAPES)
def test_no_flow_goes_astray_when_nft_loads_over_an_older_shape(
    lab: Crossing, bundles: dict[str, Path], shape: str
) -> None:
    """50 times on both nodes, and back; then what is left of the older shape goes with the next apply."""

    def work() -> None:
        for name in islice(cycle(("base", "workload", "class")), 50):
            for where in NODES:
                load(lab, where, bundles[f"{shape} {name}"])
                load(lab, where, bundles["base"])

    report = under_traffic(lab, work)
    assert report.wrong == {}
    assert report.broken == {}
    assert report.twice == 0
    for where in NODES:
        assert "nft delete map inet egressc route4\n" in apply(lab, where, bundles["base"])
        assert apply(lab, where, bundles["base"]) == "nothing to do\n"


def missed(lab: Crossing, where: str) -> int:
    """Returns how many packets had a class whose map did not know their destination, since the rules were written."""
    values = counters(lab.namespaces[where].run("nft list table inet egressc"))
    return sum(item.packets for item in values if item.drops and item.chain.startswith(("local_", "remote")))


def test_flows_notice_that_the_table_is_replaced(lab: Crossing, bundles: dict[str, Path]) -> None:
    """What the tests above could see, and why the applier changes the table in place."""
    head = "add table inet egressc\ndelete table inet egressc\n"

    def work() -> None:
        for _ in range(100):
            for where in NODES:
                load(lab, where, bundles["base"], head)

    reports: list[Report] = []
    # Measured: 4 to 11 packets lost in these 200 loads, so that even one round without any is rare.
    while len(reports) < 10 and not any(report.wrong or report.lost for report in reports):
        reports.append(under_traffic(lab, work))

    assert reports[-1].wrong or sum(reports[-1].lost.values()) > reports[-1].dropped


def test_flows_notice_that_a_node_loses_its_rules(lab: Crossing) -> None:
    """That a wrong source address is seen, too."""

    def work() -> None:
        lab.namespaces["worker"].nft("delete table inet egressc")
        time.sleep(0.5)

    report = under_traffic(lab, work, talks=())

    assert {source for _, source in report.wrong} >= {"192.0.2.11", "2001:db8:2::11"}
