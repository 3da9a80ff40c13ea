"""Tables say what was measured, and the page of benchmarks names them all."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
from conftest import ROOT

from bench.clusters import SIZES, grown_cluster, make_cluster, scaled
from bench.compile import digest, per_doubling
from bench.frame import BEGIN, BENCHMARKS, END, Benchmark, replace, sections
from bench.measure import measure
from bench.tables import BenchError, Row, interleaved, measured, number, spread

PAGE = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_ratios_come_first_and_are_to_the_first_row_of_a_group() -> None:
    groups = [[Row("slow", {"s": (4.0, 2.0, 3.0)}), Row("fast", {"s": (1.5, 1.25, 9.0)})], [Row("else", {"s": (1.0,)})]]

    table = measured("races", groups, ("Three rounds.",))

    assert str(table).splitlines() == [
        "**races**",
        "",
        "| what | ratio |    s | min .. max |",
        "| ---- | ----: | ---: | ---------: |",
        "| slow |  base |    3 |     2 .. 4 |",
        "| fast | 0.500 | 1.50 |  1.25 .. 9 |",
        "| else |  base |    1 |     1 .. 1 |",
        "",
        "Three rounds.",
    ]


def test_each_unit_has_columns_of_its_own() -> None:
    table = measured("races", [[Row("a", {"s": (1.0,), "MiB": (50.0,)}), Row("b", {"s": (2.0,), "MiB": (25.0,)})]])

    assert table.columns == ("what", "ratio", "s", "min .. max", "ratio", "MiB", "min .. max")
    assert table.rows[1] == ("b", "2", "2", "2 .. 2", "0.500", "25", "25 .. 25")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (6.0, "6"),
        (0.012345, "0.0123"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
        (0.9999, "1.000"),
    ],
)
def test_numbers_have_three_digits_and_whole_ones_all(value: float, shown: str) -> None:
    assert number(value) == shown


def test_the_spread_is_the_least_and_the_most() -> None:
    assert spread([2.5, 1.5, 3.5]) == "1.50 .. 3.50"


def test_what_is_measured_takes_turns() -> None:
    turns: list[str] = []

    def run(name: str) -> int:
        turns.append(name)
        return len(turns)

    found = interleaved(2, {name: partial(run, name) for name in "ab"})

    assert turns == ["a", "b", "a", "b"]
    assert found == {"a": (1, 3), "b": (2, 4)}


def test_twice_as_much_for_four_times_the_workloads_is_the_root_of_it_for_a_doubling() -> None:
    size = SIZES["S"]

    assert per_doubling(size, scaled(size, 4), 1.0, 16.0) == pytest.approx(4.0)
    assert per_doubling(size, scaled(size, 2), 3.0, 6.0) == pytest.approx(2.0)


def test_a_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "a").write_text("1")
    first = digest(tmp_path)
    (tmp_path / "nodes" / "a").write_text("2")
    second = digest(tmp_path)
    (tmp_path / "nodes" / "a").rename(tmp_path / "nodes" / "b")

    assert len({first, second, digest(tmp_path)}) == 3


def test_a_grown_cluster_has_one_workload_more_with_addresses_of_its_own() -> None:
    text = make_cluster(SIZES["S"])

    before, after = (json.loads(each)["items"] for each in (text, grown_cluster(text)))

    assert after[:-1] == before
    held = {entry["ip"] for item in before if item["kind"] == "Pod" for entry in item["status"]["podIPs"]}
    assert held.isdisjoint(entry["ip"] for entry in after[-1]["status"]["podIPs"])


def test_a_command_that_fails_is_no_measurement() -> None:
    with pytest.raises(BenchError, match="exit status 1"):
        measure(["/bin/false"])
    assert measure(["/bin/false"], (1,)).seconds > 0


def test_a_benchmark_that_fails_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.frame.BENCHMARKS", {name: Benchmark(name, "") for name in ("nothing", "machine")})
    found = sections(["nothing", "machine"], [])

    assert [next(found), next(found)] == ["### nothing\n\n\n", "### machine\n\n\n"]
    with pytest.raises(BenchError, match=r"failed: nothing$"):
        next(found)


def test_a_report_takes_the_place_of_the_one_before() -> None:
    page = f"Above\n{BEGIN}\n\nold\n\n{END}\nBelow\n"

    once = replace(page, "new")

    assert once == f"Above\n{BEGIN}\n\nnew\n{END}\nBelow\n"
    assert replace(once, "newer") == f"Above\n{BEGIN}\n\nnewer\n{END}\nBelow\n"


@pytest.mark.parametrize(
    "page", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n", f"{BEGIN}\n{END}\n{END}\n"]
)
def test_a_page_without_its_two_markers_is_refused(page: str) -> None:
    with pytest.raises(BenchError, match="needs one line"):
        replace(page, "new")


def test_the_page_explains_every_benchmark_and_holds_its_tables() -> None:
    text, _, rest = PAGE.partition(BEGIN)
    tables, _, after = rest.partition(END)

    assert re.findall(r"^\*\*(\w+)\*\* ", text + after, re.MULTILINE) == list(BENCHMARKS)
    assert re.findall(r"^### (\w+)$", tables, re.MULTILINE) == list(BENCHMARKS)


def test_the_page_tells_the_sizes_as_they_are() -> None:
    for name, size in SIZES.items():
        numbers = (size.nodes, size.workloads, size.gateways, size.gateway_nodes, size.policies)
        assert f"| {name} | {' | '.join(f'{each:,}' for each in numbers)} |\n" in PAGE


def test_every_module_with_tables_is_a_benchmark() -> None:
    modules = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "bench").glob("*.py")}
    found = {name for name, text in modules.items() if "\ndef tables(" in text}

    assert found == set(BENCHMARKS)
