"""Notes: what there is to say of a bundle beside its numbers.

In: findings of the inputs, or, where only a bundle is at hand, the outcomes of its packets. Out: notes for the page.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bundle.model import GatewayReport
from compiler.diagnostics import Diagnostic, Severity
from compiler.outcomes import Outcomes
from compiler.page.data import Note
from compiler.report import find_all
from compiler.source import Position


def notes_of_findings(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> list[Note]:
    """Returns findings as notes, errors first."""
    findings = tuple(findings)
    positions = find_all(findings, sources)
    notes = [_note(finding, positions.get(finding.place)) for finding in findings]
    return sorted(notes, key=lambda note: note["severity"] != Severity.ERROR.value)


def notes_of_account(outcomes: Outcomes) -> list[Note]:
    """Returns what the account of a bundle gives cause to warn of."""
    account = outcomes.account
    known = {item.name for item in account.gateways.gateways}
    selecting = Counter(name for item in outcomes.workloads for name in item.policies)
    contested = [item for item in outcomes.workloads if outcomes.contested(item)]
    return [
        *(note for gateway in account.gateways.gateways for note in _of_gateway(gateway)),
        *(
            _warning(
                f"EgressGatewayPolicy {item.name}", f"names gateway {item.gateway}, which the bundle does not have"
            )
            for item in account.policies.policies
            if item.gateway not in known
        ),
        *(
            _warning(f"EgressGatewayPolicy {item.name}", "selects no workload")
            for item in account.policies.policies
            if not selecting[item.name]
        ),
        *(
            _warning(
                f"{item.kind} {item.namespace}/{item.name}",
                "another workload has its address too, so what a policy takes of either is dropped",
            )
            for item in contested
        ),
    ]


def _of_gateway(gateway: GatewayReport) -> Iterator[Note]:
    place = f"EgressGateway {gateway.name}"
    if gateway.active_node_name is None:
        yield from (_warning(place, condition.message) for condition in gateway.conditions)
    elif not gateway.standby_node_names:
        yield _warning(place, f"{gateway.active_node_name} is its only suitable node: nothing takes over")
    if not gateway.policies:
        yield _warning(place, "no policy names it")


def _warning(place: str, message: str) -> Note:
    return {"severity": "warning", "code": "", "place": place, "message": message}


def _note(finding: Diagnostic, position: Position | None) -> Note:
    place: Sequence[str] = [finding.place.file, *([str(position.line)] if position else [])]
    field = f"{finding.place.field}: " if finding.place.field else ""
    return {
        "severity": finding.severity.value,
        "code": finding.code,
        "place": ":".join(place),
        "message": f"{field}{finding.message}",
    }
