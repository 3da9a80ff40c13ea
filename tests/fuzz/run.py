"""Fuzzes: `python -m fuzz.run SECONDS [TARGET]`, one target, or each in its turn for its part of the time.

What reaches new code is kept in `build/fuzz/TARGET`, where the next run goes on. What fails is written there as
`crash-*`, `timeout-*` or `oom-*`; once mended, it belongs into the corpus under a telling name.
"""

import random
import subprocess
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["compiler", "bundle", "applier"], enable_loader_override=False):
    from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(__file__).parents[2] / "build" / "fuzz"
LONGEST_INPUT = 1 << 16
SECONDS_FOR_ONE = 20
MEGABYTES = 2048


def main() -> int:
    """Returns 0 when nothing was found."""
    seconds = int(sys.argv[1])
    if len(sys.argv) > 2:
        fuzz(sys.argv[2], seconds)
    # libFuzzer ends the process that it runs in.
    command = [sys.executable, "-m", "fuzz.run", str(seconds // len(TARGETS))]
    return max(subprocess.run([*command, name], check=False).returncode for name in TARGETS)


def fuzz(name: str, seconds: int) -> None:
    """Runs libFuzzer on one target; does not return."""
    target = TARGETS[name]
    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(target.seeds()):
        (found / f"seed-{index}").write_bytes(seed)

    def mutate(data: bytes, limit: int, seed: int) -> bytes:
        draw = random.Random(seed)
        if draw.random() < 0.3:
            changed: bytes = atheris.Mutate(data, limit)
            return changed
        return target.mutate(data, draw)[:limit]

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST_INPUT}",
        f"-timeout={SECONDS_FOR_ONE}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-artifact_prefix={found}/",
        "-len_control=0",
        "-print_final_stats=1",
    ]
    atheris.Setup([name, *options, str(found), str(CORPUS / name)], target.check, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
