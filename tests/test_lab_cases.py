"""`egressc test --lab`: the same cases with packets, which fail where a packet does otherwise than is expected."""

import os
from pathlib import Path

import pytest
import yaml
from conftest import GOLDEN

import lab.cases
from compiler.cli import main
from lab import state
from lab.model import LabError

pytestmark = pytest.mark.kernel

INPUT = str(GOLDEN / "virtual-ip" / "input")
BACKENDS = {"namespace": "default", "labels": {"app": "backend"}}
RIGHT = [
    {
        "from": BACKENDS,
        "to": ["203.0.113.0/24", "198.51.100.7"],
        "expect": {"verdict": "egress", "gateway": "egress-gw", "sourceIP": "172.18.18.242"},
    },
    {"from": "default/frontend-1", "to": "203.0.113.10", "expect": {"verdict": "bypass"}},
    {"from": "10.111.11.5", "to": "10.111.12.5", "expect": {"verdict": "bypass"}},
]
NEVER = [{"from": "default/frontend-1", "verdict": "egress"}]


def run(tmp_path: Path, inputs: str, *entries: object) -> int:
    path = tmp_path / "cases.yaml"
    path.write_text(yaml.safe_dump({"cases": list(entries), "never": NEVER}))
    status = main(["test", inputs, str(path), "--lab"])
    assert not state.directory(f"test-{os.getpid()}").exists()
    return status


def test_cases_pass_with_packets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(tmp_path, INPUT, *RIGHT)

    printed = capsys.readouterr()
    assert (status, printed.out) == (0, "4 passed, 0 failed; 3 packets sent\n")
    assert printed.err == (
        "sending 3 packets; which gateway, policy, CIDR and node each met is left to the proof, and so are 1 assertion "
        "of `never` and 1 range of destinations that packets cannot be sent to from here\n"
    )


@pytest.mark.parametrize(
    ("expect", "seen"),
    [
        (
            {"verdict": "egress", "sourceIP": "172.18.18.9"},
            "outside saw it come from 172.18.18.242; expected was 172.18.18.9",
        ),
        ({"verdict": "drop"}, "outside saw it come from 172.18.18.242; expected was nothing"),
        ({"verdict": "bypass"}, "outside saw it come from 172.18.18.242; expected was 172.18.4.11"),
    ],
)
def test_a_wrong_expectation_fails_by_its_packet_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expect: dict[str, str], seen: str
) -> None:
    status = run(tmp_path, INPUT, {"from": "default/backend-1", "to": "203.0.113.10", "expect": expect})

    assert status == 1
    assert f"  because: a packet from default/backend-1 to 203.0.113.10 was sent, and {seen}" in capsys.readouterr().out


def test_without_our_rules_on_the_nodes_only_the_packets_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the proof cannot see: that the kernel does it."""
    monkeypatch.setattr(lab.cases, "_apply", lambda _name, _bundle: None)

    status = run(tmp_path, INPUT, *RIGHT)

    out = capsys.readouterr().out
    assert status == 1
    assert "outside saw it come from 172.18.4.11; expected was 172.18.18.242" in out
    assert out.endswith("3 passed, 1 failed; 3 packets sent\n")


def test_dropped_traffic_does_not_arrive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = {"from": "default/backend-1", "to": "203.0.113.10", "expect": {"verdict": "drop"}}

    assert run(tmp_path, str(GOLDEN / "no-suitable-node" / "input"), case) == 0
    assert capsys.readouterr().out == "2 passed, 0 failed; 1 packet sent\n"


def test_a_lab_that_cannot_be_built_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise LabError("the kernel refuses")

    monkeypatch.setattr("lab.commands.up", refuse)

    assert run(tmp_path, INPUT, *RIGHT) == 2
    assert capsys.readouterr().err.endswith("egressc test --lab: the kernel refuses\n")
