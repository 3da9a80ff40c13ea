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


_CaseNames = TypedDict("_CaseNames", {"from": str, "pass": bool})


class CaseOutput(_CaseNames):
    """`egressc test --format json` prints a list of these, one a case.

    Attributes:
        name: The case's name, or its ends where it has none.
        file: The file that it stands in.
        from: As the case gives it.
        to: As the case gives it.
        expected: The fields of `expect` that were given.
        actual: Those fields as they are, and the reason; the verdict is `error` when the case cannot be asked.
        pass: Whether every expected field is as expected.
    """

    name: str
    file: str
    to: str
    expected: Mapping[str, str]
    actual: Mapping[str, str | None]


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


class SimulatedMoveOutput(TypedDict):
    """A gateway whose master changes.

    Attributes:
        gateway: The EgressGateway.
        vip: Its virtual IP, which moves too; null in the other mode.
        old: The master as it is.
        new: The master after; null when no node is suitable any more.
        reasons: Why the old one is not suitable any more.
    """

    gateway: str
    vip: str | None
    old: str
    new: str | None
    reasons: list[str]


class SimulatedWayOutput(TypedDict):
    """What becomes of packets.

    Attributes:
        verdict: They leave by a gateway, or are dropped.
        node: Where they leave; null unless they do.
        source: The address that they leave with; null where only the node can tell, and unless they leave.
        interface: Where only the node can tell the address, the interface that has it.
        reason: Why they are dropped; empty unless they are.
    """

    verdict: Literal["egress", "bypass", "drop"]
    node: str | None
    source: str | None
    interface: str | None
    reason: str


class SimulatedChangeOutput(TypedDict):
    """What happens alike to packets of some workloads that are not on a lost node.

    Attributes:
        kind: They are dropped now; leave with another source address; leave by another node with the source address
            that they had, which cuts connections; or leave now and were dropped before.
        gateway: The EgressGateway that takes the packets.
        family: Their address family.
        before: What becomes of them as it is.
        after: What becomes of them then.
        workloads: How many workloads send such.
        examples: Some of them, as NAMESPACE/NAME.
    """

    kind: Literal["drop", "source", "cut", "restored"]
    gateway: str
    family: Literal["ipv4", "ipv6"]
    before: SimulatedWayOutput
    after: SimulatedWayOutput
    workloads: int
    examples: list[str]


class SimulatedLoadOutput(TypedDict):
    """What a node carries before and after.

    Attributes:
        node: Its name.
        gateways: How many gateways it is master of: before, and after.
        workloads: How many workloads leave by it: before, and after.
    """

    node: str
    gateways: list[int]
    workloads: list[int]


class SimulatedErrorOutput(TypedDict):
    """An error for which compile would refuse the cluster after.

    Attributes:
        code: As in `docs/diagnostics.md`.
        message: What is wrong and what to do about it.
    """

    code: str
    message: str


class ScenarioOutput(TypedDict):
    """What one scenario does. Workloads on lost nodes count under `gone` only.

    Attributes:
        down: Nodes that are lost.
        cordoned: Nodes that are cordoned.
        dropped: How many workloads have packets that are dropped now and were not before.
        readdressed: How many have packets that leave with another source address.
        cut: How many have connections that break, for whichever reason.
        restored: How many have packets that leave now and were dropped before.
        gone: How many are on the lost nodes, served by a gateway or not.
        moves: Gateways whose master changes, by name.
        changes: What happens to packets: drops first, then by how many workloads are concerned.
        load: Of nodes that carry anything before or after, by name.
        unprotected: Gateways that lost a node and have none left that could take over.
        errors: For which compile would refuse the cluster after.
    """

    down: list[str]
    cordoned: list[str]
    dropped: int
    readdressed: int
    cut: int
    restored: int
    gone: int
    moves: list[SimulatedMoveOutput]
    changes: list[SimulatedChangeOutput]
    load: list[SimulatedLoadOutput]
    unprotected: list[str]
    errors: list[SimulatedErrorOutput]


class SingleNodeOutput(TypedDict):
    """A gateway that the loss of one node takes out.

    Attributes:
        gateway: The EgressGateway.
        node: The only node that is suitable for it.
    """

    gateway: str
    node: str


class SimulationOutput(TypedDict):
    """`egressc simulate --format json` prints this.

    Attributes:
        touched: Whether anything happens to the traffic of a workload that is not on a lost node.
        happened: The names of `--fail-on` that hold.
        scenarios: The one that was asked for; with `--all-single-failures` the loss of each node that is master of a
            gateway, worst first.
        harmless: With `--all-single-failures`, how many other nodes there are, whose loss changes nothing for workloads
            elsewhere; 0 without.
        single: Gateways that the loss of one node takes out altogether, as it is.
        unserved: Gateways that no node is suitable for, as it is.
    """

    touched: bool
    happened: list[str]
    scenarios: list[ScenarioOutput]
    harmless: int
    single: list[SingleNodeOutput]
    unserved: list[str]
