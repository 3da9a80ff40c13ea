"""`egressc lab …` as a person types it: arguments, streams and exit statuses."""

import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab_fixtures import ANYWHERE4, cluster

from applier.program import Parser
from lab import cli, commands, handlers
from lab.model import LabError
from lab.state import directory

NAME = f"c{os.getpid()}"


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str


def lab(*words: str) -> Said:
    parser = Parser()
    cli.add_parser(parser.add_subparsers())
    verb, *rest = words
    out, err = io.StringIO(), io.StringIO()
    status = cli.run(parser.parse_args(["lab", verb, "--name", NAME, *rest]), out, err)
    return Said(status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def built() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handlers, "read_inputs", lambda _inputs, _err: cluster())
        said = lab("up", "input.yaml", "--masquerade", "nft")
    assert (said.status, said.err) == (0, "")
    assert "4 nodes, 3 workloads, 2 networks, masquerade nft" in said.out
    yield
    assert lab("down") == Said(0, f"lab {NAME} is down\n", "")


usefixtures = pytest.mark.usefixtures("built")


@usefixtures
@pytest.mark.kernel
def test_request_prints_the_address_alone() -> None:
    assert lab("request", "--from", "default/on-one", "--to", ANYWHERE4) == Said(0, "172.18.4.11\n", "")
    assert lab("request", "--from", "default/on-one", "--to", ANYWHERE4, "--udp") == Said(0, "172.18.4.11\n", "")


@usefixtures
@pytest.mark.kernel
def test_no_answer_is_status_one_and_says_so_on_standard_error() -> None:
    said = lab("request", "--from", "default/on-one", "--to", ANYWHERE4, "--port", "81", "--timeout", "0.3")

    assert said == Said(1, "", f"no answer from {ANYWHERE4} within 0.3 s\n")


@usefixtures
@pytest.mark.kernel
def test_inbound_prints_what_the_workload_saw() -> None:
    assert lab("inbound", "--to", "default/on-one", "--ipv6") == Said(0, f"{commands.STRANGER[6]}\n", "")


@usefixtures
@pytest.mark.kernel
def test_fail_status_and_restore() -> None:
    assert lab("fail", "worker-2").status == 0
    assert "node worker-2 (taken away): eth0 172.18.4.12/24" in lab("status").out
    assert lab("restore", "worker-2") == Said(0, "node worker-2 is back\n", "")
    assert "taken away" not in lab("status").out


@usefixtures
@pytest.mark.kernel
def test_seen_lists_clears_and_has_json() -> None:
    lab("seen", "--clear")
    lab("request", "--from", "default/on-one", "--to", ANYWHERE4, "--udp")
    line = lab("seen").out
    (packet,) = json.loads(lab("seen", "--format", "json").out)

    assert f"net0 udp 172.18.4.11:{packet['source_port']} > {ANYWHERE4}:8080\n" in line
    assert lab("seen", "--clear") == Said(0, "", "")
    assert lab("seen") == Said(0, "", "")


@usefixtures
@pytest.mark.kernel
def test_exec_passes_on_the_status_and_its_own_options() -> None:
    assert lab("exec", "worker-1", "--", "sh", "-c", "exit 3").status == 3
    assert lab("exec", "outside", "--", "no-such-command").status == 127
    assert lab("exec", "worker-1", "--").status == 2


@usefixtures
@pytest.mark.kernel
def test_a_second_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "read_inputs", lambda _inputs, _err: cluster())
    said = lab("up", "input.yaml")

    assert (said.status, said.out) == (2, "")
    assert said.err == f"egressc lab: lab '{NAME}' is already up; take it down with: egressc lab down --name {NAME}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("apply", "bundle"),
        ("request", "--from", "a/b", "--to", "1.1.1.1"),
        ("inbound", "--to", "a/b"),
        ("fail", "n"),
        ("restore", "n"),
        ("seen",),
        ("exec", "n", "--", "true"),
        ("status",),
    ],
)
def test_without_a_lab_each_command_says_how_to_get_one(words: tuple[str, ...], elsewhere: None) -> None:
    del elsewhere
    said = lab(*words)

    assert (said.status, said.out) == (2, "")
    assert said.err == f"egressc lab: no lab '{NAME}' is up; bring one up with: egressc lab up INPUT… --name {NAME}\n"


def test_down_without_a_lab_is_no_error(elsewhere: None) -> None:
    del elsewhere

    assert lab("down") == Said(0, "", f"no lab '{NAME}' is up; nothing to do\n")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EGRESSC_LAB_DIR", str(tmp_path))


def test_the_state_directory_can_be_chosen(elsewhere: None, tmp_path: Path) -> None:
    del elsewhere

    assert str(directory("x")) == f"{tmp_path}/x"


def test_limits_reach_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "read_inputs", lambda _inputs, _err: cluster())

    said = lab("up", "input.yaml", "--max-nodes", "3")

    assert said.status == 2
    assert "builds at most 3" in said.err


def test_inputs_with_errors_are_shown_and_refused(tmp_path: Path) -> None:
    err = io.StringIO()

    with pytest.raises(LabError, match="nothing is built"):
        handlers.read_inputs([f"{tmp_path}/missing.yaml"], err)
    assert "missing.yaml" in err.getvalue()


@pytest.mark.parametrize("words", [("up",), ("up", "x", "--masquerade", "bpf"), ("up", "x", "--max-nodes", "0")])
def test_bad_usage_is_status_two(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        lab(*words)

    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_every_subcommand_has_a_handler() -> None:
    parser = Parser()
    added = cli.add_parser(parser.add_subparsers())
    verbs: dict[str, Callable[..., object]] = {}
    for action in added._actions:  # noqa: SLF001  # argparse does not list its subcommands otherwise
        verbs.update(action.choices if isinstance(action.choices, dict) else {})

    assert set(verbs) == set(handlers.HANDLERS)
