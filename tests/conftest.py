"""Shared by all tests: the address plan, the conformance and golden cases, and whether the kernel can be asked.

Address plan of every fixture: nodes `egress-N` and `worker-N` have 172.18.4.N and 172.18.4.1N on eth0 (fd00:4::/64),
gateway nodes 172.18.18.N on eth1 (2001:db8:18::/64); pods of node n are 10.111.n.0/24 (fd00:111:0:n::/64), services
10.222.0.0/16, virtual machines 10.66.10.0/24; the outside is 203.0.113.10 (2001:db8:ffff::10), virtual IPs end in .24x.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.browser import find_browser
from compiler.cli import main

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "golden"
MERMAID = ROOT / "build" / "mermaid.min.js"
CONFORMANCE = Path(__file__).parent / "conformance"
GOLDEN_CASES = sorted(path.parent.name for path in GOLDEN.glob("*/CASE.md"))

FATE = {
    "verdict": "egress",
    "policy": "egress-gw-policy",
    "cidr": "0.0.0.0/0",
    "gateway": "egress-gw",
    "node": "egress-1",
    "sourceIP": "172.18.18.1",
    "reason": "policy egress-gw-policy sends 0.0.0.0/0 to gateway egress-gw, whose active node is egress-1",
}
"""What becomes of a packet from default/backend-1 to 203.0.113.10 in the golden case `dual-stack`."""


def _why_no_kernel() -> str:
    if os.geteuid() != 0:
        return "neither root nor a user namespace: run `make test`, which opens one where the kernel allows it"
    if not (shutil.which("nft") and shutil.which("ip")):
        return "nft or ip is missing: install nftables and iproute2"
    command = ["unshare", "-n", "nft", "add", "table", "inet", "egressc_probe"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"nf_tables is not available: {done.stderr.strip()}"


def _why_no_browser() -> str:
    return "" if find_browser() else "Chromium is missing: install chromium"


def _why_no_graphviz() -> str:
    return "" if shutil.which("dot") else "dot is missing: install graphviz"


def _why_no_mermaid() -> str:
    return _why_no_browser() or (
        "" if MERMAID.is_file() else f"{MERMAID.name} is missing: run .ci/mermaid, which has npm get it"
    )


# What tests need beside Python, by their marker; and whether CI, where `.ci/run` installs it, may do without.
_NEEDS = {
    "kernel": (_why_no_kernel, True),
    "browser": (_why_no_browser, os.geteuid() == 0),
    "graphviz": (_why_no_graphviz, os.geteuid() == 0),
    "mermaid": (_why_no_mermaid, False),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that lack what they need are skipped with the reason; in CI that is a failure."""
    for marker, (why_not, required) in _NEEDS.items():
        concerned = [item for item in items if item.get_closest_marker(marker)]
        reason = why_not() if concerned else ""
        if not reason:
            continue
        if required and os.environ.get("EGRESSC_REQUIRE_KERNEL"):
            pytest.exit(f"{marker} tests are required here, but cannot run: {reason}", returncode=1)
        for item in concerned:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _hurry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets no command of a kernel test wait for seconds to announce a virtual IP again."""
    if request.node.get_closest_marker("kernel"):
        monkeypatch.setattr("applier.cli.AGAIN", ())


@pytest.fixture
def made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A bundle, compiled from the golden case `dual-stack`."""
    assert main(["compile", str(GOLDEN / "dual-stack" / "input"), "-o", str(tmp_path / "bundle")]) == 0
    capsys.readouterr()
    return tmp_path / "bundle"
