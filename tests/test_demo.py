"""The demo runs, and the README shows what it really prints."""

import io
import re

import pytest
from conftest import ROOT

from lab import demo


@pytest.mark.kernel
def test_the_readme_shows_what_the_demo_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    shown = re.search(r"<!-- demo -->\n```\n(.*?)\n```\n<!-- /demo -->", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    out = io.StringIO()

    assert demo.main(out) == 0
    assert out.getvalue().rstrip() == shown[1]
