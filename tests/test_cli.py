"""The command line: what it writes and prints, what it leaves alone, and its exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from builders import cluster, config, dump, gateway, patched, policy
from conftest import FATE, GOLDEN

import bundle
from bundle.directory import open_bundle
from compiler.cli import main

EGRESSC = str(Path(sys.executable).parent / "egressc")
CASE = "dual-stack"
INPUT = str(GOLDEN / CASE / "input")
BROKEN = dump(*cluster(gateway(), policy(gateway_name="nobody")))


def tree(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def golden(case: str) -> dict[str, bytes]:
    return {
        name: content
        for name, content in tree(GOLDEN / case / "expected").items()
        if name not in ("summary.txt", "diagnostics.txt")
    }


def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    command = [EGRESSC, *arguments]
    kept = {**os.environ, **environment}
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=kept)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(dump(*cluster(gateway(), policy())), encoding="utf-8")
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    return path


# compile


def test_compile_writes_the_bundle_and_a_summary(tmp_path: Path) -> None:
    done = run("compile", INPUT, "-o", str(tmp_path / "deep" / "bundle"))

    summary = (GOLDEN / CASE / "expected" / "summary.txt").read_text(encoding="utf-8")
    assert (0, summary) == (done.returncode, done.stdout)
    assert golden(CASE) == tree(tmp_path / "deep" / "bundle")
    assert done.stderr == f"wrote {len(golden(CASE))} files to {tmp_path}/deep/bundle\n"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["bundle"]


def test_compile_reads_standard_input(tmp_path: Path, good: Path) -> None:
    done = run("compile", "-", "-o", str(tmp_path / "piped"), stdin=good.read_text(encoding="utf-8"))

    assert done.returncode == 0, done.stderr
    assert main(["compile", str(good), "-o", str(tmp_path / "named")]) == 0
    assert tree(tmp_path / "named") == tree(tmp_path / "piped")


def test_compile_reads_several_inputs_and_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cluster.yaml").write_text(dump(*cluster()), encoding="utf-8")
    (tmp_path / "egress.json").write_text(
        json.dumps({"kind": "List", "items": [gateway(), policy()]}), encoding="utf-8"
    )
    (tmp_path / "config.yaml").write_text(dump(config(datapath={"rulePriority": 7001})), encoding="utf-8")
    inputs = [str(tmp_path / "cluster.yaml"), str(tmp_path / "egress.json")]

    status = main(["compile", *inputs, "--config", str(tmp_path / "config.yaml"), "-o", str(tmp_path / "bundle")])

    routing = json.loads((tmp_path / "bundle" / "nodes" / "worker-1" / "routing.json").read_bytes())
    assert (0, {7001}) == (status, {item["priority"] for item in routing["rules"]})
    assert "EG" not in capsys.readouterr().err


def test_objects_of_other_kinds_are_passed_over_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}} for name in "abc"]
    (tmp_path / "input.yaml").write_text(dump(*cluster(gateway(), policy(), *others)), encoding="utf-8")

    status = main(["compile", str(tmp_path / "input.yaml"), "-o", str(tmp_path / "bundle")])

    assert status == 0
    assert "passed over 3 objects" in capsys.readouterr().err


def test_compile_again_replaces_the_bundle_as_a_whole(tmp_path: Path, made: Path, good: Path) -> None:
    assert main(["compile", str(good), "-o", str(made)]) == 0
    assert main(["compile", str(good), "-o", str(tmp_path / "fresh")]) == 0

    assert tree(tmp_path / "fresh") == tree(made)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "fresh", "good.yaml"]


def test_compile_keeps_what_begins_with_a_dot(made: Path, good: Path) -> None:
    (made / ".git").mkdir()
    (made / ".git" / "HEAD").write_text("ref", encoding="utf-8")

    assert main(["compile", str(good), "-o", str(made)]) == 0

    assert (made / ".git" / "HEAD").read_text(encoding="utf-8") == "ref"
    assert open_bundle(made).manifest.nodes == ("egress-1", "egress-2", "worker-1")


def test_an_error_leaves_the_earlier_bundle_as_it_was(
    tmp_path: Path, made: Path, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(made)

    status = main(["compile", str(broken), "-o", str(made)])

    output = capsys.readouterr()
    assert (status, output.out) == (2, "")
    assert "error[EG301] spec.egressGatewayName" in output.err
    assert before == tree(made)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.yaml", "bundle"]


def test_an_error_makes_no_directory(tmp_path: Path, broken: Path) -> None:
    assert main(["compile", str(broken), "-o", str(tmp_path / "bundle")]) == 2

    assert [path.name for path in tmp_path.iterdir()] == ["broken.yaml"]


def test_warnings_are_told_and_stop_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*cluster(gateway(), policy(selectors=[]))), encoding="utf-8")

    status = main(["compile", str(path), "-o", str(tmp_path / "bundle")])

    assert status == 0
    assert "warning[EG305]" in capsys.readouterr().err


def test_compile_refuses_a_directory_that_is_no_bundle(
    tmp_path: Path, good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear", encoding="utf-8")

    status = main(["compile", str(good), "-o", str(tmp_path / "mine")])

    assert (status, tree(tmp_path / "mine")) == (2, {"thesis.txt": b"dear"})
    assert f"egressc: {tmp_path}/mine: is not empty and not a bundle" in capsys.readouterr().err


def test_compile_refuses_a_file_as_directory(tmp_path: Path, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("dear", encoding="utf-8")

    status = main(["compile", str(good), "-o", str(tmp_path / "file")])

    assert (status, (tmp_path / "file").read_text(encoding="utf-8")) == (2, "dear")
    assert f"egressc: {tmp_path}/file: is a file" in capsys.readouterr().err


def test_compile_refuses_a_place_below_a_file(tmp_path: Path, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["compile", str(good), "-o", str(good / "bundle")])

    assert status == 2
    assert capsys.readouterr().err.startswith(f"egressc: {tmp_path}")


def test_compile_fills_the_empty_directory_it_stands_in(tmp_path: Path, good: Path) -> None:
    (tmp_path / "here").mkdir()
    command = [EGRESSC, "compile", str(good), "-o", "."]

    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path / "here")

    assert (done.returncode, (tmp_path / "here" / "manifest.json").is_file()) == (0, True), done.stderr


def test_compile_into_a_link_to_a_bundle_leaves_nothing_half_done(
    tmp_path: Path, made: Path, good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = tmp_path / "current"
    link.symlink_to(made)

    status = main(["compile", str(good), "-o", str(link)])

    assert status == 0, capsys.readouterr().err
    assert open_bundle(link).manifest.nodes == ("egress-1", "egress-2", "worker-1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "current", "good.yaml"]


# check


def test_check_prints_findings_and_writes_nothing(
    tmp_path: Path, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["check", str(broken)])

    output = capsys.readouterr()
    assert (status, output.err) == (2, "1 error, 0 warnings\n")
    assert output.out.startswith(f"{broken}:")
    assert "error[EG301] spec.egressGatewayName: there is no EgressGateway nobody" in output.out
    assert [path.name for path in tmp_path.iterdir()] == ["broken.yaml"]


def test_check_of_a_good_input_prints_nothing(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["check", str(good)])

    assert (status, capsys.readouterr().out) == (0, "")


def test_check_prints_json(tmp_path: Path, broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["check", str(broken), "--format", "json"])

    line = BROKEN.splitlines().index("  egressGatewayName: nobody") + 1
    expected = {
        "severity": "error",
        "code": "EG301",
        "message": "there is no EgressGateway nobody; create it or name another",
        "file": str(tmp_path / "broken.yaml"),
        "line": line,
        "column": 22,
        "field": "spec.egressGatewayName",
    }
    assert (2, [expected]) == (status, json.loads(capsys.readouterr().out))


def test_check_prints_json_when_there_is_nothing_to_say(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(good), "--format", "json"]) == 0

    assert json.loads(capsys.readouterr().out) == []


def test_check_succeeds_with_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*cluster(gateway(), policy(selectors=[]))), encoding="utf-8")

    assert main(["check", str(path)]) == 0

    assert "warning[EG305]" in capsys.readouterr().out


def test_check_finds_what_only_the_plan_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*cluster(gateway(vip="172.18.18.240"), policy(to=["::/0"]))), encoding="utf-8")

    assert main(["check", str(path)]) == 0

    assert "warning[EG401]" in capsys.readouterr().out


def test_check_names_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "nowhere.yaml")]) == 2

    assert f"{tmp_path}/nowhere.yaml: error[EG101] cannot be read: No such file" in capsys.readouterr().out


def test_input_without_egress_objects_names_the_input_that_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n", encoding="utf-8")

    assert main(["check", str(tmp_path / "empty.yaml")]) == 2

    assert capsys.readouterr().out.startswith(f"{tmp_path}/empty.yaml: error[EG107] ")


# test


def cases(path: Path, *entries: dict[str, object]) -> str:
    path.write_text(yaml.safe_dump({"cases": list(entries)}), encoding="utf-8")
    return str(path)


PASSES: dict[str, object] = {
    "name": "goes out",
    "from": "default/backend-1",
    "to": "203.0.113.10",
    "expect": {"verdict": "egress", "sourceIP": "172.18.18.1"},
}
FAILS: dict[str, object] = {"from": "default/backend-1", "to": "203.0.113.10", "expect": {"verdict": "drop"}}
UNKNOWN: dict[str, object] = {"from": "default/nobody", "to": "203.0.113.10", "expect": {"verdict": "drop"}}


def test_cases_that_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["test", INPUT, cases(tmp_path / "cases.yaml", PASSES)])

    assert (status, capsys.readouterr().out) == (0, "1 passed, 0 failed\n")


def test_cases_that_fail_say_what_was_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cases(tmp_path / "cases.yaml", PASSES, FAILS)

    status = main(["test", path, INPUT])

    expected = (
        f"FAILED {path}:8 cases[1]: default/backend-1 to 203.0.113.10\n"
        "  verdict: expected drop, is egress\n"
        f"  because: {FATE['reason']} ({INPUT}/egress.yaml:31)\n"
        "1 passed, 1 failed\n"
    )
    assert (1, expected) == (status, capsys.readouterr().out)


def test_a_case_that_cannot_be_asked_fails_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["test", INPUT, cases(tmp_path / "cases.yaml", UNKNOWN)])

    assert status == 1
    assert "there is no workload default/nobody; did you mean default/" in capsys.readouterr().out


def test_cases_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cases(tmp_path / "cases.yaml", PASSES, FAILS)

    status = main(["test", INPUT, path, "--format", "json"])

    first = {
        "kind": "case",
        "name": "goes out",
        "file": path,
        "line": 2,
        "from": "default/backend-1",
        "to": "203.0.113.10",
        "expected": PASSES["expect"],
        "actual": FATE,
        "workloads": 1,
        "breaches": [],
        "packets": 0,
        "pass": True,
    }
    second = {
        **first,
        "name": "default/backend-1 to 203.0.113.10",
        "line": 8,
        "expected": {"verdict": "drop"},
        "breaches": [
            {
                "workloads": 1,
                "examples": ["default/backend-1"],
                "destinations": ["203.0.113.10/32"],
                "actual": {key: value for key, value in FATE.items() if key != "reason"},
                "reason": FATE["reason"],
                "file": f"{INPUT}/egress.yaml",
                "line": 31,
            }
        ],
        "pass": False,
    }
    assert (1, [first, second]) == (status, json.loads(capsys.readouterr().out))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({**PASSES, "expect": {"verdict": "egress", "source": "x"}}, "error[EG204] cases[0].expect.source"),
        ({**PASSES, "expect": {}}, "error[EG201] cases[0].expect"),
        ({**PASSES, "to": 5}, "error[EG202] cases[0].to"),
        ({"to": "203.0.113.10", "expect": {"verdict": "drop"}}, "error[EG201] cases[0]"),
    ],
)
def test_a_bad_file_of_cases_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: dict[str, object], expected: str
) -> None:
    status = main(["test", INPUT, cases(tmp_path / "cases.yaml", entry)])

    output = capsys.readouterr()
    assert (status, output.out) == (2, "")
    assert expected in output.err


def test_cases_without_a_file_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", INPUT]) == 2

    assert capsys.readouterr().err == "egressc: no file with a list `cases` or `never` among the arguments\n"


def test_cases_on_a_broken_input(tmp_path: Path, broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(broken), cases(tmp_path / "cases.yaml", PASSES)]) == 2

    assert "error[EG301]" in capsys.readouterr().err


# everything


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main(["--version"])

    assert (0, f"egressc {bundle.__version__}\n") == (status.value.code, capsys.readouterr().out)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["compile"],
        ["compile", INPUT],
        ["compile", INPUT, "--out", "x"],
        ["check", INPUT, "--format", "xml"],
        ["explain", "x", "--from", "a/b"],
        ["nothing"],
    ],
)
def test_bad_usage_has_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main(arguments)

    assert status.value.code == 2
    assert capsys.readouterr().err.startswith("usage: egressc")


@pytest.mark.parametrize("command", ["compile", "check", "explain", "test", "schema", "apply", "lab"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main([command, "--help"])

    assert status.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: egressc {command}")


@pytest.mark.parametrize("buffered", [True, False], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("size", [1, 300], ids=["short", "long"])
def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path, size: int, buffered: bool) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*cluster(gateway(), policy(to=["x"] * size))), encoding="utf-8")
    read, write = os.pipe()
    os.close(read)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = {**kept, **({} if buffered else {"PYTHONUNBUFFERED": "1"})}
    command = [EGRESSC, "check", str(path)]

    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    os.close(write)

    assert "BrokenPipe" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in (2, 141), "its own, or as if SIGPIPE had ended it"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_that_lacks_a_letter_is_no_fault(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "input.yaml"
    item = patched(policy(to=["x"]), "metadata.annotations", {"team": "ü 日本"})
    path.write_text(
        f"# ü 日本\n{dump(*cluster(gateway()))}---\n{yaml.safe_dump(item, allow_unicode=True)}", encoding="utf-8"
    )
    listed = path.read_text(encoding="utf-8").replace("- x", "- x # ü 日本")
    path.write_text(listed, encoding="utf-8")
    command = [EGRESSC, "check", str(path)]

    done = subprocess.run(
        command, capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    )

    assert (done.returncode, b"error[EG207]" in done.stdout) == (2, True), done.stderr
    assert b"Traceback" not in done.stderr


def test_an_empty_list_of_cases_is_passed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cases.yaml").write_text("cases: []\n", encoding="utf-8")

    assert main(["test", str(GOLDEN / "primary-ip" / "input"), str(tmp_path / "cases.yaml")]) == 0
    assert capsys.readouterr().out == "0 passed, 0 failed\n"
