"""The whole of a diff: two sides compared, for people first and then node by node."""

from collections.abc import Mapping
from dataclasses import dataclass

from compiler.destinations import Range, common
from compiler.diff.change import NodeChange
from compiler.diff.gateways import GatewayChanges, compare_gateways
from compiler.diff.nodes import nodes
from compiler.diff.traffic import Traffic, compare_traffic
from compiler.gates import Gate
from compiler.model import Family
from compiler.outcomes import Outcomes
from compiler.progress import Progress, silent
from compiler.sides import Side


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two sides.

    Attributes:
        old: Name of the first side.
        new: Name of the second.
        traffic: What becomes of workloads' packets.
        gateways: Masters, virtual IPs, policies, ranges.
        nodes: What each node's files hold.
        in_cluster: Destinations that are inside the cluster on both sides, about which nothing is to be said.
    """

    old: str
    new: str
    traffic: Traffic
    gateways: GatewayChanges
    nodes: tuple[NodeChange, ...]
    in_cluster: Mapping[Family, tuple[Range, ...]]

    def __bool__(self) -> bool:
        """Whether anything differs that has a meaning."""
        traffic, gateways = self.traffic, self.gateways
        return bool(
            traffic.groups
            or traffic.appeared
            or traffic.disappeared
            or traffic.replaced
            or traffic.moved
            or gateways
            or any(node.changes or node.state != "changed" for node in self.nodes)
        )

    def gates(self) -> frozenset[Gate]:
        """Returns which of the gates of `--fail-on` are met."""
        kinds = {group.kind for group in self.traffic.groups}
        gateways = self.gateways
        met: dict[Gate, bool] = {
            "connections-break": self.traffic.breaking > 0,
            "source-change": "source" in kinds,
            "new-drop": not kinds.isdisjoint({"dropped", "new-dropped"}),
            "new-bypass": "bypassed" in kinds,
            "new-cover": "covered" in kinds,
            "master-move": bool(gateways.masters),
            "vip-move": any(move.before is not None for move in gateways.virtual_ips),
            "no-standby": any(change.before and not change.after for change in gateways.standbys),
        }
        return frozenset(gate for gate, happened in met.items() if happened)


def compare_sides(old: Side, new: Side, progress: Progress = silent) -> Difference:
    """Compares two sides, and takes the nodes' files out of both as they are compared.

    Args:
        old: The first side.
        new: The second.
        progress: Is told how far it is.

    Raises:
        BundleError: A node's file does not hold what it should.
    """
    progress("comparing traffic")
    outcomes = Outcomes(old.account), Outcomes(new.account)
    traffic = compare_traffic(*outcomes)
    progress("comparing nodes")
    workloads = (old.account.workloads, new.account.workloads)
    return Difference(
        old.name,
        new.name,
        traffic,
        compare_gateways(old.account, new.account),
        nodes(old.bundle, new.bundle, workloads=workloads, release=True),
        {family: common(*(item.in_cluster(family) for item in outcomes)) for family in Family},
    )
