"""Population: the workloads of a cluster, kept so that some may change without all being read again.

In: changed Pods and VirtualMachines. Out: the workloads that went and those that came, as `read_snapshot` would have
them. What makes workloads one, such as a virtual machine and its pods, is asked of `workloads` for the few concerned.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compiler.findings import Findings
from compiler.inputs import kubernetes
from compiler.load import Key, Object
from compiler.model import Address, AgentPod, Config, Workload
from compiler.shape import read_as
from compiler.workloads import LAUNCHER_LABEL, merge, object_of, read_pod

_Machine = tuple[Object, kubernetes.VirtualMachine]
_Group = tuple[str, str]
"""Namespace and name of a virtual machine, and so of the pods that run it."""


@dataclass(frozen=True, slots=True)
class Turnover:
    """What a change of pods and machines comes to.

    Attributes:
        pods: The workload that each changed Pod is by itself, and the agent; None for what it is not, or no longer.
        machines: Each changed VirtualMachine, None if it is gone.
        gone: Workloads that are no more; one that changed is gone and has come.
        come: Workloads that are new.
        contested: Addresses that are of two workloads now, each with the keys of their objects.
    """

    pods: Mapping[Key, tuple[Workload | None, AgentPod | None]]
    machines: Mapping[Key, _Machine | None]
    gone: tuple[Workload, ...]
    come: tuple[Workload, ...]
    contested: tuple[tuple[Address, Key, Key], ...]


class Population:
    """The pods and virtual machines of a cluster in which no address is contested."""

    def __init__(self, objects: Iterable[Object], config: Config) -> None:
        self._config = config
        self._pods: dict[Key, Workload] = {}
        self._agents: dict[Key, AgentPod] = {}
        self._machines: dict[Key, _Machine] = {}
        self._launchers: dict[_Group, set[Key]] = {}
        self._holders: dict[Address, Key] = {}
        turnover = self.turn({item.key: item for item in objects}, Findings())
        if turnover.contested:
            raise AssertionError("an address is contested, which is an error of the cluster")
        self.commit(turnover)

    def turn(self, changed: Mapping[Key, Object | None], findings: Findings) -> Turnover:
        """Works out what a change comes to, without making it.

        Args:
            changed: Pods and VirtualMachines, None for one that is gone.
            findings: Get what is wrong with them.
        """
        pods: dict[Key, tuple[Workload | None, AgentPod | None]] = {}
        machines: dict[Key, _Machine | None] = {}
        for key, item in changed.items():
            if key[0] == "Pod":
                pods[key] = (None, None) if item is None else read_pod(item, self._config, findings)
            else:
                read = None if item is None else read_as(kubernetes.VirtualMachine, item, findings)
                machines[key] = None if item is None or read is None else (item, read)
        gone: list[Workload] = []
        come: list[Workload] = []
        groups = {key[1:]: None for key in machines}
        for key, (new, _) in pods.items():
            for pod, side in ((self._pods.get(key), gone), (new, come)):
                if pod is not None and (group := _group(pod)) is not None:
                    groups[group] = None
                elif pod is not None:
                    side.append(pod)
        for group in groups:
            gone += self._merged(group, {}, {}, findings)
            come += self._merged(group, pods, machines, findings)
        return Turnover(pods, machines, tuple(gone), tuple(come), self._contested(gone, come))

    def commit(self, turnover: Turnover) -> None:
        """Makes a change that was worked out."""
        for key, (pod, agent) in turnover.pods.items():
            self._put(key, pod, agent)
        for key, machine in turnover.machines.items():
            self._machines.pop(key, None)
            if machine is not None:
                self._machines[key] = machine
        for workload in turnover.gone:
            for address in workload.addresses.values():
                del self._holders[address]
        for workload in turnover.come:
            self._holders.update(dict.fromkeys(workload.addresses.values(), object_of(workload)))

    def _put(self, key: Key, pod: Workload | None, agent: AgentPod | None) -> None:
        before = self._pods.pop(key, None)
        if before is not None and (group := _group(before)) is not None:
            self._launchers[group].discard(key)
            if not self._launchers[group]:
                del self._launchers[group]
        if pod is not None:
            self._pods[key] = pod
            if (group := _group(pod)) is not None:
                self._launchers.setdefault(group, set()).add(key)
        self._agents.pop(key, None)
        if agent is not None:
            self._agents[key] = agent

    def agents(self, turnover: Turnover) -> tuple[AgentPod, ...] | None:
        """Returns the agent pods as they are after a change, None where it is about none."""
        changed = {key: agent for key, (_, agent) in turnover.pods.items()}
        if not any(changed.values()) and self._agents.keys().isdisjoint(changed):
            return None
        return tuple(agent for agent in {**self._agents, **changed}.values() if agent is not None)

    def _merged(
        self,
        group: _Group,
        pods: Mapping[Key, tuple[Workload | None, AgentPod | None]],
        machines: Mapping[Key, _Machine | None],
        findings: Findings,
    ) -> tuple[Workload, ...]:
        """Returns the workloads that a virtual machine and its pods are, given those of them that changed."""
        after = {key: self._pods[key] for key in self._launchers.get(group, ()) if key not in pods}
        after |= {key: pod for key, (pod, _) in pods.items() if pod is not None and _group(pod) == group}
        key = ("VirtualMachine", *group)
        machine = machines[key] if key in machines else self._machines.get(key)
        in_order = (pod for _, pod in sorted(after.items()))
        return merge(in_order, [] if machine is None else [machine], findings)

    def _contested(self, gone: Iterable[Workload], come: Iterable[Workload]) -> tuple[tuple[Address, Key, Key], ...]:
        freed = {object_of(workload) for workload in gone}
        new: dict[Address, Key] = {}
        found = []
        for workload in sorted(come, key=lambda workload: workload.identity):
            key = object_of(workload)
            for address in workload.addresses.values():
                holder = self._holders.get(address)
                other = new.setdefault(address, key) if holder is None or holder in freed else holder
                if other != key:
                    found.append((address, key, other))
        return tuple(found)


def _group(pod: Workload) -> _Group | None:
    """Returns the virtual machine that a pod runs, if it is such a pod."""
    machine = pod.labels.get(LAUNCHER_LABEL)
    return (pod.namespace, machine) if machine else None
