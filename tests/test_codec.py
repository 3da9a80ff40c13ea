"""The writer of a bundle's JSON: the same text as the plainest way gives, whatever the values."""

import dataclasses
import json
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bundle import model
from bundle.codec import camel, encode

DOCUMENTS = [
    model.Manifest,
    model.Statement,
    model.Routing,
    model.Addresses,
    model.Gateways,
    model.Policies,
    model.Workloads,
    model.Cluster,
]


def plain(value: object) -> object:
    """The value as lists and dicts, keys in the order of the fields."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {camel(field.name): plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in sorted(value.items())}
    return value


@pytest.mark.parametrize("document", DOCUMENTS)
def test_text_is_that_of_json_dumps(document: type) -> None:
    @settings(
        max_examples=60,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],  # to shrink a whole document takes minutes
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(value=st.from_type(document))
    def agrees(value: object) -> None:
        assert json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n" == encode(value)

    agrees()


def test_every_file_s_class_is_tried() -> None:
    classes = {item for item in vars(model).values() if isinstance(item, type) and dataclasses.is_dataclass(item)}
    parts = {
        kind for item in classes for kind in classes if kind is not item and kind.__name__ in str(item.__annotations__)
    }

    assert classes - parts == set(DOCUMENTS)


def test_text_of_others_is_quoted_as_json_does() -> None:
    hostile = 'a"\\\n\x00\x7f\u2028é\ud800%s{}'
    value = model.Manifest(1, hostile, "", (hostile,), {hostile: hostile, "": "%d"})

    assert json.loads(encode(value)) == plain(value)
    assert json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n" == encode(value)
