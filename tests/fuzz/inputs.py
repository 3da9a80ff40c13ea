"""What `egressc check` and `compile` do with one file of inputs."""

from builders import dump

from bundle.codec import decode
from bundle.directory import GATEWAYS
from bundle.model import Gateways
from compiler import report
from compiler.diagnostics import has_errors
from compiler.pipeline import Compiled, compile_cluster, sort, understand
from fuzz.mutate import document_mutation
from fuzz.properties import sound_bundle, sound_findings, sound_text
from fuzz.samples import objects

mutate = document_mutation


def seeds() -> list[bytes]:
    """Returns inputs that compile."""
    return [dump(*items).encode() for items in objects()]


def check(data: bytes) -> None:
    """No files if and only if there is an error, and all that is said and written is sound."""
    reading = understand({"input.yaml": data})
    compiled = compile_cluster(reading.cluster) if reading.cluster else Compiled(())
    findings = sort(reading.findings + compiled.findings)
    assert (compiled.files is None) == has_errors(findings)
    sound_findings(findings, reading.sources)
    if compiled.files is not None:
        sound_bundle(compiled.files)
        sound_text(report.summary(decode(Gateways, compiled.files[GATEWAYS])))
