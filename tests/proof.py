"""`make proof`: reference and compiler on many generated clusters, over all processors.

It ends with what was compared; at the first disagreement with the smallest cluster that shows it, and exit status 1.
"""

import argparse
import json
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from hashlib import blake2b

from builders import Obj
from clusters import clusters
from hypothesis import HealthCheck, Phase, given, seed, settings
from second_opinion import Disagreement, compare

BATCH = 250
"""Hypothesis remembers what it has tried, and slows down; a new seed starts afresh."""

EVERYTHING = (
    *("egress", "bypass", "drop"),
    *("SelectorMismatch", "NotReady", "Cordoned", "Deleting", "AgentNotReady", "InterfaceMissing", "AddressMissing"),
    *("EG106", "EG107", "EG201", "EG204", "EG205", "EG206", "EG207", "EG209", "EG210", "EG211"),
    *("EG301", "EG302", "EG303", "EG304", "EG305", "EG306", "EG307", "EG308", "EG309", "EG310", "EG312"),
    *("EG401", "EG402", "EG403", "EG404", "EG405", "EG407"),
)
"""Verdicts, reasons and findings that the generator knows how to make."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one run of hypothesis showed."""

    digests: frozenset[bytes]
    seen: Counter[str]
    disagreement: str


def batch(number: int) -> Batch:
    """Compares on a batch of clusters of its own."""
    digests: set[bytes] = set()
    seen: Counter[str] = Counter()

    @seed(number)
    @settings(
        max_examples=BATCH,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(clusters())
    def agree(objects: list[Obj]) -> None:
        digest = blake2b(json.dumps(objects).encode(), digest_size=12).digest()
        if digest not in digests:
            found = compare(objects)
            digests.add(digest)
            seen.update(found)

    try:
        agree()
    except Disagreement as fault:
        return Batch(frozenset(digests), seen, str(fault))
    return Batch(frozenset(digests), seen, "")


def prove(goal: int, processes: int, first: int) -> int:
    """Compares on at least `goal` different clusters; returns the exit status."""
    digests: set[bytes] = set()
    seen: Counter[str] = Counter()
    with ProcessPoolExecutor(processes) as pool:
        waiting = {pool.submit(batch, first + index) for index in range(2 * processes)}
        following = first + len(waiting)
        while len(digests) < goal:
            done = next(as_completed(waiting))
            waiting.remove(done)
            result = done.result()
            if result.disagreement:
                pool.shutdown(cancel_futures=True)
                say(f"{result.disagreement}\n\nThey disagree about this cluster, after {len(digests)} others.")
                return 1
            if len(digests) // 1000 != len(digests | result.digests) // 1000:
                say(f"{len(digests | result.digests)} clusters, {seen['packets'] + result.seen['packets']} packets")
            digests |= result.digests
            seen.update(result.seen)
            waiting.add(pool.submit(batch, following))
            following += 1
        pool.shutdown(cancel_futures=True)
    say(summary(len(digests), seen))
    missing = [name for name in EVERYTHING if not seen[name]]
    if missing:
        say(f"No cluster showed {', '.join(missing)}: the generator has gone blind, or the number is too small.")
    return 1 if missing else 0


def summary(different: int, seen: Counter[str]) -> str:
    def those(start: str) -> str:
        return ", ".join(f"{code} {seen[code]}" for code in sorted(seen) if code.startswith(start))

    return (
        f"Reference and compiler agree on {different} different clusters: {seen['refused']} refused by both, "
        f"{seen['packets']} packets ({seen['egress']} egress, {seen['bypass']} bypass, {seen['drop']} drop), "
        f"{seen['suitable']} suitable nodes of gateways.\nFindings seen: {those('EG')}."
    )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the reference and the compiler on generated clusters.")
    parser.add_argument("--clusters", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return prove(arguments.clusters, arguments.processes, arguments.seed * 1_000_000)


if __name__ == "__main__":
    sys.exit(main())
