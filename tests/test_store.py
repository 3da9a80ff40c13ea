"""What a node keeps is the old or the new state, whatever happens, and says clearly when it is neither."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from applier_bundles import NODE, state_a, state_b, write_bundle

import applier.store
from applier.store import DamagedStoreError, Index, Kept, Newest, Store, StoreError
from bundle.codec import encode
from bundle.directory import MANIFEST, Bundle, BundleError, open_bundle

STATES = {"a": state_a(), "b": state_b(), **{str(n): replace(state_a(), sysctls={f"net/{n}": "1"}) for n in range(9)}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state", NODE)


@pytest.fixture
def bundles(tmp_path: Path) -> Callable[[str], Bundle]:
    """Opens the bundle of one of `STATES`."""

    def opened(name: str) -> Bundle:
        directory = tmp_path / f"bundle-{name}"
        return open_bundle(directory if directory.exists() else write_bundle(directory, STATES[name]))

    return opened


def apply(store: Store, bundle: Bundle, serial: int | None = None) -> None:
    store.commit(store.prepare(bundle, serial))


def digests(store: Store) -> list[str]:
    return [kept.digest for kept in store.index().kept]


def test_a_node_that_never_applied_keeps_nothing_and_reading_makes_nothing(store: Store) -> None:
    assert (store.current(), store.previous(), store.refused(), dict(store.sysctls())) == (None, None, frozenset(), {})
    assert not Path(str(store)).parent.exists()


def test_the_current_bundle_becomes_the_previous_one(store: Store, bundles: Callable[[str], Bundle]) -> None:
    apply(store, bundles("a"), 1)
    apply(store, bundles("b"), 2)

    current, previous = store.current(), store.previous()

    assert current is not None
    assert previous is not None
    assert (current.digest, current.serial) == (bundles("b").digest, 2)
    assert (previous.digest, previous.serial) == (bundles("a").digest, 1)


def test_a_kept_bundle_is_the_nodes_own_part(store: Store, bundles: Callable[[str], Bundle]) -> None:
    apply(store, bundles("a"))
    kept = store.current()
    assert kept is not None

    found = store.open(kept)

    assert found.node(NODE) == bundles("a").node(NODE)
    assert found.head == bundles("a").head
    assert set(found.files) == {f"nodes/{NODE}/{name}" for name in ("ruleset.nft", "routing.json", "addresses.json")}


def test_the_same_bundle_again_changes_nothing_but_the_time(
    store: Store, bundles: Callable[[str], Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(store, bundles("a"), 1)
    apply(store, bundles("b"), 2)
    before = store.index()
    monkeypatch.setattr(applier.store, "_now", lambda: "2100-01-01T00:00:00Z")

    apply(store, bundles("b"), 2)

    (current, previous) = before.kept
    assert store.index() == replace(before, kept=(replace(current, time="2100-01-01T00:00:00Z"), previous))


def test_an_earlier_bundle_applied_once_more_stands_first_and_once(
    store: Store, bundles: Callable[[str], Bundle]
) -> None:
    for name in ("a", "b", "a"):
        apply(store, bundles(name))

    assert digests(store) == [bundles("a").digest, bundles("b").digest]


def test_only_some_bundles_are_kept_and_the_others_folders_go(store: Store, bundles: Callable[[str], Bundle]) -> None:
    for name in map(str, range(9)):
        apply(store, bundles(name))
    store.prepare(bundles("8"))

    assert digests(store) == [bundles(str(n)).digest for n in (8, 7, 6, 5, 4)]
    assert folders(store) == {kept.folder for kept in store.index().kept}


def folders(store: Store) -> set[str]:
    return {path.name for path in (Path(str(store)) / "bundles").iterdir()}


def test_what_is_discarded_leaves_what_is_kept(store: Store, bundles: Callable[[str], Bundle]) -> None:
    apply(store, bundles("a"))
    before = folders(store)

    for name in ("a", "b"):
        store.discard(store.prepare(bundles(name)))

    assert (folders(store), digests(store)) == (before, [bundles("a").digest])


def test_leftovers_of_whatever_kind_are_taken_away_and_links_not_followed(
    store: Store, bundles: Callable[[str], Bundle], tmp_path: Path
) -> None:
    apply(store, bundles("a"))
    before = folders(store)
    home = Path(str(store)) / "bundles"
    (home / "x" / "y").mkdir(parents=True)
    (home / "file").touch()
    (home / "link").symlink_to(tmp_path / "bundle-a")

    store.prepare(bundles("a"))

    assert folders(store) == before
    assert bundles("a")


def test_nobody_else_reads_or_writes_it(store: Store, bundles: Callable[[str], Bundle]) -> None:
    apply(store, bundles("a"))

    home = Path(str(store))
    assert {path.stat().st_mode & 0o777 for path in (home.parent, home, home / "bundles")} == {0o700}
    assert (home / "state.json").stat().st_mode & 0o777 == 0o600


def test_a_directory_that_others_may_write_to_is_refused(store: Store, bundles: Callable[[str], Bundle]) -> None:
    apply(store, bundles("a"))
    home = Path(str(store))
    home.chmod(0o777)

    with pytest.raises(StoreError, match="others may write to it; chown it to yourself and chmod it to 0700"):
        store.prepare(bundles("b"))


@pytest.mark.parametrize("node", ["", "../x", "a/b", ".", "Node"])
def test_a_name_that_no_node_has_is_no_way_out_of_the_directory(node: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not the name of a node"):
        Store(tmp_path, node)


def test_nodes_keep_apart(tmp_path: Path, bundles: Callable[[str], Bundle]) -> None:
    apply(Store(tmp_path / "state", NODE), bundles("a"))

    assert Store(tmp_path / "state", "node-2").current() is None


def test_a_disk_that_fails_is_told(store: Store, bundles: Callable[[str], Bundle], tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")

    with pytest.raises(StoreError, match=rf"{tmp_path}/state.*: Not a directory"):
        store.prepare(bundles("a"))


# going back


def test_going_back_refuses_the_bundle_gone_back_from(store: Store, bundles: Callable[[str], Bundle]) -> None:
    for serial, name in enumerate(("0", "1", "2")):
        apply(store, bundles(name), serial)

    store.go_back()

    assert digests(store) == [bundles("1").digest, bundles("0").digest]
    assert store.refused() == {bundles("2").digest}
    assert store.index().newest == Newest(2, bundles("2").digest)


def test_a_refusal_can_be_taken_back_and_ends_when_the_bundle_is_applied(
    store: Store, bundles: Callable[[str], Bundle]
) -> None:
    for name in ("a", "b"):
        store.refuse(bundles(name).digest)
        store.refuse(bundles(name).digest)

    store.accept(bundles("a").digest)
    assert store.refused() == {bundles("b").digest}
    apply(store, bundles("b"))

    assert store.refused() == frozenset()


def test_the_newest_is_the_one_applied_last_unless_gone_back_to(store: Store, bundles: Callable[[str], Bundle]) -> None:
    apply(store, bundles("a"), 10)
    apply(store, bundles("b"), 20)
    store.go_back()
    apply(store, bundles("a"), 10)
    assert store.index().newest == Newest(20, bundles("b").digest)

    apply(store, bundles("a"), None)
    assert store.index().newest == Newest(20, bundles("b").digest)

    apply(store, bundles("1"), 5)  # which somebody allowed
    assert store.index().newest == Newest(5, bundles("1").digest)


# sysctls


def test_of_a_setting_the_first_value_is_remembered(store: Store) -> None:
    store.remember_sysctls({"net/a": "0", "net/b": "1 2"})
    store.remember_sysctls({"net/a": "1", "net/c": "3"})

    assert store.sysctls() == {"net/a": "0", "net/b": "1 2", "net/c": "3"}


def test_after_a_removal_only_what_tells_older_bundles_stays(store: Store, bundles: Callable[[str], Bundle]) -> None:
    apply(store, bundles("a"), 7)
    store.refuse(bundles("b").digest)
    store.remember_sysctls({"net/a": "0"})

    store.forget()

    assert store.index() == Index(newest=Newest(7, bundles("a").digest), refused=(bundles("b").digest,))


# damage

KEPT = Kept("0" * 64, "0" * 64, None, "", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is damaged: not valid JSON"),
        ("[]", "is damaged: the document: expected an object"),
        ('{"formatVersion": 1}', "is damaged: kept: is missing"),
        ("\x00" * 4096, "is damaged: not valid JSON"),
        (
            encode(replace(Index(), kept=(replace(KEPT, folder="../../etc"),))),
            "is damaged: kept[0].folder: expected a SHA-256",
        ),
        (encode(replace(Index(), format_version=2)), "format version 2 is not 1"),
    ],
)
def test_a_damaged_index_is_told_and_laid_aside_by_the_next_prepare(
    text: str, message: str, store: Store, bundles: Callable[[str], Bundle]
) -> None:
    apply(store, bundles("a"))
    index = Path(str(store)) / "state.json"
    index.write_text(text)

    with pytest.raises(DamagedStoreError) as raised:
        store.current()
    assert str(raised.value).startswith(f"{index}: {message}")

    apply(store, bundles("b"))
    assert digests(store) == [bundles("b").digest]
    assert index.with_name("state.json.damaged").read_text() == text


def test_an_index_that_cannot_be_read_is_told_and_not_laid_aside(
    store: Store, bundles: Callable[[str], Bundle]
) -> None:
    (Path(str(store)) / "state.json").mkdir(parents=True)

    for attempt in (store.current, lambda: store.prepare(bundles("a"))):
        with pytest.raises(StoreError, match=r"state\.json: cannot be read: Is a directory"):
            attempt()


def harmed(store: Store, path: str, change: Callable[[bytes], bytes]) -> Kept:
    kept = store.current()
    assert kept is not None
    file = Path(str(store)) / "bundles" / kept.folder / path
    file.write_bytes(change(file.read_bytes()))
    return kept


@pytest.mark.parametrize("path", [MANIFEST, f"nodes/{NODE}/ruleset.nft"])
def test_a_kept_bundle_that_was_altered_is_refused_and_mended_by_the_next_prepare(
    path: str, store: Store, bundles: Callable[[str], Bundle]
) -> None:
    apply(store, bundles("a"))
    kept = harmed(store, path, lambda content: content + b"\n")

    with pytest.raises(BundleError, match="was altered"):
        store.open(kept)

    apply(store, bundles("a"))
    assert store.open(kept).node(NODE)


def test_a_kept_bundle_that_is_gone_is_told(store: Store) -> None:
    with pytest.raises(BundleError, match="No such file or directory; is this a bundle"):
        store.open(KEPT)


# being killed

CALLS = ("open", "write", "fsync", "close", "mkdir", "rename", "replace", "unlink", "rmdir")


class KilledError(BaseException):
    """The process is no more."""


@contextmanager
def killed_before(number: int) -> Iterator[None]:
    """Lets the body do that many calls of the operating system that could change a disk, and nothing after them."""
    numbers = count()
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            real = getattr(os, name)

            def call(*arguments: object, _real: Callable[..., object] = real, **options: object) -> object:
                if next(numbers) >= number:
                    raise KilledError
                return _real(*arguments, **options)

            patch.setattr(os, name, call)
        yield


def begin(store: Store, bundles: Callable[[str], Bundle]) -> None:
    apply(store, bundles("a"), 1)
    apply(store, bundles("b"), 2)


def change(store: Store, bundles: Callable[[str], Bundle]) -> None:
    apply(store, bundles("1"), 3)


def change_back(store: Store, _: Callable[[str], Bundle]) -> None:
    store.go_back()


def remember(store: Store, _: Callable[[str], Bundle]) -> None:
    store.remember_sysctls({"net/a": "0"})


@pytest.mark.parametrize("step", [change, change_back, remember], ids=lambda step: step.__name__)
def test_killed_between_any_two_calls_it_is_old_or_new_and_goes_on(
    step: Callable[[Store, Callable[[str], Bundle]], None],
    bundles: Callable[[str], Bundle],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(applier.store, "_now", lambda: "")
    for name in ("a", "b", "1"):
        bundles(name)
    undisturbed = Store(tmp_path / "undisturbed", NODE)
    begin(undisturbed, bundles)
    old = undisturbed.index()
    step(undisturbed, bundles)
    new = undisturbed.index()
    seen = []

    for number in count():
        store = Store(tmp_path / f"killed-{number}", NODE)
        begin(store, bundles)
        killed = False
        try:
            with killed_before(number):
                step(store, bundles)
        except KilledError:
            killed = True
        seen.append(store.index())
        for kept in store.index().kept:
            assert store.open(kept).node(NODE)
        if store.index() == old:
            step(store, bundles)
        apply(store, bundles("a"), 4)
        assert folders(store) == {kept.folder for kept in store.index().kept}
        if not killed:
            break

    assert [index for index in seen if index not in (old, new)] == []
    assert (seen[0], seen[-1], len(seen) > 5) == (old, new, True)


def test_a_folder_is_named_by_its_manifest_and_signature(store: Store, bundles: Callable[[str], Bundle]) -> None:
    bundle = bundles("a")
    again = replace(bundle, head={**bundle.head, "signed.json": b"1", "signed.json.sig": b"2"})

    apply(store, bundle)
    apply(store, again)

    current = store.current()
    assert current is not None
    assert store.open(current).head == again.head
    assert len(digests(store)) == 1
    assert current.digest == hashlib.sha256(bundle.head[MANIFEST]).hexdigest()
