"""Which interfaces of the nodes become links, with which addresses: `Cluster` to ports, pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from compiler.model import Address, Cluster, Family, Gateway, Network, Node

IPInterface = IPv4Interface | IPv6Interface

_GUESSED = {Family.IPV4: 24, Family.IPV6: 64}

# RFC 2544 and RFC 3849 keep these for tests and examples, so no real network of a cluster is in the way.
_INVENTED = {Family.IPV4: (ip_address("198.18.0.0"), 22), Family.IPV6: (ip_address("2001:db8:18::"), 64)}


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of a node that becomes a link."""

    node: Node
    name: str
    addresses: tuple[IPInterface, ...]

    def subnets(self) -> Iterator[Network]:
        """Yields the networks that its addresses lie in; an address by itself is in none."""
        return (a.network for a in self.addresses if a.network.prefixlen < a.max_prefixlen)

    def of(self, family: Family) -> tuple[IPInterface, ...]:
        """Returns its addresses of one family."""
        return tuple(a for a in self.addresses if a.version == family)


def virtual_ips(cluster: Cluster) -> set[Address]:
    """Returns the addresses that the applier gives to masters."""
    return {gateway.virtual_ip for gateway in cluster.gateways.values() if gateway.virtual_ip is not None}


def find_ports(cluster: Cluster, nodes: Sequence[Node], notes: list[str]) -> list[Port]:
    """Finds the interfaces that the lab builds; what had to be assumed is added to `notes`."""
    holders = Counter(
        address
        for node in nodes
        if node.network
        for address in {a.address for i in node.network.interfaces for a in i.addresses}
    )
    vips = virtual_ips(cluster)
    wanted = {name for gateway in cluster.gateways.values() for name in (gateway.interface, *gateway.interfaces)}

    def usable(node: Node, address: Address) -> bool:
        if address in node.internal_ips.values():
            return True
        # docker0, cni0, kube-ipvs0 and the like have one address on every node, or one that is a pod's: no network
        # that nodes share. A virtual IP is for the applier to add.
        return not (
            address.is_loopback
            or address.is_link_local
            or address.is_multicast
            or holders[address] > 1
            or address in vips
            or any(address in network for network in cluster.workload_ranges if network.version == address.version)
        )

    ports = []
    known: set[Network] = set()
    for node in nodes:
        routes = node.network.default_routes if node.network else ()
        for interface in node.network.interfaces if node.network else ():
            if interface.name == "lo":
                continue
            addresses = tuple(
                interface_address(a.address, a.prefix_length) for a in interface.addresses if usable(node, a.address)
            )
            routed = any(route.interface == interface.name for route in routes)
            if addresses or routed or interface.name in wanted:
                ports.append(Port(node, interface.name, addresses))
                known.update(ports[-1].subnets())
    for node in nodes:
        own = _completed(node, [port for port in ports if port.node is node], known, notes)
        own += _invented(cluster, node, nodes.index(node), {port.name for port in own}, notes)
        ports = [port for port in ports if port.node is not node] + own
    return ports


def interface_address(address: Address, prefix_length: int) -> IPInterface:
    """Joins an address and a prefix length."""
    return ip_interface(f"{address}/{prefix_length}")


def _completed(node: Node, ports: list[Port], known: Iterable[Network], notes: list[str]) -> list[Port]:
    """Gives a node its InternalIPs where no interface has them with a subnet: on `eth0`, or where it stands alone."""
    for family, address in sorted(node.internal_ips.items()):
        if any(address in subnet for port in ports for subnet in port.subnets() if subnet.version == family):
            continue
        around = [n.prefixlen for n in known if n.version == family and address in n]
        length = max(around, default=_GUESSED[family])
        guess = interface_address(address, length)
        index = next((i for i, p in enumerate(ports) if any(a.ip == address for a in p.addresses)), None)
        if index is None:
            index = next((i for i, p in enumerate(ports) if p.name == "eth0"), None)
        if index is None:
            ports = [Port(node, "eth0", (guess,)), *ports]
        else:
            others = tuple(a for a in ports[index].addresses if a.ip != address)
            both = sorted((guess, *others), key=lambda a: a.version)
            ports[index] = Port(node, ports[index].name, tuple(both))
        notes.append(f"node {node.name}: its network is not in the input; {guess} on an Ethernet is assumed")
    return ports


def _invented(cluster: Cluster, node: Node, index: int, present: Collection[str], notes: list[str]) -> Iterator[Port]:
    """Gives a node of which nothing is known the interfaces that its gateways name, in networks that are made up."""
    if node.network is not None:
        return
    names = sorted({g.interface for g in cluster.gateways.values() if g.interface is not None} - set(present))
    for number, name in enumerate(names):
        if not any(g.interface == name and selects(g, node) for g in cluster.gateways.values()):
            continue
        addresses = []
        for family in sorted(node.internal_ips):
            base, length = _INVENTED[family]
            network = ip_interface(f"{base + (number << (family.bits - length))}/{length}").network
            addresses.append(interface_address(network.network_address + index + 1, length))
        notes.append(
            f"node {node.name}: its network is not in the input; {name} {' '.join(map(str, addresses))} is made up"
        )
        yield Port(node, name, tuple(addresses))


def selects(gateway: Gateway, node: Node) -> bool:
    """Tells whether the node is a member of the gateway, suitable or not."""
    return all(node.labels.get(key) == value for key, value in gateway.node_selector.items())
