"""From one node to another: the next hop of each family, and whether it is on the link (semantics.md §10)."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from compiler.diagnostics import Diagnostic
from compiler.findings import Findings
from compiler.model import Address, Family, Network, Node
from compiler.suitability import interface_of


@dataclass(frozen=True, slots=True)
class _Uplink:
    """The interface that holds a node's InternalIP, and the subnet on its link."""

    interface: str
    subnet: Network


class Links:
    """Answers for pairs of nodes, each worked out once; transport `direct`."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self._known: dict[tuple[str, str], Mapping[Family, Address]] = {}
        self._uplinks: dict[str, Mapping[Family, _Uplink]] = {}
        self._findings = Findings()
        self._unchecked: dict[tuple[str, str], None] = {}
        self._missing: set[tuple[str, str, Family]] = set()
        self._off_link: dict[tuple[str, str, Family], str] = {}

    def interfaces(self, node: Node) -> Mapping[Family, str]:
        """Returns the interface that holds the node's InternalIP of each family, as far as its interfaces are known."""
        return {family: uplink.interface for family, uplink in self._uplinks_of(node).items()}

    def next_hops(self, node: Node, master: str) -> Mapping[Family, Address]:
        """Returns the master's InternalIP of each family in which the node can reach it directly."""
        key = (node.name, master)
        if key not in self._known:
            self._known[key] = self._work_out(node, self._nodes[master])
        return self._known[key]

    def reaches(self, node: Node, master: str, family: Family) -> bool:
        """Tells whether there is a next hop of the family; says, once a pair of nodes, when there is none."""
        if family in self.next_hops(node, master):
            return True
        key = (node.name, master, family)
        if key in self._missing:
            return False
        self._missing.add(key)
        if key in self._off_link:
            self._findings.error("EG403", node.place.at("status", "addresses"), self._off_link[key])
        else:
            message = (
                f"node {node.name} and gateway node {master} do not both have an IPv{family.value} InternalIP, so "
                f"IPv{family.value} traffic from {node.name} to that gateway is dropped; give both one"
            )
            self._findings.warning("EG404", node.place.at("status", "addresses"), message)
        return False

    def done(self) -> tuple[Diagnostic, ...]:
        """Returns what was found on the way."""
        if self._unchecked:
            node, master = next(iter(self._unchecked))
            number = len(self._unchecked) - 1
            more = f", and for {number} more pair{'s' if number > 1 else ''} of nodes" if number else ""
            message = (
                f"whether {master} is on the link of {node} could not be checked, since the interface of {node}'s "
                f"InternalIP is unknown{more}; add NodeNetworkStates"
            )
            self._findings.warning("EG405", self._nodes[node].place, message)
            self._unchecked.clear()
        return self._findings.done()

    def _uplinks_of(self, node: Node) -> Mapping[Family, _Uplink]:
        if node.name not in self._uplinks:
            self._uplinks[node.name] = _uplinks(node)
        return self._uplinks[node.name]

    def _work_out(self, node: Node, master: Node) -> Mapping[Family, Address]:
        uplinks = self._uplinks_of(node)
        result = {}
        for family, address in master.internal_ips.items():
            own = node.internal_ips.get(family)
            if own is None:
                continue
            uplink = uplinks.get(family)
            if uplink is None:
                self._unchecked[node.name, master.name] = None
            elif address not in uplink.subnet:
                message = (
                    f"node {master.name} ({address}) is not in the subnet of {uplink.interface} on node {node.name} "
                    f"({own}/{uplink.subnet.prefixlen}), so packets cannot be handed to it directly; choose gateway "
                    "nodes on the same link in the gateway's spec.nodeSelector"
                )
                # An error only once a packet of this family would go there: `reaches` is asked then.
                self._off_link[node.name, master.name, family] = message
                continue
            result[family] = address
        return result


def _uplinks(node: Node) -> dict[Family, _Uplink]:
    result = {}
    for family, address in node.internal_ips.items():
        found = interface_of(node.network, address) if node.network else None
        if found is not None:
            name, entry = found
            result[family] = _Uplink(name, ip_network(f"{address}/{entry.prefix_length}", strict=False))
    return result
