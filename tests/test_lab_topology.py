"""The plan of a lab: pure, so nothing here needs a kernel."""

from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest
from lab_fixtures import address, cluster, gateway, network, node, worker, workload

from compiler.diagnostics import Place
from compiler.model import DefaultRoute, Family, Gateway, Interface, Mode, Node
from lab import script
from lab.model import LabError, LabPlan, Limits, OnLink
from lab.outside import describe
from lab.topology import plan_lab


def vip(ip: str, *interfaces: str) -> Gateway:
    return Gateway("g", {}, Mode.VIRTUAL, None, ip_address(ip), interfaces, Place("x"))


def on_link(plan: LabPlan, prefix: str) -> OnLink:
    return next(each for each in plan.outside.on_link if each.prefix == prefix)


def with_interface(base: Node, interface: Interface) -> Node:
    assert base.network is not None
    return replace(base, network=replace(base.network, interfaces=(*base.network.interfaces, interface)))


def test_each_subnet_is_a_network_and_those_of_one_interface_share_a_wire() -> None:
    plan = plan_lab(cluster())

    assert plan.bridges == ("br0", "br1")
    assert [route.prefix for route in plan.outside.on_link] == [
        "172.18.4.0/24",
        "fd00:4::/64",
        "172.18.18.0/24",
        "fd00:18::/64",
    ]
    assert [(link.name, link.bridge, link.addresses) for link in plan.node("gateway-1").links] == [
        ("eth0", "br0", ("172.18.4.21/24", "fd00:4::21/64")),
        ("eth1", "br1", ("172.18.18.21/24", "fd00:18::21/64")),
    ]


def test_outside_is_the_gateway_that_nodes_name_or_the_highest_free_address() -> None:
    taken = cluster((gateway("gateway-1", 21), worker("worker-1", 254)), ())

    plan = plan_lab(taken)

    assert [link.addresses for link in plan.outside.links] == [
        ("172.18.4.253/24", "fd00:4::ffff:ffff:ffff:ffff/64"),
        ("172.18.18.1/24", "fd00:18::1/64"),
    ]


def test_a_link_local_gateway_is_outside_on_that_wire() -> None:
    base = gateway("gateway-1", 21)
    assert base.network is not None
    routes = (DefaultRoute(Family.IPV6, "eth1", ip_address("fe80::1")),)
    plan = plan_lab(cluster((replace(base, network=replace(base.network, default_routes=routes)),), ()))

    assert plan.outside.links[1].addresses[-1] == "fe80::1/64"
    assert [(route.via, route.device) for route in plan.nodes[0].defaults] == [("fe80::1", "eth1")]


def test_a_gateway_that_is_a_node_stays_a_node() -> None:
    routed = network(("eth0", "172.18.4.11/24", "fd00:4::11/64"), routes=(("eth0", "172.18.4.21"),))
    plan = plan_lab(cluster((gateway("gateway-1", 21), node("worker-1", 11, routed)), ()))

    assert plan.outside.links[0].addresses[0] == "172.18.4.254/24"
    assert plan.node("worker-1").defaults[0].via == "172.18.4.21"


def test_default_routes_are_those_of_the_snapshot_else_by_the_last_other_interface() -> None:
    guessing = node(
        "guess", 30, network(("eth0", "172.18.4.30/24", "fd00:4::30/64"), ("eth1", "172.18.18.30/24", "fd00:18::30/64"))
    )
    plan = plan_lab(cluster((gateway("gateway-1", 21), guessing, worker("worker-1", 11)), ()))

    assert [(r.everything, r.via, r.device) for r in plan.node("guess").defaults] == [
        ("0.0.0.0/0", "172.18.18.1", "eth1"),
        ("::/0", "fd00:18::1", "eth1"),
    ]
    assert [(r.via, r.device) for r in plan.node("worker-1").defaults] == [
        ("172.18.4.254", "eth0"),
        ("fd00:4::ffff:ffff:ffff:ffff", "eth0"),
    ]


def test_routes_known_and_none_means_no_default_route() -> None:
    base = worker("worker-1", 11)
    assert base.network is not None
    plan = plan_lab(cluster((replace(base, network=replace(base.network, routes_known=True)),), ()))

    assert plan.nodes[0].defaults == ()


def test_a_node_without_a_network_gets_its_internal_ips_on_eth0() -> None:
    plan = plan_lab(cluster((node("bare", 40, None), worker("worker-1", 11)), ()))

    assert [(link.name, link.addresses) for link in plan.node("bare").links] == [
        ("eth0", ("172.18.4.40/24", "fd00:4::40/64"))
    ]
    assert len(plan.bridges) == 1
    assert any("node bare" in note for note in plan.notes)


def test_an_internal_ip_that_stands_alone_takes_the_prefix_of_its_neighbours() -> None:
    alone = node("alone", 40, network(("ens3", "172.18.4.40/32", "fd00:4::40/128")))
    wide = node("wide", 41, network(("ens3", "172.18.4.41/22", "fd00:4::41/56")))
    plan = plan_lab(cluster((alone, wide), ()))

    assert plan.node("alone").links[0].addresses == ("172.18.4.40/22", "fd00:4::40/56")
    assert len(plan.bridges) == 1


def test_an_address_that_every_node_has_is_no_network() -> None:
    docker = Interface("docker0", (address("172.17.0.1/16"),))
    nodes = tuple(with_interface(worker(f"worker-{n}", n), docker) for n in (11, 12))
    plan = plan_lab(cluster(nodes, ()))

    assert len(plan.bridges) == 1
    assert [link.name for link in plan.nodes[0].links] == ["eth0"]


def test_a_pod_bridge_and_the_loopback_are_no_networks() -> None:
    extra = worker("worker-1", 11)
    for interface in (
        Interface("lo", (address("127.0.0.1/8"),)),
        Interface("cni0", (address("10.244.1.254/24"),)),
        Interface("cali1", (address("fe80::1/64"),)),
    ):
        extra = with_interface(extra, interface)
    plan = plan_lab(cluster((extra,), ()))

    assert [link.name for link in plan.nodes[0].links] == ["eth0"]


def test_an_interface_that_a_gateway_names_is_there_without_an_address() -> None:
    nodes = tuple(with_interface(worker(f"worker-{n}", n), Interface("pub0", ())) for n in (11, 12))
    plan = plan_lab(replace(cluster(nodes, ()), gateways={"g": vip("192.0.2.1", "pub0")}))

    assert [link.name for link in plan.nodes[0].links] == ["eth0", "pub0"]
    assert plan.nodes[0].links[1].bridge == plan.nodes[1].links[1].bridge
    assert on_link(plan, "192.0.2.1/32").device == "net1"


def test_a_virtual_ip_is_left_to_the_applier_and_never_outsides() -> None:
    held = with_interface(worker("worker-1", 11), Interface("eth1", (address("172.18.18.254/24"),)))
    other = with_interface(worker("worker-2", 12), Interface("eth1", (address("172.18.18.12/24"),)))
    plan = plan_lab(replace(cluster((held, other), ()), gateways={"g": vip("172.18.18.254", "eth1")}))

    assert plan.node("worker-1").links[1].addresses == ()
    assert plan.outside.links[1].addresses == ("172.18.18.253/24",)
    assert plan.node("worker-1").links[1].bridge == plan.node("worker-2").links[1].bridge


def test_pods_of_nodes_without_a_common_network_are_said_to_be_apart() -> None:
    far = replace(worker("far", 50), internal_ips={Family.IPV4: ip_address("192.168.7.50")}, network=None)
    plan = plan_lab(cluster((far, worker("worker-1", 11)), ()))

    assert plan.node("worker-1").next_hops == ()
    assert any("share" in note for note in plan.notes)


def test_too_many_nodes_are_refused_with_the_limit() -> None:
    with pytest.raises(LabError, match=r"has 4 nodes and the lab builds at most 3.*--max-nodes"):
        plan_lab(cluster(), limits=Limits(nodes=3))


def test_too_many_workloads_are_cut_and_it_is_said() -> None:
    plan = plan_lab(cluster(), limits=Limits(workloads=2))

    assert [each.key for each in plan.workloads] == ["default/on-gateway", "default/on-one"]
    assert any("has 3 workloads and the lab builds the first 2" in note for note in plan.notes)


def test_workloads_can_be_chosen() -> None:
    assert [each.key for each in plan_lab(cluster(), only=["default/on-two"]).workloads] == ["default/on-two"]
    with pytest.raises(LabError, match="no workload 'default/none'"):
        plan_lab(cluster(), only=["default/none"])


def test_a_workload_without_its_node_is_left_out() -> None:
    plan = plan_lab(cluster(workloads=(workload("lost", "nowhere", "9.9"),)))

    assert plan.workloads == ()
    assert any("default/lost" in note for note in plan.notes)


@pytest.mark.parametrize("name", ["", "A", "a_b", "a/b", "-a", "x" * 31])
def test_bad_lab_names_are_refused(name: str) -> None:
    with pytest.raises(LabError, match="no name for a lab"):
        plan_lab(cluster(), name)


def test_no_nodes_is_refused() -> None:
    with pytest.raises(LabError, match="no Node"):
        plan_lab(cluster((), ()))


def test_namespaces_are_distinct_prefixed_and_fit_a_file_name() -> None:
    long = workload("p" * 253, "worker-1", "1.9")
    pods = (replace(long, namespace="n" * 63), replace(long, namespace="n" * 63, name="p" * 252 + "q"))
    names = [n for lab in ("egl", "hub", "x" * 30) for n in plan_lab(cluster(workloads=pods), lab).namespaces]

    assert len(names) == len(set(names))
    assert all(name.startswith("egl-") and len(name) < 255 for name in names)


def test_the_order_of_the_input_does_not_matter() -> None:
    one = cluster()
    other = replace(one, nodes=dict(reversed(list(one.nodes.items()))))

    assert plan_lab(one) == plan_lab(other)
    assert script.stages(plan_lab(one), "nft") == script.stages(plan_lab(other), "nft")


def test_masquerade_spares_the_cluster_and_its_networks() -> None:
    plan = plan_lab(cluster())

    assert plan.pod_ranges == ("10.244.0.0/16", "fd00:244::/48")
    assert {"10.96.0.0/16", "172.18.4.0/24", "fd00:18::/64"} <= set(plan.inside_ranges)


def test_inbound_comes_by_the_link_of_the_default_route() -> None:
    plan = plan_lab(cluster())

    assert plan.node("gateway-1").entrances == ("172.18.18.21", "fd00:18::21")
    assert script.entrance("10.244.1.1", plan.node("worker-1")) == "table local 10.244.1.1/32 via 172.18.4.11"


def test_every_link_of_a_plan_fits_an_interface_name() -> None:
    nodes = tuple(worker(f"worker-{n}", n) for n in range(1, 64))
    plan = plan_lab(cluster(nodes, ()))
    links = [*plan.outside.links, *(link for each in plan.nodes for link in each.links)]
    ports = [link.port for link in links]

    assert len(ports) == len(set(ports))
    assert all(len(port) < 16 for port in ports)
    assert all(ip_interface(a) for each in plan.nodes for link in each.links for a in link.addresses)


def test_outside_reads_packet_headers() -> None:
    four = bytes.fromhex("45000028000040004006000001020304cb00710a1f901f91") + bytes(16)
    six = (
        bytes.fromhex("6000000000083a ff".replace(" ", "")) + bytes(15) + b"\1" + bytes(15) + b"\2" + b"\x87" + bytes(7)
    )
    hop = bytes.fromhex("6000000000100001") + bytes(32) + bytes.fromhex("3a00050200000100") + b"\x8f" + bytes(7)
    later = bytes.fromhex("45000028000000104011000001020304cb00710a1f901f91")

    assert describe(0x0800, four) == ("1.2.3.4", "203.0.113.10", "tcp", (8080, 8081))
    assert describe(0x0800, later) == ("1.2.3.4", "203.0.113.10", "udp", (0, 0))
    assert describe(0x86DD, six) == ("::1", "::2", "ndp", (0, 0))
    assert describe(0x86DD, hop)[2] == "mld"
    assert describe(0x0800, b"E")[2] == "short"
    assert describe(0x88CC, b"")[2] == "88cc"


def test_a_node_without_a_network_gets_the_interface_that_its_gateway_names() -> None:
    primary = Gateway("g", {"egress": ""}, Mode.PRIMARY, "eth1", None, (), Place("x"))
    member = replace(node("member", 40, None), labels={"egress": ""})
    plan = plan_lab(replace(cluster((member, node("other", 41, None)), ()), gateways={"g": primary}))

    assert [(link.name, link.addresses) for link in plan.node("member").links][1:] == [
        ("eth1", ("198.18.0.1/22", "2001:db8:18::1/64"))
    ]
    assert [route.device for route in plan.node("member").defaults] == ["eth1", "eth1"]
    assert [link.name for link in plan.node("other").links] == ["eth0"]
    assert any("made up" in note for note in plan.notes)


def test_a_virtual_ip_of_no_network_is_where_the_default_route_is() -> None:
    plan = plan_lab(replace(cluster(), gateways={"g": vip("192.0.2.1")}))

    assert on_link(plan, "192.0.2.1/32").device == "net0"
    gateways = (gateway("gateway-1", 21), gateway("gateway-2", 22))
    plan = plan_lab(replace(cluster(gateways, ()), gateways={"g": vip("192.0.2.1")}))

    assert on_link(plan, "192.0.2.1/32").device == "net1"
