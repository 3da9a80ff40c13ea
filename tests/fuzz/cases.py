"""What `egressc test` does with a file of cases, against a sound bundle."""

from functools import cache

from bundle.text import json_text
from compiler import cases
from compiler.diagnostics import has_errors
from compiler.explain import Explainer
from compiler.pipeline import sort
from fuzz.mutate import document_mutation
from fuzz.properties import sound_findings, sound_text
from fuzz.samples import bundle

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
"""


@cache
def _explainer() -> Explainer:
    return Explainer.of(bundle())


def seeds() -> list[bytes]:
    """Returns a file of cases."""
    return [SEED]


def check(data: bytes) -> None:
    """Each case passes or fails with a reason, and what is said is sound."""
    sources = {"cases.yaml": data}
    found, rest, findings = cases.split(sources)
    sound_findings(sort(findings), sources)
    assert bool(found) <= (rest == [])
    if has_errors(findings):
        return
    for result in cases.run(found, _explainer()):
        sound_text(result.text())
        sound_text(json_text(result.as_json()))
        assert result.passed or result.actual.get("reason")
