"""Names and numbers that depend on the inputs: class ids, chain names, mark numbers, routing tables.

Stateless: derived from names, so that adding something renames and renumbers nothing else, save a mark number whose
slot was taken. What they must be clear of stands in `bundle/names.py`.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

_CHAIN_NAME_KEPT: Final = 60
_HALF: Final = 0xFFFF
_ROOT: Final = 0xFFFFFFFF


def class_ids(keys: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """Gives each class of workloads a number of 32 bits, the start of its SHA-256.

    Of two that fall on one number, which among 10,000 classes happens once in 86 clusters, the later in order of key
    takes the digest with a further byte. So does who gets a number of which nft does not read what it prints, see
    `bundle.ruleset.format_classid`: one with a half of zeros, and that of all ones.
    """
    result: dict[tuple[str, ...], int] = {}
    used: set[int] = set()
    for key in sorted(set(keys)):
        result[key] = next(number for number in _choices(key) if number not in used)
        used.add(result[key])
    return result


def first_class_id(key: tuple[str, ...]) -> int:
    """Returns the number that a class has if no other class has it."""
    return next(_choices(key))


def _choices(key: tuple[str, ...]) -> Iterator[int]:
    text = "\0".join(key).encode()
    while True:
        number = int.from_bytes(hashlib.sha256(text).digest()[:4])
        if _is_classid(number):
            yield number
        text += b"\0"


def _is_classid(number: int) -> bool:
    return number > _HALF and bool(number & _HALF) and number != _ROOT


def digits(class_id: int) -> str:
    """Returns the number of a class as it stands in names of its own: `local_9ddcfe56`, `route4_9ddcfe56`."""
    return f"{class_id:08x}"


def bucket(class_id: int) -> str:
    """Returns the bucket of a class, as in `remote_56`: the last two digits of its number, so one of 256."""
    return f"{class_id & 0xFF:02x}"


@lru_cache(maxsize=1 << 14)
def chain_name(prefix: str, name: str) -> str:
    """Returns the name of a chain for a Kubernetes object: `to_node-1`.

    nft takes 128 bytes in chain names. Object names have up to 253, of lower-case letters, digits, `-` and `.`, all of
    which nft takes after the first letter, which is the prefix's. A shortened one has 8 + 60 + 1 + 12 bytes and a
    second `_`, which no object name holds, so it equals no other name.
    """
    if len(name) > _CHAIN_NAME_KEPT:
        name = f"{name[:_CHAIN_NAME_KEPT]}_{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    return f"{prefix}_{name}"


def mark_numbers(keys: Iterable[str], limit: int) -> dict[str, int] | None:
    """Gives each next hop and gateway of a node a number from 1 to `limit`.

    Each has a preferred slot by its digest; who finds it taken gets the next free one. So a new key moves none but
    those of higher digest that it meets, and the applier never lets a number change its meaning under traffic.

    Returns:
        None when there are more keys than numbers.
    """
    digests = sorted((_digest(key), key) for key in set(keys))
    if len(digests) > limit:
        return None
    result: dict[int, str] = {}
    for digest, key in digests:
        slot = int.from_bytes(digest[:8]) % limit
        while slot + 1 in result:
            slot = (slot + 1) % limit
        result[slot + 1] = key
    return {key: number for number, key in result.items()}


@lru_cache(maxsize=1 << 14)  # the nodes of a cluster send to the same gateway nodes
def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
