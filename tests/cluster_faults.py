"""Faults for generated clusters: each makes, where the cluster has what it takes, an error of one kind."""

from collections.abc import Callable, Sequence

from builders import Obj, interface, number, patched, state

Fault = Callable[[list[Obj]], list[Obj]]


def first(objects: Sequence[Obj], kind: str) -> Obj:
    return next(item for item in objects if item["kind"] == kind)


def replaced(objects: Sequence[Obj], old: Obj, new: Obj) -> list[Obj]:
    return [new if item is old else item for item in objects]


def _with(kind: str, path: str, value: object) -> Fault:
    """Writes a value into the first object of a kind."""

    def fault(objects: list[Obj]) -> list[Obj]:
        item = first(objects, kind)
        return replaced(objects, item, patched(item, path, value))

    return fault


def _with_virtual_ip(address: str) -> Fault:
    source = {"mode": "VirtualIPAddress", "virtualIPAddress": {"ip": address}}
    return _with("EgressGateway", "spec.sourceIP", source)


def one_virtual_ip_twice(objects: list[Obj]) -> list[Obj]:
    changed = _with_virtual_ip("172.18.18.241")(objects)
    double = patched(first(changed, "EgressGateway"), "metadata.name", "gate-double")
    return [*changed, double]


def one_address_twice(objects: list[Obj]) -> list[Obj]:
    """A pod with the address of the first one that has any."""
    pods = [item for item in objects if item["kind"] == "Pod" and item["status"].get("podIPs")]
    return [*objects, *(patched(item, "metadata.name", "double") for item in pods[:1])]


def machine_has_a_pods_address(objects: list[Obj]) -> list[Obj]:
    pods = [item for item in objects if item["kind"] == "Pod" and item["status"].get("podIPs")]
    return [
        *objects,
        *(
            {
                "apiVersion": "virtualization.deckhouse.io/v1alpha2",
                "kind": "VirtualMachine",
                "metadata": {"name": "double", "namespace": "default", "labels": {"app": "front"}},
                "status": {
                    "ipAddress": item["status"]["podIPs"][0]["ip"],
                    "nodeName": "egress-1",
                    "phase": "Running",
                },
            }
            for item in pods[:1]
        ),
    ]


def one_object_twice(objects: list[Obj]) -> list[Obj]:
    return [*objects, patched(first(objects, "Node"), "metadata.labels", {"zone": "elsewhere"})]


def same_content_twice(objects: list[Obj]) -> list[Obj]:
    """No fault at all."""
    return [*objects, first(objects, "Node"), first(objects, "EgressGatewayPolicy")]


def nothing_to_compile(objects: list[Obj]) -> list[Obj]:
    return [item for item in objects if not item["kind"].startswith("EgressGateway")]


def node_on_another_link(objects: list[Obj]) -> list[Obj]:
    """The first worker has its InternalIP in a subnet of its own."""
    worker = next(item for item in objects if item["kind"] == "Node" and item["metadata"]["name"] == "worker-1")
    own = f"172.19.0.{number('worker-1')}"
    moved = patched(worker, "status.addresses", [{"type": "InternalIP", "address": own}])
    rest = [
        item
        for item in replaced(objects, worker, moved)
        if not (item["kind"] == "NodeNetworkState" and item["metadata"]["name"] == "worker-1")
    ]
    return [*rest, state("worker-1", interface("eth0", f"{own}/24"))]


def node_on_links_of_its_own(objects: list[Obj]) -> list[Obj]:
    """The first worker's InternalIPs are a /32 and a /128, which matters in the families that policies ask for."""
    rest = [
        item for item in objects if not (item["kind"] == "NodeNetworkState" and item["metadata"]["name"] == "worker-1")
    ]
    return [*rest, state("worker-1", interface("eth0", "172.18.4.11/32", "fd00:4::11/128"))]


def node_on_a_link_of_its_own_in_ipv6(objects: list[Obj]) -> list[Obj]:
    """As clouds have it: a link for all IPv4 addresses, and a /128 for each node."""
    rest = [
        item for item in objects if not (item["kind"] == "NodeNetworkState" and item["metadata"]["name"] == "worker-1")
    ]
    return [*rest, state("worker-1", interface("eth0", "172.18.4.11/24", "fd00:4::11/128"))]


def _with_expression(operator: str, *values: str) -> Fault:
    expression = {"key": "app", "operator": operator, **({"values": list(values)} if values else {})}
    entries = [{"podSelector": {"matchExpressions": [expression]}}]
    return _with("EgressGatewayPolicy", "spec.selectors", entries)


FAULTS: list[Fault] = [
    one_virtual_ip_twice,
    one_address_twice,
    machine_has_a_pods_address,
    one_object_twice,
    same_content_twice,
    nothing_to_compile,
    node_on_another_link,
    node_on_another_link,
    node_on_links_of_its_own,
    node_on_a_link_of_its_own_in_ipv6,
    _with_virtual_ip("10.111.11.9"),
    _with_virtual_ip("10.222.0.9"),
    _with_virtual_ip("10.66.10.9"),
    _with_virtual_ip("fd00:222::9"),
    _with_virtual_ip("172.18.4.1"),
    _with_virtual_ip("172.18.18.1"),
    _with_virtual_ip("2001:db8:18::1"),
    _with_virtual_ip("172.18.18.300"),
    _with("EgressGateway", "spec.sourceIP.mode", "VirtualIP"),
    _with("EgressGateway", "spec.sourceIP", ...),
    _with("EgressGateway", "spec.sourceIP", {"mode": "VirtualIPAddress"}),
    _with("EgressGateway", "spec.nodeselector", {}),
    _with(
        "EgressGateway",
        "spec.sourceIP",
        {
            "mode": "PrimaryIPFromEgressGatewayNodeInterface",
            "primaryIPFromEgressGatewayNodeInterface": {"interfaceName": "sixteen-is-a-lot"},
        },
    ),
    _with("EgressGatewayPolicy", "spec.egressGatewayName", "gate-nowhere"),
    _with("EgressGatewayPolicy", "spec.destinationCIDRs", ["203.0.113.10"]),
    _with("EgressGatewayPolicy", "spec.destinationCIDRs", ["203.0.113.0/33"]),
    _with("EgressGatewayPolicy", "spec.excludedCIDRs", ["example.org/24"]),
    _with("EgressGatewayPolicy", "spec.destinationCIDRs", ...),
    _with("EgressGatewayPolicy", "spec.destinationCIDRs", []),
    _with("EgressGatewayPolicy", "spec.selectors", [{}]),
    _with("EgressGatewayPolicy", "spec.podSelector", {}),
    _with_expression("Has", "front"),
    _with_expression("Exists", "front"),
    _with_expression("NotIn"),
]
