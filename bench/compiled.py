"""What the compiler makes of a cluster and the applier of that: egressc as a shape beside the peers'."""

import contextlib
import tempfile
from pathlib import Path

from applier.kernel import LinuxKernel
from applier.netns import entered
from applier.session import Session
from bench.topology import SetupError
from bundle.directory import Bundle, open_bundle
from compiler.pipeline import compile_cluster, understand


def compile_snapshot(snapshot: str) -> Bundle:
    """Compiles a snapshot of a cluster.

    Raises:
        SetupError: The compiler finds an error.
    """
    reading = understand({"cluster.json": snapshot.encode()})
    compiled = compile_cluster(reading.cluster) if reading.cluster else None
    if compiled is None or compiled.files is None:
        findings = compiled.findings if compiled else reading.findings
        raise SetupError(f"the compiler refuses the cluster: {findings[0].message}")
    with tempfile.TemporaryDirectory() as folder:
        for path, content in compiled.files.items():
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return open_bundle(Path(folder))


def apply(namespace: str, bundle: Bundle, node: str) -> None:
    """Applies a node's part in a namespace.

    Raises:
        SetupError: The kernel refuses.
    """
    with entered(namespace), contextlib.closing(LinuxKernel()) as kernel:
        session = Session(kernel)
        outcome = session.apply(session.part(bundle, node), lambda _: None)
    if outcome.status:
        raise SetupError(f"cannot apply {node}: {outcome.message}")
