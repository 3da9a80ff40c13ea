"""Time and memory stay in proportion to the input, whatever it is: what was quadratic once, and junk of many kinds.

Sizes are such that the square of them would take minutes, and the limits such that a slow machine keeps them.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Obj, cluster, config, gateway, policy

from bundle.codec import DecodeError, decode
from bundle.model import Policies
from bundle.ruleset import parse
from compiler import report
from compiler.evaluate import EvaluationError, Evaluator
from compiler.findings import LIMIT
from compiler.pipeline import Reading, compile_cluster, understand

SECONDS = 12


def read(text: str | bytes) -> Reading:
    return understand({"input": text if isinstance(text, bytes) else text.encode()})


def listed(*objects: Obj) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def cidrs(number: int) -> list[str]:
    return [f"{20 + index // 65536}.{index // 256 % 256}.{index % 256}.0/24" for index in range(number)]


def rule(text: str) -> None:
    ruleset = parse(f"table inet egressc {{\nchain a {{\n{text}\n}}\n}}\n", "inet egressc")
    with pytest.raises(EvaluationError):
        Evaluator(ruleset)


def members(text: str) -> None:
    parse(f"table inet egressc {{\nset a {{\ntype ifname\nelements = {{ {text} }}\n}}\n}}\n", "inet egressc")


def bundle_file(text: str) -> None:
    with pytest.raises(DecodeError):
        decode(Policies, text)


MANY = 150_000
ONCE_QUADRATIC: dict[str, Callable[[], object]] = {
    "json key twice at the end": lambda: read(json.dumps({f"k{n}": 1 for n in range(MANY)})[:-1] + ',"k7": 1}'),
    "json key twice, never the same": lambda: read(
        "[" + ",".join('{"a":1,"b":1}' for _ in range(MANY)) + ',{"a":1,"a":1}]'
    ),
    "merges": lambda: read("a: {<<: [" + ",".join(f"{{k{n}: 1}}" for n in range(30_000)) + "]}"),
    "merges of aliases": lambda: read("a: &a {b: 1}\nc: {" + "<<: *a, " * 30_000 + "}"),
    "tag directives": lambda: read("".join(f"%TAG !a{n}! b\n" for n in range(MANY)) + "--- a\n"),
    "bundle key twice at the end": lambda: bundle_file(
        json.dumps({f"k{n}": 1 for n in range(MANY)})[:-1] + ',"k7": 1}'
    ),
    "quoted elements": lambda: members(", ".join(f'"e{n}"' for n in range(50_000))),
    "blanks in a rule": lambda: rule("a" + " " * MANY + "b"),
    "comments in a rule": lambda: rule('comment "' * 50_000),
    "one rule of many parts": lambda: rule("counter " * 100_000 + "b"),
    "names of no gateway": lambda: read(
        listed(*(gateway(f"gateway-{n}") for n in range(1500)), *(policy(f"p{n}", f"gatewai-{n}") for n in range(1500)))
    ),
    "long names": lambda: read(listed(gateway("a" * 300_000), policy("b", "a" * 299_999 + "b"))),
    "long name of many parts": lambda: read(listed(gateway("a-." * 100_000), policy("b", "a-" * 200_000 + "."))),
    "long field names": lambda: read(listed({**gateway(), "spec" + "x" * 200_000: 1})),
    "lists in lists": lambda: read('{"apiVersion":"v1","kind":"List","items":[' * 100 + "]}" * 100),
    "cidrs": lambda: compiled(policy(to=cidrs(3000), excluded=cidrs(1000))),
    "ranges": lambda: compiled(policy(), config(clusterRanges={"podCIDRs": cidrs(3000)})),
}


def compiled(*objects: Obj) -> None:
    reading = read(listed(*cluster(gateway(), *objects)))
    assert reading.cluster is not None, reading.findings
    assert compile_cluster(reading.cluster).files is not None


@pytest.mark.parametrize("work", ONCE_QUADRATIC.values(), ids=ONCE_QUADRATIC)
def test_time_is_not_the_square_of_the_size(work: Callable[[], object]) -> None:
    start = time.process_time()

    work()

    assert time.process_time() - start < SECONDS


def test_of_very_many_findings_the_first_are_told_and_the_rest_are_counted() -> None:
    wrong = 5 * LIMIT

    reading = read(listed(gateway(), policy(to=["x"] * wrong)))

    found = [finding for finding in reading.findings if finding.code == "EG207"]
    assert len(found) == LIMIT + 1
    more = f"and {wrong - LIMIT} more findings like this: 'x' is not a CIDR; write one such as 10.20.0.0/16"
    assert [f.message[: len(more)] for f in found if f.message.startswith("and ")] == [more]
    text = report.findings_text(reading.findings, reading.sources)
    assert text.count("EG207") == LIMIT + 1


def test_of_very_many_wrong_fields_of_one_object_the_first_are_told_and_the_rest_are_counted() -> None:
    reading = read(listed(gateway(), policy(to=[1] * 5 * LIMIT)))  # type: ignore[arg-type]

    found = [finding for finding in reading.findings if finding.code == "EG202"]
    assert len(found) == LIMIT
    assert sum(f"and {4 * LIMIT + 1} more faults of this object: " in finding.message for finding in found) == 1


def test_an_error_behind_very_many_of_its_kind_is_an_error() -> None:
    reading = read("a\n---\n" * (2 * LIMIT) + "a\n")

    assert reading.cluster is None
    assert len(reading.findings) == LIMIT + 1


def test_an_object_larger_than_any_of_kubernetes_is_refused() -> None:
    for text in ("x" * (9 << 20), ["x"] * 600_000):
        reading = read(listed(gateway(), policy(), {"apiVersion": "v1", "kind": "Node", "metadata": {"name": text}}))
        codes = {finding.code for finding in reading.findings}
        assert codes & {"EG105", "EG202"}


Junk = tuple[Callable[[int], bytes], int]
JUNK: dict[str, Junk] = {
    # What it is made of, and how many bytes of memory a byte of it may take.
    "random": (lambda size: bytes(range(256)) * (size // 256), 4),
    "zeros": (bytes, 6),
    "open lists": (lambda size: b"[" * size, 6),
    "open objects": (lambda size: b'{"a":' * (size // 5), 6),
    "dashes": (lambda size: b"- " * (size // 2), 6),
    "keys": (lambda size: b"a: " * (size // 3), 6),
    "blanks": (lambda size: b" " * size, 6),
    "long word": (lambda size: b"a: " + b"x" * size, 12),
    "long string": (lambda size: b'{"a": "' + b"x" * size + b'", "b": NaN}', 12),
    "long string without end": (lambda size: b'{"a": "' + b"\\\\" * (size // 2), 12),
    "long number": (lambda size: b'{"a": ' + b"1" * size + b"}", 12),
    "long line of utf-8": (lambda size: "é".encode() * (size // 2), 12),
}
JUNK_OF_MANY_THINGS: dict[str, Junk] = {
    "lines": (lambda size: b"\n" * size, 12),
    "documents": (lambda size: b"--- a\n" * (size // 6), 80),
    "objects": (lambda size: b"---\napiVersion: v1\nkind: Pod\n" * (size // 29), 60),
    "objects of json": (
        lambda size: listed(*({"apiVersion": "v1", "kind": "Pod"} for _ in range(size // 36))).encode(),
        40,
    ),
    "numbers of json": (lambda size: b'{"kind": "List", "items": [' + b"1," * (size // 2) + b"1]}", 60),
    "empty objects of json": (lambda size: b"[" + b"{}," * (size // 3) + b"1]", 60),
    "same key": (lambda size: b"a: 1\n" * (size // 5), 40),
    "same key of json": (lambda size: b"{" + b'"a":1,' * (size // 6) + b'"a":1}', 60),
    "anchors": (lambda size: b"- &a x\n" * (size // 7), 60),
    "aliases": (lambda size: b"a: &a [" + b"x," * (size // 4) + b"]\nb: [" + b"*a," * (size // 6) + b"]", 60),
    "wrong cidrs": (
        lambda size: listed(policy(to=["x"] * (size // 5))).encode(),
        60,
    ),
    "unknown fields": (lambda size: listed({**policy(), **{f"f{n}": 1 for n in range(size // 12)}}).encode(), 150),
}
ALL_JUNK: dict[str, Junk] = JUNK | JUNK_OF_MANY_THINGS
QUICK = ("random", "open lists", "dashes", "long word", "long string")
BASE = 120 << 20
"""Bytes that Python and the compiler take by themselves."""


def check_junk(path: Path, junk: bytes, factor: int, seconds: int) -> None:
    """Runs the command on junk, with limits that the kernel holds it to; it must end by itself, with a place."""
    path.write_bytes(junk)
    memory = BASE + factor * len(junk)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

    command = [sys.executable, "-c", "import sys; from compiler.cli import main; sys.exit(main())", "check", str(path)]
    done = subprocess.run(command, capture_output=True, preexec_fn=limit, check=False)  # no threads

    assert done.returncode == 2, (done.returncode, done.stderr[-2000:])
    assert b"Traceback" not in done.stderr
    assert done.stdout.startswith(str(path).encode() + b":")
    assert b": error[EG1" in done.stdout or b": error[EG2" in done.stdout or b": error[EG3" in done.stdout
    assert len(done.stdout) < 1_000_000


@pytest.mark.parametrize("name", ALL_JUNK)
def test_junk_is_refused_in_bounded_time_and_memory(tmp_path: Path, name: str) -> None:
    make, factor = ALL_JUNK[name]

    check_junk(tmp_path / "input", make(1 << 18), factor, 20)


@pytest.mark.parametrize("name", QUICK)
def test_a_hundred_megabytes_of_junk_are_refused_in_bounded_time_and_memory(tmp_path: Path, name: str) -> None:
    make, factor = JUNK[name]

    check_junk(tmp_path / "input", make(100_000_000), factor, 40)


@pytest.mark.skipif("EGRESSC_LONG" not in os.environ, reason="takes minutes; set EGRESSC_LONG=1")
@pytest.mark.parametrize("name", ALL_JUNK)
def test_a_hundred_megabytes_of_all_kinds_are_refused_in_bounded_memory(tmp_path: Path, name: str) -> None:
    make, factor = ALL_JUNK[name]

    check_junk(tmp_path / "input", make(100_000_000), factor, 1200)
