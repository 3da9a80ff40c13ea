"""What `egressc test` does with a file of cases, against a sound bundle."""

from functools import cache
from xml.etree import ElementTree as ET

from builders import dump
from examined import examiner_of

from compiler.diagnostics import has_errors
from compiler.pipeline import sort, understand
from compiler.testing.cases import split
from compiler.testing.examine import Examiner
from compiler.testing.junit import results_junit
from compiler.testing.verdicts import results_json, results_text
from fuzz.mutate import document_mutation
from fuzz.properties import sound_findings, sound_text
from fuzz.samples import objects

mutate = document_mutation

SEED = b"""\
cases:
  - name: leaves by its gateway
    from: default/backend
    to: 203.0.113.10
    expect: {verdict: egress, policy: egress-gw-policy, cidr: 0.0.0.0/0, gateway: egress-gw, sourceIP: 172.18.18.1}
  - from: 10.111.11.5
    to: 10.222.0.1
    expect: {verdict: bypass, node: worker-1}
  - from: default/vm-1
    to: '2001:db8:ffff::10'
    expect: {verdict: drop}
  - from: {namespace: default, labels: {app: backend}, podSelector: {matchExpressions: [{key: app, operator: Exists}]}}
    to: [203.0.113.0/24, 198.51.100.1]
    expect: {verdict: egress, nodes: [egress-1, worker-1], sourceIP: [172.18.18.1, 172.18.18.2]}
never:
  - {gateway: second, from: {namespaceSelector: {matchLabels: {team: b}}}}
  - {name: closed, to: 10.0.0.0/8, verdict: bypass, node: worker-1, policy: late, cidr: ::/0, sourceIP: 1.1.1.1}
"""


@cache
def _examiner() -> Examiner:
    reading = understand({"input.yaml": dump(*objects()[2]).encode()})
    assert reading.cluster is not None
    return examiner_of(reading.cluster)


def seeds() -> list[bytes]:
    """Returns a file of cases."""
    return [SEED]


def check(data: bytes) -> None:
    """Each case passes or fails with a reason, and what is said is sound."""
    sources = {"cases.yaml": data}
    found, rest, findings = split(sources)
    sound_findings(sort(findings), sources)
    assert bool(found) <= (rest == [])
    if has_errors(findings):
        return
    results = tuple(map(_examiner().examine, found))
    for form in (results_text, results_json, results_junit):
        sound_text(form(results, {}))
    ET.fromstring(results_junit(results, {}))  # noqa: S314  # our own
    for result in results:
        assert result.passed or result.error or all(breach.reason for breach in result.breaches)
