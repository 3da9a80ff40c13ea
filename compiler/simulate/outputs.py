"""What `egressc simulate --format json` prints, as types, as those of `compiler.outputs`."""

from typing import Literal, TypedDict

from compiler.outputs import OutcomeOutput


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
    before: OutcomeOutput
    after: OutcomeOutput
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
