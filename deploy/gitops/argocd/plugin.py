"""Argo CD's side of egressc: what it syncs was checked, compiled, proved and tested.

`discover` prints a name if the application's directory holds egress resources. `generate` prints manifests, and nothing
else, to standard output: the EgressGateways and EgressGatewayPolicies as they are written and, where asked for, the
bundle as a ConfigMap. If anything is wrong it prints no manifest, says on standard error what it is, and ends with
another status than 0, on which Argo CD syncs nothing and shows that text.

Parameters of the application (`spec.source.plugin.env`), which Argo CD gives with the prefix ARGOCD_ENV_:

    EGRESSC_INPUTS     files and directories, separated by spaces (egress cluster.yaml)
    EGRESSC_CASES      files of cases, likewise (cases.yaml, if it is there)
    EGRESSC_CONFIGMAP  name of a ConfigMap with the bundle; without it there is none
"""

import gzip
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Final

from bundle.text import printable
from compiler.files import read_sources
from compiler.load import load, read_objects

_KINDS: Final = ("EgressGateway", "EgressGatewayPolicy")
_LARGEST: Final = 1 << 20
"""Bytes that the API server lets a ConfigMap hold."""

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?")


class PluginError(Exception):
    """Nothing is to be synced; the message says why."""


def main() -> int:
    """Runs one of the two commands; returns the exit status."""
    command = {"discover": discover, "generate": generate}.get(" ".join(sys.argv[1:]))
    if command is None:
        sys.stderr.write("usage: plugin.py discover|generate\n")
        return 2
    try:
        sys.stdout.write(command())
    except PluginError as fault:
        sys.stderr.write(f"egressc: {printable(str(fault))}\n")
        return 1
    return 0


def discover() -> str:
    """Returns a line if there is something for us here, else nothing."""
    sources, _ = read_sources([name for name in _inputs() if Path(name).exists()])
    return "egress resources\n" if any(kind.encode() in raw for raw in sources.values() for kind in _KINDS) else ""


def generate() -> str:
    """Returns the manifests as a stream of documents; JSON, which is YAML.

    Raises:
        PluginError: The inputs, the proof or the cases fail.
    """
    inputs = _inputs()
    cases = _words("EGRESSC_CASES", "cases.yaml" if Path("cases.yaml").exists() else "")
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder, "bundle")
        _egressc("compile", *inputs, "-o", str(bundle))
        _egressc("verify", str(bundle), *inputs)
        if cases:
            _egressc("test", *inputs, *cases)
        manifests = _resources(inputs)
        if name := os.environ.get("ARGOCD_ENV_EGRESSC_CONFIGMAP"):
            manifests.append(_config_map(name, bundle))
    return "".join(f"---\n{json.dumps(item, ensure_ascii=True, sort_keys=True)}\n" for item in manifests)


def _inputs() -> list[str]:
    return _words("EGRESSC_INPUTS", "egress cluster.yaml")


def _words(variable: str, default: str) -> list[str]:
    """Returns the paths that a parameter names.

    Raises:
        PluginError: One is no path below the application's directory. Whoever may write an application must not read
            what else is in this container, and findings show lines of what they are about.
    """
    words = (os.environ.get(f"ARGOCD_ENV_{variable}") or default).split()
    here = Path.cwd().resolve()
    for word in words:
        if word.startswith("-") or not Path(word).resolve().is_relative_to(here):
            raise PluginError(f"{variable}: {word} is no file or directory of the application")
        for found in Path(word).rglob("*"):
            if not found.resolve().is_relative_to(here):
                raise PluginError(f"{variable}: {found} leads out of the application")
    return words


def _egressc(*arguments: str) -> None:
    """Runs a command; all that it says goes to standard error.

    Raises:
        PluginError: It failed.
    """
    command = [sys.executable, "-c", "import sys; from compiler.cli import main; sys.exit(main())", *arguments]
    done = subprocess.run(command, stdout=sys.stderr.fileno(), check=False)  # noqa: S603  # our own command
    if done.returncode:
        raise PluginError(f"{arguments[0]} failed, so nothing is synced")


def _resources(inputs: list[str]) -> list[dict[str, object]]:
    sources, _ = read_sources(inputs)
    loaded, _ = load(read_objects(name, raw) for name, raw in sources.items())
    return [{**item.data} for kind in _KINDS for item in loaded.of(kind)]


def _config_map(name: str, bundle: Path) -> dict[str, object]:
    """Returns the bundle in one ConfigMap: a node checks digests over all of it."""
    if not _NAME.fullmatch(name):
        raise PluginError(f"EGRESSC_CONFIGMAP: {name} is no name of a ConfigMap")
    packed = _pack(bundle)
    if len(packed) > _LARGEST:
        raise PluginError(
            f"the bundle has {len(packed)} bytes when packed, and a ConfigMap takes {_LARGEST}; leave "
            "EGRESSC_CONFIGMAP out and bring the bundle to nodes by another way"
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "binaryData": {"bundle.tar.gz": b64encode(packed).decode()},
    }


def _pack(bundle: Path) -> bytes:
    """Returns the bundle as an archive that is the same for the same bundle: Argo CD compares."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
            content = path.read_bytes()
            entry = tarfile.TarInfo(f"bundle/{path.relative_to(bundle).as_posix()}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


if __name__ == "__main__":
    sys.exit(main())
