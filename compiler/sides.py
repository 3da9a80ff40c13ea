"""One side of a comparison, or what a picture is made of: a bundle, or inputs that are compiled on the fly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bundle.codec import decode
from bundle.directory import HEAD_FILES, MANIFEST, Bundle, open_bundle
from bundle.model import Gateways, Manifest
from bundle.style import PLAIN, Style
from bundle.text import printable_lines
from compiler import report
from compiler.account import Account
from compiler.diagnostics import Diagnostic
from compiler.elect import NOTHING_EARLIER, Earlier
from compiler.files import Sources, read_sources
from compiler.model import Cluster
from compiler.pipeline import compile_cluster, sort, understand
from compiler.progress import Progress, silent
from compiler.verify.verify import read_account

Read = tuple[Sources, tuple[Diagnostic, ...]]
"""What `read_sources` gives."""


class SideError(Exception):
    """There is no bundle to be had of it: the arguments do not go together, or the inputs have errors."""

    def __init__(
        self, message: str, findings: Sequence[Diagnostic] = (), sources: Mapping[str, bytes] | None = None
    ) -> None:
        super().__init__(message)
        self._findings = findings
        self._sources = sources or {}

    def told(self, style: Style = PLAIN) -> str:
        """Returns what to print: the findings with their lines, or what is wrong with the arguments."""
        counts = f"{printable_lines(str(self))}\n"
        if not self._findings:
            return f"egressc: {counts}"
        return report.findings_text(self._findings, self._sources, style) + counts


@dataclass(frozen=True, slots=True)
class Side:
    """A bundle with the account that it gives of itself.

    Attributes:
        name: As on the command line.
        account: About the whole cluster.
        bundle: The files; of inputs they are in memory only.
        findings: Of inputs, sorted; a bundle has none.
        sources: Text of each input.
        cluster: Of inputs, as they were understood; a bundle does not hold labels.
    """

    name: str
    account: Account
    bundle: Bundle
    findings: tuple[Diagnostic, ...] = ()
    sources: Mapping[str, bytes] = field(default_factory=dict)
    cluster: Cluster | None = None


def is_bundle(name: str) -> bool:
    """Tells whether a path is a directory with a manifest, and so a bundle and no directory of inputs."""
    return name != "-" and (Path(name) / MANIFEST).is_file()


def open_side(
    inputs: Sequence[str],
    earlier: Earlier = NOTHING_EARLIER,
    progress: Progress = silent,
    shared: Read = ({}, ()),
) -> Side:
    """Opens one bundle, or compiles inputs.

    Args:
        inputs: One bundle, or files, directories of inputs and `-` for standard input.
        earlier: Who was master before, for inputs with the algorithm `balanced`.
        progress: Is told of each stage.
        shared: What was read already and belongs to inputs, though not to a bundle.

    Raises:
        SideError: The inputs have errors.
        BundleError: It is a bundle that is not whole.
    """
    name = " ".join(inputs)
    bundles = [item for item in inputs if is_bundle(item)]
    if bundles and len(inputs) > 1:
        raise SideError(f"{bundles[0]}: is a bundle, which stands alone; name either one bundle or inputs")
    if bundles:
        progress("reading the bundle")
        bundle = open_bundle(Path(name))
        return Side(name, read_account(bundle), bundle)
    progress("reading files")
    sources, faults = read_sources(inputs)
    reading = understand({**sources, **shared[0]}, faults + shared[1], progress=progress)
    findings = reading.findings
    if reading.cluster is None:
        raise SideError(report.counts(findings), findings, reading.sources)
    compiled = compile_cluster(reading.cluster, earlier, progress=progress)
    findings = sort(findings + compiled.findings)
    if compiled.files is None or compiled.account is None:
        raise SideError(report.counts(findings), findings, reading.sources)
    return Side(name, compiled.account, _bundle(name, compiled.files), findings, reading.sources, reading.cluster)


def masters(gateways: Gateways) -> dict[str, str]:
    """Returns the master of each gateway that has one."""
    return {item.name: item.active_node_name for item in gateways.gateways if item.active_node_name is not None}


def _bundle(name: str, files: Mapping[str, bytes]) -> Bundle:
    head = {path: content for path, content in files.items() if path in HEAD_FILES}
    return Bundle(Path(name), decode(Manifest, files[MANIFEST]), dict(files), head)
