"""The stages in their order: what `compile`, `check`, `test` and the lab have in common.

Pure but for `read_cluster`, which reads the inputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler.diagnostics import Diagnostic, Place, error, has_errors
from compiler.elect import elect
from compiler.files import Sources, read_sources
from compiler.load import load
from compiler.model import Cluster
from compiler.pack import pack
from compiler.plan import plan
from compiler.resolve import resolve
from compiler.review import review
from compiler.source import Document, read_documents
from compiler.validate import validate


@dataclass(frozen=True, slots=True)
class Reading:
    """The inputs as understood: a cluster unless there was an error, and all findings, sorted by place."""

    cluster: Cluster | None
    findings: tuple[Diagnostic, ...]
    passed_over: int
    sources: Sources


@dataclass(frozen=True, slots=True)
class Compiled:
    """The files of a bundle by path, None if there was an error; and the findings of all stages."""

    files: Mapping[str, bytes] | None
    findings: tuple[Diagnostic, ...]


def read_cluster(inputs: Sequence[str]) -> Reading:
    """Reads files, directories or standard input (`-`) and validates what is in them."""
    return understand(*read_sources(inputs))


def understand(sources: Sources, findings: tuple[Diagnostic, ...] = ()) -> Reading:
    """Validates what was read; `findings` are those of reading it."""
    documents: list[Document] = []
    for name, raw in sources.items():
        found, faults = read_documents(name, raw)
        documents.extend(found)
        findings += faults
    loaded, faults = load(documents)
    findings += faults
    if not has_errors(findings) and not loaded.of("EgressGateway") and not loaded.of("EgressGatewayPolicy"):
        message = "no EgressGateway and no EgressGatewayPolicy in the input; name the files that hold them"
        findings += (error("EG107", Place(next(iter(sources), "-")), message),)
    cluster, faults = validate(loaded)
    findings += faults
    return Reading(None if has_errors(findings) else cluster, sort(findings), loaded.passed_over, sources)


def compile_cluster(cluster: Cluster) -> Compiled:
    """Compiles a valid cluster to the files of a bundle."""
    resolved = resolve(cluster)
    findings = review(cluster, resolved)
    elections = elect(cluster.gateways, resolved.suitability)
    plans, faults = plan(cluster, resolved, elections)
    findings += faults
    files = None if has_errors(findings) else pack(cluster, resolved, elections, plans)
    return Compiled(files, sort(findings))


def sort(findings: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorts findings by place, each once."""

    def order(finding: Diagnostic) -> tuple[object, ...]:
        place = finding.place
        path = tuple((0, part, "") if isinstance(part, int) else (1, 0, part) for part in place.path)
        return (place.file, place.document, path, finding.code, finding.message)

    return tuple(sorted(set(findings), key=order))
