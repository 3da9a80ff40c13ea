"""The cluster of the lab's tests: two workers, two gateways, one pod each, dual stack."""

from ipaddress import ip_address, ip_network

from compiler.diagnostics import Place
from compiler.model import (
    Cluster,
    Config,
    DefaultRoute,
    Family,
    Interface,
    InterfaceAddress,
    Node,
    NodeNetwork,
    Workload,
)

_PLACE = Place("lab_fixtures.py")
POD_RANGES = (ip_network("10.244.0.0/16"), ip_network("fd00:244::/48"))
SERVICE_RANGES = (ip_network("10.96.0.0/16"),)
ANYWHERE4, ANYWHERE6 = "203.0.113.10", "2001:db8::10"


def address(text: str) -> InterfaceAddress:
    ip, _, length = text.partition("/")
    return InterfaceAddress(ip_address(ip), int(length))


def network(*interfaces: tuple[str, str, str], routes: tuple[tuple[str, str], ...] = ()) -> NodeNetwork:
    """Interfaces as (name, IPv4, IPv6); default routes as (interface, gateway), unknown when there are none."""
    return NodeNetwork(
        interfaces=tuple(Interface(name, (address(four), address(six))) for name, four, six in interfaces),
        default_routes=tuple(
            DefaultRoute(Family(ip_address(gateway).version), device, ip_address(gateway)) for device, gateway in routes
        ),
        routes_known=bool(routes),
    )


def node(name: str, number: int, networks: NodeNetwork | None) -> Node:
    four, six = ip_address(f"172.18.4.{number}"), ip_address(f"fd00:4::{number}")
    return Node(
        name=name,
        labels={},
        ready=True,
        cordoned=False,
        deleting=False,
        internal_ips={Family.IPV4: four, Family.IPV6: six},
        addresses=(four, six),
        pod_cidrs=(),
        network=networks,
        place=_PLACE,
    )


def workload(name: str, host: str, number: str) -> Workload:
    return Workload(
        kind="Pod",
        namespace="default",
        name=name,
        node=host,
        labels={},
        service_account="default",
        addresses={
            Family.IPV4: ip_address(f"10.244.{number}"),
            Family.IPV6: ip_address(f"fd00:244::{number.replace('.', ':')}"),
        },
        place=_PLACE,
    )


def worker(name: str, number: int) -> Node:
    return node(name, number, network(("eth0", f"172.18.4.{number}/24", f"fd00:4::{number}/64")))


def gateway(name: str, number: int) -> Node:
    interfaces = (
        ("eth0", f"172.18.4.{number}/24", f"fd00:4::{number}/64"),
        ("eth1", f"172.18.18.{number}/24", f"fd00:18::{number}/64"),
    )
    return node(name, number, network(*interfaces, routes=(("eth1", "172.18.18.1"), ("eth1", "fd00:18::1"))))


def cluster(nodes: tuple[Node, ...] | None = None, workloads: tuple[Workload, ...] | None = None) -> Cluster:
    if nodes is None:
        nodes = (gateway("gateway-1", 21), gateway("gateway-2", 22), worker("worker-1", 11), worker("worker-2", 12))
    if workloads is None:
        workloads = (
            workload("on-gateway", "gateway-1", "3.3"),
            workload("on-one", "worker-1", "1.1"),
            workload("on-two", "worker-2", "2.2"),
        )
    return Cluster(
        nodes={each.name: each for each in nodes},
        workloads=workloads,
        contested=(),
        agents=(),
        namespaces={},
        gateways={},
        policies=(),
        virtual_ips=frozenset(),
        lost_addresses=(),
        workload_ranges=POD_RANGES,
        cluster_ranges=POD_RANGES + SERVICE_RANGES,
        config=Config(),
        digest="0",
    )
