"""All benchmarks by name, and how they become one report, in the terminal and in docs/benchmarks.md.

Each runs in a process of its own, `python -m bench.NAME`, so that none inherits what another left in memory, and those
that load anything into the kernel run in a network namespace of their own.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.tables import BenchError

BEGIN: Final = "<!-- measured: begin -->"
END: Final = "<!-- measured: end -->"
_ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A module of this package that prints tables.

    Attributes:
        name: Of the module.
        about: What it measures, for the help.
        network: Whether it needs to be root in a network namespace of its own.
    """

    name: str
    about: str
    network: bool = False

    def command(self, options: Sequence[str]) -> list[str]:
        """Returns how it is started."""
        prefix = [str(_ROOT / ".ci" / "as-root"), "unshare", "-n"] if self.network else []
        return [*prefix, sys.executable, "-m", f"bench.{self.name}", *options]


_ALL: Final = (
    Benchmark("compile", "egressc compile at all sizes, and with half and twice the workloads"),
    Benchmark("previous", "egressc compile --previous where little has changed"),
    Benchmark("recompile", "one change of a compiled cluster in process, beside compiling everything"),
    Benchmark("peers", "as many address terms to nftables by aerleon and by us"),
    Benchmark("load", "a gateway node's whole part, by the applier and by nft -f alone", network=True),
    Benchmark("apply", "one workload more on a gateway node", network=True),
    Benchmark("forward", "what a packet costs a node with policies, beside none and the peers' shapes", network=True),
    Benchmark("verify", "egressc verify beside compile"),
    Benchmark("review", "egressc diff and simulate beside compile"),
    Benchmark("start", "the start of the applier, and its size"),
    Benchmark("conntrack", "the pass over connection tracking", network=True),
)
BENCHMARKS: Final = {benchmark.name: benchmark for benchmark in _ALL}


def sections(names: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """Runs benchmarks and yields the section of each as soon as it is whole; what goes on is told on standard error.

    Raises:
        BenchError: Some failed; it is raised after the others ran.
    """
    failed = []
    for name in names:
        benchmark = BENCHMARKS[name]
        print(f"{name}: {benchmark.about}", file=sys.stderr, flush=True)
        done = subprocess.run(  # noqa: S603  # our own
            benchmark.command(options), stdout=subprocess.PIPE, text=True, check=False, cwd=_ROOT
        )
        if done.returncode:
            failed.append(name)
        printed = done.stdout.strip("\n")
        yield f"### {name}\n\n{printed}\n"
    if failed:
        raise BenchError(f"failed: {', '.join(failed)}")


def replace(page: str, report: str) -> str:
    """Returns a page with this report between its two markers.

    Raises:
        BenchError: The page has not each of the markers once, in their order.
    """
    before, begin, rest = page.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise BenchError(f"the page needs one line {BEGIN} and one line {END} below it")
    return f"{before}{begin}\n{report}\n{end}{after}"
