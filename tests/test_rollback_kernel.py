"""`egressc rollback` makes the kernel what the bundle before made it, or leaves it and says why."""

from collections.abc import Callable
from pathlib import Path

import pytest
from applier_bundles import NODE, State, state_a, state_b, write_bundle
from kernel_fixtures import Netns
from kernel_fixtures import netns as netns  # noqa: PLC0414  # a fixture is found under its name
from kernel_watch import watched
from signing import make_key, public, sign_bundle

from applier.session import Outcome, Session
from applier.store import Store
from bundle.directory import open_bundle
from compiler.cli import main

pytestmark = pytest.mark.kernel


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state", NODE)


Apply = Callable[[str, State, Path | None], Path]


@pytest.fixture
def apply(netns: Netns, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Apply:
    """Applies a bundle, signed with a key if there is one, and keeps it; returns its directory."""

    def done(name: str, state: State, key: Path | None) -> Path:
        directory = write_bundle(tmp_path / name, state)
        if key is not None:
            sign_bundle(directory, key, 1)
        assert main(["apply", str(directory), "--node", NODE, "--netns", netns.name]) == 0
        store.commit(store.prepare(open_bundle(directory)))
        capsys.readouterr()
        return directory

    return done


def rollback(netns: Netns, tmp_path: Path, *options: str) -> int:
    return main(["rollback", "--node", NODE, "--netns", netns.name, "--state-dir", str(tmp_path / "state"), *options])


def test_the_kernel_is_again_what_the_bundle_before_made_it(
    netns: Netns, store: Store, apply: Apply, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = open_bundle(apply("a", state_a(), None)).digest
    before = netns.dump()
    b = open_bundle(apply("b", state_b(), None)).digest
    assert netns.dump() != before

    assert rollback(netns, tmp_path) == 0

    assert netns.dump() == before
    assert [kept.digest for kept in store.index().kept] == [a]
    assert store.refused() == {b}
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"went back to bundle {a[:12]} (applied 2")
    assert last.endswith(") is refused from now on")


def test_it_does_not_need_the_bundles_directory(netns: Netns, apply: Apply, tmp_path: Path) -> None:
    a = apply("a", state_a(), None)
    before = netns.dump()
    apply("b", state_b(), None)
    a.rename(tmp_path / "gone")

    assert (rollback(netns, tmp_path), netns.dump() == before) == (0, True)


def test_once_more_it_goes_back_no_further_than_there_is(
    netns: Netns, apply: Apply, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply("a", state_a(), None)
    apply("b", state_b(), None)
    assert rollback(netns, tmp_path) == 0
    before = netns.dump()
    capsys.readouterr()

    assert rollback(netns, tmp_path) == 2

    assert netns.dump() == before
    assert capsys.readouterr() == (
        "",
        f"egressc rollback: {tmp_path}/state/{NODE}: keeps no earlier bundle to go back to\n",
    )


def test_a_dry_run_tells_what_would_change_and_changes_nothing(
    netns: Netns, store: Store, apply: Apply, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply("a", state_a(), None)
    apply("b", state_b(), None)
    before, kept = netns.dump(), store.index()

    assert rollback(netns, tmp_path, "--dry-run") == 1

    assert (netns.dump(), store.index()) == (before, kept)
    assert "172.18.18.241" in capsys.readouterr().out


def test_with_a_key_the_bundle_before_must_have_its_signature(
    netns: Netns, store: Store, apply: Apply, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, other = make_key(tmp_path / "keys"), make_key(tmp_path / "keys", "other")
    apply("a", state_a(), key)
    wanted = netns.dump()
    apply("b", state_b(), None)
    kept = store.index()
    with watched(netns, tmp_path) as watch:
        assert rollback(netns, tmp_path, "--verify-key", str(public(other))) == 2

        assert (watch.changes(), store.index()) == ([], kept)
    assert "signed.json.sig: is no signature of signed.json" in capsys.readouterr().err

    assert rollback(netns, tmp_path, "--verify-key", str(public(key))) == 0
    assert netns.dump() == wanted


def test_a_kept_bundle_that_was_altered_is_not_applied(
    netns: Netns, store: Store, apply: Apply, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply("a", state_a(), None)
    apply("b", state_b(), None)
    kept = store.index()
    path = tmp_path / "state" / NODE / "bundles" / kept.kept[1].folder / "nodes" / NODE / "ruleset.nft"
    path.write_text(path.read_text().replace("10.1.0.5", "10.1.0.9"))
    with watched(netns, tmp_path) as watch:
        assert rollback(netns, tmp_path) == 2

        assert (watch.changes(), store.index()) == ([], kept)
    assert capsys.readouterr().err == (f"egressc rollback: {path}: was altered: its SHA-256 is not the manifest's\n")


def test_where_the_apply_is_refused_the_current_bundle_stays_so_and_acceptable(
    netns: Netns, store: Store, apply: Apply, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply("a", state_a(), None)
    apply("b", state_b(), None)
    netns.run("ip address add 172.18.18.241/32 dev eth0")  # of somebody else, who needs it now
    before, kept = netns.dump(), store.index()

    assert rollback(netns, tmp_path) == 2

    assert (netns.dump(), store.index()) == (before, kept)
    assert "172.18.18.241/32 is already on eth0, and not by us" in capsys.readouterr().err


@pytest.mark.parametrize("status", [0, 2, 3])
def test_the_current_bundle_is_refused_while_the_kernel_changes_and_only_then_for_good(  # noqa: PLR0913, PLR0917
    status: int, netns: Netns, store: Store, apply: Apply, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply("a", state_a(), None)
    b = open_bundle(apply("b", state_b(), None)).digest
    before = store.index()
    during = []

    def end(*_: object, **__: object) -> Outcome:
        during.append(store.refused())
        return Outcome(status, "ended")

    monkeypatch.setattr(Session, "apply", end)

    assert rollback(netns, tmp_path) == status
    assert during == [{b}]
    assert store.refused() == (set() if status else {b})
    assert store.index().kept == (before.kept if status else before.kept[1:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--netns", "no-such"], "network namespace no-such: No such file or directory"),
        (["--node", "../x"], "'../x' is not the name of a node"),
        (["--node", "node-2"], "keeps no earlier bundle to go back to"),
    ],
)
def test_what_cannot_be_is_told(  # noqa: PLR0913, PLR0917  # fixtures, and two parameters
    arguments: list[str],
    message: str,
    netns: Netns,
    store: Store,
    apply: Apply,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    apply("a", state_a(), None)
    apply("b", state_b(), None)
    before = store.index()

    assert rollback(netns, tmp_path, *arguments) == 2

    assert capsys.readouterr().err.rstrip().endswith(message)
    assert store.index() == before
