"""Which bundles a node may apply: every reason against one, and all of them at once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from applier_bundles import NODE, state_a, state_b, write_bundle
from signing import make_key, public, sign_bundle

from applier.errors import RefusedError
from applier.store import Store
from applier.trust import Trusted, check
from bundle.directory import Bundle, open_bundle

STATES = {"a": state_a(), "b": state_b(), "c": replace(state_a(), sysctls={})}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state", NODE)


@pytest.fixture
def bundles(tmp_path: Path, key: Path) -> Callable[[str, int | None], Bundle]:
    """Opens the bundle of one of `STATES`, signed with a serial or not signed."""

    def opened(name: str, serial: int | None) -> Bundle:
        directory = write_bundle(tmp_path / f"bundle-{name}-{serial}", STATES[name])
        return open_bundle(directory if serial is None else sign_bundle(directory, key, serial))

    return opened


Bundles = Callable[[str, int | None], Bundle]


def take(store: Store, bundle: Bundle, key: Path | None, *, allow_rollback: bool = False) -> None:
    """What an apply that succeeds does."""
    trusted = check(bundle, key, store, allow_rollback=allow_rollback)
    store.commit(store.prepare(bundle, trusted.serial))


def refusal(bundle: Bundle, key: Path | None, store: Store | None) -> str:
    with pytest.raises(RefusedError) as raised:
        check(bundle, key, store, allow_rollback=False)
    return str(raised.value)


def test_a_signed_bundle_is_trusted_and_its_signer_known(key: Path, store: Store, bundles: Bundles) -> None:
    trusted = check(bundles("a", 7), public(key), store, allow_rollback=False)

    assert trusted.serial == 7
    assert trusted.signer.startswith("egressc with ED25519 key SHA256:")


def test_the_check_writes_nothing(key: Path, store: Store, bundles: Bundles, tmp_path: Path) -> None:
    check(bundles("a", 7), public(key), store, allow_rollback=True)

    assert not (tmp_path / "state").exists()


def test_without_a_key_no_signature_is_asked_for_or_believed(store: Store, bundles: Bundles) -> None:
    assert check(bundles("a", None), None, store, allow_rollback=False) == Trusted()
    assert check(bundles("a", 7), None, None, allow_rollback=False) == Trusted()


def test_with_a_key_an_unsigned_bundle_is_refused(key: Path, store: Store, bundles: Bundles) -> None:
    assert "is not signed" in refusal(bundles("a", None), public(key), store)
    assert "is not signed" in refusal(bundles("a", None), public(key), None)


def test_another_key_is_refused_even_where_rollbacks_are_allowed(
    store: Store, bundles: Bundles, tmp_path: Path
) -> None:
    other = make_key(tmp_path / "other")

    with pytest.raises(RefusedError, match="No principal matched"):
        check(bundles("a", 7), public(other), store, allow_rollback=True)


@pytest.mark.parametrize(("name", "serial"), [("a", 21), ("b", 20), ("b", 21), ("c", 4_000_000_000)])
def test_what_is_newer_or_the_same_is_taken(name: str, serial: int, key: Path, store: Store, bundles: Bundles) -> None:
    take(store, bundles("b", 20), public(key))

    take(store, bundles(name, serial), public(key))


@pytest.mark.parametrize(("name", "serial"), [("a", 19), ("b", 19), ("a", 0)])
def test_an_older_one_is_refused(name: str, serial: int, key: Path, store: Store, bundles: Bundles) -> None:
    take(store, bundles("b", 20), public(key))
    bundle = bundles(name, serial)

    assert refusal(bundle, public(key), store) == (
        f"{bundle.directory}: is older than what was applied here: its serial is {serial}, and that of the newest "
        "bundle is 20; sign it again if it is to be the newest, or --allow-rollback applies it all the same"
    )


def test_another_one_of_the_same_serial_is_refused(key: Path, store: Store, bundles: Bundles) -> None:
    take(store, bundles("b", 20), public(key))

    assert "has the serial 20, and so has another bundle" in refusal(bundles("a", 20), public(key), store)


def test_an_unsigned_apply_in_between_makes_no_older_one_acceptable(key: Path, store: Store, bundles: Bundles) -> None:
    take(store, bundles("b", 20), public(key))
    take(store, bundles("c", None), None)

    assert "is older" in refusal(bundles("a", 10), public(key), store)


def test_an_older_one_that_is_allowed_counts_as_the_newest(key: Path, store: Store, bundles: Bundles) -> None:
    take(store, bundles("b", 20), public(key))

    take(store, bundles("a", 10), public(key), allow_rollback=True)

    take(store, bundles("a", 10), public(key))
    take(store, bundles("c", 11), public(key))


def test_after_a_rollback_only_that_bundle_and_newer_ones_are_taken(key: Path, store: Store, bundles: Bundles) -> None:
    take(store, bundles("a", 10), public(key))
    take(store, bundles("b", 20), public(key))
    store.go_back()

    take(store, bundles("a", 10), public(key))
    assert "is older" in refusal(bundles("c", 15), public(key), store)
    assert "is older" in refusal(bundles("a", 9), public(key), store)
    assert "rolled back from this very bundle" in refusal(bundles("b", 20), public(key), store)
    assert "rolled back from this very bundle" in refusal(bundles("b", 30), public(key), store)
    take(store, bundles("c", 21), public(key))


def test_what_was_rolled_back_from_is_refused_without_a_key_too_until_it_is_allowed(
    store: Store, bundles: Bundles
) -> None:
    take(store, bundles("a", None), None)
    take(store, bundles("b", None), None)
    store.go_back()
    bundle = bundles("b", None)

    assert refusal(bundle, None, store) == (
        f"{bundle.directory}: this node was rolled back from this very bundle; apply another one, or --allow-rollback "
        "applies it all the same"
    )
    take(store, bundle, None, allow_rollback=True)
    take(store, bundle, None)


def test_all_reasons_are_told_at_once(key: Path, store: Store, bundles: Bundles) -> None:
    store.refuse(bundles("a", None).digest)

    reasons = refusal(bundles("a", None), public(key), store).splitlines()

    assert len(reasons) == 2


def test_where_it_is_not_known_what_was_applied_a_signed_bundle_is_refused_until_allowed(
    key: Path, store: Store, bundles: Bundles
) -> None:
    take(store, bundles("b", 20), public(key))
    (Path(str(store)) / "state.json").write_text("{")

    message = refusal(bundles("c", 21), public(key), store)
    assert "state.json: is damaged" in message
    assert message.endswith("--allow-rollback applies it all the same and begins a new record")

    take(store, bundles("a", 10), public(key), allow_rollback=True)
    assert "is older" in refusal(bundles("a", 9), public(key), store)


def test_without_a_key_a_damaged_record_keeps_no_node_from_its_rules(store: Store, bundles: Bundles) -> None:
    take(store, bundles("a", None), None)
    (Path(str(store)) / "state.json").write_text("{")

    take(store, bundles("b", None), None)
