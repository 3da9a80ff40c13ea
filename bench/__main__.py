"""Measures egressc beside its peers, and prints tables."""

import argparse
import sys
from pathlib import Path

from bench.frame import BENCHMARKS, replace, sections
from bench.machine import describe
from bench.tables import BenchError, add_options


def main() -> int:
    """Returns the exit status: 1 if anything failed, 2 if what is asked for cannot be done."""
    arguments = _parser().parse_args()
    page: Path | None = arguments.write
    if page is not None and arguments.names:
        print("--write takes a whole run: name no benchmarks", file=sys.stderr)
        return 2
    options = [f"--rounds={arguments.rounds}"] if arguments.rounds else []
    options += ["--sizes", *arguments.sizes] if arguments.sizes else []
    report = [f"{describe()}\n"]
    try:
        if page is not None:
            replace(page.read_text(encoding="utf-8"), "")
        print(report[0], flush=True)
        for section in sections(arguments.names or list(BENCHMARKS), options):
            print(section, flush=True)
            report.append(section)
        if page is not None:
            page.write_text(replace(page.read_text(encoding="utf-8"), "\n".join(report)), encoding="utf-8")
    except (BenchError, OSError) as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, BENCHMARKS))
    listed = "\n".join(f"  {name:{width}}  {benchmark.about}" for name, benchmark in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"{__doc__}\n\nbenchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", type=_known, nargs="*", metavar="NAME", help="all by default")
    add_options(parser)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put all tables between the two markers of a page")
    return parser


def _known(name: str) -> str:
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
