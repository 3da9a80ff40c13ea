"""The pipelines of `deploy/gitops/`, run as far as they can be without their services: every shell step, the hooks, the
contract of the plugin, and what is sent to a service, to one that only writes it down.
"""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import GOLDEN, ROOT

from bundle.directory import open_bundle

HOME = GOLDEN / "outputs" / "change"
GITOPS = ROOT / "deploy" / "gitops"
BROKEN = "apiVersion: network.deckhouse.io/v1alpha1\nkind: EgressGateway\nmetadata: {name: odd}\nspec: {}\n"
TOKEN = "not-to-be-seen"  # noqa: S105  # of nobody
# The golden case of the partner fails on purpose.
CASES = """\
cases:
  - name: payments reach the bank by the virtual IP
    from: default/payments-1
    to: 203.0.113.10
    expect: {verdict: egress, gateway: egress-vip, sourceIP: 172.18.18.242}
"""


def git(directory: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.com",
    }
    command = ["git", "-c", "init.defaultBranch=main", "-C", str(directory), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose HEAD merges a change into main, as a pull request is checked out, and whose `origin` is bare."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "--quiet")
    shutil.copy(HOME / "cluster.yaml", work)
    shutil.copytree(HOME / "before", work / "egress")
    (work / "cases.yaml").write_text(CASES)
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "-m", "before")
    git(tmp_path, "clone", "--quiet", "--bare", str(work), "origin.git")
    git(work, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(work, "checkout", "--quiet", "-b", "change")
    shutil.copytree(HOME / "after", work / "egress", dirs_exist_ok=True)
    git(work, "commit", "--quiet", "--all", "-m", "after")
    git(work, "checkout", "--quiet", "--detach", "main")
    git(work, "merge", "--quiet", "--no-ff", "-m", "merge", "change")
    return work


class Runner:
    """Runs shell as a service's runner does, with `egressc` in PATH."""

    def __init__(self, work: Path, shell: list[str], variables: Mapping[str, str]) -> None:
        self.work = work
        self.shell = shell
        self.bin = work.parent / "bin"
        self.bin.mkdir()
        (self.bin / "egressc").symlink_to(Path(sys.executable).parent / "egressc")
        self.variables = {
            "PATH": f"{self.bin}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(work.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            **variables,
        }

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.shell, script],
            cwd=self.work,
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            check=False,
        )


def read_yaml(path: Path) -> Any:  # noqa: ANN401  # any YAML
    return yaml.safe_load(path.read_text(encoding="utf-8"))


# GitHub Actions

WORKFLOW = read_yaml(GITOPS / "github" / "egress.yaml")
TRIGGER = WORKFLOW[True]  # YAML 1.1 takes `on` for a boolean


def steps(job: str) -> dict[str, str]:
    return {step["name"]: step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step}


@pytest.fixture
def actions(clone: Path) -> Runner:
    temporary = clone.parent / "temp"
    temporary.mkdir()
    variables = {
        **WORKFLOW["env"],
        "RUNNER_TEMP": str(temporary),
        "GITHUB_STEP_SUMMARY": str(temporary / "summary.md"),
        "GITHUB_REPOSITORY": "platform/egress",
        "GITHUB_SHA": "0123abc",
        "NUMBER": "17",
    }
    return Runner(clone, ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"], variables)


def fake_gh(runner: Runner, known: str) -> Path:
    """Puts a `gh` in PATH that knows the number of our comment, or none, and writes down what it is asked to do."""
    log = runner.bin.parent / "gh.log"
    script = f"""#!/bin/sh
case "$*" in
*--paginate*) printf '%s' '{known}' ;;
*) printf '%s\\n' "$@" >{log} ;;
esac
"""
    (runner.bin / "gh").write_text(script)
    (runner.bin / "gh").chmod(0o755)
    return log


def test_github_reviews_a_pull_request(actions: Runner) -> None:
    log = fake_gh(actions, "")
    done = {name: actions.run(text) for name, text in steps("review").items() if name != "Install"}

    assert {name: (item.returncode, item.stderr) for name, item in done.items() if item.returncode} == {
        "Gate": (1, done["Gate"].stderr)
    }
    assert "::warning file=egress/egress.yaml," in done["Check"].stdout
    assert "1 passed, 0 failed" in done["Test"].stdout
    assert done["Verify"].stdout.startswith("verified: ")
    assert json.loads((actions.work / "egressc.sarif").read_text())["version"] == "2.1.0"
    review = (actions.work.parent / "temp" / "review.md").read_text()
    assert review.startswith("<!-- egressc review -->\n")
    assert "reports" in review
    assert review == (actions.work.parent / "temp" / "summary.md").read_text()
    assert "repos/platform/egress/issues/17/comments" in log.read_text()
    assert "POST" in log.read_text()


def test_github_writes_over_its_own_comment(actions: Runner) -> None:
    log = fake_gh(actions, "991\n992\n")
    (actions.work.parent / "temp" / "review.md").touch()

    done = actions.run(steps("review")["Comment"])

    assert done.returncode == 0, done.stderr
    assert log.read_text().splitlines()[:5] == [
        "api",
        "--silent",
        "--method",
        "PATCH",
        "repos/platform/egress/issues/comments/991",
    ]


def test_github_stops_at_errors_and_tells_them(actions: Runner) -> None:
    (actions.work / "egress" / "odd.yaml").write_text(BROKEN)
    found = actions.run(steps("review")["Find"])
    checked = actions.run(steps("review")["Check"])

    assert (found.returncode, checked.returncode) == (0, 2)
    assert "::error file=egress/odd.yaml," in checked.stdout


def test_github_stops_at_a_case_that_fails(actions: Runner) -> None:
    shutil.copy(HOME / "cases.yaml", actions.work)

    assert actions.run(steps("review")["Test"]).returncode == 1


def test_github_does_without_cases(actions: Runner) -> None:
    (actions.work / "cases.yaml").unlink()

    assert actions.run(steps("review")["Test"]).returncode == 0


def test_github_reviews_where_main_does_not_compile(actions: Runner) -> None:
    git(actions.work, "checkout", "--quiet", "main")
    (actions.work / "egress" / "odd.yaml").write_text(BROKEN)
    git(actions.work, "add", "--all")
    git(actions.work, "commit", "--quiet", "-m", "broken")
    git(actions.work, "checkout", "--quiet", "-b", "mend")
    git(actions.work, "rm", "--quiet", "egress/odd.yaml")
    git(actions.work, "commit", "--quiet", "-m", "mended")
    done = [actions.run(steps("review")[name]) for name in ("Compile both sides", "Verify", "Review", "Gate")]

    assert [item.returncode for item in done] == [0, 0, 0, 0], [item.stderr for item in done]
    assert "nothing to compare with" in (actions.work.parent / "temp" / "review.md").read_text()


def test_github_gates_can_be_emptied(actions: Runner) -> None:
    assert actions.run(steps("review")["Compile both sides"]).returncode == 0

    assert actions.run(steps("review")["Gate"], FAIL_ON="").returncode == 0


def test_github_compares_with_what_nodes_hold(actions: Runner) -> None:
    assert actions.run(steps("publish")["Fetch the earlier bundle"]).returncode == 0
    shutil.copytree(HOME / "before", actions.work / "egress", dirs_exist_ok=True)
    assert actions.run("egressc compile $INPUTS -o .published/bundle").returncode == 0

    done = actions.run(f"set -x; {steps('review')['Compile both sides']}")

    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"--previous {actions.work}/.published/bundle") == 2


def test_github_publishes_the_bundle_of_main_once(actions: Runner) -> None:
    names = ("Fetch the earlier bundle", "Compile and verify", "Publish")
    first = [actions.run(steps("publish")[name]) for name in names]
    pushed = git(actions.work.parent / "origin.git", "rev-parse", "bundle")
    git(actions.work, "worktree", "remove", "--force", str(actions.work.parent / "temp" / "published"))
    again = [actions.run(steps("publish")[name]) for name in names]

    assert [item.returncode for item in (*first, *again)] == [0] * 6, [item.stderr for item in (*first, *again)]
    assert again[-1].stdout == "The bundle is the same as before.\n"
    assert git(actions.work.parent / "origin.git", "rev-parse", "bundle") == pushed
    git(actions.work.parent, "clone", "--quiet", "--branch", "bundle", "origin.git", "node")
    assert {path.name for path in (actions.work.parent / "node").iterdir()} == {".git", "bundle"}
    assert open_bundle(actions.work.parent / "node" / "bundle").manifest.nodes


def test_github_actions_are_pinned_and_permissions_are_least() -> None:
    used = [step["uses"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "uses" in step]

    assert [name for name in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name)] == []
    assert WORKFLOW["permissions"] == {}
    assert {name: job["permissions"] for name, job in WORKFLOW["jobs"].items()} == {
        "review": {"contents": "read", "pull-requests": "write", "security-events": "write"},
        "publish": {"contents": "write"},
    }
    assert set(TRIGGER) == {"pull_request", "push"}


def test_no_shell_step_of_github_holds_an_expression() -> None:
    assert [text for job in WORKFLOW["jobs"] for text in steps(job).values() if "${{" in text] == []


def test_what_needs_a_token_that_writes_is_left_out_for_a_fork() -> None:
    guarded = [
        step
        for step in WORKFLOW["jobs"]["review"]["steps"]
        if "upload" in step.get("uses", "") or "GH_TOKEN" in step.get("env", {})
    ]

    assert [step["if"] for step in guarded] == ["env.TRUSTED == 'true'"] * 2


# GitLab CI

PIPELINE = read_yaml(GITOPS / "gitlab" / "egress.gitlab-ci.yml")


@pytest.fixture
def gitlab(clone: Path) -> Runner:
    place = clone.parent / "tmp"
    place.mkdir()
    (clone / ".gitlab").mkdir()
    shutil.copy(GITOPS / "gitlab" / "egressc_gitlab.py", clone / ".gitlab")
    variables = {
        **PIPELINE["variables"],
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": git(clone, "rev-parse", "main"),
        "CI_COMMIT_SHA": "0123abc",
        "CI_PROJECT_URL": str(clone.parent / "origin"),
        "CI_PROJECT_ID": "5",
        "CI_MERGE_REQUEST_IID": "17",
    }
    # GitLab's shell runs each line, and stops at the first that fails.
    return Runner(clone, ["sh", "-ec"], variables)


def script(job: str, runner: Runner) -> str:
    # A job has a container of its own, and /tmp for itself.
    place, here = r"(?<=[ (=])/tmp(?=/)", runner.work.parent / "tmp"
    return re.sub(place, str(here), "\n".join(PIPELINE[job]["script"]))


def test_gitlab_checks_and_reports(gitlab: Runner) -> None:
    done = gitlab.run(script("egress-check", gitlab))

    assert done.returncode == 0, done.stderr
    report = json.loads((gitlab.work / "gl-code-quality-report.json").read_text())
    assert [(item["check_name"], item["severity"], item["location"]["path"]) for item in report] == [
        ("EG306", "minor", "egress/egress.yaml")
    ]
    assert report[0]["location"]["lines"]["begin"] > 1
    assert "<testsuite" in (gitlab.work / "egressc-junit.xml").read_text()


def test_gitlab_stops_at_errors_and_reports_them(gitlab: Runner) -> None:
    (gitlab.work / "egress" / "odd.yaml").write_text(BROKEN)

    done = gitlab.run(script("egress-check", gitlab))

    assert done.returncode == 2
    report = json.loads((gitlab.work / "gl-code-quality-report.json").read_text())
    assert {"critical"} < {item["severity"] for item in report}
    assert len({item["fingerprint"] for item in report}) == len(report)


class Notes(BaseHTTPRequestHandler):
    """GitLab's API, as far as notes go."""

    notes: list[dict[str, Any]]
    asked: list[tuple[str, str, str, Any]]

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        data = json.loads(self.rfile.read(length)) if length else None
        self.asked.append((self.command, self.path, self.headers["PRIVATE-TOKEN"], data))
        result: object = {}
        if self.path.endswith("/user"):
            result = {"id": 3}
        elif self.command == "GET":
            result = self.notes if self.path.endswith("page=1") else []
        body = json.dumps(result).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer  # noqa: N815  # names that the library asks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        pass


@pytest.fixture
def api() -> Iterator[Callable[[list[dict[str, Any]]], tuple[str, list[tuple[str, str, str, Any]]]]]:
    servers = []

    def start(notes: list[dict[str, Any]]) -> tuple[str, list[tuple[str, str, str, Any]]]:
        handler = type("Handler", (Notes,), {"notes": notes, "asked": []})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/api/v4", handler.asked  # type: ignore[attr-defined]  # just made

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


OURS = {"id": 44, "author": {"id": 3}, "body": "<!-- egressc review -->\nold"}
FORGED = {"id": 43, "author": {"id": 9}, "body": "<!-- egressc review -->\nof somebody else"}


@pytest.mark.parametrize(
    ("notes", "method", "end"), [([FORGED], "POST", "/notes"), ([FORGED, OURS], "PUT", "/notes/44")]
)
def test_gitlab_reviews_in_one_note(
    notes: list[dict[str, Any]],
    method: str,
    end: str,
    gitlab: Runner,
    api: Callable[[list[dict[str, Any]]], tuple[str, list[tuple[str, str, str, Any]]]],
) -> None:
    url, asked = api(notes)

    done = gitlab.run(script("egress-review", gitlab), CI_API_V4_URL=url, EGRESSC_NOTE_TOKEN=TOKEN, no_proxy="*")

    assert done.returncode == 1, done.stderr  # the gate
    assert "verified: " in done.stdout
    sent = [item for item in asked if item[0] != "GET"]
    assert [(item[0], item[1], item[2]) for item in sent] == [
        (method, f"/api/v4/projects/5/merge_requests/17{end}", TOKEN)
    ]
    assert sent[0][3]["body"] == "<!-- egressc review -->\n" + (gitlab.work / "review.md").read_text()


def test_gitlab_reviews_without_a_token_and_without_gates(gitlab: Runner) -> None:
    done = gitlab.run(script("egress-review", gitlab), FAIL_ON="")

    assert done.returncode == 0, done.stderr
    assert "reports" in (gitlab.work / "review.md").read_text()


def test_gitlab_publishes_the_bundle_once(gitlab: Runner) -> None:
    first = gitlab.run(script("egress-publish", gitlab), EGRESSC_PUSH_TOKEN=TOKEN)
    git(gitlab.work, "worktree", "remove", "--force", str(gitlab.work.parent / "tmp" / "published"))
    again = gitlab.run(script("egress-publish", gitlab), EGRESSC_PUSH_TOKEN=TOKEN)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert again.stdout.endswith("The bundle is the same as before.\n")
    assert TOKEN not in first.stdout + first.stderr
    git(gitlab.work.parent, "clone", "--quiet", "--branch", "bundle", "origin.git", "node")
    assert open_bundle(gitlab.work.parent / "node" / "bundle").manifest.nodes


# pre-commit

HOOKS = {hook["id"]: hook for hook in read_yaml(ROOT / ".pre-commit-hooks.yaml")}
README_CONFIG = yaml.safe_load(
    re.findall(r"```yaml\n(.*?)```", (GITOPS / "pre-commit" / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
)


def pre_commit(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs pre-commit on our hooks, by the configuration of the README; egressc is not built anew but the one here."""
    hooks = [
        {**HOOKS[used["id"]], **used, "language": "system"} for repo in README_CONFIG["repos"] for used in repo["hooks"]
    ]
    (clone / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{"repo": "local", "hooks": hooks}]}))
    git(clone, "add", "--all")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(clone.parent),
        "PRE_COMMIT_HOME": str(clone.parent / "cache"),
    }
    command = [sys.executable, "-m", "pre_commit", "run", "--color", "never", *arguments]
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)


def test_hooks_are_what_pre_commit_takes() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_hooks_let_a_good_commit_through(clone: Path) -> None:
    done = pre_commit(clone, "--all-files")

    assert done.returncode == 0, done.stdout
    assert re.findall(r"^(egressc \w+)\.+Passed$", done.stdout, re.MULTILINE) == ["egressc check", "egressc test"]


def test_a_hook_stops_a_commit_with_an_error_and_says_where(clone: Path) -> None:
    (clone / "egress" / "odd.yaml").write_text(BROKEN)

    done = pre_commit(clone)

    assert done.returncode == 1
    assert re.search(r"^egressc check\.+Failed$", done.stdout, re.MULTILINE)
    assert "egress/odd.yaml:4:" in done.stdout


def test_a_hook_stops_a_commit_whose_cases_fail(clone: Path) -> None:
    shutil.copy(HOME / "cases.yaml", clone)

    done = pre_commit(clone)

    assert done.returncode == 1
    assert re.search(r"^egressc check\.+.*Skipped$", done.stdout, re.MULTILINE)
    assert "the partner sees the backend" in done.stdout


# Argo CD

PLUGIN = read_yaml(GITOPS / "argocd" / "plugin.yaml")


def plugin(command: str, directory: Path, **parameters: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the plugin as the sidecar does."""
    given = PLUGIN["spec"]["discover"]["find"] if command == "discover" else PLUGIN["spec"]["generate"]
    words = [
        {"python3": sys.executable, "/usr/local/lib/egressc/plugin.py": str(GITOPS / "argocd" / "plugin.py")}.get(
            word, word
        )
        for word in given["command"]
    ]
    assert words[-1] == command
    environment = {"PATH": os.environ["PATH"], **{f"ARGOCD_ENV_{name}": value for name, value in parameters.items()}}
    return subprocess.run(words, cwd=directory, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def application(tmp_path: Path) -> Path:
    made = tmp_path / "application"
    shutil.copytree(HOME / "after", made / "egress")
    shutil.copy(HOME / "cluster.yaml", made)
    (made / "cases.yaml").write_text(CASES)
    return made


def test_the_plugin_finds_applications_of_ours_only(application: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "deployment.yaml").write_text("kind: Deployment\n")

    found, other = plugin("discover", application), plugin("discover", tmp_path / "other")

    assert (found.returncode, found.stdout != "") == (0, True)
    assert (other.returncode, other.stdout, other.stderr) == (0, "", "")


def test_the_plugin_prints_the_resources_as_they_are_and_nothing_else(application: Path) -> None:
    done = plugin("generate", application)

    assert done.returncode == 0, done.stderr
    written = list(yaml.safe_load_all((application / "egress" / "egress.yaml").read_text()))
    printed = list(yaml.safe_load_all(done.stdout))
    key = lambda item: (item["kind"], item["metadata"]["name"])  # noqa: E731  # in two places below
    assert sorted(printed, key=key) == sorted((item for item in written if item["kind"].startswith("Egress")), key=key)
    assert "verified: " in done.stderr


def test_the_plugin_prints_the_bundle_where_it_is_asked_for(application: Path, tmp_path: Path) -> None:
    first = plugin("generate", application, EGRESSC_CONFIGMAP="egress-bundle")
    again = plugin("generate", application, EGRESSC_CONFIGMAP="egress-bundle")

    assert first.stdout == again.stdout
    config_map = list(yaml.safe_load_all(first.stdout))[-1]
    assert (config_map["kind"], config_map["metadata"]) == ("ConfigMap", {"name": "egress-bundle"})
    packed = base64.b64decode(config_map["binaryData"]["bundle.tar.gz"])
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path, filter="data")
    assert open_bundle(tmp_path / "bundle").manifest.nodes


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda home: (home / "egress" / "odd.yaml").write_text(BROKEN), "error[EG"),
        (lambda home: shutil.copy(HOME / "cases.yaml", home), "the partner sees the backend"),
        (lambda home: (home / "cluster.yaml").unlink(), "cluster.yaml"),
    ],
)
def test_the_plugin_lets_nothing_be_synced_that_fails(
    spoil: Callable[[Path], object], said: str, application: Path
) -> None:
    spoil(application)
    done = plugin("generate", application, EGRESSC_CONFIGMAP="egress-bundle")

    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.endswith("failed, so nothing is synced\n")


@pytest.mark.parametrize("inputs", ["/etc", "../secret", "egress -o", "-", "egress/link", "egress"])
def test_the_plugin_reads_nothing_outside_of_the_application(inputs: str, application: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("kind: EgressGateway\n")
    (application / "egress" / "link").symlink_to(tmp_path / "secret")

    for command in ("discover", "generate"):
        done = plugin(command, application, EGRESSC_INPUTS=inputs)
        assert (done.returncode, done.stdout) == (1, "")
        assert "of the application" in done.stderr


def test_a_bundle_that_no_config_map_holds_is_refused(application: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import gzip, runpy, sys; sys.argv[1:] = ['generate']; gzip.compress = lambda *_, **__: bytes(2**20 + 1); "
        f"runpy.run_path({str(GITOPS / 'argocd' / 'plugin.py')!r}, run_name='__main__')"
    )
    monkeypatch.setenv("ARGOCD_ENV_EGRESSC_CONFIGMAP", "egress-bundle")

    done = subprocess.run([sys.executable, "-c", code], cwd=application, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert "a ConfigMap takes 1048576" in done.stderr
