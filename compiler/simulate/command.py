"""The edge of `egressc simulate`: reads inputs, supposes, prints."""

import argparse
import sys
from collections.abc import Collection
from typing import Final

from bundle.directory import GATEWAYS, open_bundle
from bundle.model import Gateways
from bundle.text import json_text, printable
from compiler import report
from compiler.diagnostics import Diagnostic
from compiler.elect import NOTHING_EARLIER, Earlier
from compiler.gates import Gate, GateError, parse_gates
from compiler.pipeline import Reading, read_cluster
from compiler.sides import masters
from compiler.simulate.markdown import story_markdown
from compiler.simulate.output import scenario_output, sweep_output
from compiler.simulate.present import Present, look_at
from compiler.simulate.story import Story, of_scenario, of_sweep
from compiler.simulate.sweep import sweep
from compiler.simulate.text import story_text
from compiler.simulate.whatif import Scenario, suppose
from compiler.text import did_you_mean

_OK: Final = 0
_CHANGED: Final = 1
_BAD_INPUT: Final = 2


def main(arguments: argparse.Namespace) -> int:
    """`egressc simulate`."""
    scenario = Scenario(tuple(dict.fromkeys(arguments.down)), tuple(dict.fromkeys(arguments.cordon)))
    asked = scenario != Scenario()
    if asked == arguments.all_single_failures:
        return _fail("say what happens: --down NODE, --cordon NODE or both, or else --all-single-failures")
    try:
        gates = parse_gates(arguments.fail_on)
    except GateError as fault:
        return _fail(str(fault))
    earlier = NOTHING_EARLIER
    if arguments.previous is not None:
        earlier = Earlier(masters(open_bundle(arguments.previous).decode(Gateways, GATEWAYS)))
    reading = read_cluster([*arguments.inputs, *([arguments.config] if arguments.config else [])])
    if reading.cluster is None:
        return _refuse(reading, reading.findings)
    known = reading.cluster.nodes
    for name in (*scenario.down, *scenario.cordoned):
        if name not in known:
            return _fail(f"there is no node {name} in the inputs{did_you_mean(name, known)}")
    present = look_at(reading.cluster, earlier)
    if present.errors:
        return _refuse(reading, present.errors)
    touched, happened = _run(present, scenario if asked else None, arguments.format)
    return _CHANGED if (happened & gates if arguments.fail_on else touched) else _OK


def _run(present: Present, scenario: Scenario | None, form: str) -> tuple[bool, frozenset[Gate]]:
    """Prints what a scenario does, or the loss of each node; returns whether others are touched, and what happened."""
    if scenario is None:
        swept = sweep(present)
        _print(of_sweep(swept), form) if form != "json" else sys.stdout.write(json_text(sweep_output(present, swept)))
        return swept.touches_others, swept.happened
    impact = suppose(present, scenario)
    if form == "json":
        sys.stdout.write(json_text(scenario_output(present, impact)))
    else:
        _print(of_scenario(impact, present.unserved, _idle(present, scenario)), form)
    return impact.touches_others, impact.happened


def _print(story: Story, form: str) -> None:
    sys.stdout.write(story_markdown(story) if form == "markdown" else story_text(story))


def _idle(present: Present, scenario: Scenario) -> list[str]:
    nodes = (present.cluster.nodes[name] for name in dict.fromkeys((*scenario.down, *scenario.cordoned)))
    return [node.name for node in nodes if node.cordoned or node.deleting or not node.ready]


def _refuse(reading: Reading, findings: Collection[Diagnostic]) -> int:
    sys.stderr.write(report.findings_text(findings, reading.sources))
    return _fail("the inputs have errors as they are, so that there is nothing to suppose of them")


def _fail(text: str) -> int:
    sys.stderr.write(f"egressc: {printable(text)}\n")
    return _BAD_INPUT
