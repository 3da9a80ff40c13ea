"""What others keep in the kernel stays as it is, byte by byte, whatever the applier does or fails to do."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from applier_bundles import NODE, State, state_a, state_b, write_bundle
from foreign import Foreign, foreign
from kernel_fixtures import Netns, netns

from applier.cli import run
from bundle.names import TABLE_FAMILY, TABLE_NAME
from compiler.cli import main

pytestmark = pytest.mark.kernel
__all__ = ["netns"]

Step = Callable[[Netns, Path], int]
"""Does something to a node, with a directory for its files; returns the exit status."""

SETTINGS = {**state_a().sysctls, "net/ipv4/conf/eth1/rp_filter": "2"}


def applying(state: State, expected: int = 0) -> tuple[Step, int]:
    def step(namespace: Netns, directory: Path) -> int:
        out, err = io.StringIO(), io.StringIO()
        return run(write_bundle(directory, state), NODE, namespace.name, dry_run=False, out=out, err=err)

    return step, expected


def failing(state: State) -> tuple[Step, int]:
    """An apply that fails when all is done: two names of one setting get different values, so it reads back another."""
    settings = {"net/ipv4/conf/all/forwarding": "0", "net/ipv4/ip_forward": "1"}
    return applying(replace(state, sysctls={**SETTINGS, **settings}), expected=3)


def removing(namespace: Netns, _: Path) -> int:
    return main(["remove", "--node", NODE, "--netns", namespace.name])


def going_back(namespace: Netns, directory: Path) -> int:
    """Two applies that are kept, and the way back from the second to the first."""
    options = ["--node", NODE, "--netns", namespace.name, "--state-dir", str(directory / "kept")]
    for name, state in (("b", B), ("a", A)):
        assert main(["apply", str(write_bundle(directory / name, state)), *options]) == 0
    return main(["rollback", *options])


A, B = (replace(state, sysctls=SETTINGS) for state in (state_a(), state_b()))
STEPS: dict[str, Sequence[tuple[Step, int]]] = {
    "an-apply": [applying(A)],
    "the-same-apply-twice": [applying(A), applying(A)],
    "an-apply-of-another-state-and-back": [applying(A), applying(B), applying(A)],
    "an-apply-that-fails": [failing(A)],
    "an-apply-that-fails-after-another": [applying(A), failing(B)],
    "a-rollback": [applying(A), (going_back, 0)],
    "a-removal": [applying(A), (removing, 0)],
    "a-removal-where-nothing-is": [(removing, 0)],
    "an-apply-that-is-refused": [applying(replace(A, sysctls={"net/no_such_setting": "1"}), expected=2)],
}
VIRTUAL_IPS = frozenset(item.address.partition("/")[0] for state in (A, B) for item in state.addresses)


@pytest.mark.parametrize("name", STEPS)
def test_what_others_keep_stays_as_it_is(name: str, netns: Netns, tmp_path: Path) -> None:
    node = foreign(netns)
    others = node.dump(VIRTUAL_IPS, frozenset(SETTINGS))
    for number, (step, expected) in enumerate(STEPS[name]):
        everything = all_of(node)

        assert step(netns, tmp_path / str(number)) == expected
        assert changes(others, node.dump(VIRTUAL_IPS, frozenset(SETTINGS))) == []
        if expected != 0:  # and what is ours is as it was too
            assert changes(everything, all_of(node)) == []


def all_of(node: Foreign) -> list[str]:
    ours = node.netns.run(f"nft -s list table {TABLE_FAMILY} {TABLE_NAME}") if node.netns.table() else ""
    return [*sorted(ours.splitlines()), *node.dump(), *map(str, node.netns.dump()[2:])]


def changes(before: list[str], after: list[str]) -> list[str]:
    """Lines that are new, gone or elsewhere."""
    if before == after:
        return []
    return [f"- {line}" for line in before if line not in after] + [
        f"+ {line}" for line in after if line not in before
    ] or ["the order"]


CHANGES = (
    "nft add element inet egressc_other source4 { 10.1.0.6 }",
    "nft delete table ip kube-proxy",
    "ip rule delete priority 9",
    "ip -6 route delete table 2005 default",
    "ip route replace 198.51.100.0/24 via 172.18.4.98 proto bird",
    "ip address delete 172.17.0.1/16 dev docker0",
    "sysctl -q -w net.ipv4.conf.docker0.route_localnet=0",
    "iptables-nft -A KUBE-FIREWALL -j RETURN",
    "iptables-legacy -t nat -F KUBE-POSTROUTING",
)


def test_every_change_of_what_others_keep_is_seen(netns: Netns) -> None:
    """What the test above relies on."""
    node = foreign(netns)
    last = node.dump()
    for command in CHANGES:
        program = command.split(maxsplit=1)[0]
        if program.startswith("iptables") and program not in node.iptables:
            continue
        assert node.dump() == last
        netns.run(command)
        assert changes(last, node.dump()) != [], command
        last = node.dump()
    node.forget_connections()

    assert changes(last, node.dump()) != []
