"""The priority of packets, in which a gateway node carries the class of another node's workload between two lookups."""

import re
from pathlib import Path

import pytest
from test_packets import OUTSIDE, apply_all, bundle_of, lab_of

from lab import commands

pytestmark = pytest.mark.kernel

OUTSIDE6 = "2001:db8:eeee::1"
_SEND = (
    "import socket, sys; s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, "
    "socket.SOCK_DGRAM); ':' in sys.argv[1] or s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, int(sys.argv[2])); "
    "s.sendto(b'x', (sys.argv[1], 8080))"
)
_THROUGHPUT = 0x08
"""A type of service, for which the kernel gives IPv4 packets that it forwards the priority 2."""


def watch(name: str, node: str) -> None:
    """Gives all IPv6 packets that come a priority, as a CNI might, and counts what leaves the node by its priority."""
    text = """table inet watch {
        chain before {
            type filter hook prerouting priority -300;
            meta nfproto ipv6 meta priority set 12:34
        }
        chain after {
            type filter hook postrouting priority 300;
            oifname eth0 meta l4proto { tcp, udp } goto inside
            meta l4proto { tcp, udp } goto outside
        }
        chain inside { }
        chain outside { }
    }"""
    rules = [
        f'add rule inet watch {side} meta nfproto {family} meta priority {priority} counter comment "{side} {shown}"'
        for side in ("inside", "outside")
        for family, priority, shown in (
            ("ipv4", "none", "4 none"),
            ("ipv4", "0:2", "4 of its service"),
            ("ipv4", "!= { none, 0:2 }", "4 other"),
            ("ipv6", "none", "6 none"),
            ("ipv6", "12:34", "6 untouched"),
            ("ipv6", "!= { none, 12:34 }", "6 other"),
        )
    ]
    done = commands.run_in(name, node, ["nft", "\n".join((text, *rules))])
    assert done.status == 0, done.stderr


def counted(name: str, node: str) -> set[str]:
    """Returns what was seen since `watch`, such as `outside 6 none`."""
    listing = commands.run_in(name, node, ["nft", "list", "table", "inet", "watch"]).stdout
    return set(re.findall(r'counter packets [1-9]\d* bytes \d+ comment "([^"]+)"', listing))


def send(name: str, workload: str, to: str, service: int = 0) -> None:
    assert commands.run_in(name, workload, ["python3", "-c", _SEND, to, str(service)]).status == 0


def test_no_class_leaves_a_gateway_in_a_packets_priority(tmp_path: Path) -> None:
    with lab_of("dual-stack") as (name, _):
        apply_all(name, bundle_of("dual-stack", tmp_path))
        watch(name, "egress-1")

        assert commands.request(name, "default/backend-1", OUTSIDE) == "172.18.18.1"
        assert commands.request(name, "default/backend-1", OUTSIDE6) == "2001:db8:18::1"
        send(name, "default/backend-1", OUTSIDE, _THROUGHPUT)

        # The replies, which nothing decides, have what they came with.
        assert counted(name, "egress-1") == {
            "outside 4 none",
            "outside 4 of its service",
            "outside 6 none",
            "inside 4 none",
            "inside 6 untouched",
        }


def test_a_gateway_node_leaves_the_priority_of_its_own_workloads_alone(tmp_path: Path) -> None:
    """That of one that a policy sends to another gateway node, and so through the same lookups."""
    with lab_of("dual-stack") as (name, _):
        apply_all(name, bundle_of("dual-stack", tmp_path))
        watch(name, "egress-3")

        assert commands.request(name, "default/backend-2", OUTSIDE6) == "2001:db8:18::1"

        assert "inside 6 untouched" in counted(name, "egress-3")
        assert not counted(name, "egress-3") & {"inside 6 none", "inside 6 other", "outside 6 other"}
