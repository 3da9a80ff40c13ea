"""`diff --live` on the real kernel: it tells what an apply would change, in its order, and touches nothing."""

import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import GOLDEN
from kernel_fixtures import Netns, netns
from test_schema import faults

from applier.cli import run
from bundle.directory import WORKLOADS, open_bundle
from bundle.model import Workloads
from compiler.cli import main
from compiler.diff.compare import compare
from compiler.diff.live import live_diff
from compiler.diff.meaning import Meaning, meaning, names_of
from compiler.diff.nodeforms import change_json

__all__ = ["netns"]

CHANGES = [
    ("failover-before", "failover-after", "egress-1"),
    ("failover-before", "failover-after", "egress-3"),
    ("failover-after", "failover-before", "worker-1"),
    ("dual-stack", "failover-before", "egress-1"),
    ("overlapping-policies", "dual-stack", "egress-1"),
    ("interfaces-unknown", "dual-stack", "egress-2"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the bundles of the golden cases that the tests go between."""
    made = tmp_path_factory.mktemp("bundles")
    for case in sorted({case for old, new, _ in CHANGES for case in (old, new)}):
        assert main(["compile", str(GOLDEN / case / "input"), "-o", str(made / case)]) == 0
    return made


def applied(directory: Path, node: str, namespace: Netns, *, dry_run: bool = False) -> tuple[int, str]:
    out, err = io.StringIO(), io.StringIO()
    status = run(directory, node, namespace.name, dry_run=dry_run, out=out, err=err)
    assert err.getvalue() == ""
    return status, out.getvalue()


def seen(namespace: Netns) -> str:
    """All that the kernel holds, as it is listed."""
    return "\n".join((namespace.run("nft -a list ruleset"), *map(str, namespace.dump())))


@pytest.mark.kernel
@pytest.mark.parametrize(("one", "other", "node"), CHANGES)
def test_it_tells_what_an_apply_would_change_and_touches_nothing(
    one: str, other: str, node: str, home: Path, netns: Netns
) -> None:
    old, new = home / one, home / other
    assert applied(old, node, netns)[0] == 0
    before = seen(netns)

    text, status = live_diff(new, node, netns.name, "json")

    assert (status, seen(netns)) == (1, before)
    data = json.loads(text)
    assert "".join(f"{line}\n" for line in data["steps"]) == applied(new, node, netns, dry_run=True)[1]
    assert told(item for item in data["changes"] if item["kind"] != "sysctl") == between(old, new, node)
    for form in ("text", "markdown"):
        assert live_diff(new, node, netns.name, form)[1] == 1
    assert applied(new, node, netns)[0] == 0
    assert live_diff(new, node, netns.name) == ("nothing to do\n", 0)
    assert json.loads(live_diff(new, node, netns.name, "json")[0]) == {"node": node, "changes": [], "steps": []}


def told(changes: Iterable[Mapping[str, object]]) -> set[str]:
    return {
        f"{item['kind']} {item['place']} {item['subject']}: {item['before']} -> {item['after']}" for item in changes
    }


def between(old: Path, new: Path, node: str) -> set[str]:
    """What the two bundles differ in, as far as the kernel can know it."""
    names = names_of(open_bundle(new).decode(Workloads, WORKLOADS))

    def known(directory: Path) -> Meaning:
        part = open_bundle(directory).node(node)
        held = tuple(replace(item, announce=False, gateways=(), peers=()) for item in part.addresses.addresses)
        routing = replace(part.routing, internal_ips=())
        return meaning(part.ruleset, routing, replace(part.addresses, addresses=held), names)

    changes = compare(known(old), known(new))
    return told(dict(change_json(change)) for change in changes if change.kind != "sysctl")


@pytest.mark.kernel
def test_a_node_without_anything_of_ours_gets_all_of_it(home: Path, netns: Netns) -> None:
    before = seen(netns)

    text, status = live_diff(home / "dual-stack", "egress-1", netns.name)

    assert (status, seen(netns)) == (1, before)
    assert {line.strip()[0] for line in text.splitlines() if re.match(r" +[-+~] ", line)} == {"+", "~"}  # ~ a setting
    assert "\n  steps" not in text
    assert "\nsteps of an apply, in this order:\n" in text


@pytest.mark.kernel
def test_what_somebody_did_to_ours_is_told_in_the_words_of_the_kernel(home: Path, netns: Netns) -> None:
    assert applied(home / "dual-stack", "egress-1", netns)[0] == 0
    netns.run("nft add rule inet egressc decide ip saddr 192.0.2.1 accept")
    netns.run("nft add element inet egressc cluster4 { 192.0.2.128/25 }")
    netns.run("ip route add 192.0.2.0/24 dev eth1 table 7399 protocol 173")
    netns.run("ip rule add priority 100 fwmark 0x1 iif eth1 lookup 7399 protocol 173")

    text, status = live_diff(home / "dual-stack", "egress-1", netns.name)

    changes = text.partition("steps of an apply")[0]
    assert status == 1
    assert changes == (
        "~ node egress-1\n"
        "  set cluster4: destinations that are never redirected\n"
        "    - 192.0.2.128/25\n"
        "  chain decide\n"
        "    - rule 12: ip saddr 192.0.2.1 accept\n"
        "  ip -4 rule\n"
        "    - priority 100 fwmark 0x00000001/0xffffffff iifname eth1 lookup 7399 protocol 173\n"
        "  ip -4 route\n"
        "    - 192.0.2.0/24 dev eth1 scope 253 table 7399 metric 0 proto 173\n"
    )


@pytest.mark.kernel
def test_work_that_leaves_no_trace_is_a_difference_too(home: Path, netns: Netns) -> None:
    assert applied(home / "dual-stack", "egress-1", netns)[0] == 0
    netns.run("nft add set inet egressc unsettled { type mark; }")

    text, status = live_diff(home / "dual-stack", "egress-1", netns.name)

    assert status == 1
    assert "the last apply did not come to its end" in text


@pytest.mark.kernel
def test_what_an_apply_would_refuse_is_refused(home: Path, netns: Netns) -> None:
    netns.run("ip rule add priority 7300 lookup 99")

    text, status = live_diff(home / "failover-before", "worker-1", netns.name)

    assert status == 2
    assert text.startswith("an apply would be refused:\na rule that is not ours stands at our priority")


@pytest.mark.kernel
def test_a_namespace_that_is_not_there_is_refused(home: Path) -> None:
    text, status = live_diff(home / "dual-stack", "egress-1", "no-such-namespace")

    assert status == 2
    assert "network namespace no-such-namespace: No such file or directory" in text


def test_a_bundle_that_is_none_is_refused(tmp_path: Path) -> None:
    text, status = live_diff(tmp_path, "egress-1", None)

    assert status == 2
    assert text == f"{tmp_path}/manifest.json: No such file or directory; is this a bundle?\n"


def test_a_node_that_the_bundle_does_not_have_is_refused(home: Path) -> None:
    text, status = live_diff(home / "dual-stack", "egress-9", None)

    assert status == 2
    assert "has no node 'egress-9'" in text


@pytest.mark.kernel
def test_output_fits_its_schema(home: Path, netns: Netns) -> None:
    text, _ = live_diff(home / "dual-stack", "egress-1", netns.name, "json")

    assert faults("diff-live-output", json.loads(text)) == []


@pytest.mark.kernel
def test_the_command_compares_the_node_that_it_is_given(
    home: Path, netns: Netns, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["diff", str(home / "dual-stack"), "--live", "--node", "egress-1", "--netns", netns.name]

    statuses = [main(arguments)]
    shown = capsys.readouterr()
    assert applied(home / "dual-stack", "egress-1", netns)[0] == 0
    statuses.append(main(arguments))

    assert statuses == [1, 0]
    assert (shown.out.splitlines()[0], shown.err) == ("~ node egress-1", "")
    assert capsys.readouterr().out == "nothing to do\n"


@pytest.mark.kernel
def test_markdown_folds_the_steps_and_keeps_the_size_of_a_comment(home: Path, netns: Netns) -> None:
    text, status = live_diff(home / "dual-stack", "egress-1", netns.name, "markdown")

    assert status == 1
    assert text.startswith("An apply changes this on node `egress-1`:\n\n```diff\n~node egress-1\n")
    assert "<details><summary>steps of an apply, in their order</summary>" in text
    assert len(text.encode()) <= 60_000
