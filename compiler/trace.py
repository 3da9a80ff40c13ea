"""The way of a packet through the nodes of a bundle, by the emitted files alone.

In: an opened bundle, a source and a destination address. Out: what becomes of the packet and the hops on which it was
decided. What the node does by itself (its own routes, the CNI's masquerade) is not in a bundle and called `bypass`.
"""

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Literal

from bundle.directory import ROUTING, Bundle, NodePart, node_path
from bundle.model import Routing
from compiler.evaluate import Evaluator, Packet, Result, Step
from compiler.model import Address

Verdict = Literal["egress", "bypass", "drop"]


class TraceError(Exception):
    """The files of the bundle do not fit together; the message says where."""


@dataclass(frozen=True, slots=True)
class Hop:
    """What one node does to the packet at one point, and the rules and map elements that say so."""

    node: str
    at: str
    what: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """The fate of a packet.

    Attributes:
        verdict: `egress` when it leaves by a gateway, `bypass` when it goes its ordinary way, `drop`.
        node: The node by which it leaves or that drops it; for `bypass` the workload's own.
        source: Source address that the outside sees; None when it is not known from the bundle, or not `egress`.
        chain: The chain that decided, such as `gateway_egress-gw` or `drop_no_gateway`.
        hops: In order.
    """

    verdict: Verdict
    node: str
    source: Address | None
    chain: str
    hops: tuple[Hop, ...]


class Tracer:
    """Traces packets; each node's files are understood once."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._parts: dict[str, NodePart] = {}
        self._evaluators: dict[str, Evaluator] = {}
        self._by_address: dict[Address, str] | None = None

    def trace(self, node: str, source: Address, destination: Address) -> Trace:
        """Follows the first packet of a connection that a workload on `node` opens.

        Raises:
            TraceError: The files contradict each other.
            EvaluationError: A ruleset holds something unknown.
        """
        part, evaluator = self._node(node)
        packet = Packet(source, destination, source, iif="workload", local=_is_local(part, destination))
        result = evaluator.run("prerouting", packet)
        hops = [Hop(node, "prerouting", _decided(result), result.steps)]
        if not result.accepted:
            return Trace("drop", node, None, _last_chain(result), tuple(hops))
        packet = result.packet
        if packet.mark == 0:
            result = self._out(evaluator, replace(packet, oif="ordinary"))
            if not result.accepted:
                raise TraceError(f"node {node}: the guard drops what was let through: {source} to {destination}")
            return Trace("bypass", node, None, "", tuple(hops))
        next_hop, hop = self._route(part, packet)
        if hop is None:
            return self._leave(node, packet, hops, _marking_chain(result))
        hops.append(hop)
        if next_hop is None:
            return Trace("drop", node, None, "", tuple(hops))
        result = self._out(evaluator, replace(packet, oif="next-hop", next_hop=next_hop))
        if not result.accepted or result.packet.source != source:
            raise TraceError(f"node {node}: a packet for {next_hop} does not leave as it is: {result.steps[-1].rule}")
        hops.append(Hop(node, "postrouting", f"keeps its source {source}", result.steps))
        return self._arrive(self._owner(next_hop), packet, hops)

    def _arrive(self, node: str, sent: Packet, hops: list[Hop]) -> Trace:
        part, evaluator = self._node(node)
        local = _is_local(part, sent.destination)
        packet = Packet(sent.source, sent.destination, sent.source, iif=_node_interface(part), local=local)
        result = evaluator.run("prerouting", packet)
        hops.append(Hop(node, "prerouting", _decided(result), result.steps))
        if not result.accepted:
            return Trace("drop", node, None, _last_chain(result), tuple(hops))
        _, again = self._route(part, result.packet)
        if again is not None:
            raise TraceError(f"node {node}: a packet handed to it as a gateway is sent on to another node")
        return self._leave(node, result.packet, hops, _marking_chain(result))

    def _leave(self, node: str, packet: Packet, hops: list[Hop], chain: str) -> Trace:
        """The packet leaves the cluster here, by the node's own routes."""
        part, evaluator = self._node(node)
        leaving = replace(packet, oif=_masquerade_interface(part, packet.mark))
        result = self._out(evaluator, leaving)
        if not result.accepted:
            hops.append(Hop(node, "postrouting", "dropped", result.steps))
            return Trace("drop", node, None, _last_chain(result), tuple(hops))
        if not result.packet.translated:
            raise TraceError(f"node {node}: a packet leaves by a gateway with the workload's own address")
        source = None if result.masqueraded else result.packet.source
        shown = f"gets the source {source}" if source else f"takes the address of {leaving.oif}"
        hops.append(Hop(node, "postrouting", shown, result.steps))
        return Trace("egress", node, source, chain, tuple(hops))

    def _out(self, evaluator: Evaluator, packet: Packet) -> Result:
        """Sends a packet of a workload through what comes after routing."""
        forwarded = evaluator.run("forward", packet)
        return evaluator.run("postrouting", forwarded.packet) if forwarded.accepted else forwarded

    def _node(self, name: str) -> tuple[NodePart, Evaluator]:
        if name not in self._parts:
            part = self._bundle.node(name)
            self._evaluators[name] = Evaluator(part.ruleset)
            self._parts[name] = part
        return self._parts[name], self._evaluators[name]

    def _route(self, part: NodePart, packet: Packet) -> tuple[Address | None, Hop | None]:
        """Looks the packet up in policy routing; no hop when no rule matches, no address when it is dropped."""
        family = "ipv4" if packet.destination.version == 4 else "ipv6"  # noqa: PLR2004  # the IP version
        for rule in part.routing.rules:
            if rule.family != family or packet.mark & int(rule.fwmask, 16) != int(rule.fwmark, 16):
                continue
            routes = [r for r in part.routing.routes if (r.family, r.table) == (family, rule.table)]
            if not routes:
                raise TraceError(f"node {part.node}: routing table {rule.table} is empty, so `main` would decide")
            best = min(routes, key=lambda route: route.metric)
            text = f"fwmark {rule.fwmark}/{rule.fwmask} lookup {rule.table}: default {best.type} {best.gateway or ''}"
            address = ip_address(best.gateway) if best.gateway else None
            return address, Hop(part.node, "routing", text.strip())
        return None, None

    def _owner(self, address: Address) -> str:
        if self._by_address is None:
            # Not all of a node's part: of thousands of nodes a few are ever on a packet's way.
            self._by_address = {
                ip_address(text): name
                for name in self._bundle.manifest.nodes
                for text in self._bundle.decode(Routing, node_path(name, ROUTING)).internal_ips
            }
        if address not in self._by_address:
            raise TraceError(f"next hop {address} is no node of the bundle")
        return self._by_address[address]


def _decided(result: Result) -> str:
    if not result.accepted:
        return f"dropped in {_last_chain(result)}"
    return f"marked 0x{result.packet.mark:08x} by {_marking_chain(result)}" if result.packet.mark else "let through"


def _last_chain(result: Result) -> str:
    return result.steps[-1].chain


def _marking_chain(result: Result) -> str:
    elements = [step.element for step in result.steps if " : goto " in step.element]
    return elements[-1].rpartition(" : goto ")[2].removesuffix(" }") if elements else ""


def _is_local(part: NodePart, address: Address) -> bool:
    held = (ip_address(item.address.partition("/")[0]) for item in part.addresses.addresses)
    return address in held


def _node_interface(part: NodePart) -> str:
    """The name of the interface to other nodes, as the ruleset itself says it."""
    rules = part.ruleset.chains["ordinary"].rules if "ordinary" in part.ruleset.chains else ()
    named = (rule.text.split('"')[1] for rule in rules if rule.text.startswith("iifname != "))
    return next(named, "unknown")


def _masquerade_interface(part: NodePart, mark: int) -> str:
    found = part.ruleset.sets.get("masqueraded")
    elements = found.elements if found and found.spec == "type mark . ifname" else {}
    own = (text.split(" . ")[1].strip('"') for text in elements if int(text.split(" . ")[0], 16) == mark)
    return next(own, "outside")
