"""Coverage-guided fuzzing: `make fuzz SECONDS=900`; what it found is replayed by `tests/test_fuzz_corpus.py`.

A target is one module with `seeds()`, `check(data)` and `mutate(data, draw)`, and a row in `targets.py`. `check` raises
on whatever should not be, for any bytes at all. Only `run.py` needs atheris.
"""
