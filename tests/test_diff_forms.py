"""A diff in its forms: nothing of others takes them over, and a comment stays one, whatever the size of the change."""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders import Obj
from commonmark import opened_right, tokens
from conftest import GOLDEN, ROOT
from edits import pairs
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from bench.clusters import Size, make_cluster
from compiler.cli import main
from compiler.diff.difference import Difference, compare_sides
from compiler.diff.forms import diff_markdown, diff_text
from compiler.diff.gateways import GatewayChanges, Pair, VirtualIPMove
from compiler.diff.output import diff_json
from compiler.diff.traffic import KINDS, Group
from compiler.gates import GATES
from compiler.markdown import LARGEST
from compiler.model import Family
from compiler.outcomes import BYPASS, Outcome
from compiler.sides import Side, SideError, open_side

CHANGE = GOLDEN / "outputs" / "change"
SCHEMA = Draft202012Validator(json.loads((ROOT / "schemas" / "diff-output.schema.json").read_text()))
NOTHING = frozenset[str]()


def side(*inputs: Path) -> Side:
    return open_side([str(path) for path in inputs])


def compare(old: tuple[Path, ...], new: tuple[Path, ...]) -> Difference:
    return compare_sides(side(*old), side(*new))


def change() -> Difference:
    cluster = CHANGE / "cluster.yaml"
    return compare((CHANGE / "before", cluster), (CHANGE / "after", cluster))


def lines(difference: Difference) -> list[str]:
    return [str(line) for line in diff_text(difference)]


def test_a_side_does_not_differ_from_itself() -> None:
    inputs = (CHANGE / "after", CHANGE / "cluster.yaml")
    difference = compare(inputs, inputs)

    assert not difference
    assert difference.gates() == frozenset()
    assert diff_json(difference, frozenset())["differs"] is False


@settings(max_examples=25, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs())
def test_what_is_said_backwards_is_the_mirror_and_fits_the_schema(
    tmp_path_factory: pytest.TempPathFactory, pair: tuple[list[Obj], list[Obj]]
) -> None:
    try:
        there, back = (compare_sides(*sides) for sides in _both_ways(pair, tmp_path_factory.mktemp("pair")))
    except SideError:
        return

    forward, backward = (diff_json(difference, frozenset()) for difference in (there, back))
    for document in (forward, backward):
        SCHEMA.validate(document)
    assert forward["differs"] == backward["differs"]
    for key in ("masters", "virtualIPs", "standbys", "gateways", "policies"):
        turned = [{**item, "before": item["after"], "after": item["before"]} for item in backward[key]]
        for item in turned:
            if key == "masters":
                item["lost"], item["gained"] = item["gained"], item["lost"]
        assert turned == forward[key]
    assert backward["clusterAdded"] == forward["clusterRemoved"]
    assert backward["nodesAdded"] == forward["nodesRemoved"]
    assert backward["precedence"] == forward["precedence"]
    opened_right(diff_markdown(there, frozenset()))


def _both_ways(pair: tuple[list[Obj], list[Obj]], home: Path) -> Iterator[tuple[Side, Side]]:
    for index, objects in enumerate(pair):
        document = {"apiVersion": "v1", "kind": "List", "items": objects}
        (home / f"{index}.json").write_text(json.dumps(document))
    for first, second in ((0, 1), (1, 0)):
        yield side(home / f"{first}.json"), side(home / f"{second}.json")


def test_a_gate_is_met_by_what_it_names_only() -> None:
    difference = change()
    empty = replace(
        difference,
        traffic=replace(difference.traffic, groups=(), breaking=0),
        gateways=replace(difference.gateways, masters=(), virtual_ips=(), standbys=()),
    )

    assert empty.gates() == frozenset()
    assert difference.gates() == {"connections-break", "new-bypass", "new-cover", "new-drop", "source-change"}


HOSTILE = "a`b```</details>\n<script>*x*_y_|[z](http://a)\x1b[31m@all"


def hostile() -> Difference:
    difference = change()
    (group, *_) = difference.traffic.groups
    outcome = Outcome("egress", HOSTILE, HOSTILE, HOSTILE)
    groups = [
        Group("covered", BYPASS, outcome, Family.IPV4, ((0, 255),), (HOSTILE,) * 3, (HOSTILE,), (HOSTILE,), 1),
        group,
    ]
    gateways: GatewayChanges = replace(
        difference.gateways, policies=(Pair(HOSTILE, None, None),), nodes_added=(HOSTILE,)
    )
    return replace(
        difference,
        old=HOSTILE,
        new=HOSTILE,
        gateways=gateways,
        traffic=replace(difference.traffic, groups=tuple(groups), appeared=(HOSTILE,)),
    )


def test_names_take_over_neither_markdown_nor_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = diff_markdown(hostile(), frozenset())

    opened_right(text)
    assert "\x1b" not in text
    assert not any(token.type == "html_block" and "script" in token.content for token in tokens(text))
    links = [child for token in tokens(text) for child in token.children or () if child.type == "link_open"]
    assert links == []
    assert capsys.readouterr().out == ""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Difference:
    """Two clusters of which everything differs: the second has other policies on the same workloads."""
    home = tmp_path_factory.mktemp("large")
    size = Size(nodes=40, workloads=1_200, policies=150, gateways=30, gateway_nodes=12)
    for seed in (1, 2):
        (home / f"{seed}.json").write_text(make_cluster(size, seed))
    return compare((home / "1.json",), (home / "2.json",))


def test_a_comment_has_room_in_a_pull_request_whatever_changes(large: Difference) -> None:
    text = diff_markdown(large, frozenset(GATES))

    assert 20_000 < len(text.encode()) <= LARGEST
    opened_right(text)
    assert "more; --format json has them all" in text


def test_a_comment_of_long_names_has_room_too(large: Difference) -> None:
    groups = tuple(
        replace(group, workloads=tuple("n" * 63 + "/" + "w" * 250 for _ in range(9)), policies_after=("p" * 253,) * 9)
        for group in large.traffic.groups
    )
    difference = replace(large, traffic=replace(large.traffic, groups=groups * 20))

    assert len(diff_markdown(difference, frozenset()).encode()) <= LARGEST


def test_json_of_a_large_change_has_all_of_it(large: Difference) -> None:
    document = diff_json(large, frozenset())

    SCHEMA.validate(document)
    assert sum(len(item["workloads"]) for item in document["traffic"]) == sum(
        len(group.workloads) for group in large.traffic.groups
    )


def run(*arguments: str) -> int:
    return main(["diff", *arguments])


def test_a_gate_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(CHANGE / "before"), str(CHANGE / "after"), "--fail-on", "new-drops") == 2
    assert "did you mean new-drop?" in capsys.readouterr().err


def test_one_side_is_no_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(CHANGE / "before")) == 2
    assert "two sides" in capsys.readouterr().err


def test_inputs_with_errors_are_told_with_their_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "egress.yaml"
    bad.write_text((CHANGE / "after" / "egress.yaml").read_text().replace("192.0.2.0/24", "192.0.2.0"))

    assert run(str(CHANGE / "before"), str(bad), "--with", str(CHANGE / "cluster.yaml")) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"{bad}:99:7: error[EG207] spec.destinationCIDRs[0]")
    assert printed.err.endswith("1 error, 0 warnings\n")


def test_the_snapshot_of_both_sides_may_come_by_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = io.TextIOWrapper(io.BytesIO((CHANGE / "cluster.yaml").read_bytes()))
    monkeypatch.setattr("sys.stdin", snapshot)

    assert run(str(CHANGE / "before"), str(CHANGE / "before"), "--with", "-") == 0
    assert run(str(CHANGE / "before"), "-", "--with", "-") == 2
    assert "once only" in capsys.readouterr().err


def test_a_bundle_and_inputs_are_compared_alike(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = str(GOLDEN / "dual-stack" / "input")

    assert run(str(made), inputs) == 0
    assert run(inputs, str(made), "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["differs"] is False


def test_without_a_workload_nothing_is_said_of_traffic_and_no_gate_passes(capsys: pytest.CaptureFixture[str]) -> None:
    sides = (str(CHANGE / "before"), str(CHANGE / "after"))

    assert run(*sides) == 1
    assert "nothing can be said of traffic" in capsys.readouterr().out
    assert run(*sides, "--fail-on", "new-drop") == 2
    assert "give the snapshot by --with" in capsys.readouterr().err


def test_a_comment_of_the_longest_names_in_every_section_has_room() -> None:
    difference = change()
    name = "n" * 253
    groups = tuple(
        replace(
            group,
            kind=kind,
            workloads=tuple(f"{name}/{number}{name}" for number in range(9)),
            policies_after=(name,) * 9,
        )
        for kind in KINDS
        for group in difference.traffic.groups
    )
    move = VirtualIPMove("172.18.18.1", (name,) * 500, name, name)
    gateways = replace(difference.gateways, virtual_ips=(move,) * 50, nodes_added=(name,) * 900)
    text = diff_markdown(
        replace(difference, traffic=replace(difference.traffic, groups=groups * 9), gateways=gateways), frozenset(GATES)
    )

    assert len(text.encode()) <= LARGEST
    opened_right(text)


def test_a_virtual_machine_that_moves_is_told(tmp_path: Path) -> None:
    case = GOLDEN / "virtual-machine" / "input"
    moved = tmp_path / "input"
    shutil.copytree(case, moved)
    for path in moved.iterdir():
        path.write_text(path.read_text().replace("nodeName: worker-1", "nodeName: worker-2"))

    difference = compare((case,), (moved,))

    assert difference.traffic.moved
    assert any("moved to another node" in line for line in lines(difference))
