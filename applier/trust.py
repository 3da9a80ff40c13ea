"""Whether a bundle may be applied on this node: signed by whom it should be, and not older than what was applied."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from applier.errors import RefusedError
from applier.store import DamagedStoreError, Index, Store, StoreError
from bundle.directory import Bundle
from bundle.signature import SignatureError, Verified, verify

_ALLOW = "--allow-rollback applies it all the same"


@dataclass(frozen=True, slots=True)
class Trusted:
    """A bundle that may be applied.

    Attributes:
        serial: Of its verified signature; None if none was asked for.
        signer: Whose signature it is, in ssh-keygen's words; empty if none was asked for.
    """

    serial: int | None = None
    signer: str = ""


def check(bundle: Bundle, key: Path | None, store: Store | None, *, allow_rollback: bool) -> Trusted:
    """Says whether a bundle, as it was read, may be applied; looks at no kernel and changes nothing.

    With a key, the bundle must have the signature of one whom `key` allows, over this very manifest, and so over every
    file; and its serial must be higher than that of the newest bundle verified here before, unless it is that bundle or
    the one that was rolled back to. Without a key nothing is known of where the bundle comes from: that its files fit
    its manifest says that it came in one piece, and no more; a signature is not looked at, serials are not compared.

    In both cases a bundle that this node was rolled back from is refused.

    Args:
        bundle: An opened bundle.
        key: File of public keys or of allowed signers; None asks for no signature.
        store: What the node keeps; None compares with nothing.
        allow_rollback: Take an older bundle too, or one that was rolled back from, or any if what was applied is not
            known; it then counts as the newest.

    Raises:
        RefusedError: It may not; all reasons, one a line.
    """
    reasons: list[str] = []
    verified: Verified | None = None
    if key is not None:
        try:
            verified = verify(bundle, key)
        except SignatureError as error:
            reasons.append(str(error))
    if store is not None and not allow_rollback:
        reasons.extend(_of_store(bundle, verified, store, signed=key is not None))
    if reasons:
        raise RefusedError("\n".join(reasons))
    return Trusted(verified.statement.serial, verified.signer) if verified else Trusted()


def _of_store(bundle: Bundle, verified: Verified | None, store: Store, *, signed: bool) -> Iterator[str]:
    try:
        index = store.index()
    except DamagedStoreError as error:
        # Without a key there is little to lose, and a node without its rules lets workloads out with its own address.
        if signed:
            yield f"{error}; so this bundle may be older than the one applied; {_ALLOW} and begins a new record"
        return
    except StoreError as error:
        yield str(error)
        return
    if bundle.digest in index.refused:
        yield f"{bundle.directory}: this node was rolled back from this very bundle; apply another one, or {_ALLOW}"
    if verified:
        yield from _older(bundle, verified.statement.serial, index)


def _older(bundle: Bundle, serial: int, index: Index) -> Iterator[str]:
    newest = index.newest
    if newest is None or any((kept.digest, kept.serial) == (bundle.digest, serial) for kept in index.kept[:1]):
        return
    if serial < newest.serial:
        yield (
            f"{bundle.directory}: is older than what was applied here: its serial is {serial}, and that of the newest "
            f"bundle is {newest.serial}; sign it again if it is to be the newest, or {_ALLOW}"
        )
    elif serial == newest.serial and bundle.digest != newest.digest:
        yield (
            f"{bundle.directory}: has the serial {serial}, and so has another bundle that was applied here; sign it "
            f"again with a higher one, or {_ALLOW}"
        )
