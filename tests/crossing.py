"""Workloads, their node, a gateway node and the outside as namespaces in a row, and traffic that crosses them.

    pods --- worker-1 (eth0) --- (eth0) egress-1 (eth1) --- outside
                   (eth1) ------------------------------------ outside

The worker has a way out of its own and a CNI that masquerades what goes there: whatever misses our rules is seen
outside, with a wrong address. Addresses are those of `conftest.py`; eth1 of the worker is 192.0.2.11.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from kernel_fixtures import Netns, run

OUTSIDE = {4: "203.0.113.10", 6: "2001:db8:ffff::10"}
_ENDS = Path(__file__).with_name("traffic_ends.py")
_NUMBERS = count()
_NAMES = ("pods", "worker", "gateway", "outside")

_SETTINGS = {
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/accept_ra": "0",
}
# Strict reverse path filtering is the worst that distributions set. Short times, else each new flow of a test stays,
# and an apply that looks through the connections would look through thousands.
_NODE_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv4/conf/all/rp_filter": "1",
    "net/ipv4/conf/default/rp_filter": "1",
    "net/netfilter/nf_conntrack_udp_timeout": "1",
    "net/netfilter/nf_conntrack_udp_timeout_stream": "5",
}

_LINKS = {
    "worker": """
link add pod0 type veth peer name eth0 netns {pods}
link add eth0 type veth peer name eth0 netns {gateway}
link add eth1 type veth peer name net0 netns {outside}
link set lo up
link set pod0 up
link set eth0 up
link set eth1 up
address add 169.254.1.1/32 dev pod0
address add fe80::1/64 dev pod0
address add 172.18.4.11/24 dev eth0
address add fd00:4::11/64 dev eth0
address add 192.0.2.11/24 dev eth1
address add 2001:db8:2::11/64 dev eth1
route add 10.111.11.0/24 dev pod0
route add fd00:111:0:11::/64 dev pod0
""",
    "gateway": """
link add eth1 type veth peer name net1 netns {outside}
link set lo up
link set eth0 up
link set eth1 up
address add 172.18.4.1/24 dev eth0
address add fd00:4::1/64 dev eth0
address add 172.18.18.1/24 dev eth1
address add 2001:db8:18::1/64 dev eth1
route add 10.111.11.0/24 via 172.18.4.11
route add fd00:111:0:11::/64 via fd00:4::11
""",
    "outside": """
link set lo up
link set net0 up
link set net1 up
address add 192.0.2.254/24 dev net0
address add 2001:db8:2::254/64 dev net0
address add 172.18.18.254/24 dev net1
address add 2001:db8:18::254/64 dev net1
address add 203.0.113.10/32 dev lo
address add 2001:db8:ffff::10/128 dev lo
""",
    "pods": """
link set lo up
link set eth0 up
{addresses}
route add 0.0.0.0/0 via 169.254.1.1 dev eth0 onlink
route add ::/0 via fe80::1 dev eth0 onlink
""",
}
# Last, so that the links at both ends are up.
_DEFAULTS = {
    "worker": "route add 0.0.0.0/0 via 192.0.2.254\nroute add ::/0 via 2001:db8:2::254\n",
    "gateway": "route add 0.0.0.0/0 via 172.18.18.254\nroute add ::/0 via 2001:db8:18::254\n",
}
_CNI = """
table inet cni {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr 10.111.0.0/16 ip daddr != 10.111.0.0/16 masquerade
        ip6 saddr fd00:111::/48 ip6 daddr != fd00:111::/48 masquerade
    }
}
"""


@dataclass(frozen=True, slots=True)
class Flow:
    """Datagrams or a connection of one sender: its number, its address, and the address it should have outside."""

    number: int
    source: str
    seen_as: str

    @property
    def version(self) -> int:
        return 6 if ":" in self.source else 4


@dataclass(frozen=True, slots=True)
class Report:
    """What came of some traffic, of all flows together except where flows are named by number.

    Attributes:
        sent: Datagrams sent, by flow.
        wrong: Packets that came with another source than their flow's, by flow and source; key 0 is TCP.
        lost: Datagrams that did not come at all, by flow, where any did not.
        twice: Datagrams that came more than once.
        answers: Answers over TCP, by flow.
        broken: What ended a connection, by flow.
        dropped: Packets that a processor of the machine dropped for want of time meanwhile, whosever they were.
    """

    sent: Mapping[int, int]
    wrong: Mapping[tuple[int, str], int]
    lost: Mapping[int, int]
    twice: int
    answers: Mapping[int, int]
    broken: Mapping[str, str]
    dropped: int


@dataclass(frozen=True, slots=True)
class Crossing:
    """The four namespaces, by name of `_NAMES`."""

    namespaces: Mapping[str, Netns]

    @contextmanager
    def traffic(
        self, steady: Sequence[Flow], fresh: Sequence[Flow], talks: Sequence[Flow], steady_rate: int, fresh_rate: int
    ) -> Iterator[list[Report]]:
        """Sends for as long as the body lasts, then puts one report into the list.

        Args:
            steady: Flows that keep their port, `steady_rate` datagrams a second each.
            fresh: Flows that take another port each time, `fresh_rate` datagrams a second in all.
            talks: TCP connections.
            steady_rate: See above.
            fresh_rate: See above.
        """
        reports: list[Report] = []
        dropped = _backlog_drops()
        watch = self._start("outside", "watch", {"addresses": list(OUTSIDE.values())})
        senders = [
            self._start(
                "pods", role, {"flows": [(f.number, f.source, OUTSIDE[f.version]) for f in flows], "rate": rate}
            )
            for role, flows, rate in (
                ("steady", steady, steady_rate),
                ("fresh", fresh, fresh_rate),
                ("talk", talks, 200),
            )
        ]
        try:
            yield reports
            results = [_finish(sender) for sender in senders]
            seen = _finish(watch)
        finally:
            for process in (*senders, watch):
                process.kill()
                with process:  # which closes its pipes and waits for it
                    pass
        assert seen["lost"] == 0, "the observer missed packets"
        reports.append(_report([*steady, *fresh], talks, results, seen, _backlog_drops() - dropped))

    def _start(self, where: str, role: str, arguments: dict[str, Any]) -> subprocess.Popen[str]:
        name = self.namespaces[where].name
        command = ["ip", "netns", "exec", name, sys.executable, str(_ENDS), role, json.dumps(arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", role
        return process


def _finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    text, _ = process.communicate(timeout=120)
    result: dict[str, Any] = json.loads(text)
    return result


def _report(
    datagrams: Sequence[Flow], talks: Sequence[Flow], results: list[dict[str, Any]], seen: dict[str, Any], dropped: int
) -> Report:
    steady, fresh, talk = results
    sent = {int(number): amount for result in (steady, fresh) for number, amount in result["sent"].items()}
    came = {int(number): sources for number, sources in seen["came"].items()}
    expected = {flow.number: flow.seen_as for flow in datagrams}
    wrong = {
        (number, source): total
        for number, sources in came.items()
        for source, (_, total) in sources.items()
        if source != expected.get(number)
    }
    wrong |= {
        (0, source): amount
        for source, amount in seen["others"].items()
        if source not in {flow.seen_as for flow in talks}
    }
    arrived = {number: sum(different for different, _ in sources.values()) for number, sources in came.items()}
    return Report(
        sent=sent,
        wrong=wrong,
        lost={number: left for number, amount in sent.items() if (left := amount - arrived.get(number, 0))},
        twice=sum(total - different for sources in came.values() for different, total in sources.values()),
        answers={int(number): amount for number, amount in talk["sent"].items()},
        broken=talk["broken"],
        dropped=dropped,
    )


def _backlog_drops() -> int:
    """Packets that a processor of this machine dropped since its queue was full, whosever they were."""
    lines = Path("/proc/net/softnet_stat").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1], 16) for line in lines)


@contextmanager
def crossing(pods: list[str]) -> Iterator[Crossing]:
    """Builds it, without any rules of ours, for pods with these addresses."""
    number = next(_NUMBERS)
    built = Crossing({name: Netns(f"egressc-x{os.getpid()}-{number}-{name}") for name in _NAMES})
    names = {name: namespace.name for name, namespace in built.namespaces.items()}
    addresses = "\n".join(f"address add {address} dev eth0" for address in pods)
    try:
        for name, namespace in built.namespaces.items():
            run(["ip", "netns", "add", namespace.name])
            settings = _SETTINGS | (_NODE_SETTINGS if name in ("worker", "gateway") else {})
            lines = "; ".join(f"echo {value} >/proc/sys/{path}" for path, value in settings.items())
            namespace.run(f"sh -ec '{lines}'")
        for batches in (_LINKS, _DEFAULTS):
            for name, batch in batches.items():
                run(["ip", "-n", names[name], "-batch", "-"], batch.format(**names, addresses=addresses))
        for name in ("worker", "gateway"):
            built.namespaces[name].nft(_CNI)
        yield built
    finally:
        for name in names.values():
            delete = ["ip", "netns", "delete", name]
            subprocess.run(delete, capture_output=True, check=False)
