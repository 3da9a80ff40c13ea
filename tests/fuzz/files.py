"""The JSON files of a bundle: what can be read is written again as it was."""

import random

from bundle import model
from bundle.codec import DecodeError, decode, encode
from fuzz.mutate import SEPARATOR, join, json_mutation, part_mutation, parts
from fuzz.samples import bundle

CLASSES = {
    cls.__name__: cls
    for cls in (
        model.Manifest, model.Gateways, model.Policies, model.Workloads, model.Cluster, model.Routing, model.Addresses,
    )
}  # fmt: skip
_OF_FILE = {
    "manifest": "Manifest", "gateways": "Gateways", "policies": "Policies", "workloads": "Workloads",
    "cluster": "Cluster", "routing": "Routing", "addresses": "Addresses",
}  # fmt: skip


def seeds() -> list[bytes]:
    """Returns each file of a bundle below the name of its class."""
    return [
        join({_OF_FILE[path.rpartition("/")[2].removesuffix(".json")]: content})
        for path, content in bundle().items()
        if path.endswith(".json")
    ]


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Changes a field, or the class that it is read as."""
    named = parts(data)
    if not named or draw.random() < 0.1:
        return SEPARATOR + draw.choice(sorted(CLASSES)).encode() + data[data.find(b"\n") :]
    return part_mutation(data, draw, dict.fromkeys(CLASSES, json_mutation))


def check(data: bytes) -> None:
    """What is read is a value that is written and read as itself; what is not says why on one line."""
    for name, content in parts(data).items():
        if name not in CLASSES:
            continue
        try:
            value = decode(CLASSES[name], content)
        except DecodeError as fault:
            assert str(fault).isprintable(), repr(str(fault))
            assert len(str(fault)) < 1000
            continue
        assert decode(CLASSES[name], encode(value)) == value
