"""What the API server refuses by our definitions the compiler refuses too, and the other way round, but for a list."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from api_server import matches, refusals
from builders import Obj, cluster, gateway, policy
from crd_corpus import ACCEPTED, ONLY_THE_API_SERVER, ONLY_THE_COMPILER, REFUSED, Row
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from compiler import patterns, text
from compiler.diagnostics import Severity
from compiler.pipeline import understand

OTHER_OBJECTS = {"EG301", "EG303"}

often = settings(max_examples=500, deadline=None)


def errors(item: Obj) -> list[str]:
    """Codes of the compiler's errors about an object in a cluster where all else is well."""
    other = policy("other") if item["kind"] == "EgressGateway" else gateway()
    objects = {"apiVersion": "v1", "kind": "List", "items": cluster(other)}
    reading = understand({"object.json": json.dumps(item).encode(), "other.json": json.dumps(objects).encode()})
    return [finding.code for finding in reading.findings if finding.severity is Severity.ERROR]


@pytest.mark.parametrize("row", ACCEPTED, ids=lambda row: row.name)
def test_both_accept(row: Row) -> None:
    assert (refusals(row.item), errors(row.item)) == ([], [])


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
def test_both_refuse(row: Row) -> None:
    assert refusals(row.item) != []
    assert row.code in errors(row.item)


@pytest.mark.parametrize("row", ONLY_THE_COMPILER, ids=lambda row: row.name)
def test_only_the_compiler_refuses(row: Row) -> None:
    assert (refusals(row.item), errors(row.item)) == ([], [row.code])


@pytest.mark.parametrize("row", ONLY_THE_API_SERVER, ids=lambda row: row.name)
def test_only_the_api_server_refuses(row: Row) -> None:
    assert refusals(row.item) != []
    assert errors(row.item) == []


# random objects

# fmt: off
WORDS = st.sampled_from([
    "eth1", ".", "In", "Exists", "VirtualIPAddress", "egress-gw", "A", "app", "k8s:app", "a/b", "192.0.2.40",
    "192.0.2.40/32", "::/0", "2001:db8::1", "-a", "ä", "::ffff:192.0.2.1", "fe80::1", "127.0.0.1", "10.0.0.0/8",
    "aaaaaaaaaaaaaaaa", "", "a\n",
])
FIELDS = st.sampled_from([
    "spec", "sourceIP", "mode", "ip", "interfaces", "interfaceName", "virtualIPAddress",
    "primaryIPFromEgressGatewayNodeInterface", "other", "nodeSelector", "selectors", "destinationCIDRs",
    "excludedCIDRs", "egressGatewayName", "podSelector", "namespaceSelector", "matchLabels", "matchExpressions",
    "key", "operator", "values",
])
PIECES = st.lists(st.sampled_from([
    "0", "1", "ffff", "FE80", "ff02", "::", ":", "1.2.3.4", "127.0.0.1", "255.255", ".", "/", "0/0", "/32", "/33",
    "/128", "/129", "/08", "%1", "g", "a", "A", "-", "_", "a.b", "k8s:", "any:", "ä", "٣", "12345", "256", " ", "\n",
    "a" * 62, patterns.NAMESPACE_LABELS_PREFIX,
]), max_size=9).map("".join)
# fmt: on
VALUES = (
    WORDS
    | st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.lists(WORDS, max_size=2)
    | st.dictionaries(WORDS, WORDS, max_size=2)
)


def places(data: Any, kind: type) -> Iterator[tuple[Any, str | int]]:  # noqa: ANN401  # JSON
    """Each place with a value of a kind: what holds it, and its key or index there."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        if isinstance(value, kind):
            yield data, key
        yield from places(value, kind)


@st.composite
def mutated(draw: st.DrawFn) -> Obj:
    """A valid or broken object with one or two changes at random places of its spec, most of them of texts."""
    rows = (*ACCEPTED, *ACCEPTED, *ACCEPTED, *REFUSED)
    item: Obj = json.loads(json.dumps(draw(st.sampled_from([row.item for row in rows]))))
    for _ in range(draw(st.integers(1, 2))):
        change = draw(st.sampled_from(["edit", "edit", "edit", "word", "word", "replace", "remove", "add"]))
        kind = {"edit": str, "word": str, "add": dict}.get(change, object)
        holders = [place for place in places({"spec": item.get("spec")}, kind) if place[1] != "mode"]
        if not holders:
            continue
        holder, key = draw(st.sampled_from(holders))
        if change == "edit":
            at, end = draw(st.integers(0, len(holder[key]))), draw(st.integers(0, 1))
            letter = draw(st.sampled_from(["", *":./-_012f9aZ% \n"]))
            holder[key] = holder[key][:at] + letter + holder[key][at + end :]
        elif change == "word":
            holder[key] = draw(WORDS)
        elif change == "replace":
            holder[key] = draw(VALUES)
        elif change == "remove":
            del holder[key]
        else:
            holder[key][draw(FIELDS)] = draw(VALUES)
    return item


@often
@given(mutated())
def test_they_agree_about_random_objects(item: Obj) -> None:
    found = set(errors(item))
    assume(found - OTHER_OBJECTS or not found)
    assume(not any(None in labels.values() for labels in label_maps(item)))

    assert (refusals(item) != []) == (found != set()), (refusals(item), found)


def label_maps(data: Any) -> Iterator[Obj]:  # noqa: ANN401  # JSON
    if isinstance(data, dict):
        yield from (data[key] for key in ("nodeSelector", "matchLabels") if isinstance(data.get(key), dict))
    for value in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from label_maps(value)


# texts


def taken(check: Any, given_text: str) -> bool:  # noqa: ANN401  # a function of `text`
    try:
        check(given_text)
    except text.TextError:
        return False
    return True


CHECKS = {
    "ADDRESS": text.parse_address,
    "SOURCE_ADDRESS": lambda given_text: text.check_source_address(text.parse_address(given_text)),
    "CIDR": text.parse_network,
    "LABEL_VALUE": text.check_label_value,
    "INTERFACE": text.check_interface,
}


@pytest.mark.parametrize("name", CHECKS)
@often
@given(PIECES)
def test_patterns_say_what_the_functions_say(name: str, given_text: str) -> None:
    wanted: patterns.Text = getattr(patterns, name)

    assert wanted.holds(given_text) == taken(CHECKS[name], given_text)


@pytest.mark.parametrize("name", [*CHECKS, "LABEL_KEY", "SELECTOR_KEY"])
@often
@given(PIECES)
def test_patterns_mean_the_same_to_an_api_server(name: str, given_text: str) -> None:
    wanted: patterns.Text = getattr(patterns, name)
    schema = wanted.schema()
    told = [schema["pattern"], *(part["pattern"] for part in schema.get("allOf", ()))]
    unwanted = schema.get("not", {})
    not_told = [part["pattern"] for part in unwanted.get("anyOf", [unwanted] if unwanted else [])]

    found = all(matches(part, given_text) for part in told) and not any(matches(part, given_text) for part in not_told)

    assert found == wanted.holds(given_text)
