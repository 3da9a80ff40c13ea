"""Peers: the addresses under which the nodes of a gateway are known on the link of its virtual IP.

Whoever is to bind a virtual IP asks for it first; an answer by one of these nodes comes from a former holder, any other
from a stranger (`bundle.model.Address`).
"""

from collections.abc import Iterator, Mapping

from compiler.model import Address, Family, Gateway, Mode, Node
from compiler.suitability import Source, Suitability, holds, virtual_source


def peers(addresses: Mapping[str, tuple[Address, ...]], node: str) -> tuple[Address, ...]:
    """Returns the link addresses of all nodes but one, sorted."""
    return tuple(sorted({a for name, found in addresses.items() if name != node for a in found}, key=int))


def link_addresses(
    gateway: Gateway, nodes: Mapping[str, Node], verdicts: Mapping[str, Suitability]
) -> dict[str, tuple[Address, ...]]:
    """Returns the addresses of each member node, suitable or not, sorted; no node where there is no virtual IP.

    They are of the virtual IP's family: the node's InternalIP, and as far as its interfaces are known its own on that
    where it would bind the virtual IP and on those whose subnet holds it.
    """
    address = gateway.virtual_ip
    if gateway.mode is not Mode.VIRTUAL or address is None:
        return {}
    family = Family(address.version)
    result = {}
    for name, verdict in verdicts.items():
        node = nodes[name]
        internal = [node.internal_ips[family]] if family in node.internal_ips else []
        source = verdict.source or virtual_source(gateway, node)
        bound = source.interface if isinstance(source, Source) else None
        result[name] = tuple(sorted({*internal, *_on_link(node, bound, address)}, key=int))
    return result


def _on_link(node: Node, bound: str | None, virtual_ip: Address) -> Iterator[Address]:
    for interface in node.network.interfaces if node.network else ():
        subnets = (holds(entry, virtual_ip) for entry in interface.addresses if entry.address != virtual_ip)
        if interface.name != bound and not any(subnets):
            continue
        for entry in interface.addresses:
            address = entry.address
            # A host address may float between nodes and strangers, as virtual IPs do, ours and those of others.
            own = entry.prefix_length < address.max_prefixlen and not address.is_loopback
            if own and address.version == virtual_ip.version:
                yield address
