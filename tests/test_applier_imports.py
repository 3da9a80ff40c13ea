"""The applier stays thin: what it loads, and what it must not."""

import subprocess
import sys


def test_the_applier_loads_nothing_of_the_compiler() -> None:
    code = "import sys, applier.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())

    assert {"applier", "bundle", "pyroute2"} <= loaded
    assert not loaded & {"compiler", "lab", "jinja2", "nftables", "pydantic", "yaml"}
