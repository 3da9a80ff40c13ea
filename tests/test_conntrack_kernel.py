"""The real kernel's connection tracking: what is listed, that just what is meant is deleted, and the whole pass."""

import socket
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_address
from struct import pack

import pytest
from conftest import GOLDEN, ROOT
from connection_fixtures import NODE, NODE6, OTHER_POD, OUTSIDE, OUTSIDE6, POD, POD6, PORT, Line, line, seen
from kernel_fixtures import TABLE, Netns, netns
from rulesets import BIT, destinations, golden_rulesets, sources

from applier import conntrack
from applier.connections import Connection, stale
from applier.decision import Decisions
from applier.late import OBJECTS, bar_late_replies
from applier.netns import entered
from bench.connections import Entry, insert
from bundle.ruleset import Ruleset, parse

pytestmark = pytest.mark.kernel
__all__ = ["line", "netns"]

MASQUERADE = "table inet cni { chain out { type nat hook postrouting priority srcnat; iifname pods masquerade; }; }\n"
KEEP = "table inet cni { chain out { type nat hook postrouting priority 95; iifname pods snat ip to ip saddr; }; }\n"
VIP = "172.18.18.242"


def pairs(connections: tuple[Connection, ...]) -> set[tuple[str, str, str]]:
    return {(item.source, item.destination, item.reply_destination) for item in connections}


def ruleset_text() -> str:
    """The golden ruleset of the master that has a workload of its own, which marks what it binds."""
    text = (GOLDEN / "workload-on-master" / "expected" / "nodes" / "egress-1" / "ruleset.nft").read_text()
    lookup = "\t\tmeta mark & 0xff000000 vmap @translation"
    return text if "ct mark set" in text else text.replace(lookup, f"\t\tct mark set ct mark | 0x{BIT:08x}\n{lookup}")


def without_policy(text: str) -> Ruleset:
    ruleset = parse(text, TABLE)
    emptied = replace(ruleset.sets["source4"], elements={})
    return replace(ruleset, sets={**ruleset.sets, "source4": emptied})


def find_stale(line: Line, ruleset: Ruleset) -> tuple[Connection, ...]:
    with entered(line.node.name):
        kernel = line.kernel()
        return tuple(stale(Decisions(ruleset), kernel.list_addresses(), kernel.list_connections()))


def delete(line: Line, connections: tuple[Connection, ...]) -> int:
    with entered(line.node.name):
        return line.kernel().delete_connections(connections)


def test_real_connections_are_listed_as_they_are_translated(line: Line) -> None:
    line.node.nft(
        f"""table inet cni {{
        chain zones {{ type filter hook prerouting priority -300; udp dport 9999 ct zone set 7
            udp dport 9998 ct original zone set 8; }}
        chain in {{ type nat hook prerouting priority dstnat; ip daddr 10.222.0.1 dnat ip to {OUTSIDE}; }}
        chain out {{ type nat hook postrouting priority srcnat; meta l4proto udp masquerade; }}
        chain marks {{ type filter hook postrouting priority 120; meta l4proto tcp ct mark set 0x01000007; }}
        }}"""
    )
    server = line.socket(line.outside, OUTSIDE, PORT)
    server6 = line.socket(line.outside, OUTSIDE6, PORT)
    assert seen(line.socket(line.pods, POD), server, "10.222.0.1") == NODE
    assert seen(line.socket(line.pods, POD6), server6, OUTSIDE6) == NODE6
    for port in (9998, 9999):
        line.socket(line.pods, OTHER_POD).sendto(b"?", (OUTSIDE, port))
    listener = line.socket(line.outside, OUTSIDE, 443, socket.SOCK_STREAM)
    listener.listen()
    caller = line.socket(line.pods, POD, kind=socket.SOCK_STREAM)
    caller.connect((OUTSIDE, 443))
    ping = line.socket(line.pods, OTHER_POD, kind=socket.SOCK_RAW, protocol=socket.IPPROTO_ICMP)
    ping.sendto(pack("!BBHHH", 8, 0, 0xF7FD, 1, 1), (OUTSIDE, 0))
    assert ping.recvfrom(100)[1][0] == OUTSIDE

    found = {
        (item.source, item.destination, item.reply_destination, item.mark, item.zone) for item in line.connections()
    }

    assert found == {
        (POD, OUTSIDE, NODE, 0, 0),
        (POD6, OUTSIDE6, NODE6, 0, 0),
        (OTHER_POD, OUTSIDE, NODE, 0, 7),
        (OTHER_POD, OUTSIDE, NODE, 0, 8),
        (POD, OUTSIDE, POD, 0x01000007, 0),
        (OTHER_POD, OUTSIDE, OTHER_POD, 0, 0),
    }


def test_real_connections_of_every_protocol_are_deleted(line: Line) -> None:
    test_real_connections_are_listed_as_they_are_translated(line)
    connections = line.connections()

    assert delete(line, connections) == len(connections) == 6
    assert delete(line, connections) == 0
    assert line.connections() == ()


def entries(count: int) -> list[Entry]:
    """Entries of both families, with and without our bit, and the same ones again in another zone."""
    found = []
    for number in range(count):
        mark = (BIT if number % 2 else 0) | 0x00004000
        six = number % 3 == 0
        source = f"fd00:1::{number:x}" if six else f"10.1.{number >> 8}.{number & 255}"
        outside = OUTSIDE6 if six else OUTSIDE
        found += [Entry(source, 1000 + number, outside, source, mark, zone) for zone in (0, 5)]
    return found


def test_of_thousands_just_those_asked_for_are_deleted(netns: Netns) -> None:
    with entered(netns.name):
        insert(entries(1500))
        listed = tuple(conntrack.list_connections())
        assert len(listed) == len(set(listed)) == 3000
        asked = tuple(item for item in listed if int(ip_address(item.source)) % 7 == 3 and item.zone == 5)

        assert conntrack.delete_connections(asked) == len(asked)
        assert set(conntrack.list_connections()) == set(listed) - set(asked)
        assert 100 < len(asked) < 400


def test_the_kernel_lists_just_what_some_sources_opened(netns: Netns) -> None:
    with entered(netns.name):
        insert(entries(300))
        everything = set(conntrack.list_connections())
        asked = {"10.1.0.7", "fd00:1::9", "10.1.0.250", "fd00:1::ffff"}

        found = list(conntrack.list_connections(asked))

        assert len(found) == len(set(found)) == 6
        assert set(found) == {item for item in everything if item.source in asked}
        assert list(conntrack.list_connections([OUTSIDE])) == []
        assert list(conntrack.list_connections([])) == []


def test_deleting_goes_on_while_the_list_is_read(netns: Netns) -> None:
    with entered(netns.name):
        insert(entries(1500))

        deleted = conntrack.delete_connections(item for item in conntrack.list_connections() if not item.zone)

        assert deleted == 1500
        assert {item.zone for item in conntrack.list_connections()} == {5}


def test_a_later_connection_of_the_same_addresses_and_ports_stays(netns: Netns) -> None:
    with entered(netns.name):
        first = Entry("10.9.0.1", 1000, OUTSIDE, "10.9.0.1")
        insert([first])
        old = tuple(conntrack.list_connections())
        assert conntrack.delete_connections(old) == 1
        insert(entries(50))  # which take the place in memory of the first, from which the kernel makes its number
        insert([first])

        assert conntrack.delete_connections(old) == 0
        assert sum(item.source == "10.9.0.1" for item in conntrack.list_connections()) == 1


def test_all_with_the_bit_are_deleted_in_one_go_and_no_other(netns: Netns) -> None:
    with entered(netns.name):
        insert(entries(300))
        conntrack.delete_bound_connections(0)
        assert sum(1 for _ in conntrack.list_connections()) == 600

        conntrack.delete_bound_connections(BIT)

        assert [item.mark for item in conntrack.list_connections()] == [0x00004000] * 300


def test_no_other_capability_is_needed(netns: Netns) -> None:
    with entered(netns.name):
        insert(entries(10))
    code = (
        "from applier.conntrack import *\n"
        "print(delete_connections(list(list_connections())[:5])); delete_bound_connections(1 << 24)"
    )
    command = [
        "ip",
        "netns",
        "exec",
        netns.name,
        "setpriv",
        "--bounding-set",
        "-all,+net_admin",
        "--inh-caps",
        "-all",
        sys.executable,
        "-c",
        code,
    ]

    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    assert (done.returncode, done.stdout) == (0, "5\n"), done.stderr
    with entered(netns.name):
        assert {item.mark for item in conntrack.list_connections()} == {0x00004000}


def test_the_benchmark_finds_and_deletes_its_half(netns: Netns) -> None:
    done = netns.run(f"env PYTHONPATH={ROOT} {sys.executable} -m bench.conntrack --sizes S --rounds 1")

    steps = ["list all", "list those of one source", "list all and decide", "delete the stale half"]
    assert [line.split("|")[1].strip() for line in done.splitlines() if "| S, " in line] == [
        f"S, 1,000 entries: {step}" for step in steps
    ]


def test_a_policy_that_comes_takes_its_workloads_connections_and_no_other(line: Line) -> None:
    line.node.nft(MASQUERADE)
    server = line.socket(line.outside, OUTSIDE, PORT)
    pod, other = line.socket(line.pods, POD), line.socket(line.pods, OTHER_POD)
    assert [seen(asker, server, OUTSIDE) for asker in (pod, other)] == [NODE, NODE]
    line.node.run(f"ip address add {VIP}/32 dev eth1")
    line.node.nft(ruleset_text())
    assert seen(pod, server, OUTSIDE) is None  # the guard holds it back
    before = {item for item in line.connections() if item.source == OTHER_POD}

    found = find_stale(line, parse(ruleset_text(), TABLE))

    assert pairs(found) == {(POD, OUTSIDE, NODE)}
    assert delete(line, found) == 1
    assert [seen(asker, server, OUTSIDE) for asker in (pod, other)] == [VIP, NODE]
    assert find_stale(line, parse(ruleset_text(), TABLE)) == ()
    assert {item for item in line.connections() if item.source == OTHER_POD} == before


def test_a_policy_that_goes_takes_what_it_bound(line: Line) -> None:
    line.node.nft(MASQUERADE + ruleset_text())
    line.node.run(f"ip address add {VIP}/32 dev eth1")
    server = line.socket(line.outside, OUTSIDE, PORT)
    pod, other = line.socket(line.pods, POD), line.socket(line.pods, OTHER_POD)
    assert [seen(asker, server, OUTSIDE) for asker in (pod, other)] == [VIP, NODE]
    line.node.nft(f"flush map {TABLE} source4")

    found = find_stale(line, without_policy(ruleset_text()))

    assert pairs(found) == {(POD, OUTSIDE, VIP)}
    assert delete(line, found) == 1
    assert [seen(asker, server, OUTSIDE) for asker in (pod, other)] == [NODE, NODE]


def turned(line: Line, *, barred: bool) -> str | None:
    """A workload's own node becomes its gateway, and a reply that the former gateway sends on comes first.

    Returns:
        The source address that the outside sees afterwards.
    """
    line.node.nft(KEEP)
    line.node.run(f"ip address add {VIP}/32 dev eth1")
    server = line.socket(line.outside, OUTSIDE, PORT)
    pod = line.socket(line.pods, POD)
    assert seen(pod, server, OUTSIDE) == POD
    line.node.nft(ruleset_text())
    found = find_stale(line, parse(ruleset_text(), TABLE))
    assert pairs(found) == {(POD, OUTSIDE, POD)}
    if barred:
        line.node.nft(bar_late_replies(found))
    assert delete(line, found) == 1
    server.sendto(b"late", pod.getsockname())
    return seen(pod, server, OUTSIDE)


def test_a_late_reply_would_turn_a_deleted_connection_round(line: Line) -> None:
    assert turned(line, barred=False) == POD


def test_barred_late_replies_let_the_workload_open_its_connection_anew(line: Line) -> None:
    assert turned(line, barred=True) == VIP


def test_the_bar_bars_nobody_else_and_can_be_set_again(line: Line) -> None:
    own = Connection(POD, OUTSIDE, POD, 0, 0, b"")
    line.node.nft(MASQUERADE + f"table {TABLE} {{\n}}\n")
    earlier, served = line.socket(line.outside, OUTSIDE), line.socket(line.pods, POD, PORT + 1)
    assert seen(earlier, served, POD, PORT + 1) == OUTSIDE
    served.sendto(b"!", earlier.getsockname())
    line.node.nft(bar_late_replies([own, Connection(POD6, OUTSIDE6, POD6, 0, 0, b"")]))
    line.node.nft(bar_late_replies([own]))
    caller = line.socket(line.outside, OUTSIDE)
    caller6 = line.socket(line.outside, OUTSIDE6)

    assert seen(earlier, served, POD, PORT + 1) == OUTSIDE
    assert seen(caller, line.socket(line.pods, POD, PORT), POD) is None
    assert seen(caller, line.socket(line.pods, OTHER_POD, PORT), OTHER_POD) == OUTSIDE
    assert seen(caller6, line.socket(line.pods, POD6, PORT), POD6) is None
    table = line.node.table()
    assert table is not None
    assert {("chain", name) for name in table.chains} | {("set", name) for name in table.sets} == set(OBJECTS)


def test_connections_that_another_node_does_not_translate_need_no_bar() -> None:
    assert bar_late_replies([Connection(POD, OUTSIDE, VIP, 0, 0, b"")]) == ""


@pytest.mark.parametrize("case", sorted({name.partition("/")[0] for name in golden_rulesets()}))
def test_the_kernels_listing_decides_as_the_file_does(netns: Netns, case: str) -> None:
    name = min(name for name in golden_rulesets() if name.startswith(f"{case}/"))
    ruleset = golden_rulesets()[name]
    netns.nft((GOLDEN / case / "expected" / "nodes" / name.partition("/")[2] / "ruleset.nft").read_text())
    listed = netns.table()
    assert listed is not None
    file, kernel = Decisions(ruleset), Decisions(listed)

    assert kernel.owned == file.owned
    for family in (4, 6):
        for source in map(str, sources(ruleset, family)):
            for destination in map(str, destinations(ruleset, family)):
                assert kernel.decide(source, destination) == file.decide(source, destination)
