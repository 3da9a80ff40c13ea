"""What simulate has to tell as values of JSON."""

from compiler.diff.output import outcome_output
from compiler.gates import GATES, Gate
from compiler.simulate.outputs import ScenarioOutput, SimulatedChangeOutput, SimulationOutput
from compiler.simulate.present import Present
from compiler.simulate.sweep import Sweep
from compiler.simulate.whatif import Change, Impact


def scenario_output(present: Present, impact: Impact) -> SimulationOutput:
    """Returns what there is to tell of one scenario."""
    return {
        "touched": impact.touches_others,
        "happened": _in_order(impact.happened),
        "scenarios": [_scenario(impact)],
        "harmless": 0,
        "single": [{"gateway": gateway, "node": node} for gateway, node in present.single],
        "unserved": list(present.unserved),
    }


def sweep_output(present: Present, swept: Sweep) -> SimulationOutput:
    """Returns what there is to tell of the loss of each node."""
    return {
        "touched": swept.touches_others,
        "happened": _in_order(swept.happened),
        "scenarios": [_scenario(impact) for impact in swept.impacts],
        "harmless": swept.harmless,
        "single": [{"gateway": gateway, "node": node} for gateway, node in present.single],
        "unserved": list(present.unserved),
    }


def _in_order(gates: frozenset[Gate]) -> list[str]:
    return [gate for gate in GATES if gate in gates]


def _scenario(impact: Impact) -> ScenarioOutput:
    return {
        "down": list(impact.scenario.down),
        "cordoned": list(impact.scenario.cordoned),
        "dropped": impact.dropped,
        "readdressed": impact.readdressed,
        "cut": impact.cut,
        "restored": impact.restored,
        "gone": impact.gone,
        "moves": [
            {
                "gateway": item.gateway,
                "vip": item.virtual_ip,
                "old": item.old,
                "new": item.new,
                "reasons": list(item.reasons),
            }
            for item in impact.takeovers
        ],
        "changes": [_change(item) for item in impact.changes],
        "load": [
            {"node": item.node, "gateways": list(item.gateways), "workloads": list(item.workloads)}
            for item in impact.load
        ],
        "unprotected": list(impact.no_standby),
        "errors": [{"code": item.code, "message": item.message} for item in impact.errors],
    }


def _change(item: Change) -> SimulatedChangeOutput:
    return {
        "kind": item.kind,
        "gateway": item.gateway,
        "family": item.family.label,
        "before": outcome_output(item.before),
        "after": outcome_output(item.after),
        "workloads": item.workloads,
        "examples": list(item.examples),
    }
