"""What `--format json` prints, as types: programs read it, so that it is stable and has schemas in `schemas/`."""

from collections.abc import Mapping
from typing import Literal, TypedDict


class FindingOutput(TypedDict):
    """`egressc check --format json` prints a list of these, one a finding.

    Attributes:
        severity: With an `error` nothing is compiled.
        code: Stable code, `docs/diagnostics.md` has a line for each.
        message: What is wrong and what to write instead.
        file: The input as it was named on the command line; `-` for standard input.
        line: From 1; 0 where the finding is about the file as a whole.
        column: From 1; 0 where the finding is about the file as a whole.
        field: Path of the field, such as `spec.destinationCIDRs[1]`; empty where it is about the object as a whole.
    """

    severity: Literal["error", "warning"]
    code: str
    message: str
    file: str
    line: int
    column: int
    field: str


class StepOutput(TypedDict):
    """A rule that did something to the packet.

    Attributes:
        chain: Chain of the ruleset, or routing table.
        rule: The rule's text.
        element: The element of the rule's set or map that matched, if it has one.
    """

    chain: str
    rule: str
    element: str | None


class HopOutput(TypedDict):
    """What happens to the packet at one place of a node.

    Attributes:
        node: Name of the node.
        at: Where on it.
        what: What happens there.
        rules: The rules that decide it, in order.
    """

    node: str
    at: str
    what: str
    rules: list[StepOutput]


class WorkloadOutput(TypedDict):
    """The workload that sends.

    Attributes:
        workload: As NAMESPACE/NAME.
        ip: Its address of the destination's family.
    """

    workload: str
    ip: str


_FateNames = TypedDict("_FateNames", {"from": WorkloadOutput, "sourceIP": str | None})  # no names of Python


class FateOutput(_FateNames):
    """`egressc explain --format json`: what becomes of the first packet of a connection, and why.

    Attributes:
        verdict: Redirected to a gateway, left to go its ordinary way, or dropped.
        policy: The EgressGatewayPolicy that decides; null when none does.
        cidr: Its CIDR that decides.
        gateway: The EgressGateway that the packet is sent to; null for a bypass.
        node: The node where it leaves or is dropped; for a bypass the workload's own.
        sourceIP: The address that it leaves with; null when the bundle does not know it, and without a gateway.
        reason: Why, in a sentence.
        from: The workload that sends.
        to: Destination address.
        hops: The way of the packet, place by place.
    """

    verdict: Literal["egress", "bypass", "drop"]
    policy: str | None
    cidr: str | None
    gateway: str | None
    node: str
    reason: str
    to: str
    hops: list[HopOutput]


class BreachOutput(TypedDict):
    """Where a case does not hold, or what must never be is.

    Attributes:
        workloads: How many workloads' packets it is about.
        examples: The first of them, as NAMESPACE/NAME.
        destinations: All destinations of which it is true, as the fewest CIDRs.
        actual: What becomes of these packets; the verdict is `error` where nothing can be said.
        reason: Why, in a sentence.
        file: Where the entry of the policy that decides is written; empty where none does.
        line: From 1; 0 where there is none.
    """

    workloads: int
    examples: list[str]
    destinations: list[str]
    actual: Mapping[str, str | None]
    reason: str
    file: str
    line: int


_CaseNames = TypedDict("_CaseNames", {"from": str, "pass": bool})


class CaseOutput(_CaseNames):
    """`egressc test --format json` prints a list of these, one an entry of `cases` or `never`.

    Attributes:
        kind: Which of the two.
        name: The entry's name, or what it asserts where it has none.
        file: The file that it stands in.
        line: Where it begins, from 1.
        from: The workloads, for people.
        to: The destinations, for people.
        expected: The fields of `expect` that were given, or those that must never be; of several values, with ` or `.
        actual: What becomes of the first packet that fails, else of the first one, and the reason; the verdict is
            `error` when the entry cannot be asked. Empty where nothing does what must never be.
        workloads: How many workloads it is about.
        breaches: Where it does not hold.
        packets: Packets sent in the lab for it, 0 without `--lab`.
        pass: Whether it holds.
    """

    kind: Literal["case", "never"]
    name: str
    file: str
    line: int
    to: str
    expected: Mapping[str, str]
    actual: Mapping[str, str | None]
    workloads: int
    breaches: list[BreachOutput]
    packets: int


_PacketSource = TypedDict("_PacketSource", {"from": str})


class PacketOutput(_PacketSource):
    """A packet that shows a failure: the first of a connection.

    Attributes:
        from: Its source address.
        workload: `NAMESPACE/NAME` of the workload that sends it.
        node: The workload's node.
        to: Its destination address.
        expected: What should become of it.
        actual: What the files do to it.
    """

    workload: str
    node: str
    to: str
    expected: str
    actual: str


class FailureOutput(TypedDict):
    """One thing that a bundle does otherwise than it should.

    Attributes:
        file: Path in the bundle.
        message: What is wrong.
        packet: A packet that meets it, if a workload's does.
    """

    file: str
    message: str
    packet: PacketOutput | None


class VerdictOutput(TypedDict):
    """`egressc verify --format json` prints this.

    Attributes:
        verified: Whether nothing failed.
        nodes: Nodes whose files were read.
        workloads: Workloads of the bundle.
        classes: Classes of workload and destination that are decided alike on a node, over all nodes.
        failures: What failed, in order of files.
    """

    verified: bool
    nodes: int
    workloads: int
    classes: int
    failures: list[FailureOutput]


class NodeChangeOutput(TypedDict):
    """One thing that is otherwise on a node.

    Numbers that each node hands out for itself stand in it by what they stand for, as `mark(gateway NAME)` and
    `table(node NAME)`; a class of workloads by its policies, as `local(POLICY, …)`.

    Attributes:
        kind: What sort of thing.
        place: Where it is, in nft's and ip's words, such as `map source4`.
        subject: Which it is there: a key, a range of addresses, the position of a rule; empty for the place itself.
        before: What it was; null if it was not there.
        after: What it becomes; null if it goes.
        note: What else helps to know it by, such as the name of the workload.
    """

    kind: str
    place: str
    subject: str
    before: str | None
    after: str | None
    note: str


class NodeGroupOutput(TypedDict):
    """Nodes with like changes.

    Attributes:
        state: Whether only the new bundle has them, only the old one, or both.
        nodes: Their names.
        changes: What all of them have; with nothing here and in `own` the files differ only in their wording.
        own: Changes that are a node's own, by its name; nodes without any are left out.
    """

    state: Literal["added", "removed", "changed"]
    nodes: list[str]
    changes: list[NodeChangeOutput]
    own: Mapping[str, list[NodeChangeOutput]]


class LiveDiffOutput(TypedDict):
    """`egressc diff --live --format json`: what an apply would change on the node.

    Attributes:
        node: Its name.
        changes: What differs between the kernel, before, and the bundle, after.
        steps: Lines that `egressc apply --dry-run` prints, in its order.
    """

    node: str
    changes: list[NodeChangeOutput]
    steps: list[str]


class OutcomeOutput(TypedDict):
    """What becomes of packets.

    Attributes:
        verdict: They leave by a gateway, go their ordinary way, or are dropped.
        gateway: The EgressGateway that takes them; null for a bypass, and where an address is contested.
        node: The node where they leave; null unless they do.
        sourceIP: The address that they leave with; null where only the node can tell, and unless they leave.
        interface: Where only the node can tell, the interface that has the address.
        reason: Why they are dropped, such as `no_gateway`; empty unless they are.
    """

    verdict: Literal["egress", "bypass", "drop"]
    gateway: str | None
    node: str | None
    sourceIP: str | None
    interface: str | None
    reason: str


class TrafficOutput(TypedDict):
    """Workloads that meet the same change.

    Attributes:
        kind: What sort of change.
        family: Address family.
        destinations: Where it is so, exactly: addresses, prefixes and ranges `low-high`, in order.
        before: What became of packets there; null where there was no such workload.
        after: What becomes of them now; null where there is no such workload any more.
        policiesBefore: Policies that decided about any of the destinations.
        policiesAfter: Policies that decide now.
        workloads: As NAMESPACE/NAME.
        breaking: How many of them may have connections that break.
    """

    kind: Literal[
        "dropped", "source", "bypassed", "covered", "path", "restored", "still-dropped", "new-dropped", "new", "gone"
    ]
    family: Literal["ipv4", "ipv6"]
    destinations: list[str]
    before: OutcomeOutput | None
    after: OutcomeOutput | None
    policiesBefore: list[str]
    policiesAfter: list[str]
    workloads: list[str]
    breaking: int


class WorkloadCountsOutput(TypedDict):
    """How many workloads a change concerns.

    Attributes:
        total: Of both sides together.
        changed: Those whose traffic changes.
        breaking: Those that may have connections that break.
        kept: Those behind gateways that keep every connection.
        appeared: Those that only the new side has, as NAMESPACE/NAME.
        disappeared: Those that only the old side has.
        replaced: Those of one name that are another one: with another address, or pods on another node.
        moved: Virtual machines that run on another node with the address that they had.
    """

    total: int
    changed: int
    breaking: int
    kept: int
    appeared: list[str]
    disappeared: list[str]
    replaced: list[str]
    moved: list[str]


class MasterMoveOutput(TypedDict):
    """A gateway with another master.

    Attributes:
        gateway: Its name.
        before: The old master; null if it had none.
        after: The new master; null if it has none.
        lost: Why the old one cannot be master any more; empty if it could.
        gained: Why the new one could not be master before; empty if it could.
    """

    gateway: str
    before: str | None
    after: str | None
    lost: list[str]
    gained: list[str]


class VirtualIPMoveOutput(TypedDict):
    """A virtual IP with another holder.

    Attributes:
        address: The virtual IP.
        gateways: Whose it is or was.
        before: The node that held it; null if none did.
        after: The node that holds it now; null if none does.
    """

    address: str
    gateways: list[str]
    before: str | None
    after: str | None


class StandbyChangeOutput(TypedDict):
    """A gateway with other standbys.

    Attributes:
        gateway: Its name.
        before: Nodes that could have taken over, in that order.
        after: Nodes that can take over now.
    """

    gateway: str
    before: list[str]
    after: list[str]


class GatewayOutput(TypedDict):
    """A gateway as one side has it.

    Attributes:
        mode: How it gets its source address.
        master: The active node; null if none is suitable.
        ipv4: Its source address; null if it has none, or only the node can tell.
        ipv6: The same.
    """

    mode: str
    master: str | None
    ipv4: str | None
    ipv6: str | None


class GatewayChangeOutput(TypedDict):
    """A gateway that comes, goes or becomes another.

    Attributes:
        name: Its name.
        before: As it was; null if it was not there.
        after: As it is; null if it is not there any more.
    """

    name: str
    before: GatewayOutput | None
    after: GatewayOutput | None


class PolicyOutput(TypedDict):
    """A policy as one side has it.

    Attributes:
        gateway: The EgressGateway that it names.
        destinationCIDRs: As compiled.
        excludedCIDRs: As compiled.
    """

    gateway: str
    destinationCIDRs: list[str]
    excludedCIDRs: list[str]


class PolicyChangeOutput(TypedDict):
    """A policy that comes, goes or says something else.

    Attributes:
        name: Its name.
        before: As it was; null if it was not there.
        after: As it is; null if it is not there any more.
    """

    name: str
    before: PolicyOutput | None
    after: PolicyOutput | None


class DiffOutput(TypedDict):
    """`egressc diff --format json`: what differs between two bundles.

    Attributes:
        old: Name of the old side, as on the command line.
        new: Name of the new side.
        differs: Whether anything does.
        gates: What of that which `--fail-on` can name has happened.
        failed: Those of them that `--fail-on` did name.
        workloads: How many workloads are concerned.
        traffic: What becomes of whose packets, the gravest first.
        masters: Gateways of both sides with another master.
        virtualIPs: Virtual IPs that move, come or go.
        standbys: Gateways of both sides with other standbys.
        gateways: Gateways that come, go, or have another mode or source address.
        policies: Policies that come, go or say something else.
        precedence: Whether the order of policies, which decides between equal CIDRs, is another.
        clusterAdded: Destinations that are inside the cluster now, and so never redirected.
        clusterRemoved: Destinations that were inside the cluster.
        nodesAdded: Nodes that only the new side has.
        nodesRemoved: Nodes that only the old side has.
        nodes: What changes in the files of nodes, for nodes with like changes together.
    """

    old: str
    new: str
    differs: bool
    gates: list[str]
    failed: list[str]
    workloads: WorkloadCountsOutput
    traffic: list[TrafficOutput]
    masters: list[MasterMoveOutput]
    virtualIPs: list[VirtualIPMoveOutput]
    standbys: list[StandbyChangeOutput]
    gateways: list[GatewayChangeOutput]
    policies: list[PolicyChangeOutput]
    precedence: bool
    clusterAdded: list[str]
    clusterRemoved: list[str]
    nodesAdded: list[str]
    nodesRemoved: list[str]
    nodes: list[NodeGroupOutput]
