"""Doctor on the real kernel: what it sees, that it changes nothing, and that it blocks where an apply refuses."""

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import jsonschema
import pytest
from applier_bundles import NODE, State, state_a, write_bundle
from conftest import GOLDEN, ROOT
from kernel_fixtures import Netns, netns, run

from applier import cli as apply_cli
from applier.doctor import cli
from applier.doctor.features import FEATURES, script
from applier.doctor.gather import gather, gather_means
from applier.kernel import LinuxKernel
from applier.netns import entered
from applier.trial import dry_run
from compiler.cli import main
from compiler.schema import ENTRIES

pytestmark = pytest.mark.kernel
__all__ = ["netns"]

IPTABLES = pytest.mark.skipif(not shutil.which("iptables-nft"), reason="iptables is not installed")

# As a node has them that runs kube-proxy, Docker, a CNI with a masquerade, and Cilium's and Tailscale's rules.
FOREIGN_NFT = """
table ip kube-proxy {
    chain services { type nat hook prerouting priority dstnat; ip daddr 10.222.0.1 tcp dport 443 dnat to 172.18.4.1:6443
    }
    chain mark_for_masquerade { meta mark set meta mark | 0x4000
    }
    chain nat-postrouting { type nat hook postrouting priority srcnat; jump masquerading
    }
    chain masquerading { meta mark & 0x4000 == 0 return
        meta mark set meta mark ^ 0x4000
        masquerade fully-random
    }
}
table inet firewall {
    chain input { type filter hook input priority filter; policy drop; ct state established accept
    }
    chain forward { type filter hook forward priority filter; meta mark & 0xf00 == 0xe00 accept
    }
}
"""
FOREIGN_RULES = """
rule add priority 9 fwmark 0x200/0xf00 lookup 2004
rule add priority 100 from all lookup local
rule add priority 5210 fwmark 0x80000/0xff0000 lookup main
rule add priority 5270 from all lookup 52
rule add priority 1490 from 10.9.0.0/16 lookup 10001
route add 100.64.0.0/10 dev eth0 table 52
route add 10.200.0.0/16 dev eth0 table 10001
route add default via 172.18.4.254 dev eth0
"""
FOREIGN_IPTABLES = (
    "-t nat -N DOCKER",
    "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
    "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    "-t mangle -A PREROUTING -m comment --comment AWS -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80",
    "-t mangle -A PREROUTING -p tcp -j MARK --set-xmark 0x200/0xffffffff",
    "-t filter -A FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
)


@dataclass(frozen=True, slots=True)
class Doctor:
    """Doctor in one namespace, and apply beside it."""

    netns: Netns
    directory: Path

    def bundle(self, state: State | None) -> Path | None:
        return write_bundle(self.directory / "bundle", state) if state else None

    def run(self, state: State | None = None) -> tuple[int, dict[str, list[str]]]:
        """Returns the exit status, and for each code its levels; an asking of the kernel changes nothing."""
        before = self.everything()
        out, err = io.StringIO(), io.StringIO()
        node = NODE if state else None
        status = cli.run(self.bundle(state), node, self.netns.name, as_json=True, quiet=False, out=out, err=err)
        assert err.getvalue() == ""
        assert self.everything() == before
        data = json.loads(out.getvalue())
        jsonschema.validate(data, json.loads(ENTRIES["doctor-output"].make()))
        levels: dict[str, list[str]] = {}
        for check in data["checks"]:
            levels.setdefault(check["code"], []).append(check["level"])
        assert data["blocked"] == (status == 1)
        return status, levels

    def everything(self) -> tuple[object, ...]:
        return (*self.netns.dump(), self.netns.run("nft list ruleset"), self.netns.run("ip -s neighbour"))

    def apply(self, state: State) -> int:
        bundle = write_bundle(self.directory / "applied", state)
        return apply_cli.run(bundle, NODE, self.netns.name, dry_run=True, out=io.StringIO(), err=io.StringIO())


@pytest.fixture
def doctor(netns: Netns, tmp_path: Path) -> Doctor:
    return Doctor(netns, tmp_path)


def blocking(levels: dict[str, list[str]]) -> set[str]:
    return {code for code, found in levels.items() if "blocks" in found}


@pytest.mark.parametrize("feature", FEATURES)
def test_the_kernel_takes_each_feature_and_keeps_nothing_of_it(netns: Netns, feature: str) -> None:
    with entered(netns.name):
        said = dry_run(script(FEATURES[feature]))

    assert (said, netns.run("nft list ruleset")) == ("", "")


@pytest.mark.parametrize("feature", FEATURES)
def test_no_packet_meets_a_chain_that_is_only_tried(feature: str) -> None:
    text = script(FEATURES[feature])

    assert " hook " not in text or text.splitlines()[1] == "flags dormant"


def test_what_is_tried_is_what_rulesets_use() -> None:
    rulesets = "\n".join(path.read_text() for path in GOLDEN.glob("*/expected/nodes/*/ruleset.nft"))
    tried = words("\n".join(part for parts in FEATURES.values() for part in parts))

    assert words(rulesets) - tried == set()


def words(text: str) -> set[str]:
    """Returns the words of nft in a ruleset: no comment, name, element or number."""
    text = re.sub(
        r"#.*|flush .*|\"[^\"]*\"|@\w+|elements = \{[^}]*\}|(?:chain|set|map|jump|goto|table inet) [\w-]+", "", text
    )
    return set(re.findall(r"(?<![\w.:])[a-z][a-z_0-9]*(?:-[a-z]+)*(?![\w:])", text))


def test_a_dry_run_asks_the_kernel(netns: Netns) -> None:
    with entered(netns.name):
        said = dry_run("add rule inet nowhere chain_of_it accept\n")

    assert "No such file or directory" in said


def test_an_empty_node_has_no_blocker(doctor: Doctor) -> None:
    status, levels = doctor.run(state_a())

    assert (status, blocking(levels)) == (0, set())
    assert levels["plan-next-hops"] == ["warning", "warning"]  # in both families nobody is there
    assert levels["plan-sysctls"] == ["info"]


def test_a_node_that_was_applied_has_no_blocker(doctor: Doctor) -> None:
    bundle = write_bundle(doctor.directory / "first", state_a())
    assert apply_cli.run(bundle, NODE, doctor.netns.name, dry_run=False, out=io.StringIO(), err=io.StringIO()) == 0

    status, levels = doctor.run(state_a())

    assert (status, blocking(levels)) == (0, set())
    assert levels["plan-sysctls"] == levels["ip-forward"] == levels["rule-marks"] == levels["packet-mark"] == ["ok"]


@IPTABLES
@pytest.mark.parametrize("state", [None, state_a()], ids=["without a bundle", "with a bundle"])
def test_a_node_of_many_others_has_no_blocker(doctor: Doctor, state: State | None) -> None:
    doctor.netns.nft(FOREIGN_NFT)
    run(["ip", "-n", doctor.netns.name, "-batch", "-"], FOREIGN_RULES)
    for rule in FOREIGN_IPTABLES:
        doctor.netns.run(f"iptables-nft {rule}")

    status, levels = doctor.run(state)

    assert (status, blocking(levels)) == (0, set())
    for code in ("rule-order", "rule-marks", "packet-mark", "connection-mark", "source-nat", "unreadable-rules"):
        assert levels[code] == ["ok"], code


NFT = "nft add table ip x; nft add chain ip x c '{{ type {} hook {} priority {}; }}'; nft add rule ip x c {}"

BLOCKERS = [
    ("rule-priority", "ip rule add priority 7300 from all lookup 52", True),
    ("rule-order", "ip route add default dev eth0; ip rule add priority 7000 from all lookup main", False),
    ("rule-marks", "ip rule add priority 7000 fwmark 0x05000000/0xff000000 lookup 52", False),
    ("rule-marks", "ip -6 rule add priority 7000 fwmark 0x1000000/0x1000000 lookup 52", False),
    ("routing-tables", "ip route add 10.0.0.0/8 dev eth0 table 7305", True),
    ("packet-mark", NFT.format("filter", "forward", 0, "meta mark set 1"), False),
    ("packet-mark", NFT.format("filter", "prerouting", -90, "meta mark set ct mark"), False),
    ("connection-mark", NFT.format("filter", "prerouting", -150, "ct mark set meta mark"), False),
    ("source-nat", NFT.format("nat", "postrouting", 50, "masquerade"), False),
    ("plan-interfaces", "ip link delete eth1", True),
    ("plan-ipv6", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6", False),
    ("plan-virtual-ips", "ip address add 172.18.18.241/24 dev eth0", True),
]


@pytest.mark.parametrize(("code", "command", "refused"), BLOCKERS, ids=lambda value: str(value)[:60])
def test_a_blocker_blocks(doctor: Doctor, code: str, command: str, refused: bool) -> None:
    doctor.netns.run(f'sh -c "{command}"')

    status, levels = doctor.run(state_a())

    assert (status, blocking(levels)) == (1, {code})
    assert not refused or doctor.apply(state_a()) == 2


def test_a_setting_that_the_kernel_lacks_blocks(doctor: Doctor) -> None:
    state = replace(state_a(), sysctls={"net/ipv4/conf/all/no_such": "2"})
    status, levels = doctor.run(state)

    assert (status, blocking(levels)) == (1, {"plan-sysctls"})
    assert doctor.apply(state) == 2


@IPTABLES
@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("packet-mark", "-t mangle -A POSTROUTING -j CONNMARK --restore-mark"),
        ("connection-mark", "-t mangle -A PREROUTING -j CONNMARK --save-mark"),
    ],
)
@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_rules_of_iptables_that_nft_cannot_tell_block(doctor: Doctor, variant: str, code: str, rule: str) -> None:
    doctor.netns.run(f"iptables-{variant} {rule}")

    status, levels = doctor.run()

    assert (status, blocking(levels)) == (1, {code})
    assert levels["unreadable-rules"] == ["ok"]


@pytest.fixture
def neighbour(netns: Netns) -> Iterator[str]:
    """Another machine on the link of eth1."""
    name = f"{netns.name}-n"
    run(["ip", "netns", "add", name])
    try:
        run(["ip", "-n", netns.name, "link", "set", "peer1", "netns", name])
        run(["ip", "-n", name, "link", "set", "peer1", "up"])
        yield name
    finally:
        run(["ip", "netns", "delete", name])


@pytest.mark.parametrize("address", ["172.18.18.241/32", "2001:db8:18::241/128"])
def test_a_stranger_with_a_virtual_ip_blocks(doctor: Doctor, neighbour: str, address: str) -> None:
    nodad = ["nodad"] if ":" in address else []
    run(["ip", "-n", neighbour, "address", "add", address, "dev", "peer1", *nodad])

    status, levels = doctor.run(state_a())

    assert (status, blocking(levels)) == (1, {"virtual-ip-answered"})


def test_the_files_of_a_node_are_read(netns: Netns, tmp_path: Path) -> None:
    for name, text in {
        "etc/systemd/networkd.conf": "[Network]\nManageForeignRoutes=no\n",
        "usr/lib/systemd/networkd.conf.d/50-x.conf": "[Network]\nManageForeignRoutingPolicyRules=yes\n",
        "etc/systemd/networkd.conf.d/50-x.conf": "[Network]\nManageForeignRoutingPolicyRules=no\n",
        "etc/NetworkManager/conf.d/calico.conf": "[keyfile]\nunmanaged-devices=interface-name:cali*\n",
        "etc/cni/net.d/05-x.conflist.cilium_bak": '{"type": "macvlan"}',
        "etc/cni/net.d/10-flannel.conflist": '{"plugins": [{"type": "flannel"}]}',
        "etc/cni/net.d/99-other.conf": '{"type": "macvlan"}',
        "proc/7/comm": "systemd-network\n",
        "run/cilium/state/agent-runtime-config.json": '{"EnableHostLegacyRouting": true}',
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    netns.run("ip link add cilium_host type veth peer name cilium_net")
    with entered(netns.name):
        kernel = LinuxKernel()
        try:
            facts = gather(kernel, None, gather_means(), tmp_path)
        finally:
            kernel.close()

    assert facts.networkd == {"ManageForeignRoutes": "no", "ManageForeignRoutingPolicyRules": "no"}
    assert (facts.unmanaged, facts.cni, facts.processes) == (True, "flannel", frozenset({"systemd-network"}))
    assert facts.cilium is not None
    assert facts.cilium.host_routing is False


def test_the_command_prints_a_line_for_each_check(netns: Netns, capsys: pytest.CaptureFixture[str]) -> None:
    netns.run("ip rule add priority 7300 from all lookup 52")
    status = main(["doctor", "--netns", netns.name, "--quiet"])
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if "rule-priority" in line)

    assert status == 1
    assert re.match(r"blocks   rule-priority        a rule of others stands at our priority: .* - remove it", line)
    assert re.fullmatch(r"this node: 1 blocks, .*", out.splitlines()[-1])
    assert "ok " not in out


def test_without_the_capability_it_says_so() -> None:
    code = "import sys; from compiler.cli import main; sys.exit(main(['doctor', '--quiet']))"
    lesser = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    done = subprocess.run([*lesser, sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)

    assert "this process lacks CAP_NET_ADMIN - run it as root" in done.stdout
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "this node: 1 blocks")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--node", "x"], "a bundle and --node go together"),
        (["nowhere", "--node", "x"], "nowhere/manifest.json"),
        (["--netns", "no-such-namespace"], "network namespace no-such-namespace: No such file or directory"),
    ],
)
def test_what_will_not_do_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["doctor", *arguments])

    assert (status, said in capsys.readouterr().err) == (2, True)
