"""`egressc simulate`: what it prints, its exit status, and the errors that a cluster after a loss would have."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from builders import EGRESS_LABEL, Obj, agent, config, dump, gateway, interface, node, patched, pod, policy, state
from commonmark import opened_right, tokens
from conftest import GOLDEN, ROOT

from compiler.cli import main
from compiler.elect import Earlier
from compiler.gates import GATES
from compiler.pipeline import read_cluster
from compiler.simulate.markdown import story_markdown
from compiler.simulate.present import look_at
from compiler.simulate.story import Story, Table
from compiler.simulate.text import story_text

SCHEMA = json.loads((ROOT / "schemas" / "simulate-output.schema.json").read_text(encoding="utf-8"))


def nodes(*names: str) -> list[Obj]:
    found = []
    for name in names:
        n = int(name[-1]) + (10 if name.startswith("worker") else 0)
        known = state(name, interface("eth0", f"172.18.4.{n}/24"), interface("eth1", f"172.18.18.{n}/24"))
        labels = EGRESS_LABEL if name.startswith("egress") else {}
        found += [node(name, labels=labels, six=False), agent(name), known]
    return found


def two_gateways(*egress: str) -> list[Obj]:
    """A gateway of each mode; `default/a` uses one, `default/b` the other, `default/c` none."""
    own = {"matchLabels": {"app": "a"}}, {"matchLabels": {"app": "b"}}
    return [
        *nodes(*egress, "worker-1", "worker-2"),
        gateway("primary"),
        gateway("virtual", vip="172.18.18.241"),
        *(
            policy(f"of-{name}", name, to=["203.0.113.0/24"], selectors=[{"podSelector": selector}])
            for name, selector in zip(("primary", "virtual"), own, strict=True)
        ),
        *(
            pod(name, "worker-1", labels={"app": name}, ips=[f"10.111.11.{index}"])
            for index, name in enumerate(("a", "b", "c"), 10)
        ),
    ]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Of `primary` egress-1 is master and of `virtual` egress-2, by their digests."""
    path = tmp_path / "input.yaml"
    path.write_text(dump(*two_gateways("egress-1", "egress-2", "egress-3")), encoding="utf-8")
    return path


def masters(path: Path) -> dict[str, str]:
    cluster = read_cluster([str(path)]).cluster
    assert cluster is not None
    return look_at(cluster, Earlier({})).masters


def run(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> tuple[int, str, str]:
    status = main(["simulate", str(path), *arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_the_first_sentence_says_what_matters(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node_name = masters(inputs)["primary"]

    _, text, _ = run(capsys, inputs, "--down", node_name)

    first = text.splitlines()[0]
    assert first.startswith(f"If {node_name} is lost: 1 gateway moves to egress-")
    assert first.endswith(
        "1 workload gets another source address, connections of 1 workload are cut, nothing is newly dropped."
    )


def test_a_virtual_ip_that_moves_cuts_connections_and_changes_no_source(
    inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, text, _ = run(capsys, inputs, "--cordon", masters(inputs)["virtual"], "--format", "json")

    scenario = json.loads(text)["scenarios"][0]
    assert [(item["gateway"], item["vip"]) for item in scenario["moves"]] == [("virtual", "172.18.18.241")]
    assert (scenario["cut"], scenario["readdressed"], scenario["dropped"]) == (1, 0, 0)


def test_workloads_on_a_lost_node_are_counted_apart(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, _ = run(capsys, inputs, "--down", "worker-1")

    assert status == 0
    assert text.splitlines()[:2] == [
        "If worker-1 is lost: no gateway moves and no other workload's traffic changes.",
        "3 workloads on worker-1 go with it, and count nowhere else.",
    ]


def test_without_a_node_left_traffic_is_dropped_and_it_is_said_why(
    inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text, _ = run(capsys, inputs, "--down", "egress-1", "egress-2", "--down", "egress-3")

    assert status == 1
    assert "primary and virtual have no suitable node any more" in text
    assert "traffic of 2 workloads is newly dropped." in text
    assert "egress-1: NotReady; egress-2: NotReady; egress-3: NotReady" in text


def test_a_gateway_that_one_loss_takes_out_is_named_with_its_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*two_gateways("egress-1")), encoding="utf-8")

    status, text, _ = run(capsys, path, "--all-single-failures")

    assert status == 1
    assert text.startswith("The worst loss of one node is that of egress-1: primary and virtual have no suitable node")
    assert "  primary  egress-1\n  virtual  egress-1\n" in text
    assert "2 other nodes are master of no gateway" in text


def test_a_gateway_that_is_down_as_it_is_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*two_gateways()), encoding="utf-8")

    status, text, _ = run(capsys, path, "--all-single-failures")

    assert status == 0
    assert "primary and virtual have no suitable node even now" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--down egress-1 egress-2 egress-3 --fail-on new-drop", 1),
        ("--down egress-1 egress-2 egress-3 --fail-on source-change", 0),
        ("--down egress-1 egress-2 egress-3 --fail-on source-change,vip-move", 1),
        ("--down egress-1 egress-2 egress-3 --fail-on source-change --fail-on connections-break", 1),
        ("--down egress-1 egress-2 --fail-on new-drop", 0),
        ("--down egress-1 egress-2 --fail-on no-standby", 1),
        ("--down egress-1 egress-2 --fail-on master-move", 1),
        ("--down worker-1 --fail-on master-move,no-standby,connections-break,new-bypass,new-cover", 0),
        ("--down worker-1", 0),
        ("--cordon egress-1 egress-2 egress-3", 1),
        ("--all-single-failures", 1),
        ("--all-single-failures --fail-on no-standby,new-drop", 0),
        ("--all-single-failures --fail-on source-change", 1),
        ("--all-single-failures --fail-on new-drops", 2),
        ("--down egress-9", 2),
        ("--down egress-1 --all-single-failures", 2),
        ("--fail-on new-drop", 2),
        ("--down egress-1 --cordon egress-2 egress-1", 2),
    ],
)
def test_the_exit_status_tells_whether_somebody_is_touched_or_what_was_asked_for_happens(
    arguments: str, expected: int, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, _ = run(capsys, inputs, *arguments.split())

    assert status == expected


def test_one_loss_of_a_gateway_with_a_single_node_fails_on_no_standby(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*two_gateways("egress-1")), encoding="utf-8")

    assert run(capsys, path, "--all-single-failures", "--fail-on", "no-standby")[0] == 1


def test_a_node_that_is_not_there_is_refused_with_the_one_that_was_meant(
    inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, inputs, "--cordon", "egress-1\x1b")

    assert (status, out) == (2, "")
    assert err == "egressc: there is no node egress-1\\x1b in the inputs; did you mean egress-1?\n"


def test_without_a_snapshot_there_is_nothing_to_lose_and_no_gate_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "egress.yaml"
    path.write_text((GOLDEN / "outputs" / "change" / "after" / "egress.yaml").read_text(), encoding="utf-8")

    status, out, err = run(capsys, path, "--all-single-failures", "--fail-on", "new-drop")

    assert (status, out) == (2, "")
    assert "add a snapshot" in err


def test_balanced_starts_from_the_masters_of_the_bundle_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, bundle = tmp_path / "input.yaml", tmp_path / "bundle"
    balanced = config(election={"algorithm": "balanced"})
    path.write_text(dump(*two_gateways("egress-1"), balanced), encoding="utf-8")
    assert main(["compile", str(path), "-o", str(bundle)]) == 0
    path.write_text(dump(*two_gateways("egress-1", "egress-2", "egress-3"), balanced), encoding="utf-8")
    capsys.readouterr()

    _, text, _ = run(capsys, path, "--down", "egress-1", "--previous", str(bundle), "--format", "json")

    moves = json.loads(text)["scenarios"][0]["moves"]
    assert [(item["gateway"], item["old"]) for item in moves] == [("primary", "egress-1"), ("virtual", "egress-1")]
    assert {item["new"] for item in moves} == {"egress-2", "egress-3"}


@pytest.mark.parametrize("arguments", ["--down egress-1 worker-2 --cordon egress-2", "--all-single-failures"])
def test_json_output_follows_its_schema(arguments: str, inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, text, _ = run(capsys, inputs, *arguments.split(), "--format", "json")

    read = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(read)
    assert read["scenarios"]
    assert read["happened"]
    assert set(read["happened"]) <= set(GATES)


# Errors of the cluster after


def test_errors_for_which_compile_would_refuse_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, bundle = tmp_path / "input.yaml", tmp_path / "bundle"
    balanced = config(election={"algorithm": "balanced"})
    path.write_text(dump(*two_gateways("egress-1"), balanced), encoding="utf-8")
    assert main(["compile", str(path), "-o", str(bundle)]) == 0
    elsewhere = [
        patched(item, "status.addresses.0.address", "172.19.4.2") if item["kind"] == "Node" else item
        for item in nodes("egress-2")
        if item["kind"] != "NodeNetworkState"
    ]
    path.write_text(dump(*two_gateways("egress-1"), *elsewhere, balanced), encoding="utf-8")
    capsys.readouterr()

    status, text, _ = run(capsys, path, "--down", "egress-1", "--previous", str(bundle))

    assert status == 1
    assert "traffic of 2 workloads is newly dropped" in text
    assert "Compile would refuse the cluster after:" in text
    assert "EG403  node egress-2 (172.19.4.2) is not in the subnet of eth0 on node worker-1" in text
    assert "nowhere: the master of primary cannot be reached in this family" in text


def test_inputs_with_errors_as_they_are_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input.yaml"
    moved = [
        patched(item, "status.addresses.0.address", "172.19.4.1") if item["metadata"]["name"] == "egress-1" else item
        for item in two_gateways("egress-1")
        if (item["kind"], item["metadata"]["name"]) != ("NodeNetworkState", "egress-1")
    ]
    path.write_text(dump(*moved), encoding="utf-8")

    status, out, err = run(capsys, path, "--down", "worker-2")

    assert (status, out) == (2, "")
    assert "error[EG403]" in err
    assert err.endswith("egressc: the inputs have errors as they are, so that there is nothing to suppose of them\n")


# Layouts


LONG = Story(
    f"If {'n' * 253} is lost: *everything* moves.",
    ("<script>alert(1)</script> @everybody",),
    tuple(
        Table(f"Table {number}", ("A", "B", "C"), tuple((f"row-{row}", "x" * 253, "|`*_[]" * 60) for row in range(500)))
        for number in range(6)
    ),
)


def test_markdown_is_short_enough_for_a_comment_whatever_there_is_to_tell() -> None:
    text = story_markdown(LONG)

    opened_right(text)
    assert len(text.encode()) <= 60_000
    assert "| row-1 |" in text
    assert "and 492 more" in text


def test_text_shows_the_first_rows_and_counts_the_rest() -> None:
    text = story_text(LONG)

    assert "row-24" in text
    assert "row-25" not in text
    assert "and 475 more" in text


def test_the_table_of_losses_is_valid_markdown_and_says_the_same_as_the_text(
    inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, text, _ = run(capsys, inputs, "--all-single-failures")
    _, marked, _ = run(capsys, inputs, "--all-single-failures", "--format", "markdown")

    cells = [token.content for token in tokens(marked) if token.type == "inline"][-27:]
    lines = text.split("worst first:\n")[1].splitlines()
    assert [cell.replace("\\", "") for cell in cells] == [
        cell for line in lines for cell in re.split(r"  +", line.strip())
    ]
