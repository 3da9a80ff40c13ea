"""Cases held against clusters, as `egressc test` does it, for tests that have both in their hands."""

from collections.abc import Mapping

from compiler.explain import Explainer
from compiler.model import Cluster
from compiler.pipeline import compile_cluster
from compiler.testing.cases import Assertion, split
from compiler.testing.examine import Examiner, Result
from compiler.testing.verdicts import results_text


def assertions_of(text: bytes, name: str = "cases.yaml") -> tuple[Assertion, ...]:
    found, rest, findings = split({name: text})
    assert (rest, findings) == ([], ())
    return found


def examiner_of(cluster: Cluster, files: Mapping[str, bytes] | None = None) -> Examiner:
    """An examiner of a cluster; the emitted files are its own unless others are given."""
    compiled = compile_cluster(cluster)
    assert compiled.files is not None, compiled.findings
    assert compiled.account is not None
    return Examiner(cluster, compiled.account, Explainer.of(files or compiled.files))


def results_of(cluster: Cluster, text: bytes) -> list[Result]:
    examiner = examiner_of(cluster)
    return [examiner.examine(assertion) for assertion in assertions_of(text)]


def failures_of(cluster: Cluster, text: bytes) -> str:
    """What is printed of the assertions that fail; nothing where none does."""
    results = [result for result in results_of(cluster, text) if not result.passed]
    return results_text(results, {}) if results else ""
