"""`--previous` and `--rebalance`: what a user of `balanced` sees, from one bundle to the next."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders import Obj, cluster, config, dump, gateway, member, node, policy
from test_cli import tree

from compiler.cli import main

NAMES = ("gw-a", "gw-b", "gw-c", "gw-d")
BALANCED = config(election={"algorithm": "balanced"})


def write(path: Path, *more: Obj, names: tuple[str, ...] = NAMES, nodes: int = 2, knobs: Obj = BALANCED) -> str:
    """Gateways over one gateway node or two."""
    second = [] if nodes == 2 else [node("egress-2", ready="False")]
    gone = ("Node", "egress-2") if second else ()
    objects = [item for item in cluster() if (item["kind"], item["metadata"]["name"]) != gone]
    gates = [
        item
        for index, name in enumerate(names)
        for item in (gateway(name), policy(name, name, to=[f"203.0.{index}.0/24"]))
    ]
    path.write_text(dump(*objects, *second, *gates, knobs, *more), encoding="utf-8")
    return str(path)


def masters(bundle: Path) -> dict[str, str]:
    read: Any = json.loads((bundle / "gateways.json").read_bytes())
    return {item["name"]: item["activeNodeName"] for item in read["gateways"]}


@pytest.fixture
def lopsided(tmp_path: Path) -> Path:
    """A bundle whose masters are all on one node, since the other was not ready."""
    assert main(["compile", write(tmp_path / "before.yaml", nodes=1), "-o", str(tmp_path / "old")]) == 0
    assert set(masters(tmp_path / "old").values()) == {"egress-1"}
    return tmp_path / "old"


def test_masters_stay_where_they_are_suitable(
    tmp_path: Path, lopsided: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()

    status = main(["compile", write(tmp_path / "now.yaml"), "-o", str(tmp_path / "new"), "--previous", str(lopsided)])

    told = capsys.readouterr().err
    assert (0, masters(lopsided)) == (status, masters(tmp_path / "new"))
    assert "--rebalance would move 2 of 4 masters" in told
    assert told.count(": from egress-1 to egress-2\n") == 2


def test_without_an_earlier_bundle_masters_are_even(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", write(tmp_path / "now.yaml"), "-o", str(tmp_path / "new")]) == 0

    assert sorted(masters(tmp_path / "new").values()) == ["egress-1", "egress-1", "egress-2", "egress-2"]
    assert "rebalance" not in capsys.readouterr().err


def test_a_new_gateway_goes_where_the_fewest_are(tmp_path: Path, lopsided: Path) -> None:
    given = write(tmp_path / "now.yaml", names=(*NAMES, "gw-e"))

    assert main(["compile", given, "-o", str(tmp_path / "new"), "--previous", str(lopsided)]) == 0

    assert masters(tmp_path / "new") == {**masters(lopsided), "gw-e": "egress-2"}


def test_standbys_are_in_order_of_preference(tmp_path: Path, lopsided: Path) -> None:
    given = write(tmp_path / "now.yaml", *member("egress-3"))

    assert main(["compile", given, "-o", str(tmp_path / "new"), "--previous", str(lopsided)]) == 0

    read: Any = json.loads((tmp_path / "new" / "gateways.json").read_bytes())
    found = {item["name"]: item["standbyNodeNames"] for item in read["gateways"]}
    by_digest = write(tmp_path / "plain.yaml", *member("egress-3"), knobs=config())
    assert main(["compile", by_digest, "-o", str(tmp_path / "plain")]) == 0
    plain: Any = json.loads((tmp_path / "plain" / "gateways.json").read_bytes())
    for item in plain["gateways"]:
        order = [item["activeNodeName"], *item["standbyNodeNames"]]
        assert found[item["name"]] == [name for name in order if name != "egress-1"]


def test_a_rebalance_moves_what_was_told_and_a_second_one_nothing(
    tmp_path: Path, lopsided: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write(tmp_path / "now.yaml")
    assert main(["check", given, "--previous", str(lopsided)]) == 0
    before = capsys.readouterr().err
    assert main(["check", given, "--previous", str(lopsided), "--rebalance"]) == 0
    seen = capsys.readouterr().err
    options = ["-o", str(lopsided), "--previous", str(lopsided), "--rebalance"]

    assert main(["compile", given, *options]) == 0

    told = capsys.readouterr().err
    assert "--rebalance moves 2 of 4 masters, which cuts the connections through them:\n" in told
    moves = [line for line in told.splitlines() if line.startswith("  EgressGateway ")]
    for earlier in (before, seen):
        assert moves == [line for line in earlier.splitlines() if line.startswith("  EgressGateway ")]
    assert sorted(masters(lopsided).values()) == ["egress-1", "egress-1", "egress-2", "egress-2"]
    after = tree(lopsided)
    assert main(["compile", given, *options]) == 0
    assert "--rebalance moves no master" in capsys.readouterr().err
    assert after == tree(lopsided)


def test_an_unsuitable_master_moves_alone(tmp_path: Path) -> None:
    given = write(tmp_path / "now.yaml")
    assert main(["compile", given, "-o", str(tmp_path / "old")]) == 0
    down = write(tmp_path / "down.yaml", nodes=1)
    assert main(["compile", down, "-o", str(tmp_path / "down"), "--previous", str(tmp_path / "old")]) == 0

    assert main(["compile", given, "-o", str(tmp_path / "new"), "--previous", str(tmp_path / "down")]) == 0

    assert set(masters(tmp_path / "down").values()) == {"egress-1"}
    assert masters(tmp_path / "new") == masters(tmp_path / "down"), "no needless failback"


def test_rendezvous_takes_no_notice_of_an_earlier_bundle(
    tmp_path: Path, lopsided: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write(tmp_path / "now.yaml", knobs=config())
    assert main(["compile", given, "-o", str(tmp_path / "alone")]) == 0
    capsys.readouterr()

    assert main(["compile", given, "-o", str(tmp_path / "new"), "--previous", str(lopsided)]) == 0

    assert tree(tmp_path / "alone") == tree(tmp_path / "new")
    assert capsys.readouterr().err == f"wrote {len(tree(tmp_path / 'new'))} files to {tmp_path}/new\n"


def test_the_first_compile_of_a_pipeline_has_no_earlier_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write(tmp_path / "now.yaml")
    options = ["-o", str(tmp_path / "bundle"), "--previous", str(tmp_path / "bundle")]

    assert main(["compile", given, *options]) == 0

    assert f"no earlier bundle in {tmp_path}/bundle: every master is new\n" in capsys.readouterr().err
    first = tree(tmp_path / "bundle")
    assert main(["compile", given, *options]) == 0
    assert first == tree(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--previous", "nowhere"], "nowhere: there is no earlier bundle; for the first compile, leave --previous out"),
        (["--rebalance"], "--rebalance needs --previous DIR"),
    ],
)
@pytest.mark.parametrize("command", ["compile", "check"])
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, options: list[str], expected: str
) -> None:
    output = ["-o", str(tmp_path / "new")] if command == "compile" else []

    status = main([command, write(tmp_path / "now.yaml"), *output, *options])

    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.startswith(f"egressc: {expected}")
    assert not (tmp_path / "new").exists()


def test_a_rebalance_of_rendezvous_is_refused(
    tmp_path: Path, lopsided: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write(tmp_path / "now.yaml", knobs=config())
    capsys.readouterr()

    status = main(["compile", given, "-o", str(tmp_path / "new"), "--previous", str(lopsided), "--rebalance"])

    told = "egressc: --rebalance needs spec.election.algorithm: balanced in an EgressCompilerConfig\n"
    assert (2, told) == (status, capsys.readouterr().err)


def test_an_earlier_bundle_that_was_altered_is_refused(
    tmp_path: Path, lopsided: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lopsided / "gateways.json").write_text("{}", encoding="utf-8")

    status = main(["compile", write(tmp_path / "now.yaml"), "-o", str(lopsided), "--previous", str(lopsided)])

    assert status == 2
    assert "was altered" in capsys.readouterr().err


def test_an_unknown_algorithm_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = write(tmp_path / "now.yaml", knobs=config(election={"algorithm": "fair"}))

    assert main(["check", given]) == 2

    assert "error[EG205] spec.election.algorithm: must be rendezvous or balanced" in capsys.readouterr().out
