"""What forwarding a packet costs a node that holds policies, beside a node without any and beside the peers' shapes.

In network namespaces, workloads' packets go through a source node or a gateway node. All nodes stand side by side and
take turns. Run it as root in a network namespace of its own: `unshare -n python -m bench.forward`.
"""

import argparse
import shutil
import signal
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Final

from bench import shapes
from bench.compiled import apply, compile_snapshot
from bench.lines import Line, Side, WrongPacketError
from bench.mix import SOURCE, Mix, gateway_name, make_mix
from bench.packets import LostPacketError, find_clock
from bench.tables import Table, add_options
from bench.topology import Chain, SetupError, chain, ends

Tell = Callable[[str], None]
"""Is told what happens, a line each."""

POLICIES: Final = (0, 10, 100, 1_000, 10_000)
_FEW = 10
NOTHING: Final = "no policy"
EGRESSC: Final = "egressc"
COLUMNS: Final = (
    "shape",
    "policies",
    "established: of no policy",
    "with sender",
    f"of own at {_FEW}",
    "of egressc",
    "us",
    "min .. max",
    "1000/s with sender",
    "new: of no policy",
    "of egressc",
    "us",
    "min .. max",
    "1000/s with sender",
    "round trip us",
    "added",
    "p99",
)
"""First what share the node's rate is, packets a second on one core, of other rates; then what a packet costs it. Both
are without the sender's part except where they say so."""

_PLACES = {
    False: "policies of a cluster of 100 nodes, 110 workloads on the source node, 3 gateway nodes",
    True: "all policies select workloads of the one source node and name gateways of the one gateway node",
}
_ROUND_TRIPS = 500
_MOST_ON_ONE_NODE = 1_000  # policies, and kinds of workloads: ten times as many as a kubelet takes pods


@dataclass(frozen=True, slots=True)
class Shape:
    """How a node is programmed.

    Attributes:
        source: Rules of a source node.
        gateway: Rules of a gateway node.
        needs: Programs that load them, beside nft and ip.
        iptables: The one of two that loads iptables rules.
        most: Policies with which it is measured: with more it takes minutes to load.
    """

    source: shapes.Shape
    gateway: shapes.Shape
    needs: tuple[str, ...] = ()
    iptables: str = ""
    most: int = 10_000


SHAPES: Final = {
    NOTHING: Shape(shapes.no_policy, shapes.no_policy),
    EGRESSC: Shape(shapes.no_policy, shapes.no_policy),
    **{
        f"spidernet, {name}": Shape(
            shapes.spidernet_source, shapes.spidernet_gateway, ("ipset", f"iptables-{name}-restore"), f"iptables-{name}"
        )
        for name in ("nft", "legacy")
    },
    "OVN-Kubernetes": Shape(shapes.ovn_source, shapes.ovn_gateway),
    "nftables, rule a policy": Shape(shapes.naive_source, shapes.naive_gateway, most=1_000),
    "nftables, rule a pair": Shape(shapes.pairs_source, shapes.pairs_gateway, most=1_000),
}


@dataclass(slots=True)
class Row:
    """What was measured of one shape with so many policies; microseconds.

    Attributes:
        policies: In the cluster.
        shape: Its name.
        generator: Cost of a packet that is dropped in front of the node, one each round; one list for all rows.
        established: Cost of a packet of an established connection, sending it included.
        new: Cost of a packet that opens a connection, sending it included.
        round_trips: Of single packets.
    """

    policies: int
    shape: str
    generator: list[float]
    established: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)
    round_trips: list[float] = field(default_factory=list)

    def node(self, costs: Sequence[float]) -> list[float]:
        """Returns what of these costs, one each round, is the node's own."""
        return [cost - statistics.median(self.generator) for cost in costs]


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is measured.

    Attributes:
        rounds: In which all take turns.
        seconds: For each in a round.
        flows: Connections of each.
    """

    rounds: int
    seconds: float
    flows: int = 2_000


@dataclass(frozen=True, slots=True)
class _Case:
    """Two nodes of a cluster, programmed in a shape."""

    policies: int
    shape: str
    mix: Mix
    chain: Chain

    def line(self, side: Side, flows: int) -> Line:
        """Returns one of the nodes as it is measured, with so many flows."""
        workloads = self.mix.local() if side is Side.SOURCE else self.mix.served()
        keeps = self.policies > 0 and self.shape != NOTHING
        return Line(self.chain, side, self.mix.flows(workloads, flows), keeps=keeps)


def measure(mixes: Mapping[int, Mix], names: Sequence[str], pace: Pace, tell: Tell) -> Iterator[tuple[Side, list[Row]]]:
    """Measures a source node and a gateway node for each cluster and shape.

    Args:
        mixes: The clusters by their number of policies.
        names: Of shapes.
        pace: How much is measured.
        tell: Is told of each stage.

    Raises:
        SetupError: Something cannot be set up.
        WrongPacketError: A node does not do what its rules should make it do.
        LostPacketError: A node drops packets that it should forward.
    """
    with ExitStack() as stack:
        home = stack.enter_context(ends())
        cases: list[_Case] = []
        for policies, mix in mixes.items():
            for name in names:
                # Without policies, a peer's node is one without any.
                if name not in {NOTHING, EGRESSC} and not 0 < policies <= SHAPES[name].most:
                    continue
                tell(f"loading {name}, {policies} policies")
                cases.append(_Case(policies, name, mix, stack.enter_context(chain(home, len(cases)))))
                _load(cases[-1])
        for side in Side:
            # A gateway node of ours lets no workload out for which it has no policy: there is nothing to measure then.
            measured = [case for case in cases if side is Side.SOURCE or case.policies or case.shape == NOTHING]
            yield side, _take_turns(side, measured, pace, tell)


def _load(case: _Case) -> None:
    shape = SHAPES[case.shape]
    shapes.load(case.chain.source, shape.source(case.mix), shape.iptables)
    shapes.load(case.chain.gateway, shape.gateway(case.mix), shape.iptables)
    if case.shape == EGRESSC:
        bundle = compile_snapshot(case.mix.snapshot())
        apply(case.chain.source, bundle, SOURCE)
        apply(case.chain.gateway, bundle, gateway_name(0))


def _take_turns(side: Side, cases: Sequence[_Case], pace: Pace, tell: Tell) -> list[Row]:
    generator: list[float] = []
    rows = [Row(case.policies, case.shape, generator) for case in cases]
    with ExitStack() as stack:
        lines = [stack.enter_context(closing(case.line(side, pace.flows))) for case in cases]
        _fill(rows, lines, side, pace, tell)
    return rows


def _fill(rows: Sequence[Row], lines: Sequence[Line], side: Side, pace: Pace, tell: Tell) -> None:
    clock = find_clock(lines[0].sender)
    for row, line in zip(rows, lines, strict=True):
        tell(f"{side.value} node: opening connections, {row.shape}, {row.policies} policies")
        line.establish()
        row.round_trips += line.round_trips(_ROUND_TRIPS)
    with ExitStack() as stack:
        for line in lines:
            stack.enter_context(line.watched())
        for number in range(pace.rounds):
            tell(f"{side.value} node: round {number + 1} of {pace.rounds}, established connections")
            rows[0].generator.append(lines[0].generate(pace.seconds, clock))
            for row, line in zip(rows, lines, strict=True):
                row.established.append(line.forward(pace.seconds, clock, new=False))
        for number in range(pace.rounds):
            tell(f"{side.value} node: round {number + 1} of {pace.rounds}, new connections")
            for row, line in zip(rows, lines, strict=True):
                row.new.append(line.forward(pace.seconds, clock, new=True))


def tables(policies: Sequence[int], pace: Pace, tell: Tell) -> Iterator[Table]:
    """Measures and yields tables, each as soon as it is whole.

    Args:
        policies: Their numbers.
        pace: How much is measured.
        tell: Is told of each stage, and of each shape that is left out and why.

    Raises:
        SetupError: Something cannot be set up.
        WrongPacketError: A node does not do what its rules should make it do.
        LostPacketError: A node drops packets that it should forward.
    """
    names = [name for name, shape in SHAPES.items() if _is_possible(name, shape, tell)]
    for concentrated, where in _PLACES.items():
        numbers = [number for number in policies if not concentrated or number <= _MOST_ON_ONE_NODE]
        mixes = {number: make_mix(number, concentrated=concentrated) for number in numbers}
        for side, rows in measure(mixes, names, pace, tell):
            yield Table(f"{side.value} node; {where}", COLUMNS, tuple(_cells(row, rows) for row in rows))


def _is_possible(name: str, shape: Shape, tell: Tell) -> bool:
    missing = [program for program in shape.needs if not shutil.which(program)]
    if missing:
        tell(f"left out: {name}, since {' and '.join(missing)} is not installed (Debian: ipset, iptables)")
    return not missing


def _cells(row: Row, rows: Sequence[Row]) -> tuple[str, ...]:
    by_name = {(other.policies, other.shape): other for other in rows}
    limit = by_name[row.policies, NOTHING]
    few, ours = by_name.get((_FEW, row.shape)), by_name.get((row.policies, EGRESSC))
    established, new = row.node(row.established), row.node(row.new)
    trips = sorted(row.round_trips)
    return (
        row.shape,
        f"{row.policies:,}",
        _ratio(limit.node(limit.established), established),
        _ratio(limit.established, row.established),
        _ratio(few.node(few.established), established) if few else "",
        _ratio(ours.node(ours.established), established) if ours else "",
        f"{statistics.median(established):.2f}",
        f"{min(established):.2f} .. {max(established):.2f}",
        f"{1000 / statistics.median(row.established):,.1f}",
        _ratio(limit.node(limit.new), new),
        _ratio(ours.node(ours.new), new) if ours else "",
        f"{statistics.median(new):.2f}",
        f"{min(new):.2f} .. {max(new):.2f}",
        f"{1000 / statistics.median(row.new):,.1f}",
        f"{statistics.median(trips):.1f}",
        f"{statistics.median(trips) - statistics.median(limit.round_trips):+.1f}",
        f"{trips[len(trips) * 99 // 100]:.1f}",
    )


def _ratio(base: Sequence[float], samples: Sequence[float]) -> str:
    """Returns the median of what each round gives, in which both took their turns."""
    return f"{statistics.median(one / other for one, other in zip(base, samples, strict=True)):.4f}"


def main() -> int:
    """Prints a table for each node and kind of cluster; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("policies", type=int, nargs="*", default=POLICIES, help="numbers of policies")
    add_options(parser)
    parser.add_argument("--seconds", type=float, default=0.05, help="for each in a round")
    parser.set_defaults(rounds=7)
    given = parser.parse_args()
    if min(given.policies) < 0:
        parser.error("policies cannot be fewer than none")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that no namespace stays
    try:
        for table in tables(given.policies, Pace(given.rounds, given.seconds), _tell):
            print(f"{table}\n", flush=True)
    except (SetupError, WrongPacketError, LostPacketError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _tell(stage: str) -> None:
    print(f"  {stage}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
