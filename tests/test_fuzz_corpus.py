"""What the fuzzer found once, and files of the same kind made by hand, do no harm any more; see `fuzz/`."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "fuzz" / "corpus"
FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())
SECONDS_FOR_ONE = 10


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    def too_long(*_: object) -> None:
        raise TimeoutError(f"took more than {SECONDS_FOR_ONE} seconds of the processor")

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, SECONDS_FOR_ONE)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


def test_every_target_has_files_in_the_corpus() -> None:
    assert set(TARGETS) == {path.relative_to(CORPUS).parts[0] for path in FILES}


def test_corpus_is_small() -> None:
    assert len(FILES) < 2000
    assert sum(path.stat().st_size for path in FILES) < 1_000_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(CORPUS).as_posix())
def test_file_of_the_corpus_does_no_harm(path: Path) -> None:
    TARGETS[path.relative_to(CORPUS).parts[0]].check(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_what_mutation_makes_of_them_do_no_harm(name: str) -> None:
    target = TARGETS[name]
    draw = random.Random(1)  # noqa: S311  # chance that is to be had again
    seeds = target.seeds()

    for number in range(40):
        data = seeds[number % len(seeds)]
        target.check(data)
        for _ in range(number % 4 + 1):
            data = target.mutate(data, draw)
            target.check(data)
