"""No input ends in an exception: random bytes, random objects, and golden inputs with random harm done to them."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import Obj, cluster, dump, gateway, golden_objects, namespace, patched, pod, policy
from conftest import GOLDEN_CASES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundle.codec import decode
from bundle.directory import MANIFEST
from bundle.model import Manifest
from compiler import report
from compiler.diagnostics import Diagnostic, has_errors
from compiler.explain import Explainer
from compiler.load import KINDS
from compiler.pipeline import Compiled, compile_cluster, read_cluster, sort


def few(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def check(path: Path, content: bytes) -> tuple[Diagnostic, ...]:
    """What `egressc check` does, and that all it says can be shown; a bundle that comes of it is understood."""
    path.write_bytes(content)
    reading = read_cluster([str(path)])
    compiled = compile_cluster(reading.cluster) if reading.cluster else Compiled(())
    findings = sort(reading.findings + compiled.findings)

    assert (compiled.files is None) == has_errors(findings)
    report.findings_text(findings, reading.sources).encode()
    shown = json.loads(report.findings_json(findings, reading.sources).encode())
    for finding, item in zip(findings, shown, strict=True):
        assert finding.place.file == str(path) or finding.code == "EG107"
        assert item["line"] >= 0
    if compiled.files is not None:
        explain = Explainer.of(compiled.files)
        assert decode(Manifest, compiled.files[MANIFEST]).nodes is not None
        assert explain is not None
    return findings


SCRAPS = (
    b"apiVersion: v1\n", b"kind: Pod\n", b"kind: List\n", b"items:\n", b"metadata:\n", b"  name: a\n", b"---\n",
    b"...\n",
    b"{", b"}", b"[", b"]", b": ", b"- ", b"&a ", b"*a", b"<<: ", b"!!str ", b"!!binary ", b"|\n", b">-\n", b'"', b"'",
    b"\t", b"\r\n", b"\r", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8", b"\xc2\x85", b"%YAML 1.1\n", b"? ",
    b"\\ud800", b"1e999", b"NaN", b"-", b"#", b"\x1b[31m", b"kind: EgressGateway\n", b'{"kind":"EgressGateway",',
    b"apiVersion: network.deckhouse.io/v1alpha1\n", b"spec:\n", b"  sourceIP: {mode: x}\n",
)  # fmt: skip


@few(200)
@given(content=st.binary(max_size=300))
def test_random_bytes_are_refused_in_words(tmp_path: Path, content: bytes) -> None:
    assert has_errors(check(tmp_path / "input.yaml", content))


@few(300)
@given(parts=st.lists(st.sampled_from(SCRAPS), max_size=25))
def test_scraps_of_yaml_and_json_are_refused_in_words(tmp_path: Path, parts: list[bytes]) -> None:
    check(tmp_path / "input.yaml", b"".join(parts))


WORDS = (
    "", " ", "a", "A", "-", ".", "..", "/", "10.0.0.0/8", "10.0.0.1", "10.0.0.1/33", "0.0.0.0/0", "::/0", "::1", "::",
    "fe80::1%eth0", "::ffff:10.0.0.1", "255.255.255.255", "010.0.0.1", "1", "-1", "0", "true", "null", "0x00",
    "0xff000000", "egress-1", "eth0", "eth1", "default", "kube-system", "x" * 64, "x" * 300, "a\nb", "a\tb",
    "\x1b[31m", "\u2028", "é", "日本", "\U0001d4b3", "e\u0301", "\ufeff", '"', "'", "`", "; drop", "{{ x }}",
    "{% x %}", "}", "*", "k8s:app", "any:", "example.com/role", "In", "Exists", "Ready", "True", "Unknown", "Running",
    "VirtualIPAddress", "List", "2024-01-01",
)  # fmt: skip
JSON: st.SearchStrategy[object] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from((0, -1, 1, 254, 2**31, 2**63, 2**64, 10**30))
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=6,
)


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += paths(item, (*path, index))
    return found


@st.composite
def harmed(draw: st.DrawFn) -> list[Obj]:
    """A golden input with some fields dropped, replaced, renamed or doubled."""
    objects: list[Any] = json.loads(json.dumps(golden_objects(draw(st.sampled_from(GOLDEN_CASES)))))
    own = [index for index, item in enumerate(objects) if "deckhouse.io" in item["apiVersion"]]
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.sampled_from(own) if draw(st.booleans()) else st.integers(0, len(objects) - 1))
        item = objects[index]
        choices = paths(item) if isinstance(item, dict) else []
        if not choices:
            continue
        *heads, last = draw(st.sampled_from(choices))
        target: Any = item
        for head in heads:
            target = target[head]
        match draw(st.sampled_from(("drop", "replace", "replace", "replace", "rename", "double"))):
            case "drop":
                del target[last]
            case "rename" if isinstance(target, dict):
                target[draw(st.sampled_from(WORDS))] = target.pop(last)
            case "double":
                objects.append(json.loads(json.dumps(item)))
            case _:
                target[last] = draw(JSON)
    return objects


@few(150)
@given(objects=harmed())
def test_harmed_inputs_are_compiled_or_refused_in_words(tmp_path: Path, objects: list[Obj]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}

    check(tmp_path / "input.json", json.dumps(listed).encode())


@few(30)
@given(objects=harmed())
def test_notation_does_not_change_what_is_found(tmp_path: Path, objects: list[Obj]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    text = yaml.dump(listed, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), allow_unicode=False)

    in_json = check(tmp_path / "input", json.dumps(listed).encode())
    in_yaml = check(tmp_path / "input", text.encode())

    assert [(item.code, item.place.field) for item in in_json] == [(item.code, item.place.field) for item in in_yaml]


@few(150)
@given(
    data=st.lists(
        st.fixed_dictionaries(
            {
                "apiVersion": st.sampled_from(sorted({f"{group}/v1".lstrip("/") for group, _ in KINDS})),
                "kind": st.sampled_from(sorted({kind for _, kind in KINDS})),
            },
            optional={
                "metadata": JSON | st.fixed_dictionaries({"name": st.sampled_from(WORDS)}, optional={"labels": JSON}),
                "spec": JSON,
                "status": JSON,
                "items": JSON,
            },
        ),
        max_size=4,
    )
)
def test_objects_of_known_kinds_with_any_content_are_refused_in_words(tmp_path: Path, data: list[Obj]) -> None:
    check(tmp_path / "input.json", json.dumps(data[0] if len(data) == 1 else {"kind": "List", "items": data}).encode())


def test_half_of_a_golden_input_never_ends_in_an_exception(tmp_path: Path) -> None:
    for case in GOLDEN_CASES:
        raw = dump(*golden_objects(case)).encode()
        for cut in random.Random(case).sample(range(len(raw)), 3):  # noqa: S311  # a sample, not a secret
            check(tmp_path / "input.yaml", raw[:cut])


LONE = "\ud800"


@pytest.mark.parametrize(
    "harmed_object",
    [
        patched(pod("a", "worker-1"), "metadata.name", LONE),
        patched(pod("a", "worker-1"), "metadata.namespace", LONE),
        patched(pod("a", "worker-1"), "metadata.labels", {LONE: LONE}),
        patched(pod("a", "worker-1"), "spec.nodeName", LONE),
        patched(pod("a", "worker-1"), "status.podIPs.0.ip", LONE),
        patched(namespace("a"), "metadata.annotations", {"x": LONE}),
        patched(gateway(), "metadata.name", LONE),
        patched(gateway(), "spec.sourceIP.mode", LONE),
        patched(gateway(), "spec", {LONE: LONE}),
        patched(gateway(), "spec.sourceIP.primaryIPFromEgressGatewayNodeInterface.interfaceName", LONE),
        patched(gateway(vip="172.18.18.240"), "spec.sourceIP.virtualIPAddress.interfaces", [LONE]),
        patched(policy(), "spec.egressGatewayName", LONE),
        patched(policy(), "spec.destinationCIDRs", [LONE]),
        patched(policy(), "metadata.creationTimestamp", LONE),
        {"apiVersion": LONE, "kind": LONE},
    ],
    ids=lambda item: f"{item['kind']!r}-{json.dumps(item).count('ud800')}",
)
def test_half_a_character_in_json_is_refused_in_words(tmp_path: Path, harmed_object: Obj) -> None:
    objects = [*cluster(gateway("sound"), policy("sound", "sound")), harmed_object]

    check(tmp_path / "input.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}).encode())


FORGED = "x\nforged.yaml:1:1: error[EG999] nothing of ours\x1b[31m"


@pytest.mark.parametrize(
    "harmed_object",
    [
        patched(gateway(), "spec.sourceIP.mode", FORGED),
        patched(gateway(), "spec.nodeSelector", {FORGED: FORGED}),
        patched(gateway(), "spec", {FORGED: FORGED}),
        patched(gateway(), "metadata.name", FORGED),
        patched(policy(), "spec.egressGatewayName", FORGED),
        patched(policy(), "spec.destinationCIDRs", [FORGED]),
        patched(policy(), "spec.selectors", FORGED),
        patched(pod("a", "worker-1"), "metadata.namespace", FORGED),
        patched(pod("a", "worker-1"), "spec.nodeName", FORGED),
        patched(pod("a", "worker-1"), "status.podIPs.0.ip", FORGED),
    ],
    ids=["mode", "label", "field", "name", "reference", "cidr", "type", "namespace", "node", "address"],
)
def test_a_value_cannot_forge_lines_or_colours_of_the_output(tmp_path: Path, harmed_object: Obj) -> None:
    path = tmp_path / "input.json"
    objects = [*cluster(gateway("sound"), policy("sound", "sound")), harmed_object]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}), encoding="utf-8")
    reading = read_cluster([str(path)])
    compiled = compile_cluster(reading.cluster) if reading.cluster else Compiled(())

    text = report.findings_text(sort(reading.findings + compiled.findings), reading.sources)

    assert text
    assert [line for line in text.split("\n") if line.startswith("forged.yaml") or "\x1b" in line] == []
