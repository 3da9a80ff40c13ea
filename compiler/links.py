"""From one node to another: the next hop of each family, and whether it is on the link (semantics.md §10)."""

from collections.abc import Mapping

from compiler.diagnostics import Diagnostic
from compiler.findings import Findings
from compiler.model import Address, Family, Node
from compiler.suitability import holds, interface_of


class Links:
    """Answers for pairs of nodes, each worked out once; transport `direct`."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self._known: dict[tuple[str, str], dict[Family, Address]] = {}
        self._interfaces: dict[str, Mapping[Family, str]] = {}
        self._findings = Findings()
        self._unchecked: dict[tuple[str, str], None] = {}
        self._missing: set[tuple[str, str, Family]] = set()
        self._off_link: dict[tuple[str, str, Family], str] = {}

    def interfaces(self, node: Node) -> Mapping[Family, str]:
        """Returns the interface that holds the node's InternalIP of each family, as far as its interfaces are known."""
        if node.name not in self._interfaces:
            found = {
                family: interface_of(node.network, address)
                for family, address in node.internal_ips.items()
                if node.network is not None
            }
            self._interfaces[node.name] = {family: item[0] for family, item in found.items() if item is not None}
        return self._interfaces[node.name]

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

    def _work_out(self, node: Node, master: Node) -> dict[Family, Address]:
        result = {}
        for family, address in master.internal_ips.items():
            own = node.internal_ips.get(family)
            if own is None:
                continue
            found = interface_of(node.network, own) if node.network else None
            if found is None:
                self._unchecked[node.name, master.name] = None
            elif not holds(found[1], address):
                message = (
                    f"node {master.name} ({address}) is not in the subnet of {found[0]} on node {node.name} "
                    f"({own}/{found[1].prefix_length}), so packets cannot be handed to it directly; choose gateway "
                    "nodes on the same link in the gateway's spec.nodeSelector"
                )
                # An error only once a packet of this family would go there: `reaches` is asked then.
                self._off_link[node.name, master.name, family] = message
                continue
            result[family] = address
        return result
