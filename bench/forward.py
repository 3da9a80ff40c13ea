"""What forwarding a packet costs a node that holds policies, beside a node without any and beside the peers' shapes.

In network namespaces, workloads' packets go through a source node or a gateway node. All nodes stand side by side and
take turns. Run it as root in a network namespace of its own: `unshare -n python -m bench.forward`.
"""

import argparse
import os
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from bench import shapes
from bench.compiled import apply, compile_snapshot
from bench.lines import Line, Side
from bench.mix import SOURCE, Mix, gateway_name, make_mix
from bench.packets import find_clock
from bench.topology import Chain, chain, ends

POLICIES: Final = (0, 10, 100, 1_000, 10_000)
NOTHING: Final = "no policy"
EGRESSC: Final = "egressc"
_FLOWS = 2_000
_ROUND_TRIPS = 500
_SLICE = 0.05


@dataclass(frozen=True, slots=True)
class Shape:
    """How a node is programmed.

    Attributes:
        source: Rules of a source node.
        gateway: Rules of a gateway node.
        needs: Programs that load them, beside nft and ip.
        iptables: The one of two that loads iptables rules.
    """

    source: shapes.Shape
    gateway: shapes.Shape
    needs: tuple[str, ...] = ()
    iptables: str = ""


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
    "nftables, rule a policy": Shape(shapes.naive_source, shapes.naive_gateway),
    "nftables, rule a pair": Shape(shapes.pairs_source, shapes.pairs_gateway),
}


@dataclass(slots=True)
class Row:
    """What was measured of one shape with so many policies; microseconds.

    Attributes:
        policies: In the cluster.
        shape: Its name.
        generator: Cost of a packet that is dropped in front of the node, one each round; so are the next two.
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


def measure(
    mixes: dict[int, Mix], names: Sequence[str], rounds: int, seconds: float, tell: Callable[[str], None]
) -> Iterator[tuple[Side, list[Row]]]:
    """Measures a source node and a gateway node for each cluster and shape.

    Args:
        mixes: The clusters by their number of policies.
        names: Of shapes.
        rounds: In which all take turns.
        seconds: For each in a round.
        tell: Is told of each stage.

    Raises:
        SetupError: Something cannot be set up.
        WrongPacketError: A node does not do what its rules should make it do.
        LostPacketError: A node drops packets that it should forward.
    """
    with ExitStack() as stack:
        home = stack.enter_context(ends())
        chains: list[tuple[int, str, Chain]] = []
        for policies, mix in mixes.items():
            for name in names:
                tell(f"loading {name}, {policies} policies")
                made = stack.enter_context(chain(home, len(chains)))
                _load(made, name, mix)
                chains.append((policies, name, made))
        for side in Side:
            yield side, _take_turns(side, chains, mixes, rounds, seconds, tell)


def _load(made: Chain, name: str, mix: Mix) -> None:
    shape = SHAPES[name]
    shapes.load(made.source, shape.source(mix), shape.iptables)
    shapes.load(made.gateway, shape.gateway(mix), shape.iptables)
    if name == EGRESSC:
        bundle = compile_snapshot(mix.snapshot())
        apply(made.source, bundle, SOURCE)
        apply(made.gateway, bundle, gateway_name(0))


def _take_turns(
    side: Side,
    chains: Sequence[tuple[int, str, Chain]],
    mixes: dict[int, Mix],
    rounds: int,
    seconds: float,
    tell: Callable[[str], None],
) -> list[Row]:
    lines = []
    for policies, name, made in chains:
        mix = mixes[policies]
        flows = mix.flows(mix.local() if side is Side.SOURCE else mix.served(), _FLOWS)
        lines.append(Line(made, side, flows, keeps=name != NOTHING and policies > 0))
    generator: list[float] = []
    rows = [Row(policies, name, generator) for policies, name, _ in chains]
    clock = find_clock(lines[0].sender)
    for row, line in zip(rows, lines, strict=True):
        tell(f"{side.value} node: establishing connections, {row.shape}, {row.policies} policies")
        line.establish()
        row.round_trips += line.round_trips(_ROUND_TRIPS)
    with ExitStack() as stack:
        for line in lines:
            stack.enter_context(line.watched())
        for number in range(rounds):
            tell(f"{side.value} node: round {number + 1} of {rounds}, established connections")
            generator.append(lines[0].generate(seconds, clock))
            for row, line in zip(rows, lines, strict=True):
                row.established.append(line.forward(seconds, clock, new=False))
        for number in range(rounds):
            tell(f"{side.value} node: round {number + 1} of {rounds}, new connections")
            for row, line in zip(rows, lines, strict=True):
                row.new.append(line.forward(seconds, clock, new=True))
    return rows


def main() -> int:
    """Prints a table for each node and kind of cluster; returns the exit status."""
    for concentrated in (False, True):
        mixes = {p: make_mix(p, concentrated=concentrated) for p in map(int, os.environ.get("P", "0,10,100").split(","))}
        names = os.environ.get("N", ",,".join(SHAPES)).split(",,")
        for side, rows in measure(mixes, names, int(os.environ.get("R", "5")), float(os.environ.get("S", "0.05")), lambda t: print(t, file=sys.stderr)):
            print(side, concentrated, "generator", statistics.median(rows[0].generator))
            for row in rows:
                q = statistics.median
                g = q(row.generator)
                rt = sorted(row.round_trips)
                print(f"{row.policies:6} {row.shape:26} {q(row.established)-g:8.3f} {q(row.new)-g:8.3f}  {min(row.established)-g:8.3f} {max(row.established)-g:8.3f} rt {q(rt):8.2f} {rt[int(len(rt)*.99)]:8.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
