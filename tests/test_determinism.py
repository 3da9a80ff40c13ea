"""One input, one bundle: the same bytes whatever the order, the hash seed, the locale and the notation."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from builders import dump, golden_objects, outcome
from conftest import GOLDEN

from compiler.pipeline import compile_cluster, read_cluster

CASES = ("dual-stack", "overlapping-policies", "unsuitable-nodes", "virtual-machine")
EGRESSC = Path(sys.executable).parent / "egressc"


def expected(case: str) -> dict[str, bytes]:
    root = GOLDEN / case / "expected"
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name not in ("summary.txt", "diagnostics.txt")}


def files(path: Path) -> Mapping[str, bytes]:
    found, findings = outcome(path)
    assert found is not None, findings
    return found


def documents(case: str) -> list[str]:
    """The documents of a golden input as they are written."""
    texts = (path.read_text(encoding="utf-8") for path in sorted((GOLDEN / case / "input").iterdir()))
    return [document for text in texts for document in text.split("\n---\n")]


def locales() -> list[str]:
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()  # noqa: S607  # as on the user's path
    wanted = {"tr_TR", "tr_TR.utf8", "tr_TR.UTF-8", "tr_TR.iso88599", "de_DE.utf8", "POSIX"}
    return ["C", "C.UTF-8", *sorted(wanted.intersection(known))]


def run(case: str, target: Path, **environment: str) -> tuple[dict[str, bytes], str]:
    """The bundle that the command writes in its own process, and what it prints."""
    command = [str(EGRESSC), "compile", str(GOLDEN / case / "input"), "-o", str(target)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**kept, **environment})
    return {
        path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()
    }, done.stdout + done.stderr.replace(str(target), "DIR")


@pytest.mark.parametrize("case", CASES)
def test_order_of_files_does_not_matter(tmp_path: Path, case: str) -> None:
    parts = documents(case)
    for seed in range(5):
        order = random.Random(seed).sample(range(len(parts)), len(parts))  # noqa: S311  # a shuffle, not a secret
        names = [tmp_path / f"{seed}-{order[index]:03}.yaml" for index in range(len(parts))]
        for name, part in zip(names, parts, strict=True):
            name.write_text(part, encoding="utf-8")

        reading = read_cluster([str(name) for name in names])

        assert reading.cluster is not None, reading.findings
        assert expected(case) == compile_cluster(reading.cluster).files


@pytest.mark.parametrize("case", CASES)
def test_order_of_documents_does_not_matter(tmp_path: Path, case: str) -> None:
    parts = documents(case)
    path = tmp_path / "input.yaml"
    for seed in range(5):
        random.Random(seed).shuffle(parts)  # noqa: S311  # a shuffle, not a secret
        path.write_text("\n---\n".join(parts), encoding="utf-8")

        assert expected(case) == files(path)


@pytest.mark.parametrize("case", CASES[:2])
def test_hash_seed_does_not_matter(tmp_path: Path, case: str) -> None:
    results = [run(case, tmp_path / seed, PYTHONHASHSEED=seed) for seed in ("0", "1", "4242")]

    assert [(expected(case), results[0][1])] * 3 == results


@pytest.mark.parametrize("locale", locales())
def test_locale_does_not_matter(tmp_path: Path, locale: str) -> None:
    plain = run(CASES[0], tmp_path / "plain")

    # Without these two Python would quietly take UTF-8 instead of what the locale says.
    strict = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert (expected(CASES[0]), plain[1]) == run(CASES[0], tmp_path / "bundle", LC_ALL=locale, **strict)


@pytest.mark.parametrize("case", CASES)
def test_a_list_is_the_same_as_separate_documents(tmp_path: Path, case: str) -> None:
    path = tmp_path / "input.yaml"
    listed = {"apiVersion": "v1", "kind": "List", "items": golden_objects(case)}
    path.write_text(yaml.safe_dump(listed), encoding="utf-8")

    assert expected(case) == files(path)


def test_lists_may_hold_lists_and_name_the_kind_of_their_items(tmp_path: Path) -> None:
    objects = golden_objects(CASES[0])
    nodes = [
        {key: item[key] for key in item if key not in ("apiVersion", "kind")}
        for item in objects
        if item["kind"] == "Node"
    ]
    rest = [item for item in objects if item["kind"] != "Node"]
    listed = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [{"apiVersion": "v1", "kind": "NodeList", "items": nodes}, *rest],
    }
    path = tmp_path / "input.yaml"
    path.write_text(dump(listed), encoding="utf-8")

    found = files(path)

    assert [name for name in expected(CASES[0]) if expected(CASES[0])[name] != found[name]] == []


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_is_the_same_as_yaml(tmp_path: Path, case: str, indent: int | str | None) -> None:
    for number, item in enumerate(golden_objects(case)):
        (tmp_path / f"{number}.json").write_text(json.dumps(item, indent=indent), encoding="utf-8")

    assert expected(case) == files(tmp_path)


def test_the_same_object_twice_is_the_same_as_once(tmp_path: Path) -> None:
    objects = golden_objects(CASES[0])
    path = tmp_path / "input.yaml"
    path.write_text(dump(*objects, *objects), encoding="utf-8")

    assert expected(CASES[0]) == files(path)
