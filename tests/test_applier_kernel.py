"""The applier on the real kernel: what it reaches, what it leaves alone, and how it goes back."""

import io
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import cast

import pytest
from applier_bundles import NODE, Item, State, mark_rule, next_hop, ruleset_text, state_a, state_b, vip, write_bundle
from kernel_fixtures import TABLE, Netns, netns
from kernel_fixtures import run as run_command
from pyroute2 import IPRoute

from applier.cli import apply_part, run
from applier.errors import KernelError
from applier.kernel import Kernel, LinuxKernel
from applier.netns import entered
from bundle.directory import open_bundle
from bundle.ruleset import Ruleset, parse
from compiler.cli import main

pytestmark = pytest.mark.kernel
__all__ = ["netns"]

_WRITES = ("add_", "replace_", "delete_", "write_", "run_nft", "announce", "wait")


class Recorder:
    """A kernel that records what is written and fails at the write of a given number, before or after doing it."""

    def __init__(self, kernel: LinuxKernel, fail_at: int, fault: BaseException, *, after: bool) -> None:
        self._kernel = kernel
        self._fault = fault
        self._fail_at = fail_at
        self._after = after
        self.writes: list[tuple[str, object]] = []

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = cast("Callable[..., object]", getattr(self._kernel, name))
        if not name.startswith(_WRITES):
            return method

        def write(*arguments: object) -> object:
            self.writes.append((name, arguments[0]))
            fails = len(self.writes) == self._fail_at
            if not fails or self._after:
                method(*arguments)
            if fails:
                raise self._fault
            return None

        return write


class Node:
    """One node: a namespace, and where its bundles are written."""

    def __init__(self, namespace: Netns, directory: Path) -> None:
        self.netns = namespace
        self._directory = directory
        self._count = 0
        self.writes: list[tuple[str, object]] = []
        self.out = ""
        self.err = ""

    def apply(
        self,
        state: State,
        *,
        dry_run: bool = False,
        fail_at: int = 0,
        after: bool = False,
        fault: BaseException | None = None,
    ) -> int:
        """Applies; what was written and printed is kept here."""
        self._count += 1
        part = open_bundle(write_bundle(self._directory / str(self._count), state)).node(NODE)
        out, err = io.StringIO(), io.StringIO()
        with entered(self.netns.name):
            kernel = LinuxKernel()
            try:
                recorder = Recorder(kernel, fail_at, fault or KernelError("injected"), after=after)
                status = apply_part(cast("Kernel", recorder), part, dry_run=dry_run, out=out, err=err)
            finally:
                kernel.close()
        self.writes, self.out, self.err = recorder.writes, out.getvalue(), err.getvalue()
        return status

    def must_apply(self, state: State) -> None:
        """Applies twice: the table is as wanted, and the second time writes nothing."""
        assert self.apply(state) == 0, self.err
        assert normal(self.netns.table()) == normal(parse(ruleset_text(state), TABLE))
        assert self.apply(state) == 0, self.err
        assert (self.writes, self.out, self.err) == ([], "nothing to do\n", "")

    def scripts(self) -> list[str]:
        """Returns the nft texts of the last apply."""
        return [str(argument) for name, argument in self.writes if name == "run_nft"]


@contextmanager
def stranger(namespace: Netns, address: str) -> Iterator[str]:
    """Somebody at the other end of eth1 who answers for an address; gives his MAC."""
    name = f"{namespace.name}-x"
    run_command(["ip", "netns", "add", name])
    try:
        namespace.run(f"ip link set peer1 netns {name}")
        for command in (f"address add {address}/24 dev peer1", "link set peer1 up"):
            run_command(["ip", "-n", name, *command.split()])
        yield run_command(["ip", "netns", "exec", name, "cat", "/sys/class/net/peer1/address"]).strip()
    finally:
        run_command(["ip", "-n", name, "link", "set", "peer1", "netns", namespace.name])
        namespace.run("ip link set peer1 up")
        run_command(["ip", "netns", "delete", name])


@pytest.fixture
def node(netns: Netns, tmp_path: Path) -> Node:
    return Node(netns, tmp_path)


def normal(ruleset: Ruleset | None) -> object:
    assert ruleset is not None
    chains = {name: (chain.hook, [rule.comment for rule in chain.rules]) for name, chain in ruleset.chains.items()}
    return chains, {name: (item.kind, item.spec, item.elements) for name, item in ruleset.sets.items()}, ruleset.others


def test_an_empty_node_gets_everything(node: Node) -> None:
    node.must_apply(state_a())

    rules = node.netns.run("ip rule")
    assert "7300:\tfrom all fwmark 0x5000000/0xff000000 lookup 7305 proto 173" in rules
    assert "7300:\tfrom all fwmark 0x5000000/0xff000000 lookup 7305 proto 173" in node.netns.run("ip -6 rule")
    routes = [line.strip() for line in node.netns.run("ip route show table 7305").splitlines()]
    assert routes == [
        "default via 172.18.4.1 dev eth0 proto 173 metric 100 onlink",
        "blackhole default proto 173 metric 4096",
    ]
    assert "inet 172.18.18.241/32 scope global eth1" in node.netns.run("ip address show dev eth1")
    assert "2001:db8:18::241/128 scope global nodad deprecated" in node.netns.run("ip address show dev eth1")
    assert node.netns.run("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0/rp_filter") == "1\n2\n"


def test_what_is_needed_comes_before_the_commit_and_what_is_left_after_it(node: Node) -> None:
    node.must_apply(state_a())
    node.apply(state_b())
    names = [name for name, _ in node.writes]
    begin, fill, commit, end = [place for place, name in enumerate(names) if name == "run_nft"]

    assert (begin, fill, end) == (0, 1, len(names) - 1)
    assert set(names[2:commit]) == {"add_address", "add_route", "replace_route", "add_rule"}
    assert set(names[commit + 1 : end]) - {"delete_connections"} == {
        "announce",
        "delete_rule",
        "delete_route",
        "delete_address",
    }


def test_a_node_forwards_only_once_it_has_its_rules(node: Node) -> None:
    node.apply(state_a())
    names = [(name, argument) for name, argument in node.writes if name in ("run_nft", "write_sysctl")]

    assert [name for name, _ in names] == ["write_sysctl", "run_nft", "write_sysctl", "run_nft"]
    assert names[-2] == ("write_sysctl", "net/ipv4/ip_forward")


def test_only_what_differs_is_changed(node: Node) -> None:
    node.must_apply(state_a())
    before = state_a().sets["source4"]
    node.must_apply(
        state_a().with_sets(source4=replace(before, elements=("10.1.0.5 : goto class_a", "10.1.0.9 : goto class_a")))
    )
    node.apply(state_a())

    assert {name for name, _ in node.writes} <= {"run_nft", "delete_connections"}
    begin, commit, end = node.scripts()
    assert (begin, end) == (f"add set {TABLE} unsettled {{ type mark; }}\n", f"delete set {TABLE} unsettled\n")
    assert commit.splitlines() == [
        f"delete element {TABLE} source4 {{ 10.1.0.9 }}",
        f"add element {TABLE} source4 {{ 10.1.0.6 : goto class_a }}",
    ]


def test_there_and_back_converges(node: Node) -> None:
    node.must_apply(state_a())
    first = node.netns.dump()
    node.must_apply(state_b())
    node.must_apply(state_a())

    assert node.netns.dump() == first


def test_a_next_hop_that_changes_is_replaced_in_place(node: Node) -> None:
    node.must_apply(state_a())
    node.apply(state_b())
    changes = [str(argument) for name, argument in node.writes if name == "replace_route"]

    assert changes == ["default via 172.18.4.2 dev eth0 onlink table 7305 metric 100 proto 173"]
    assert "delete_route" not in [name for name, argument in node.writes if "172.18.4" in str(argument)]


def variants() -> tuple[State, ...]:
    """States whose objects cannot be changed in place: hooks, types and kinds of one name."""
    a = state_a()
    guard = a.chains["guard"][1]
    return (
        a,
        state_b(),
        a.with_chains({"guard": ("type filter hook postrouting priority 120; policy accept", guard)}),
        a.with_chains({"guard": ("type filter hook postrouting priority 110; policy drop", guard)}),
        a.with_chains({"snat_g": ("type filter hook input priority 5; policy accept", ("counter",))}).with_sets(
            translation=Item("map", "type mark : verdict")
        ),
        a.with_sets(cluster4=Item("set", "type ipv4_addr", ("10.9.9.9",))),
        a.with_sets(translation=Item("map", "type mark : verdict; flags interval", ("0x06000000 : goto snat_g",))),
        State({}, {}),
    )


def test_every_state_is_reached_from_every_other(node: Node) -> None:
    states = variants()
    for first, second in permutations(range(len(states)), 2):
        node.must_apply(states[first])
        node.must_apply(states[second])


@pytest.mark.parametrize("after", [False, True], ids=["before-it-is-done", "after-it-was-done"])
@pytest.mark.parametrize("start", ["empty", "another"])
def test_a_failure_at_any_step_leaves_the_first_state(node: Node, start: str, after: bool) -> None:
    node.netns.run("sh -c 'echo 1 >/proc/sys/net/ipv4/conf/eth1/forwarding'")
    if start == "another":
        node.must_apply(replace(state_a(), sysctls={}))
    goal = replace(state_b(), sysctls=state_a().sysctls)
    first = node.netns.dump()
    step = 0
    while node.apply(goal, fail_at=(step := step + 1), after=after) != 0:
        assert node.netns.dump() == first, f"step {step}"
        assert node.err == "egressc apply: failed, and the node was put back as it was: injected\n"

    assert step == len(node.writes) + 1
    assert step > 10


def test_an_interrupt_leaves_the_first_state(node: Node) -> None:
    first = node.netns.dump()
    with pytest.raises(KeyboardInterrupt):
        node.apply(state_a(), fail_at=9, fault=KeyboardInterrupt())

    assert node.netns.dump() == first


def test_a_rule_of_ours_that_was_not_as_it_should_is_put_back_too(node: Node) -> None:
    node.must_apply(state_a())
    node.netns.nft("add rule inet egressc decide ip saddr 10.3.3.3 counter drop")
    node.netns.run("ip rule add priority 7300 fwmark 0x5000000/0xff000000 iif eth0 lookup 7305 protocol 173")
    first = node.netns.dump()
    status = node.apply(state_b(), fail_at=len(node.writes) or 9)

    assert status == 3
    assert node.netns.dump() == first


def test_a_failure_that_cannot_be_undone_is_told(node: Node) -> None:
    node.must_apply(state_a())
    node.netns.nft("add counter inet egressc stranger")
    goal = replace(state_a(), rules=())

    assert node.apply(goal, fail_at=2) == 3
    assert "could not be undone:\nwas deleted from our table: counter stranger\n" in node.err


def test_what_is_not_reached_is_a_failure(node: Node) -> None:
    node.must_apply(state_a())
    first = node.netns.dump()
    # Forwarding of one interface off and all of them on: the second setting undoes the first.
    goal = replace(state_a(), sysctls={"net/ipv4/conf/eth1/forwarding": "0", "net/ipv4/ip_forward": "0"})
    goal = replace(goal, sysctls={**goal.sysctls, "net/ipv4/conf/eth0/forwarding": "1"})
    goal = replace(goal, sysctls={**goal.sysctls, "net/ipv4/conf/all/forwarding": "1"})
    status = node.apply(goal)

    assert status == 3
    assert "what was read back is not what was wanted; still to do:\nsysctl net/ipv4/" in node.err
    assert node.netns.dump() == first


FOREIGN = """
table ip kube-proxy {
    map services { type ipv4_addr : verdict; }
    chain nat { type nat hook prerouting priority dstnat; policy accept; counter meta mark set meta mark | 0x4000; }
}
table inet egressc_other {
    set source4 { type ipv4_addr; elements = { 10.1.0.5 }; }
}
"""


def test_what_is_not_ours_stays_as_it_is(node: Node) -> None:
    node.netns.nft(FOREIGN)
    for command in (
        "rule add priority 1490 fwmark 0x4000/0x4000 lookup 10000",
        "rule add priority 7301 fwmark 0x5000000/0xff000000 lookup 10001",
        "-6 rule add priority 1490 lookup 10000",
        "route add default via 172.18.4.99 dev eth0 table 10000 proto 80",
        "route add 198.51.100.0/24 via 172.18.4.99",
        "address add 172.18.18.200/32 dev eth1",
    ):
        node.netns.run(f"ip {command}")

    def foreign() -> list[str]:
        lines = [node.netns.others()]
        for command in ("-4 rule", "-6 rule", "-4 route show table all", "-6 route show table all", "-o address"):
            text = node.netns.run(f"ip {command}")
            lines += [
                line for line in text.splitlines() if "173" not in line and ".24" not in line and "::241" not in line
            ]
        return lines

    first = foreign()
    for state in (state_a(), state_b(), state_a(), State({}, {})):
        node.must_apply(state)

        assert foreign() == first


STRANGE_TABLES = (
    "add rule inet egressc decide ip saddr 10.3.3.3 counter drop",
    'insert rule inet egressc guard accept comment "let me through"',
    """
    add chain inet egressc stranger
    add rule inet egressc decide jump stranger
    """,
    'add chain inet egressc stranger { type filter hook forward priority 0; comment "hello"; }',
    """
    add set inet egressc stranger { type ipv4_addr; flags timeout; }
    add element inet egressc stranger { 10.3.3.3 timeout 1h }
    add rule inet egressc decide ip saddr @stranger drop
    """,
    """
    add counter inet egressc stranger
    add map inet egressc strangers { type ipv4_addr : counter; }
    add element inet egressc strangers { 10.3.3.3 : "stranger" }
    add rule inet egressc decide counter name stranger
    """,
    'add ct helper inet egressc stranger { type "ftp" protocol tcp; }',
    "add table inet egressc { flags dormant; }",
    """
    delete element inet egressc source4 { 10.1.0.5 }
    add element inet egressc source4 { 10.1.0.5 comment "a : b, c" : drop }
    """,
    'add element inet egressc cluster4 { 203.0.113.0/24 comment "mine" }',
    'add set inet egressc stranger { type ipv4_addr; comment "{"; }',
    'add set inet egressc stranger { type ipv4_addr; comment "elements = {"; elements = { 10.9.9.9 }; }',
    "add element inet egressc source4 { * : drop }",
    "flush chain inet egressc decide",
    "delete element inet egressc route4_a { 0.0.0.0/1 }",
    """
    flush chain inet egressc guard
    delete chain inet egressc guard
    """,
    "add chain inet egressc guard { type filter hook postrouting priority 110; policy drop; }",
    "flush ruleset",
)


def test_one_apply_repairs_the_table(node: Node) -> None:
    node.must_apply(state_a())
    first = node.netns.dump()
    for text in STRANGE_TABLES:
        node.netns.nft(text)
        assert node.netns.dump() != first
        node.must_apply(state_a())

        assert node.netns.dump() == first


STRANGE_COMMANDS = (
    "ip rule delete priority 7300",
    "ip rule add priority 7300 fwmark 0x5000000/0xff000000 iif eth0 lookup 7305 protocol 173",
    "ip rule add priority 7300 from 10.0.0.0/8 lookup 7305 protocol 173",
    "ip rule add priority 99 fwmark 0x9000000/0xff000000 blackhole protocol 173",
    "ip rule add priority 99 not fwmark 0x9000000/0xff000000 lookup 9 protocol 173",
    "ip -6 rule add priority 99 to fd00:9::/64 ipproto tcp dport 80 lookup 9 protocol 173",
    "ip rule add priority 99 suppress_prefixlength 0 lookup 254 protocol 173",
    "ip route delete default table 7305 metric 100",
    "ip -6 route delete default table 7305 metric 4096",
    "ip route replace default via 172.18.4.200 dev eth0 table 7305 metric 100 proto 173",
    "ip route append default via 172.18.4.200 dev eth0 table 7305 metric 100 proto 173",
    "ip -6 route append default via fd00:4::99 dev eth0 table 7305 metric 100 proto 173",
    "ip route replace default table 7305 metric 100 proto 173 nexthop via 172.18.4.8 nexthop via 172.18.4.9",
    "ip route add 198.51.100.0/24 via 172.18.4.200 proto 173",
    "ip route add unreachable default table 9999 proto 173",
    "ip -6 route add blackhole 2001:db8:1::/48 proto 173",
    "ip route flush table 7305",
    "ip route add 9.9.7.0/24 dev eth0 table 99 proto 173",
    "ip route add local 9.9.3.0/24 dev lo table 99 proto 173",
    "ip route add 9.9.4.0/24 via 172.18.4.1 tos 0x10 table 99 proto 173",
    "ip -6 route add 2001:dba::/64 from 2001:db8:18::/64 via fd00:4::9 dev eth0 table 99 proto 173",
    "ip address delete 172.18.18.241/32 dev eth1",
    "sysctl -q -w net.ipv4.ip_forward=0",
)


def test_one_apply_repairs_routes_rules_addresses_and_settings(node: Node) -> None:
    node.must_apply(state_a())
    first = node.netns.dump()
    for command in STRANGE_COMMANDS:
        node.netns.run(command)
        assert node.netns.dump() != first
        node.must_apply(state_a())

        assert node.netns.dump() == first


def test_one_apply_brings_back_what_an_interface_took_with_it(node: Node) -> None:
    node.must_apply(state_a())
    first = node.netns.dump()
    for command in ("link set eth0 down", "link set eth0 up", "address add fd00:4::11/64 dev eth0 nodad"):
        node.netns.run(f"ip {command}")
    node.must_apply(state_a())

    assert node.netns.dump() == first


def test_a_lifetime_that_differs_is_set(node: Node) -> None:
    node.must_apply(state_a())
    node.must_apply(replace(state_a(), addresses=(vip("172.18.18.241/32", lifetime=0), vip("2001:db8:18::241/128"))))
    assert "172.18.18.241/32 scope global deprecated eth1" in node.netns.run("ip -o -4 address show dev eth1")
    assert "deprecated" not in node.netns.run("ip -o -6 address show dev eth1")
    node.must_apply(state_a())

    assert "deprecated" not in node.netns.run("ip -o -4 address show dev eth1")


def test_an_address_of_ours_elsewhere_is_removed(node: Node) -> None:
    node.must_apply(state_a())
    node.must_apply(replace(state_a(), addresses=(vip("172.18.18.241/32", interface="eth0"),)))

    assert "172.18.18.241" not in node.netns.run("ip address show dev eth1")
    assert "172.18.18.241/32" in node.netns.run("ip address show dev eth0")


def test_a_dry_run_prints_what_the_apply_does_and_writes_nothing(node: Node) -> None:
    node.must_apply(state_a())
    first = node.netns.dump()

    assert node.apply(state_b(), dry_run=True) == 1
    assert (node.writes, node.err) == ([], "")
    assert node.netns.dump() == first
    promised = node.out.splitlines()
    assert node.apply(state_b()) == 0
    *lines, summary = node.out.splitlines()
    assert lines == promised
    assert summary == f"done: {NODE}, {len(node.writes)} steps"
    assert "ip -4 route replace default via 172.18.4.2 dev eth0 onlink table 7305 metric 100 proto 173 " in node.out


def test_a_dry_run_on_an_empty_node_prints_every_rule(node: Node) -> None:
    assert node.apply(state_a(), dry_run=True) == 1
    assert node.netns.table() is None
    assert "sysctl net/ipv4/ip_forward = 1 (was 0)" in node.out.splitlines()
    assert "ip -6 address add 2001:db8:18::241/128 dev eth1 nodad preferred_lft 0 proto 173" in node.out.splitlines()
    assert node.out.count(f"nft     {mark_rule(5)}") == 1


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("ip rule add priority 7300 fwmark 0x5000000/0xff000000 lookup 52", "not ours stands at our priority"),
        ("ip rule add priority 100 fwmark 0x5000000/0xf000000 lookup 52", "not ours takes packets with a mark of ours"),
        ("ip route add default via 172.18.4.9 dev eth0 table 7305", "not ours stands in table 7305"),
        (
            "nft add table ip theirs; add chain ip theirs post { type nat hook postrouting priority 90; }",
            "not ours stands at a priority of ours: chain post of table ip theirs",
        ),
        ("ip address add 172.18.18.241/24 dev eth0", "172.18.18.241/24 is already on eth0, and not by us"),
        ("ip link delete eth1", "the plan names interface eth1, which this node does not have"),
    ],
)
def test_what_is_in_the_way_is_refused_and_nothing_touched(node: Node, command: str, reason: str) -> None:
    node.netns.run(command)
    first = node.netns.dump()

    assert node.apply(state_a()) == 2
    assert reason in node.err
    assert (node.writes, node.out) == ([], "")
    assert node.netns.dump() == first


def test_an_address_of_ours_with_another_end_goes(node: Node) -> None:
    node.must_apply(state_a())
    first = node.netns.dump()
    with entered(node.netns.name), IPRoute() as route:
        index = route.link_lookup(ifname="eth0")[0]
        route.addr("add", index=index, local="10.77.0.1", address="10.77.0.2", prefixlen=32, proto=173)
    assert node.netns.dump() != first
    node.must_apply(state_a())

    assert node.netns.dump() == first


def test_a_table_that_another_process_owns_is_refused(node: Node) -> None:
    command = [shutil.which("ip") or "", "netns", "exec", node.netns.name, "nft", "-i"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as owner:
        assert owner.stdin is not None
        owner.stdin.write("add table inet egressc { flags owner; }\n")
        owner.stdin.flush()
        while "egressc" not in node.netns.run("nft list tables"):
            time.sleep(0.01)
        statuses = node.apply(state_a()), main(["remove", "--node", NODE, "--netns", node.netns.name])
        for _ in range(3):  # nft 1.0.6 breaks the memory of who asks it for JSON here
            main(["doctor", "--netns", node.netns.name])
        owner.kill()

    assert statuses == (2, 2)
    assert "another process owns the table" in node.err


@pytest.mark.parametrize(
    "command",
    [
        "ip rule add priority 100 fwmark 0x200/0xf00 lookup 2004",  # Cilium
        "ip rule add priority 100 fwmark 0x9000000/0xff000000 lookup 52",  # a number that the plan does not use
        "ip rule add priority 100 not fwmark 0xca6c lookup 51820",  # WireGuard
        "ip rule add priority 7400 fwmark 0x5000000/0xff000000 lookup 52",  # asked after ours
        "ip rule add priority 100 from all lookup 52",  # which takes what it takes, marked or not
        "nft add table ip theirs; add chain ip theirs post { type nat hook postrouting priority 100; }",
    ],
)
def test_what_is_beside_us_is_not_in_the_way(node: Node, command: str) -> None:
    node.netns.run(command)

    assert node.apply(state_a()) == 0


def test_a_virtual_ip_that_a_stranger_answers_for_is_refused(node: Node) -> None:
    # The other end of eth1 is a machine of its own, so to speak.
    node.netns.run("ip address add 172.18.18.241/32 dev lo")
    assert node.apply(state_a()) == 2  # it is on this node already
    node.netns.run("ip address delete 172.18.18.241/32 dev lo")
    with stranger(node.netns, "172.18.18.241") as mac:
        first = node.netns.dump()
        assert node.apply(state_a()) == 2
        assert f"{mac} on eth1 answers for the virtual IP 172.18.18.241" in node.err
        assert node.apply(state_a(), dry_run=True) == 2
        assert node.netns.dump() == first
    assert node.apply(state_a()) == 0


def test_what_an_apply_that_was_killed_owes_is_done_by_the_next(node: Node) -> None:
    node.must_apply(state_a())
    node.netns.nft("add set inet egressc unsettled { type mark; }")  # killed behind the commit

    assert node.apply(state_a()) == 0
    names = [name for name, _ in node.writes]
    assert names == ["announce", "announce", "delete_connections", "run_nft"]
    assert node.apply(state_a()) == 0
    assert (node.writes, node.out) == ([], "nothing to do\n")


def test_settings_outside_the_network_are_refused(node: Node) -> None:
    for name in ("kernel/hostname", "net/../kernel/hostname", "net/ipv4/no_such_setting"):
        assert node.apply(replace(state_a(), sysctls={name: "1"})) == 2
        assert f"the plan names the setting {name}" in node.err
        assert node.writes == []


def test_a_virtual_ip_without_a_way_is_refused(node: Node) -> None:
    assert node.apply(replace(state_a(), addresses=(vip("198.51.100.7/32", interface=None),))) == 2
    assert "198.51.100.7/32 names no interface, and this node has no route to it" in node.err


def renumbered() -> State:
    """As `state_b`, with the numbers of its two next hops exchanged."""
    rules5, routes5 = next_hop(5, "172.18.4.3")
    rules7, routes7 = next_hop(7, "172.18.4.2")
    state = state_b().with_chains({"to_node-b": ("", (mark_rule(7),)), "to_node-c": ("", (mark_rule(5),))})
    return replace(state, rules=(*rules5, *rules7), routes=(*routes5, *routes7))


def test_a_mark_number_gets_another_meaning_only_when_nothing_carries_it(node: Node) -> None:
    node.must_apply(state_b())
    node.apply(renumbered())

    assert [name for name, _ in node.writes[:3]] == ["run_nft", "run_nft", "wait"]
    assert node.scripts()[1] == (
        f"delete element {TABLE} route4_a {{ 0.0.0.0/0 }}\n"
        f"delete element {TABLE} route4_b {{ 0.0.0.0-9.255.255.255 }}\n"
    )
    assert len(node.scripts()) == 4
    node.must_apply(renumbered())
    node.must_apply(state_b())


def test_a_failure_after_a_quarantine_brings_the_ways_back(node: Node) -> None:
    node.must_apply(state_b())
    first = node.netns.dump()
    for step in range(1, 6):
        assert node.apply(renumbered(), fail_at=step) == 3
        assert node.netns.dump() == first


def test_a_new_number_needs_no_quarantine(node: Node) -> None:
    node.must_apply(state_a())
    node.apply(state_b())

    assert "wait" not in [name for name, _ in node.writes]


def test_the_command_enters_a_namespace_by_name_or_path_and_comes_back(netns: Netns, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, state_a())
    home = Path("/proc/thread-self/ns/net").readlink()
    out, err = io.StringIO(), io.StringIO()

    assert run(bundle, NODE, netns.name, dry_run=False, out=out, err=err) == 0
    assert run(bundle, NODE, f"/run/netns/{netns.name}", dry_run=False, out=out, err=err) == 0
    assert out.getvalue().endswith("steps\nnothing to do\n")
    assert run(bundle, NODE, "no-such-namespace", dry_run=False, out=out, err=err) == 2
    assert run(bundle, "no-such-node", netns.name, dry_run=False, out=out, err=err) == 2
    assert "No such file or directory" in err.getvalue()
    assert "has no node 'no-such-node'" in err.getvalue()
    assert Path("/proc/thread-self/ns/net").readlink() == home
