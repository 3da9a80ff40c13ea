"""The benchmark of forwarding: every shape forwards what it should, and a node that does not is noticed."""

from contextlib import closing

import pytest

from bench.forward import COLUMNS, EGRESSC, NOTHING, SHAPES, Pace, measure, tables
from bench.lines import Line, Side, WrongPacketError
from bench.mix import make_mix
from bench.topology import chain, ends

pytestmark = pytest.mark.kernel

PACE = Pace(rounds=1, seconds=0.002, flows=50)


def test_every_shape_forwards_with_the_right_source_address_on_both_nodes() -> None:
    told: list[str] = []

    found = list(tables([0, 10], PACE, told.append))

    left_out = sum(line.startswith("left out") for line in told)
    assert [table.title.split(";")[0] for table in found] == ["source node", "gateway node"] * 2
    for table in found:
        assert all(len(row) == len(COLUMNS) for row in table.rows)
        names = [row[0] for row in table.rows if row[1] == "10"]
        assert len(names) == len(SHAPES) - left_out
        assert {NOTHING, EGRESSC, "OVN-Kubernetes", "nftables, rule a policy", "nftables, rule a pair"} <= set(names)


def test_costs_are_measured_in_every_round() -> None:
    pace = Pace(2, 0.002, flows=50)

    (_, source), (_, gateway) = measure({10: make_mix(10)}, [NOTHING, EGRESSC], pace, lambda _: None)

    for row in (*source, *gateway):
        assert [len(costs) for costs in (row.generator, row.established, row.new)] == [2, 2, 2]
        assert min(row.established) > 0


def test_packets_with_a_wrong_source_address_are_noticed() -> None:
    mix = make_mix(10)
    with ends() as home, chain(home, 0) as made:
        flows = mix.flows(mix.served(), 10)

        with closing(Line(made, Side.GATEWAY, flows, keeps=True)) as line, pytest.raises(WrongPacketError) as raised:
            line.establish()

    assert "instead of from 198.18.0.1" in str(raised.value)
