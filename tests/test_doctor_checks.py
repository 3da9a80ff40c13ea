"""What doctor says of a node, from made-up facts: what makes each check speak, and what does not."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from applier_bundles import next_hop
from conftest import ROOT

from applier.doctor import cli
from applier.doctor.codes import CODES
from applier.doctor.facts import EVERY_BIT, BaseChain, Cilium, Facts, MarkUse, Others, Place
from applier.doctor.ours import Ours, ours
from applier.model import Address, Route, Rule
from applier.probe import Answer, Fault
from bundle.checkup import Check
from bundle.directory import NodePart
from bundle.model import Address as PlannedAddress
from bundle.model import Addresses, Routing, Sysctl
from bundle.names import PROTOCOL
from bundle.ruleset import Ruleset
from bundle.text import json_text

VIP = "172.18.18.241"
NEXT_HOP = "172.18.4.1"


def planned_vip(
    address: str = f"{VIP}/32", interface: str | None = "eth1", peers: tuple[str, ...] = ()
) -> PlannedAddress:
    return PlannedAddress(address, interface, announce=True, preferred_lifetime=None, gateways=("g",), peers=peers)


def part(
    *addresses: PlannedAddress, gateway: str | None = NEXT_HOP, device: str | None = "eth0", **sysctls: str
) -> NodePart:
    rules, routes = next_hop(5, gateway, device) if gateway else ((), ())
    settings = tuple(Sysctl(name.replace("__", "/"), value) for name, value in sysctls.items())
    routing = Routing("node-1", ("172.18.4.11",), rules, (), routes, settings)
    return NodePart("node-1", "", Ruleset({}, {}), routing, Addresses("node-1", addresses))


HEALTHY = Facts(
    release="6.18.0",
    capabilities=frozenset({12, 13}),
    sysctls={
        "net/ipv4/ip_forward": "1",
        "net/ipv4/conf/all/rp_filter": "0",
        "net/ipv4/conf/eth0/rp_filter": "2",
        "net/ipv6/conf/all/disable_ipv6": "0",
        "net/netfilter/nf_conntrack_count": "799",
        "net/netfilter/nf_conntrack_max": "1000",
        "net/netfilter/nf_conntrack_tcp_loose": "1",
    },
    rules=(
        Rule("ipv4", 0, 0, 0, 255, protocol=2),
        Rule("ipv4", 7300, 0x05000000, 0xFF000000, 7305),
        Rule("ipv4", 32766, 0, 0, 254, protocol=2),
    ),
    routes=(Route("ipv4", 254, "default", "unicast", "172.18.4.254", "eth0", 0, protocol=3),),
    devices=("eth0", "eth1", "lo"),
    cni="flannel",
    processes=frozenset({"systemd", "kubelet"}),
    answers={
        (ip_address(NEXT_HOP), "eth0"): Answer(frozenset({"02:00:00:00:00:01"})),
        (ip_address(VIP), "eth1"): Answer(),
    },
)
PART = part(planned_vip(), net__ipv4__ip_forward="1")


def with_sysctls(**values: str | None) -> Facts:
    return replace(HEALTHY, sysctls={**HEALTHY.sysctls, **{name.replace("__", "/"): v for name, v in values.items()}})


def with_rule(priority: int, mark: int, mask: int, table: int = 254, **extra: str | int) -> Facts:
    rule = Rule("ipv4", priority, mark, mask, table, protocol=0, extra=tuple(sorted(extra.items())))
    return replace(HEALTHY, rules=(*HEALTHY.rules, rule))


def with_route(table: int) -> Facts:
    return replace(
        HEALTHY,
        routes=(*HEALTHY.routes, Route("ipv4", table, "10.0.0.0/8", "unicast", None, "eth0", 0, protocol=3)),
    )


def with_chain(hook: str, priority: int, kind: str = "filter", *, drops: bool = False, nat: bool = False) -> Facts:
    chain = BaseChain("ip their chain", kind, Place(hook, priority), drops, nat)
    return replace(HEALTHY, others=Others(chains=(chain,)))


def with_use(hook: str, priority: int, mask: int, *, may_set: int | None = 0, connection: bool = False) -> Facts:
    """Some rule of others; with `may_set` None it only looks."""
    name = "connection" if connection else "packet"
    use = MarkUse("ip their chain", name, may_set is not None, mask, frozenset({Place(hook, priority)}), may_set or 0)  # type: ignore[arg-type]
    return replace(HEALTHY, others=Others(marks=(use,)))


def with_answer(address: str, device: str, *macs: str, fault: Fault | None = None) -> Facts:
    answers = {**HEALTHY.answers, (ip_address(address), device): Answer(frozenset(macs), fault)}
    return replace(HEALTHY, answers=answers)


def cilium(host_routing: bool | None, bpf_masquerade: bool | None) -> Facts:
    return replace(HEALTHY, cilium=Cilium(host_routing, bpf_masquerade))


def running(*names: str, **others: Any) -> Facts:  # noqa: ANN401  # fields of any type
    return replace(HEALTHY, processes=HEALTHY.processes | set(names), **others)


SPEAKS = [
    ("kernel-release", "warning", replace(HEALTHY, release="5.15.0-91-generic"), part(gateway=NEXT_HOP)),
    ("capabilities", "blocks", replace(HEALTHY, capabilities=frozenset({12})), None),
    ("libnftables", "blocks", replace(HEALTHY, libnftables="libnftables cannot be loaded"), None),
    ("nft-features", "blocks", replace(HEALTHY, failed_features={"masquerading": "Error"}), None),
    ("ip-forward", "info", with_sysctls(net__ipv4__ip_forward="0"), None),
    ("rp-filter", "info", with_sysctls(net__ipv4__conf__eth0__rp_filter="1"), None),
    (
        "rp-filter",
        "info",
        with_sysctls(net__ipv4__conf__all__rp_filter="1", net__ipv4__conf__eth0__rp_filter="0"),
        None,
    ),
    ("conntrack-size", "warning", with_sysctls(net__netfilter__nf_conntrack_count="800"), None),
    ("conntrack-size", "info", with_sysctls(net__netfilter__nf_conntrack_max=None), None),
    ("conntrack-loose", "warning", with_sysctls(net__netfilter__nf_conntrack_tcp_loose="0"), None),
    ("sysctls-writable", "warning", replace(HEALTHY, sysctls_writable=False), None),
    ("rule-priority", "blocks", with_rule(7300, 0, 0, 100), None),
    ("rule-priority", "blocks", with_rule(32770, 0, 0, 100), None),
    ("rule-order", "blocks", with_rule(1000, 0, 0), None),
    ("rule-order", "blocks", with_rule(1000, 0, 0, 0, action=6), None),
    ("rule-order", "blocks", with_rule(1000, 0xCA6C, EVERY_BIT, flags=2), None),  # `not fwmark 0xca6c`
    ("rule-order", "warning", with_rule(1536, 0, 0, src="10.1.0.7", src_len=32), None),
    ("rule-marks", "blocks", with_rule(1000, 0x01000000, 0x01000000), None),
    ("rule-marks", "blocks", with_rule(1000, 0x05000000, EVERY_BIT), PART),
    ("rule-marks", "warning", with_rule(1000, 0x02000000, 0xFF000000), PART),
    ("rule-marks", "warning", with_rule(9000, 0x05000000, 0xFF000000), None),
    ("routing-tables", "blocks", with_route(7305), PART),
    ("routing-tables", "warning", with_route(7306), PART),
    ("routing-tables", "warning", with_route(7305), None),
    ("packet-mark", "blocks", with_use("prerouting", -95, EVERY_BIT), None),
    ("packet-mark", "blocks", with_use("postrouting", -150, 0x01000000), None),
    ("packet-mark", "blocks", with_use("forward", 0, 0xFF000000), None),
    ("packet-mark", "warning", with_use("prerouting", -150, EVERY_BIT, may_set=0x01000000), None),
    ("packet-mark", "warning", with_use("forward", 0, EVERY_BIT, may_set=None), None),
    ("connection-mark", "blocks", with_use("prerouting", -150, EVERY_BIT, connection=True), None),
    ("source-nat", "blocks", with_chain("postrouting", 90, "nat", nat=True), None),
    ("source-nat", "info", with_chain("postrouting", 50, "nat"), None),
    ("flowtables", "warning", replace(HEALTHY, others=Others(flowtables=("inet x f",))), None),
    ("forward-policy", "warning", with_chain("forward", 0, drops=True), None),
    ("unreadable-rules", "warning", replace(HEALTHY, others=Others(unreadable=("rules of iptables",))), None),
    ("systemd-networkd", "warning", running("systemd-network"), None),
    ("systemd-networkd", "warning", running("systemd-network", networkd={"ManageForeignRoutes": "no"}), None),
    ("network-manager", "warning", running("NetworkManager"), None),
    ("network-manager", "info", running("NetworkManager", unmanaged=True), None),
    ("pod-path", "info", replace(HEALTHY, cni=None), None),
    ("pod-path", "warning", replace(HEALTHY, cni=""), None),
    ("pod-path", "warning", replace(HEALTHY, cni="something-new"), None),
    ("pod-path", "blocks", replace(HEALTHY, cni="macvlan"), None),
    ("pod-path", "warning", replace(HEALTHY, cni="calico", devices=("bpfin.cali",)), None),
    ("pod-path", "blocks", cilium(host_routing=True, bpf_masquerade=False), None),
    ("pod-path", "warning", cilium(host_routing=None, bpf_masquerade=False), None),
    ("cilium-masquerade", "blocks", cilium(host_routing=False, bpf_masquerade=True), None),
    ("cilium-masquerade", "blocks", cilium(host_routing=False, bpf_masquerade=True), PART),
    ("cilium-masquerade", "warning", cilium(host_routing=False, bpf_masquerade=None), None),
    ("plan-interfaces", "blocks", replace(HEALTHY, devices=("eth0", "lo")), PART),
    ("plan-interfaces", "blocks", HEALTHY, part(net__ipv4__conf__eth9__rp_filter="2")),
    ("plan-interfaces", "warning", with_answer(NEXT_HOP, "eth0", fault="down"), PART),
    ("plan-ipv6", "blocks", with_sysctls(net__ipv6__conf__all__disable_ipv6="1"), part(planned_vip("2001:db8::1/128"))),
    ("plan-ipv6", "blocks", with_sysctls(net__ipv6__conf__all__disable_ipv6=None), part(gateway="fd00:4::1")),
    ("plan-sysctls", "info", with_sysctls(net__ipv4__ip_forward="0"), PART),
    ("plan-sysctls", "blocks", replace(with_sysctls(net__ipv4__ip_forward="0"), sysctls_writable=False), PART),
    ("plan-sysctls", "blocks", HEALTHY, part(net__ipv4__no_such="2")),
    ("plan-next-hops", "warning", with_answer(NEXT_HOP, "eth0"), PART),
    ("plan-next-hops", "warning", replace(HEALTHY, ways={NEXT_HOP: None}), part(device=None)),
    ("plan-virtual-ips", "blocks", replace(HEALTHY, release="5.15.0"), PART),
    ("plan-virtual-ips", "blocks", replace(HEALTHY, addresses=(Address(f"{VIP}/24", "eth1", None, 0),)), PART),
    ("plan-virtual-ips", "blocks", replace(HEALTHY, ways={VIP: None}), part(planned_vip(interface=None))),
    ("virtual-ip-answered", "blocks", with_answer(VIP, "eth1", "02:00:00:00:00:99"), PART),
    (
        "virtual-ip-answered",
        "blocks",
        replace(with_answer(VIP, "eth0", "02:00:00:00:00:99"), ways={VIP: "eth0"}),
        part(planned_vip(interface=None)),
    ),
]

PEERED = part(planned_vip(peers=("172.18.18.2",)))
PEER_ANSWERS = {
    (ip_address(VIP), "eth1"): Answer(frozenset({"02:00:00:00:00:02"})),
    (ip_address("172.18.18.2"), "eth1"): Answer(frozenset({"02:00:00:00:00:02"})),
}

SILENT = [
    ("rule-order", with_rule(100, 0, 0, 255), None),  # local
    ("rule-order", with_rule(5270, 0, 0, 52), None),  # a table without a way to everywhere
    ("rule-order", with_rule(1000, 0, 0, suppress_prefixlen=0), None),
    ("rule-order", with_rule(512, 0, 0, dst="10.1.0.0", dst_len=16), None),
    ("rule-order", with_rule(32765, 0, 0), None),
    ("rule-order", with_rule(9, 0x200, 0xF00), None),
    ("rule-marks", with_rule(5210, 0x80000, 0xFF0000), None),
    ("rule-marks", with_rule(1024, 0x80, 0x80), None),
    ("packet-mark", with_use("prerouting", -150, EVERY_BIT, may_set=1), None),
    ("packet-mark", with_use("postrouting", 100, 0x4000, may_set=0x4000), None),
    ("packet-mark", with_use("prerouting", -150, EVERY_BIT, may_set=None), None),
    ("packet-mark", with_use("postrouting", 120, EVERY_BIT), None),
    ("connection-mark", with_use("prerouting", -150, 0x80, connection=True), None),
    ("connection-mark", with_use("prerouting", -150, EVERY_BIT, may_set=None, connection=True), None),
    ("source-nat", with_chain("postrouting", 100, "nat", nat=True), None),
    ("source-nat", with_chain("prerouting", -100, "nat", nat=True), None),
    ("forward-policy", with_chain("input", 0, drops=True), None),
    (
        "systemd-networkd",
        running("systemd-network", networkd={"ManageForeignRoutes": "false", "ManageForeignRoutingPolicyRules": "no"}),
        None,
    ),
    ("cilium-masquerade", cilium(host_routing=False, bpf_masquerade=True), part(device="cilium_vxlan")),
    ("plan-sysctls", replace(HEALTHY, sysctls_writable=False), PART),
    ("plan-sysctls", HEALTHY, part(net__ipv4__conf__eth9__rp_filter="2")),
    ("plan-ipv6", with_sysctls(net__ipv6__conf__all__disable_ipv6="1"), PART),
    ("plan-next-hops", with_answer(NEXT_HOP, "eth0", fault="not-ethernet"), PART),
    ("plan-virtual-ips", replace(HEALTHY, addresses=(Address(f"{VIP}/32", "eth1", None, PROTOCOL),)), PART),
    ("virtual-ip-answered", with_answer(VIP, "eth1", fault="not-ethernet"), PART),
]


def said(facts: Facts, plan: NodePart | None, code: str) -> Iterator[Check]:
    return (check for check in cli.examine(facts, plan) if check.code == code)


@pytest.mark.parametrize(("code", "level", "facts", "plan"), SPEAKS)
def test_check_speaks(code: str, level: str, facts: Facts, plan: NodePart | None) -> None:
    (check,) = said(facts, plan, code)

    assert check.level == level
    assert (check.remedy or "") != "" or (code, level) == ("source-nat", "info")


@pytest.mark.parametrize(("code", "facts", "plan"), SILENT)
def test_check_is_silent(code: str, facts: Facts, plan: NodePart | None) -> None:
    (check,) = said(facts, plan, code)

    assert check.level == "ok", check


@pytest.mark.parametrize("plan", [None, PART])
def test_a_healthy_node_hears_of_nothing(plan: NodePart | None) -> None:
    assert [check for check in cli.examine(HEALTHY, plan) if check.level != "ok"] == []


def test_another_node_of_the_gateway_may_answer_for_its_virtual_ip() -> None:
    facts = replace(HEALTHY, answers={**HEALTHY.answers, **PEER_ANSWERS})
    (check,) = said(facts, PEERED, "virtual-ip-answered")

    assert check.level == "info"


def test_a_stranger_beside_another_node_of_the_gateway_blocks() -> None:
    both = Answer(frozenset({"02:00:00:00:00:02", "02:00:00:00:00:99"}))
    facts = replace(HEALTHY, answers={**HEALTHY.answers, **PEER_ANSWERS, (ip_address(VIP), "eth1"): both})
    (check,) = said(facts, PEERED, "virtual-ip-answered")

    assert (check.level, check.what.partition(" ")[0]) == ("blocks", "02:00:00:00:00:99")


def test_every_code_has_a_row_that_makes_it_speak() -> None:
    assert list(dict.fromkeys(row[0] for row in SPEAKS)) == list(CODES)


def test_checks_come_in_the_order_of_their_codes() -> None:
    codes = [check.code for check in cli.examine(replace(HEALTHY, cilium=Cilium(None, None)), PART)]

    assert codes == list(CODES)


def test_without_libnftables_nothing_else_is_claimed() -> None:
    checks = list(cli.examine(replace(HEALTHY, libnftables="missing"), PART))

    assert [check.code for check in checks if check.level == "blocks"] == ["libnftables"]
    assert "nft-features" not in {check.code for check in checks}


def test_the_numbers_of_the_plan_count() -> None:
    plan = part(gateway=NEXT_HOP)

    assert ours(plan) == Ours(marks=frozenset({0x05000000}), priorities=frozenset({7300}), tables=frozenset({7305}))
    assert ours(None).connection_bit == 0x01000000


def test_what_others_are_called_cannot_forge_a_line() -> None:
    facts = replace(HEALTHY, others=Others(flowtables=("inet x\nok  all  fine\x1b[31m",)))
    (check,) = said(facts, None, "flowtables")

    assert check.what.isprintable()


def test_the_docs_name_every_code_with_what_it_is_about() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+?) \| .+ \|$", (ROOT / "docs" / "doctor.md").read_text(), re.MULTILINE)

    assert rows == list(CODES.items())


def test_a_bundle_and_a_node_go_together() -> None:
    err = io.StringIO()
    status = cli.run(None, "node-1", None, as_json=False, quiet=False, out=io.StringIO(), err=err)

    assert (status, err.getvalue()) == (2, "egressc doctor: a bundle and --node go together: give both or neither\n")


def test_json_of_a_check_is_json() -> None:
    assert json.loads(json_text([{"what": next(said(HEALTHY, None, "pod-path")).what}]))
