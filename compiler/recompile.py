"""Recompile: a cluster that is compiled and takes changes, and says which nodes' plans they change.

What a controller stands on that lives as long as the cluster: it hands over each object that was added, changed or
removed, and gets back the nodes that must be told something new, with the same bytes as a compile of everything would
give. Pods, virtual machines and the states of nodes, which change all the time, cost as much as they concern; policies,
gateways and whatever else changes rarely are compiled anew, from what is read already.

A change with an error is refused as compile would refuse it, and nothing has changed then. Warnings are compile's and
check's to give.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from compiler.account import give_account
from compiler.blocks import Blocks
from compiler.diagnostics import Diagnostic, Severity
from compiler.elect import NOTHING_EARLIER, Earlier, Election, elect
from compiler.findings import Findings
from compiler.ground import Ground, lay, with_elections, with_workloads
from compiler.load import Key, Loaded, Object, load, read_objects, together
from compiler.matching import Matching
from compiler.members import takes
from compiler.model import AgentPod, Cluster, Node, Workload
from compiler.nodeplan import NodePlan
from compiler.nodes import read_node
from compiler.pack import node_files
from compiler.pipeline import Compiled, nothing_to_do, sort
from compiler.plan import plan_node
from compiler.population import Population, Turnover
from compiler.resolve import Resolved, replaced, resolve_by
from compiler.snapshot import Snapshot, read_snapshot
from compiler.suitability import Judge, Suitability, Verdicts, serving
from compiler.tables import RoutingTable, Tables
from compiler.text import counted
from compiler.validate import assemble, read_config
from compiler.workloads import contested_address

_WORKLOADS: Final = frozenset({"Pod", "VirtualMachine"})
_OURS: Final = frozenset({"EgressGateway", "EgressGatewayPolicy"})
_QUICK: Final = _WORKLOADS | {"Node"}
_OF_WORKLOADS: Final = _WORKLOADS | {"EgressCompilerConfig"}
"""Kinds that the population is read from; the configuration says which pods are agents."""

_LABELS_PER_WORKLOAD: Final = 2
"""When more label sets are remembered than that, they are forgotten: those of Jobs' pods never come again."""

_BLOCKS_PER_CLASS: Final = 8
"""After so many different outcomes of a class the blocks are made anew, lest those of long ago stay for ever."""


@dataclass(frozen=True)
class Change:
    """What a change of objects comes to.

    Attributes:
        refused: The errors for which nothing was changed; empty if it was.
        plans: The new plan of each node that has another one than before, or had none.
        gone: Nodes that are no longer in the cluster, sorted.
    """

    refused: tuple[Diagnostic, ...]
    plans: Mapping[str, NodePlan]
    gone: tuple[str, ...] = ()

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """The files of those nodes by their paths in a bundle."""
        return {path: content for plan in self.plans.values() for path, content in node_files(plan).items()}


@dataclass(frozen=True, slots=True)
class _State:
    """What there is between two changes; what may grow in it only remembers what it was asked.

    The snapshot is that of the last time that all was read: what changed since is in the cluster of the ground.
    """

    snapshot: Snapshot
    matching: Matching
    tables: Tables
    ground: Ground
    blocks: Blocks
    plans: Mapping[str, NodePlan]

    def tabled(self, workloads: Iterable[Workload]) -> Iterator[tuple[Workload, RoutingTable | None]]:
        """Yields workloads with what the policies decide that select them, None where none does."""
        for workload in workloads:
            policies = self.matching.policies_of(workload)
            yield workload, self.tables.of(policies) if policies else None


class RefusedError(Exception):
    """The inputs have errors, so that there is nothing to begin with."""

    def __init__(self, findings: tuple[Diagnostic, ...]) -> None:
        super().__init__(f"{counted(len(findings), 'error')}, the first: {findings[0].message}")
        self.findings = findings


class Recompiler:
    """A compiled cluster that takes changes."""

    def __init__(self, inputs: Mapping[str, bytes], earlier: Earlier = NOTHING_EARLIER) -> None:
        """Compiles all.

        Args:
            inputs: YAML or JSON by the names under which findings speak of it.
            earlier: Who was master before, for the algorithm `balanced`.

        Raises:
            RefusedError: There are errors.
        """
        loaded, findings = load([read_objects(name, raw) for name, raw in inputs.items()])
        refuse(findings)
        self._objects = {item.key: item for item in loaded.objects}
        self._texts = 0
        self._state = _compile(loaded, earlier)
        self._population = _populate(loaded.objects, self._state)

    def change(self, changed: Iterable[bytes] = (), removed: Iterable[Key] = ()) -> Change:
        """Takes a change of objects.

        Args:
            changed: Objects that are new or different, as YAML or JSON, one or a list of them in each text.
            removed: Kind, namespace and name of objects that are no more; one that was not there is no error, and one
                that is given too is not gone.

        Returns:
            What comes of it. What compile would refuse is refused; so is a cluster without any gateway and policy.
        """
        files = []
        for raw in changed:
            self._texts += 1  # of the whole life, so that a place is of one text only
            files.append(read_objects(f"change {self._texts}", raw))
        given, faults = load(files)
        there = {item.key: item for item in given.objects}
        changes: dict[Key, Object | None] = {key: None for key in removed if key in self._objects and key not in there}
        changes |= {key: item for key, item in there.items() if self._is_news(item)}
        try:
            refuse(faults)
            if not changes:
                return Change((), {})
            made = self._quick(changes)
            return self._anew(changes) if made is None else made
        except RefusedError as fault:
            return Change(fault.findings, {})

    def bundle(self) -> Compiled:
        """Returns the whole as it is now; its files are those that a compile of all objects gives, save warnings."""
        ground = self._state.ground
        loaded = together(self._objects, 0, Findings())
        classes = tuple(sorted(ground.classes.values(), key=lambda item: item.key))
        resolved = Resolved(classes, ground.suitability, ground.redirected_never.networks, ())
        account = give_account(ground.cluster, resolved, ground.elections)
        plans = tuple(plan for _, plan in sorted(self._state.plans.items()))
        return Compiled((), (), len(ground.masters), account, plans, loaded.digest)

    def _is_news(self, item: Object) -> bool:
        known = self._objects.get(item.key)
        return known is None or known.digest != item.digest

    def _quick(self, changes: Mapping[Key, Object | None]) -> Change | None:
        """Makes a change of workloads and of nodes' states; None if it is one of more than that."""
        if not {key[0] for key in changes} <= _QUICK:
            return None
        findings = Findings()
        nodes: dict[str, Node] = {}
        for key, item in changes.items():
            if key[0] == "Node":
                before = self._state.ground.cluster.nodes.get(key[2])
                node = None if item is None or before is None else read_node(item, before.network, findings)
                if node is None or before is None or _but_for_state(node, before) != before:
                    return None
                nodes[node.name] = node
        turnover = self._population.turn({key: item for key, item in changes.items() if key[0] != "Node"}, findings)
        refuse(findings.done())
        known = {**self._objects, **changes} if turnover.contested else {}
        refuse(
            contested_address(address, item, other)
            for address, key, holder in turnover.contested
            if (item := known[key]) is not None and (other := known[holder]) is not None
        )
        state, touched = _moved(self._state, turnover, nodes, self._population.agents(turnover))
        made = self._settle(state, touched)
        self._population.commit(turnover)
        self._note(changes)
        return made

    def _settle(self, state: _State, touched: Iterable[str]) -> Change:
        """Plans nodes again and takes the state over.

        Raises:
            RefusedError: There are errors; the state is what it was.
        """
        blocks = state.blocks if len(state.blocks) < _BLOCKS_PER_CLASS * len(state.ground.classes) else Blocks()
        state = replace(state, blocks=blocks, ground=replace(state.ground, links=state.ground.links.anew()))
        changed = _differing(_plan(state, touched), state.plans)
        self._state = replace(state, plans={**state.plans, **changed})
        state.matching.forget(_LABELS_PER_WORKLOAD * len(state.ground.cluster.workloads))
        return Change((), changed)

    def _anew(self, changes: Mapping[Key, Object | None]) -> Change:
        """Makes any change, by compiling all that is known."""
        objects = {**self._objects, **changes}
        findings = Findings()
        loaded = together({key: item for key, item in objects.items() if item is not None}, 0, findings)
        refuse(findings.done())
        kinds = {key[0] for key in changes}
        before = self._state.plans
        known = self._state if kinds <= _OURS else None
        after = _compile(loaded, Earlier(self._state.ground.masters), known)
        if not kinds.isdisjoint(_OF_WORKLOADS):
            self._population = _populate(loaded.objects, after)
        self._state = after
        self._note(changes)
        return Change((), _differing(after.plans, before), tuple(sorted(before.keys() - after.plans.keys())))

    def _note(self, changes: Mapping[Key, Object | None]) -> None:
        for key, item in changes.items():
            if item is None:
                del self._objects[key]
            else:
                self._objects[key] = item


def refuse(findings: Iterable[Diagnostic]) -> None:
    """Refuses what has errors.

    Raises:
        RefusedError: Any of the findings is one.
    """
    errors = sort([finding for finding in findings if finding.severity is Severity.ERROR])
    if errors:
        raise RefusedError(errors)


def _populate(objects: Iterable[Object], state: _State) -> Population:
    return Population((item for item in objects if item.kind in _WORKLOADS), state.ground.cluster.config)


def _compile(loaded: Loaded, earlier: Earlier, known: _State | None = None) -> _State:
    """Compiles all objects.

    Args:
        loaded: The objects.
        earlier: Who was master before.
        known: A state of before, where nothing but gateways and policies is different since.

    Raises:
        RefusedError: There are errors.
    """
    findings = Findings()
    if known is None:
        config = read_config(loaded, findings)
        snapshot = read_snapshot(loaded, config, findings)
    else:
        now = known.ground.cluster
        config = now.config
        snapshot = replace(known.snapshot, nodes=now.nodes, workloads=now.workloads, agents=now.agents)
    cluster, faults = assemble(loaded, config, snapshot, findings)
    refuse((*faults, *nothing_to_do(loaded, "-")))
    matching, tables = Matching(cluster.policies, cluster.namespaces, cluster.workloads), Tables()
    resolved = resolve_by(cluster, matching, tables)
    elected = elect(cluster.gateways, resolved.suitability, cluster.config.election, earlier)
    ground = lay(cluster, resolved, elected.elections)
    state = _State(snapshot, matching, tables, ground, Blocks(), {})
    return replace(state, plans=_plan(state, cluster.nodes))


def _plan(state: _State, names: Iterable[str]) -> dict[str, NodePlan]:
    """Plans nodes, those of the names that there are.

    Raises:
        RefusedError: There are errors.
    """
    findings = Findings()
    nodes = state.ground.cluster.nodes
    plans = {
        name: plan_node(nodes[name], state.ground, state.blocks, findings) for name in sorted(names) if name in nodes
    }
    refuse((*findings.done(), *state.ground.links.done()))
    return plans


def _differing(plans: Mapping[str, NodePlan], before: Mapping[str, NodePlan]) -> dict[str, NodePlan]:
    return {name: plan for name, plan in plans.items() if plan != before.get(name)}


def _but_for_state(node: Node, before: Node) -> Node:
    """Returns a node with the labels and the state that it had before."""
    return replace(
        node,
        labels=before.labels,
        ready=before.ready,
        cordoned=before.cordoned,
        deleting=before.deleting,
        place=before.place,
    )


def _moved(
    state: _State, turnover: Turnover, nodes: Mapping[str, Node], agents: tuple[AgentPod, ...] | None
) -> tuple[_State, set[str]]:
    """Returns the state after a change, its plans still as they were, and the nodes whose plans may be others."""
    ground, before = state.ground, state.ground.cluster
    cluster = replace(
        before,
        workloads=replaced(before.workloads, turnover.gone, turnover.come),
        nodes={**before.nodes, **nodes},
        agents=before.agents if agents is None else agents,
    )
    ground, touched = with_workloads(ground, cluster, state.tabled(turnover.gone), state.tabled(turnover.come))
    changed = {*nodes}
    if agents is not None:
        changed |= (serving(before.agents) ^ serving(agents)) & before.nodes.keys()
    if not changed:
        return replace(state, ground=ground), touched
    news = _judge_again(before, cluster, ground.suitability, changed)
    suitability = {**ground.suitability, **news}
    elections = _elect_again(cluster, suitability, news, ground)
    ground, further = with_elections(ground, cluster, suitability, elections)
    return replace(state, ground=ground), touched | further


def _judge_again(
    before: Cluster,
    after: Cluster,
    suitability: Verdicts,
    changed: Collection[str],
) -> dict[str, Mapping[str, Suitability]]:
    """Judges some nodes again, for the gateways that take them or took them; returns what is new, by gateway."""
    judge = Judge(after)
    found: dict[str, Mapping[str, Suitability]] = {}
    for name, gateway in after.gateways.items():
        verdicts = dict(suitability[name])
        for node in changed:
            if takes(gateway, after.nodes[node]):
                verdicts[node] = judge.verdict(gateway, node)
            elif takes(gateway, before.nodes[node]):
                del verdicts[node]
        if verdicts != suitability[name]:
            found[name] = dict(sorted(verdicts.items()))
    return found


def _elect_again(
    cluster: Cluster,
    suitability: Verdicts,
    concerned: Collection[str],
    ground: Ground,
) -> dict[str, Election]:
    """Elects the gateways concerned; `balanced` looks at all, and gives those that have another master too."""
    algorithm = cluster.config.election
    names = cluster.gateways if algorithm == "balanced" else concerned
    gateways = {name: cluster.gateways[name] for name in names}
    elections = elect(gateways, suitability, algorithm, Earlier(ground.masters)).elections
    return {
        name: election
        for name, election in elections.items()
        if name in concerned or election != ground.elections[name]
    }
