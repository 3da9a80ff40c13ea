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
