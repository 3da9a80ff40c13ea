"""The fast reader of JSON lists beside the slow one: it takes less, and never reads otherwise; and Pods by msgspec."""

import json
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler import load
from compiler.diagnostics import Diagnostic, Place
from compiler.fastjson import Doubt, Raw, canonical_form, read_item, read_list
from compiler.findings import LIMIT, Findings
from compiler.inputs import base, kubernetes, pods
from compiler.load import FileObjects, read_objects
from compiler.source import Data, read_documents

FEW = settings(max_examples=300, deadline=None, derandomize=True)

# Pieces of JSON text, and such as are faults or nearly so.
STRINGS = [
    *('""', '"a"', '"b"', '"kind"', '"items"', '"Pod"', '"x:y"', '"{["', '"]}"', '"é"', '"\U0001f600"', '"\x7f"'),
    *(r'"\u0061"', r'"\u003c"', r'"\ud83d\ude00"', r'"\""', r'"\/"', '"' + "1" * 39 + '"'),
]
NUMBERS = [
    *("0", "-0", "-0.0", "1", "1.0", "1e5", "1e-400", "0.1", "5e-324", "1" * 39, "-" + "1" * 38, "1" * 30 + ".5"),
    *("18446744073709551616", "-9223372036854775809", "true", "false", "null"),
]
TRAPS = [
    *(r'"\u003a"', r'"\u003A"', r'"\\u003a"', r'"\ud800"', r'"\udc00\ud800"', r'"\x"', '"\t"', '"\x00"', '"\\"'),
    *("1E400", "-1e400", "01", "1.", ".5", "+1", "-", "NaN", "Infinity", "-Infinity", "nul", '"' + "1" * 41 + '"'),
    *("1" * 40, "-" + "1" * 39, "-" + "1" * 40, "1" * 41, "1" * 50 + ".5", "1" * 400 + ".5", '{"a":1,"a":1}', "[1,]"),
]
BLANKS = st.sampled_from(["", "", "", " ", "\n", "\t\r\n "])
KEYS = st.sampled_from([*STRINGS, '"metadata"', '"name"', '"apiVersion"', '"labels"'])


def _array(values: list[str]) -> str:
    return f"[{','.join(values)}]"


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"


def _around(text: str, blanks: tuple[str, str]) -> str:
    return blanks[0] + text + blanks[1]


def _values(leaves: list[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(leaves),
        lambda inner: (
            st.lists(inner, max_size=3).map(_array) | st.lists(st.tuples(KEYS, inner), max_size=3).map(_object)
        ),
        max_leaves=6,
    )


VALUES = _values([*STRINGS, *NUMBERS])
ODD_VALUES = _values([*STRINGS, *NUMBERS, *TRAPS])
WORDS = st.sampled_from(["Pod", "Node", "PodList", "List", "Secret", "EgressGateway", "EgressGatway"])
SPACES = st.sampled_from([[], [("namespace", '"a"')], [("namespace", "null")], [("namespace", "1")]])


@st.composite
def items(draw: st.DrawFn) -> str:
    """An object that may count, with more that it may have."""
    name = draw(st.sampled_from(['"a"', '"b"', '""', "1", "null"]))
    meta = _object([('"name"', name), *((f'"{key}"', value) for key, value in draw(SPACES))])
    pairs = [
        ('"apiVersion"', draw(st.sampled_from(['"v1"', '"network.deckhouse.io/v1alpha1"', "1"]))),
        ('"kind"', json.dumps(draw(WORDS))),
        ('"metadata"', meta),
        *draw(st.lists(st.tuples(KEYS, VALUES | VALUES | ODD_VALUES), max_size=2)),
    ]
    return _object(draw(st.permutations(pairs))[draw(st.integers(0, 1)) :])


@st.composite
def lists(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    """A list as kubectl prints one, or nearly."""
    pairs = [
        ('"apiVersion"', '"v1"'),
        ('"kind"', draw(st.sampled_from(['"List"', '"PodList"', '"NodeList"', '"L\\u0069st"']))),
        (
            '"items"',
            _array(
                draw(
                    st.lists(st.tuples(inner, st.tuples(BLANKS, BLANKS)), max_size=4).map(
                        lambda found: [_around(*one) for one in found]
                    )
                )
            ),
        ),
        *draw(st.lists(st.tuples(KEYS, VALUES), max_size=1)),
    ]
    return _around(_object(draw(st.permutations(pairs))), (draw(BLANKS), draw(BLANKS)))


TEXTS = lists(items() | VALUES | lists(items()))


def told(found: FileObjects) -> tuple[list[tuple[object, ...]], int, tuple[Diagnostic, ...]]:
    objects: list[tuple[object, ...]] = [
        (item.kind, item.namespace, item.name, repr(item.data), item.place, item.digest) for item in found.objects
    ]
    return objects, found.passed_over, found.findings.done()


def slowly(raw: bytes) -> FileObjects:
    with mock.patch.object(load, "read_list", side_effect=Doubt):
        return read_objects("f", raw)


def sorted_data(data: Data) -> str:
    return json.dumps(data, sort_keys=True)


@FEW
@given(TEXTS)
def test_what_is_read_fast_is_what_would_be_read_slowly(text: str) -> None:
    raw = text.encode()

    assert told(read_objects("f", raw)) == told(slowly(raw))


@pytest.mark.parametrize("piece", [*STRINGS, *NUMBERS, *TRAPS])
@pytest.mark.parametrize("place", ["item", "item of a list", "head", "key"])
def test_a_piece_of_json_is_read_fast_as_slowly(piece: str, place: str) -> None:
    pod = _object([('"apiVersion"', '"v1"'), ('"kind"', '"Pod"'), ('"metadata"', '{"name":"a"}')])
    inner = pod[:-1] + {"key": f",{piece}:1}}", "head": "}"}.get(place, f',"more":[{piece}]}}')
    whole = f'{{"kind":"List","items":[{inner}],"more":{piece if place == "head" else 1}}}'
    if place == "item of a list":
        whole = f'{{"kind":"List","items":[{whole}]}}'
    raw = whole.encode()

    assert told(read_objects("f", raw)) == told(slowly(raw))


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n\t "])
def test_an_ordinary_list_is_read_fast_and_kept_as_text(start: bytes) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "annotations": {"x:y": "<1>:{[\u00e9"}}}
    whole = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [pod]}
    raw = start + json.dumps(whole, indent=2, ensure_ascii=False).encode()

    with mock.patch.object(load, "read_documents", side_effect=AssertionError):
        found = read_objects("f", raw)

    assert [type(item.content) for item in found.objects] == [Raw]
    assert [item.data for item in found.objects] == [pod]
    assert told(found) == told(slowly(raw))


@pytest.mark.parametrize(
    "text",
    [
        '{"kind":"List","items":[],"items":[]}',
        '{"kind":"List","kind":"List","items":[]}',
        '{"kind":"List","items":[{"a":1,"a":1}]}',
        '{"kind":"List","items":[{"a":{"b":1,"b":{"c":":"}}}]}',
        '{"kind":"List","items":[{"a":1,"\\u0061":"\\u003a"}]}',
        '{"kind":"List","items":[{"a:":1,"a\\u003a":1}]}',
        '{"kind":"List","items":[{"a":["x",{"":1,"":2}]}]}',
        '{"kind":"List","m":{"a":1,"a":1},"items":[]}',
    ],
)
def test_a_key_given_twice_is_told_wherever_it_is(text: str) -> None:
    with pytest.raises(Doubt):
        [read_item(item) for item in read_list(text.encode()).items]

    assert [finding.code for finding in read_objects("f", text.encode()).findings.done()] == ["EG103"]


@pytest.mark.parametrize("levels", [300, 301, 5000])
def test_only_what_is_not_deep_is_read_fast(levels: int) -> None:
    item = Raw(b'{"a":' * levels + b"1" + b"}" * levels)

    if levels <= 300:
        assert read_item(item)[1] == bytes(item)
    else:
        with pytest.raises(Doubt):
            read_item(item)


def test_an_entry_with_many_values_may_be_read_fast() -> None:
    item = Raw(json.dumps({"a": [{"b": number} for number in range(1000)]}).encode())

    assert read_item(item)[0]["a"][999] == {"b": 999}


@FEW
@given(VALUES)
def test_equal_content_has_one_canonical_form(text: str) -> None:
    documents, _ = read_documents("f", f"[{text}]".encode())
    for document in documents:
        other = json.loads(json.dumps(document.data, indent=1, sort_keys=True))

        assert canonical_form(document.data) == canonical_form(other)
        assert sorted_data(json.loads(canonical_form(document.data))) == sorted_data(document.data)


def test_findings_of_two_files_count_as_those_of_one() -> None:
    place = Place("f")
    whole, first, second, both = Findings(), Findings(), Findings(), Findings()
    for number in range(3 * LIMIT):
        whole.error("EG105", place, str(number))
        (first if number < 2 * LIMIT else second).error("EG105", place, str(number))
    both.extend(first)
    both.extend(second)

    assert both.done() == whole.done()


POD: Data = {
    "apiVersion": "v1",
    "metadata": {
        "name": "a",
        "namespace": "b",
        "labels": {"c": "d"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-01T00:00:00Z",
    },
    "spec": {"nodeName": "n", "hostNetwork": False, "serviceAccountName": "s", "more": [1]},
    "status": {
        "phase": "Running",
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
        "conditions": [{"type": "Ready", "status": "True", "more": 1}, {"type": "Other"}],
    },
}
ABSENT = object()
ANY = [
    ABSENT,
    None,
    "",
    "a",
    0,
    1,
    1.0,
    1.5,
    True,
    False,
    [],
    {},
    [None],
    ["a"],
    [{}],
    {"a": "b"},
    {"a": None},
    {"a": 1},
]


def paths(data: Data, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Of all that is in it."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [at, *(path for key, value in inner for path in paths(value, (*at, key)))]


def changed(data: Data, path: tuple[str | int, ...], value: object) -> Data:
    if not path:
        return data if value is ABSENT else value
    copy = data.copy()
    copy[path[0]] = changed(data[path[0]], path[1:], value)
    if value is ABSENT and len(path) == 1:
        del copy[path[0]]
    return copy


def by_pydantic(data: Data) -> pods.Pod | None:
    try:
        return msgspec.convert(kubernetes.Pod.model_validate(data).model_dump(by_alias=True), pods.Pod)
    except ValueError:
        return None


def by_msgspec(read: Any) -> pods.Pod | None:  # noqa: ANN401  # a call
    try:
        found: pods.Pod = read()
    except msgspec.ValidationError:
        return None
    return found


def filled(pod: pods.Pod | None) -> object:
    """A pod with what is absent as the pydantic model has it."""
    if pod is None:
        return None
    spec, status, meta = pod.spec or pods.PodSpec(), pod.status or pods.PodStatus(), pod.metadata
    return (
        (meta.name, meta.namespace or "", meta.labels or {}, meta.creation_timestamp, meta.deletion_timestamp),
        (spec.node_name or "", bool(spec.host_network), spec.service_account_name or ""),
        (status.phase or "", status.pod_ip or "", [entry.ip or "" for entry in status.pod_ips or ()]),
        [(entry.type or "", entry.status or "") for entry in status.conditions or ()],
    )


@pytest.mark.parametrize("value", ANY, ids=repr)
@pytest.mark.parametrize("path", paths(POD), ids=str)
def test_a_pod_is_to_msgspec_what_it_is_to_pydantic(path: tuple[str | int, ...], value: object) -> None:
    data = changed(POD, path, value)

    expected = filled(by_pydantic(data))

    assert filled(by_msgspec(lambda: msgspec.convert(data, pods.Pod))) == expected
    assert filled(by_msgspec(lambda: msgspec.json.decode(json.dumps(data), type=pods.Pod))) == expected


def test_the_two_models_of_a_pod_have_the_same_fields() -> None:
    def names(struct: type[msgspec.Struct]) -> set[str]:
        return {field.encode_name for field in msgspec.structs.fields(struct)}

    pairs: dict[type[msgspec.Struct], type[base.Model]] = {
        pods.Pod: kubernetes.Pod,
        pods.Metadata: base.Metadata,
        pods.PodSpec: kubernetes.PodSpec,
        pods.PodStatus: kubernetes.PodStatus,
        pods.PodIP: kubernetes.PodIP,
        pods.Condition: base.Condition,
    }
    for struct, model in pairs.items():
        assert names(struct) == {field.alias or name for name, field in model.model_fields.items()}
