"""What nft makes of a large gateway node's ruleset: the very elements that the text has, read back from the kernel.

Of maps whose keys have several fields and an interval, nft 1.0.6 gets an element wrong where its netlink message is
full, so neither a file nor a script of ours may fill one.
"""

import re

import pytest
from builders import Obj, dump, gateway, member, outcome, pod, policy
from kernel_fixtures import TABLE, Netns
from kernel_fixtures import netns as netns  # noqa: PLC0414  # a fixture is found under its name

from applier.netfilter import Netfilter
from applier.netns import entered
from applier.script import script
from bundle.directory import RULESET, node_path
from bundle.ruleset import Ruleset, parse

pytestmark = pytest.mark.kernel

CLASSES = 250
NODE = "egress-1"


def inputs(*, policies: bool) -> list[Obj]:
    """Workloads of another node, each with a policy of its own; the first one's has 1,000 destinations a family."""
    objects = [*member(NODE), *member("worker-1", labels={}), gateway("g" * 60)]
    for index in range(CLASSES):
        labels = {"app": f"app-{index}"}
        objects.append(pod(f"pod-{index}", "worker-1", index + 1, labels=labels))
        if policies:
            to = [f"198.{18 + n}.0.{index}/32" for n in range(5)]
            if not index:
                to += [f"203.{n >> 8}.{n & 255}.0/25" for n in range(1000)]
                to += [f"2001:db8:{n:x}::/49" for n in range(1000)]
            objects.append(
                policy(f"policy-{index}", "g" * 60, to=to, selectors=[{"podSelector": {"matchLabels": labels}}])
            )
    return objects


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The node's ruleset with all policies, and without any."""
    found = []
    for policies in (True, False):
        path = tmp_path_factory.mktemp("inputs") / "cluster.yaml"
        path.write_text(dump(*inputs(policies=policies)))
        files, findings = outcome(path)
        assert files is not None, findings
        found.append(files[node_path(NODE, RULESET)].decode())
    return found[0], found[1]


def loaded(netns: Netns, wanted: Ruleset) -> bool:
    """Tells whether the kernel holds exactly these elements."""
    with entered(netns.name):
        netfilter = Netfilter()
        try:
            for name, item in wanted.sets.items():
                assert netfilter.dump_elements(name, item.spec) == item.elements, name
        finally:
            netfilter.close()
    return True


def test_the_ruleset_is_large_enough_to_fill_messages(texts: tuple[str, str]) -> None:
    sizes = [len(item.elements) for name, item in parse(texts[0], TABLE).sets.items() if name.startswith("remoteroute")]

    assert max(sizes) > 2000
    assert sum(sizes) > 5000


def test_nft_loads_the_elements_of_the_text(netns: Netns, texts: tuple[str, str]) -> None:
    for _ in range(2):
        netns.nft(texts[0])
        assert loaded(netns, parse(texts[0], TABLE))


def test_a_script_brings_the_elements_and_takes_them_away(netns: Netns, texts: tuple[str, str]) -> None:
    full, empty = (parse(text, TABLE) for text in texts)
    netns.nft(texts[1])
    for wanted, live in ((full, empty), (empty, full)):
        netns.nft(script(wanted, live))
        assert loaded(netns, wanted)


def test_a_script_changes_elements_of_maps_that_stay(netns: Netns, texts: tuple[str, str]) -> None:
    text = texts[0]
    other = re.sub(r"(/25 : goto )[^\s,]+", r"\1drop_no_source", text)
    assert other != text
    netns.nft(text)
    for wanted, live in ((other, text), (text, other)):
        netns.nft(script(parse(wanted, TABLE), parse(live, TABLE)))
        assert loaded(netns, parse(wanted, TABLE))
