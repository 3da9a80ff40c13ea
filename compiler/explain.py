"""Explain: the fate of a packet and why, from a bundle alone.

The verdict is what the emitted rules do (`trace`); policy and CIDR, which no rule carries, come from the bundle's
policies and must agree with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from bundle.codec import decode
from bundle.directory import GATEWAYS, MANIFEST, POLICIES, WORKLOADS, Bundle, BundleError, open_bundle
from bundle.model import Gateways, Manifest, Policies, PolicyReport, WorkloadReport, Workloads
from bundle.text import json_text
from compiler.evaluate import EvaluationError
from compiler.model import Address, Network
from compiler.outputs import FateOutput
from compiler.text import TextError, did_you_mean, parse_address
from compiler.trace import Trace, TraceError, Tracer

_REASONS = {
    "drop_no_gateway": "the gateway has no suitable node, so its traffic is dropped",
    "drop_no_source": "the gateway has no source address of this family, so its traffic is dropped",
    "drop_no_next_hop": "there is no next hop of this family, so the packet is dropped",
    "drop_stray": "it arrives at a node that does not serve its gateway, and is dropped",
}
_CONTESTED = "drop_contested"


class ExplainError(Exception):
    """The question cannot be answered: no such workload, no such address, or a bundle that contradicts itself."""


@dataclass(frozen=True, slots=True)
class Fate:
    """The answer; fields as in the JSON of `egressc explain`."""

    workload: str
    source: Address
    destination: Address
    policy: str | None
    cidr: str | None
    gateway: str | None
    reason: str
    trace: Trace

    def as_json(self) -> FateOutput:
        """Returns the fields of the JSON output."""
        return {
            "verdict": self.trace.verdict,
            "policy": self.policy,
            "cidr": self.cidr,
            "gateway": self.gateway,
            "node": self.trace.node,
            "sourceIP": str(self.trace.source) if self.trace.source else None,
            "reason": self.reason,
            "from": {"workload": self.workload, "ip": str(self.source)},
            "to": str(self.destination),
            "hops": [
                {
                    "node": hop.node,
                    "at": hop.at,
                    "what": hop.what,
                    "rules": [{"chain": s.chain, "rule": s.rule, "element": s.element or None} for s in hop.steps],
                }
                for hop in self.trace.hops
            ],
        }

    def json(self) -> str:
        """Returns the JSON output."""
        return json_text(self.as_json())

    def text(self) -> str:
        """Returns the output for people: the fate on one line, the reason, then hop by hop."""
        source = self.trace.source or "the address of the node's interface"
        fate = {
            "egress": f"leaves by node {self.trace.node} with source {source}",
            "bypass": "goes its ordinary way, untouched",
            "drop": f"is dropped on node {self.trace.node}",
        }[self.trace.verdict]
        lines = [f"{self.workload} ({self.source}) to {self.destination}: {fate}", f"  why: {self.reason}"]
        for hop in self.trace.hops:
            lines.append(f"  {hop.node} {hop.at}: {hop.what}")
            lines.extend(f"    {step.chain}: {step.element or step.rule}" for step in hop.steps)
        return "\n".join(lines) + "\n"


class Explainer:
    """Answers questions about one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._tracer = Tracer(bundle)
        self._workloads = bundle.decode(Workloads, WORKLOADS).workloads
        self._policies = {policy.name: policy for policy in bundle.decode(Policies, POLICIES).policies}
        self._gateways = {item.name: item for item in bundle.decode(Gateways, GATEWAYS).gateways}
        self._holders: dict[str, WorkloadReport] = {}
        for workload in self._workloads:
            for text in workload.addresses:
                self._holders.setdefault(text, workload)
        self._check_references()

    @classmethod
    def open(cls, path: Path) -> "Explainer":
        """Opens a bundle directory.

        Raises:
            BundleError: It is not one.
        """
        return cls(open_bundle(path))

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> "Explainer":
        """Takes a bundle that was just compiled and is not on the disk."""
        return cls(Bundle(Path("(compiled)"), decode(Manifest, files[MANIFEST]), dict(files)))

    def _check_references(self) -> None:
        home = self._bundle.directory
        for workload in self._workloads:
            if odd := [name for name in workload.policies if name not in self._policies]:
                raise BundleError(f"{home / WORKLOADS}: {_name(workload)} names policy {odd[0]}, which is not there")

    def explain(self, source: str, destination: str) -> Fate:
        """Tells the fate of the first packet of a connection.

        Args:
            source: `NAMESPACE/NAME` of a workload, or an address of one.
            destination: IP address, as the packet has it after destination NAT.

        Raises:
            ExplainError: There is no such workload, it has no address of the destination's family, or the files of the
                bundle contradict each other.
        """
        try:
            to = parse_address(destination)
        except TextError as fault:
            raise ExplainError(f"--to: {fault}") from None
        workload, address = self._find(source, to)
        if workload.node not in self._bundle.manifest.nodes:
            raise ExplainError(f"{_name(workload)} runs on node {workload.node}, of which the bundle has no rules")
        try:
            trace = self._tracer.trace(workload.node, address, to)
        except (TraceError, EvaluationError) as fault:
            raise ExplainError(f"the bundle contradicts itself: {fault}") from None
        in_cluster = trace.verdict == "bypass" and any(
            "@cluster" in step.rule for hop in trace.hops for step in hop.steps
        )
        policy, prefix, excluded = (None, None, False) if in_cluster else self._deciding(workload, to)
        gateway = policy.gateway if policy and not excluded else None
        if trace.chain != _CONTESTED and (gateway is None) != (trace.verdict == "bypass"):
            raise ExplainError(f"the bundle contradicts itself: the rules say {trace.verdict}, the policies {gateway}")
        if trace.verdict == "egress" and gateway not in self._gateways:
            raise ExplainError(
                f"the bundle contradicts itself: traffic leaves by gateway {gateway}, which is not there"
            )
        active = self._gateways.get(policy.gateway) if policy else None
        return Fate(
            workload=_name(workload),
            source=address,
            destination=to,
            policy=policy.name if policy else None,
            cidr=str(prefix) if prefix else None,
            gateway=gateway,
            reason=why(
                workload,
                (policy, str(prefix), excluded) if policy else None,
                in_cluster=in_cluster,
                dropped=(trace.chain or "routing") if trace.verdict == "drop" else "",
                master=active.active_node_name if active else None,
            ),
            trace=trace,
        )

    def _find(self, source: str, to: Address) -> tuple[WorkloadReport, Address]:
        if "/" in source:
            found = [item for item in self._workloads if _name(item) == source]
            if not found:
                hint = did_you_mean(source, [_name(item) for item in self._workloads])
                raise ExplainError(f"--from: the bundle has no workload {source}{hint}")
            own = [ip_address(text) for item in found for text in item.addresses]
            match = next((address for address in own if address.version == to.version), None)
            if match is None:
                raise ExplainError(
                    f"--from: {source} has no IPv{to.version} address; it has {', '.join(map(str, own))}"
                )
            return found[0], match
        try:
            address = parse_address(source)
        except TextError:
            raise ExplainError(f"--from: {source!r} is neither NAMESPACE/NAME nor an IP address") from None
        if address.version != to.version:
            raise ExplainError(f"--from is IPv{address.version} and --to is IPv{to.version}; give two of one family")
        holder = self._holders.get(str(address))
        if holder is None:
            raise ExplainError(f"--from: no workload of the bundle has the address {address}")
        return holder, address

    def _deciding(self, workload: WorkloadReport, to: Address) -> tuple[PolicyReport | None, Network | None, bool]:
        """Finds the longest prefix among the workload's policies; equal ones by precedence, exclusion first."""
        best: tuple[PolicyReport | None, Network | None, bool] = (None, None, False)
        for name in workload.policies:
            policy = self._policies[name]
            for excluded, texts in ((True, policy.excluded_cidrs), (False, policy.destination_cidrs)):
                for network in map(ip_network, texts):
                    if to in network and (best[1] is None or network.prefixlen > best[1].prefixlen):
                        best = (policy, network, excluded)
        return best


def why(  # noqa: PLR0911  # one return a case
    workload: WorkloadReport,
    entry: tuple[PolicyReport, str, bool] | None,
    *,
    in_cluster: bool,
    dropped: str,
    master: str | None,
) -> str:
    """Returns why a packet meets its fate, in a sentence.

    Args:
        workload: Which sends it.
        entry: The policy that decides, its CIDR, and whether that is excluded; None where none decides.
        in_cluster: Whether the destination lies inside the cluster.
        dropped: The chain that drops it, such as `drop_no_gateway`; empty where it is not dropped.
        master: The active node of the policy's gateway.
    """
    if in_cluster:
        return "the destination lies inside the cluster, which is never redirected"
    if dropped == _CONTESTED:
        return "another workload has its source address too, and a policy sends one of the two to a gateway"
    if not workload.policies:
        return "no policy selects the workload"
    if entry is None:
        return "no policy that selects the workload has a CIDR that holds the destination"
    policy, cidr, excluded = entry
    if excluded:
        return f"policy {policy.name} excludes {cidr}"
    decides = f"policy {policy.name} sends {cidr} to gateway {policy.gateway}"
    if dropped:
        return f"{decides}: {_REASONS.get(dropped, f'dropped in chain {dropped}')}"
    return f"{decides}, whose active node is {master}"


def _name(workload: WorkloadReport) -> str:
    return f"{workload.namespace}/{workload.name}"
