"""Sweep: the loss of every single node, worst first.

Only the loss of a master changes what becomes of others' packets: the other nodes are counted and not looked at.
"""

from dataclasses import dataclass

from compiler.gates import Gate
from compiler.progress import Progress, counted, silent
from compiler.simulate.present import Present
from compiler.simulate.whatif import Impact, Scenario, suppose


@dataclass(frozen=True, slots=True)
class Sweep:
    """What the loss of one node does, for each node.

    Attributes:
        impacts: Of nodes that are master of a gateway, worst first: by workloads dropped, with another source address,
            with connections cut.
        harmless: How many other nodes there are, whose loss changes nothing for workloads on other nodes.
        single: Gateways with the only node that is suitable for them, whose loss takes them out altogether.
        unserved: Gateways that no node is suitable for as it is.
    """

    impacts: tuple[Impact, ...]
    harmless: int
    single: tuple[tuple[str, str], ...]
    unserved: tuple[str, ...]

    @property
    def touches_others(self) -> bool:
        """Whether the loss of any node does anything to the traffic of a workload on another one."""
        return any(impact.touches_others for impact in self.impacts)

    @property
    def happened(self) -> frozenset[Gate]:
        """What of that which `--fail-on` may name happens at the loss of some node.

        A gateway with two nodes has no standby after the loss of one, as everybody expects, so that here the gate means
        those that have none as it is.
        """
        found: set[Gate] = {gate for impact in self.impacts for gate in impact.happened if gate != "no-standby"}
        return frozenset(found | {"no-standby"} if self.single else found)


def sweep(present: Present, progress: Progress = silent) -> Sweep:
    """Loses each node in turn."""
    masters = sorted(set(present.masters.values()))
    impacts = [suppose(present, Scenario(down=(node,))) for node in counted(masters, "losing nodes", progress)]
    impacts.sort(key=lambda item: (-item.dropped, -item.readdressed, -item.cut, -len(item.takeovers), item.scenario))
    return Sweep(
        impacts=tuple(impacts),
        harmless=len(present.cluster.nodes) - len(masters),
        single=present.single,
        unserved=present.unserved,
    )
