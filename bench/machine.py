"""What the benchmarks run on and with, in words."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parent.parent
_PROGRAMS: Final = ("nft", "ip", "iptables", "ipset")
_PACKAGES: Final = ("aerleon", "jinja2", "msgspec", "pydantic", "pyroute2.minimal", "pyyaml")
_GIBIBYTE: Final = 2**30


def describe() -> str:
    """Returns the machine and the versions of what is measured and what it stands on, as a list in Markdown."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIBIBYTE
    load = os.getloadavg()[0]
    machine = f"{cores} cores{_model()}, {memory:.0f} GiB of memory, Linux {_kernel()}"
    versions = [f"egressc {importlib.metadata.version('egressc')}{_commit()}", f"Python {platform.python_version()}"]
    versions += [f"{name} {found}" for name in _PROGRAMS if (found := _program(name))]
    versions += [f"{name} {found}" for name in _PACKAGES if (found := _package(name))]
    return f"- {machine}; load when it began: {load:.1f}\n- {', '.join(versions)}"


def _kernel() -> str:
    """Returns the version of the kernel, without what its builder added."""
    found = re.match(r"\d+(\.\d+)*", platform.release())
    return found[0] if found else platform.release()


def _model() -> str:
    """Returns the name of the processor, where Linux tells one."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return f" ({found[1].strip()})" if found else ""


def _commit() -> str:
    """Returns the commit of the checkout, and whether it is changed."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--exclude=*", "--dirty=, changed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own
    return f" ({done.stdout.strip()})" if done.returncode == 0 else ""


def _program(name: str) -> str | None:
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if path is None:
        return None
    option = "-V" if name == "ip" else "--version"
    said = subprocess.run([path, option], capture_output=True, text=True, check=False).stdout  # noqa: S603  # as PATH says
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else None


def _package(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
