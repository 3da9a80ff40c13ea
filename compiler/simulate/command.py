"""The edge of `egressc simulate`: reads inputs, supposes, prints."""

import argparse
import sys
from collections.abc import Collection
from dataclasses import dataclass

from bundle.directory import GATEWAYS, open_account
from bundle.model import Gateways
from bundle.text import json_text
from compiler import report
from compiler.console import Console
from compiler.diagnostics import Diagnostic
from compiler.elect import NOTHING_EARLIER, Earlier
from compiler.gates import Gate, GateError, parse_gates
from compiler.pipeline import Reading, read_cluster
from compiler.progress import Progress
from compiler.sides import masters
from compiler.simulate.markdown import story_markdown
from compiler.simulate.output import scenario_output, sweep_output
from compiler.simulate.outputs import SimulationOutput
from compiler.simulate.present import Present, look_at
from compiler.simulate.story import Story, of_scenario, of_sweep
from compiler.simulate.sweep import sweep
from compiler.simulate.text import story_text
from compiler.simulate.whatif import Scenario, suppose
from compiler.telling import DIFFERENT, OK, fail, tell_reading
from compiler.text import did_you_mean


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc simulate` with parsed arguments; returns the exit status."""
    scenario = Scenario(tuple(dict.fromkeys(arguments.down)), tuple(dict.fromkeys(arguments.cordon)))
    if (scenario != Scenario()) == arguments.all_single_failures:
        return fail("say what happens: --down NODE, --cordon NODE or both, or else --all-single-failures")
    if both := [name for name in scenario.down if name in scenario.cordoned]:
        return fail(f"{both[0]} cannot be both lost and cordoned; give it once")
    try:
        gates = parse_gates(arguments.fail_on)
    except GateError as fault:
        return fail(str(fault))
    try:
        told = _look(arguments, scenario, Console.of(arguments))
    except _InputError as fault:
        sys.stderr.write(fault.told)
        return fail(str(fault))
    met = told.happened & gates
    _print(told, met, arguments)
    for gate in sorted(met):
        sys.stderr.write(f"egressc: --fail-on {gate}: it happens\n")
    return DIFFERENT if (met if arguments.fail_on else told.touches_others) else OK


class _InputError(Exception):
    """There is nothing to suppose of the inputs; `told` are their findings as text, if it is for these."""

    def __init__(self, message: str, told: str = "") -> None:
        super().__init__(message)
        self.told = told


@dataclass(frozen=True, slots=True)
class _Told:
    """What there is to tell, for people and for programs."""

    story: Story
    output: SimulationOutput
    touches_others: bool
    happened: frozenset[Gate]


def _look(arguments: argparse.Namespace, scenario: Scenario, console: Console) -> _Told:
    """Reads the inputs and works out what there is to tell.

    Raises:
        _InputError: The inputs have errors, or not the nodes of the scenario.
        BundleError: The bundle in use is not whole.
    """
    earlier = NOTHING_EARLIER
    if arguments.previous is not None:
        earlier = Earlier(masters(open_account(arguments.previous).decode(Gateways, GATEWAYS)))
    names = [*arguments.inputs, *([arguments.config] if arguments.config else [])]
    with console.working() as progress:
        reading = read_cluster(names, progress=progress)
    tell_reading(reading, console)
    with console.working() as progress:
        if reading.cluster is None:
            raise _refusal(reading, reading.findings, console)
        if not reading.cluster.nodes or not reading.cluster.workloads:
            raise _InputError(
                "the inputs have no node or no workload, so that there is nothing to lose; add a snapshot"
            )
        known = reading.cluster.nodes
        for name in (*scenario.down, *scenario.cordoned):
            if name not in known:
                raise _InputError(f"there is no node {name} in the inputs{did_you_mean(name, known)}")
        progress("resolving policies")
        present = look_at(reading.cluster, earlier)
        if present.errors:
            raise _refusal(reading, present.errors, console)
        return _tell(present, scenario, progress)


def _refusal(reading: Reading, findings: Collection[Diagnostic], console: Console) -> _InputError:
    message = "the inputs have errors as they are, so that there is nothing to suppose of them"
    return _InputError(message, report.findings_text(findings, reading.sources, console.err))


def _tell(present: Present, scenario: Scenario, progress: Progress) -> _Told:
    """Works out what a scenario does; of an empty one, what the loss of each node does."""
    if scenario == Scenario():
        swept = sweep(present, progress)
        return _Told(of_sweep(swept), sweep_output(present, swept), swept.touches_others, swept.happened)
    impact = suppose(present, scenario)
    story = of_scenario(impact, present.unserved, _idle(present, scenario))
    return _Told(story, scenario_output(present, impact), impact.touches_others, impact.happened)


def _idle(present: Present, scenario: Scenario) -> list[str]:
    nodes = (present.cluster.nodes[name] for name in dict.fromkeys((*scenario.down, *scenario.cordoned)))
    return [node.name for node in nodes if node.cordoned or node.deleting or not node.ready]


def _print(told: _Told, met: frozenset[Gate], arguments: argparse.Namespace) -> None:
    if arguments.format == "json":
        sys.stdout.write(json_text(told.output))
    elif arguments.format == "markdown":
        sys.stdout.write(story_markdown(told.story, met))
    else:
        sys.stdout.write(story_text(told.story, Console.of(arguments).out))
