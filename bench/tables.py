"""Tables of measurements as Markdown that a terminal shows well: ratios first, medians with their spread.

What is measured takes turns (`interleaved`), so that a machine that is busy for a while is busy for all of it.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeVar

from bench.clusters import SIZES

_T = TypeVar("_T")
_DIGITS: Final = 3


class BenchError(Exception):
    """Something that is measured does not do what it should; the message says what."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured, once a round, by unit."""

    label: str
    samples: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Table:
    """Cells under columns, of which the first is text and the others numbers; sentences below."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        rule = [f"{'-' * (width - 1)}{':' if index else '-'}" for index, width in enumerate(widths)]
        lines = [_line(cells, widths) for cells in (self.columns, rule, *self.rows)]
        return "\n\n".join([f"**{self.title}**", "\n".join(lines), *self.notes])


@dataclass(frozen=True, slots=True)
class Options:
    """What a benchmark was asked for: which sizes of cluster, and how many rounds."""

    sizes: tuple[str, ...]
    rounds: int


def measured(title: str, groups: Iterable[Sequence[Row]], notes: tuple[str, ...] = ()) -> Table:
    """Makes a table of groups of rows with the same units; ratios are to the first row of the group."""
    rows: list[tuple[str, ...]] = []
    units: list[str] = []
    for group in groups:
        units = list(group[0].samples)
        for row in group:
            cells = (_cells(row.samples[unit], None if row is group[0] else group[0].samples[unit]) for unit in units)
            rows.append((row.label, *chain.from_iterable(cells)))
    columns = chain.from_iterable(("ratio", unit, "min .. max") for unit in units)
    return Table(title, ("what", *columns), tuple(rows), notes)


def spread(samples: Sequence[float]) -> str:
    """Returns the least and the most of samples."""
    return f"{number(min(samples))} .. {number(max(samples))}"


def number(value: float) -> str:
    """Returns a number with three significant digits, and all before its point; a whole one as it is."""
    if value == int(value):
        return f"{value:,.0f}"
    after = _DIGITS - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(after, 0)}f}"


def interleaved(rounds: int, runs: Mapping[str, Callable[[], _T]]) -> dict[str, tuple[_T, ...]]:
    """Runs each once a round, one after the other; returns what each gave, by name."""
    found: dict[str, list[_T]] = {name: [] for name in runs}
    for turn in range(rounds):
        for name, run in runs.items():
            print(f"  round {turn + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            found[name].append(run())
    return {name: tuple(results) for name, results in found.items()}


def run(
    description: str | None,
    make: Callable[[Options], Iterator[Table]],
    *,
    sizes: tuple[str, ...] = tuple(SIZES),
    rounds: int = 3,
) -> int:
    """Is the program of a benchmark: reads its options and prints its tables.

    Args:
        description: Of the program, for its help.
        make: Measures, and yields each table as soon as it is whole.
        sizes: Of clusters, by default; for a benchmark that makes some.
        rounds: By default.

    Returns:
        The exit status, 1 if what is measured fails.
    """
    parser = argparse.ArgumentParser(description=description)
    add_options(parser)
    parser.set_defaults(sizes=sizes, rounds=rounds)
    given = parser.parse_args()
    wanted = tuple(name for name in SIZES if name in given.sizes)
    try:
        for table in make(Options(wanted, given.rounds)):
            print(f"{table}\n", flush=True)
    except BenchError as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that the benchmarks have in common, without defaults."""
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), help="of clusters, where some are made")
    parser.add_argument("--rounds", type=_positive, help="how often each thing is measured")


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _cells(samples: tuple[float, ...], base: tuple[float, ...] | None) -> tuple[str, str, str]:
    median = statistics.median(samples)
    ratio = "base" if base is None else number(median / statistics.median(base))
    return ratio, number(median), spread(samples)


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    padded = [
        cell.rjust(width) if index else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"
