"""Metrics of a node: the counters that a listing tells, the text that Prometheus reads, and the file."""

import os
import re
import shutil
import socket
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import GOLDEN, ROOT
from kernel_fixtures import Netns, netns
from prometheus_client.parser import text_string_to_metric_families

from applier.counters import Counter, Traffic, counters, traffic
from applier.metrics import Metrics, render, write
from applier.netns import entered
from applier.nft import Nft
from bundle.ruleset import parse

__all__ = ["netns"]

LISTING = """\
table inet other {
	chain drop_stray {
		counter packets 99 bytes 99 drop
	}
}
table inet egressc {
	map source4 {
		type ipv4_addr : verdict
	}

	chain remoteroute {
		meta priority vmap @remoteclass comment "0123456789ab"
		counter packets 1 bytes 80 drop comment "0123456789ab"
	}
	chain remote_c9 {
		meta priority . ip daddr vmap @remoteroute4_c9 comment "0123456789ab"
		counter packets 1 bytes 120 drop comment "0123456789ab"
	}
	chain local_6ea9c5c9 {
		counter packets 1 bytes 50 drop comment "counter packets 7 bytes 7 drop"
	}
	chain to_worker-1 {
		counter packets 5 bytes 500 meta mark set meta mark & 0x00ffffff | 0x05000000 comment "0123456789ab"
	}
	chain gateway_egress-gw {
		counter packets 6 bytes 600 meta mark set meta mark & 0x00ffffff | 0x06000000
	}
	chain gateway_egress-vip {
		counter packets 7 bytes 700 drop
	}
	chain drop_no_gateway {
		counter packets 8 bytes 800 drop
	}
	chain unproven {
		ip daddr @cluster4 accept
		counter packets 9 bytes 900 drop
	}
	chain nowhere {
		rt ip nexthop 169.254.73.73 counter packets 10 bytes 1000 reject with icmp net-unreachable
	}
}
"""

METRICS = Metrics(
    node="egress-1",
    version="0.1.0",
    digest="ab" * 32,
    serial=7,
    applied_at=1_760_000_000.25,
    attempted_at=1_760_000_100.5,
    status=3,
    changes=4,
    repairs=2,
    wanted_addresses=3,
    held_addresses=1,
    traffic=Traffic((("egress-gw", 6, 600),), (("worker-1", 5, 500),), (("stray", 8, 800), ("unproven", 9, 900))),
)


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What Prometheus' own parser reads; every family has a type and a help text."""
    result = {}
    for family in text_string_to_metric_families(text):
        assert family.type in {"gauge", "counter"}, family.name
        assert family.documentation, family.name
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in result
            result[key] = sample.value
    return result


def test_counters_of_our_table_are_told_apart_by_what_became_of_packets() -> None:
    expected = Traffic(
        gateways=(("egress-gw", 6, 600),),
        next_hops=(("worker-1", 5, 500),),
        drops=(
            ("no_gateway", 8, 800),
            ("nowhere", 10, 1000),
            ("standby", 7, 700),
            ("unmatched", 3, 250),
            ("unproven", 9, 900),
        ),
    )

    assert expected == traffic(counters(LISTING))


def test_a_node_without_our_table_has_no_counters() -> None:
    assert counters("table inet other {\n\tchain a {\n\t\tcounter packets 1 bytes 1\n\t}\n}\n") == ()


def test_several_counters_of_a_chain_are_added() -> None:
    values = (Counter("gateway_a", 1, 10, drops=False), Counter("gateway_a", 2, 20, drops=False))

    assert traffic(values).gateways == (("a", 3, 30),)


def test_metrics_are_what_prometheus_reads() -> None:
    expected = {
        ("egressc_build_info", (("version", "0.1.0"),)): 1,
        ("egressc_applied_info", (("digest", "ab" * 32), ("node", "egress-1"), ("serial", "7"))): 1,
        ("egressc_last_success_timestamp_seconds", ()): 1_760_000_000.25,
        ("egressc_last_apply_timestamp_seconds", ()): 1_760_000_100.5,
        ("egressc_last_apply_success", ()): 0,
        ("egressc_last_apply_status", ()): 3,
        ("egressc_last_apply_changes", ()): 4,
        ("egressc_virtual_ips_wanted", ()): 3,
        ("egressc_virtual_ips_held", ()): 1,
        ("egressc_drift_repairs_total", ()): 2,
        ("egressc_gateway_packets_total", (("gateway", "egress-gw"),)): 6,
        ("egressc_gateway_bytes_total", (("gateway", "egress-gw"),)): 600,
        ("egressc_next_hop_packets_total", (("next_hop", "worker-1"),)): 5,
        ("egressc_next_hop_bytes_total", (("next_hop", "worker-1"),)): 500,
        ("egressc_dropped_packets_total", (("reason", "stray"),)): 8,
        ("egressc_dropped_bytes_total", (("reason", "stray"),)): 800,
        ("egressc_dropped_packets_total", (("reason", "unproven"),)): 9,
        ("egressc_dropped_bytes_total", (("reason", "unproven"),)): 900,
    }

    assert expected == samples(render(METRICS))


def test_the_documentation_names_every_metric_and_no_other() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()

    named = set(re.findall(r"`(egressc_\w+)", text))
    asked = set(re.findall(r"\b(egressc_\w+)\b", text))

    made = {name for name, _ in samples(render(METRICS))}
    assert made == named
    assert made == asked


def test_what_is_not_known_is_not_told() -> None:
    names = {name for name, _ in samples(render(replace(METRICS, digest=None, serial=None, applied_at=None)))}

    assert not names & {"egressc_applied_info", "egressc_last_success_timestamp_seconds"}
    labels = [
        labels for name, labels in samples(render(replace(METRICS, serial=None))) if name.endswith("applied_info")
    ]
    assert [[name for name, _ in pairs] for pairs in labels] == [["digest", "node"]]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", 'a\\"\n', "ä", ""])
def test_a_label_is_read_as_it_was_given(name: str) -> None:
    found = samples(render(replace(METRICS, traffic=Traffic(gateways=((name, 1, 2),)))))

    assert found["egressc_gateway_packets_total", (("gateway", name),)] == 1


def test_the_file_is_readable_for_others_whatever_the_umask_and_leaves_no_parts(tmp_path: Path) -> None:
    path = tmp_path / "egressc.prom"
    path.write_text("old")
    before = os.umask(0o077)
    try:
        write(path, "new\n")
    finally:
        os.umask(before)

    assert path.read_text() == "new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [item.name for item in tmp_path.iterdir()] == ["egressc.prom"]


def test_a_file_that_cannot_be_put_in_its_place_leaves_no_parts(tmp_path: Path) -> None:
    (tmp_path / "egressc.prom" / "inside").mkdir(parents=True)

    with pytest.raises(OSError, match="directory"):
        write(tmp_path / "egressc.prom", "new\n")

    assert [item.name for item in tmp_path.iterdir()] == ["egressc.prom"]


@pytest.mark.kernel
def test_the_kernels_listing_has_a_counter_for_each_chain_of_the_ruleset_that_counts(netns: Netns) -> None:
    text = (GOLDEN / "seed-example" / "expected" / "nodes" / "egress-1" / "ruleset.nft").read_text()
    netns.nft(text)
    netns.nft("table inet zz_other {\n chain drop_stray {\n counter drop\n }\n}\n")

    with entered(netns.name):
        found = counters(Nft().list_counters())

    rules = [(name, rule) for name, chain in parse(text, "inet egressc").chains.items() for rule in chain.rules]
    assert sorted(name for name, rule in rules if "counter" in rule.text) == sorted(item.chain for item in found)
    assert {name for name, rule in rules if "counter drop" in rule.text} <= {item.chain for item in found if item.drops}


@pytest.mark.kernel
def test_packets_are_counted(netns: Netns) -> None:
    netns.nft(
        "table inet egressc {\n"
        "chain gateway_x {\n counter meta mark set meta mark\n }\n"
        "chain out {\n type filter hook output priority 0;\n ip daddr 172.18.4.99 jump gateway_x\n }\n}\n"
    )
    netns.run("ip neighbour add 172.18.4.99 lladdr 02:00:00:00:00:99 dev eth0")

    with entered(netns.name):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
            for _ in range(3):
                outside.sendto(b"x", ("172.18.4.99", 9))
        found = traffic(counters(Nft().list_counters()))

    assert [(name, packets) for name, packets, _ in found.gateways] == [("x", 3)]


@pytest.mark.kernel
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing, which counts what is read")
def test_the_listing_for_metrics_does_not_fetch_the_elements(netns: Netns, tmp_path: Path) -> None:
    elements = ", ".join(f"10.{number >> 8 & 255}.{number & 255}.1 : drop" for number in range(20_000))
    netns.nft(f"table inet egressc {{\n map m {{\n type ipv4_addr : verdict; elements = {{ {elements} }}\n }}\n}}\n")
    code = "from applier.nft import Nft; Nft().list_counters()"

    netns.run(f"strace -f -e trace=recvmsg -o {tmp_path / 'calls'} {sys.executable} -c '{code}'")

    calls = (tmp_path / "calls").read_text().splitlines()
    received = sum(int(match[1]) for line in calls if (match := re.search(r" = (\d+)$", line)))
    assert 0 < received < 20_000  # bytes; one for each element would be the least
