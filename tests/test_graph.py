"""The drawing of `egressc graph`: what is in it, that it stays small, and that Graphviz and Mermaid understand it."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from conftest import GOLDEN, MERMAID, ROOT

from bench.browser import Browser, browser
from bundle.model import (
    Cluster,
    GatewayReport,
    Gateways,
    NodeReport,
    NodeSource,
    Policies,
    PolicyReport,
    SourceIPs,
    WorkloadReport,
    Workloads,
)
from compiler.account import Account
from compiler.cli import main
from compiler.graph.boxes import Box
from compiler.graph.dot import dot_text
from compiler.graph.mermaid import mermaid_text
from compiler.graph.picture import Arrow, Picture, draw
from compiler.graph.style import ARROWS, BOXES, LIKE, TEXT
from compiler.sides import open_side

CHANGE = GOLDEN / "outputs" / "change"
INPUTS = [str(CHANGE / "after"), str(CHANGE / "cluster.yaml")]
HOSTILE = [
    "end", 'a"b', "a]b[c", "<script>alert(1)</script>", "a & b", "#35;", "`code`", "**bold** _it_", "1. one", "- two",
    "größe ☃ 日本", "a\\nb", "{{x}}", "graph", "%% no comment", "a|b", "a;b", "x:::y", "$$x$$",
]  # fmt: skip


def gateway(number: int, *, nodes: int = 3, kinds: int = 20) -> GatewayReport:
    """One of `kinds` kinds of gateways by their nodes; every seventh has no node."""
    names = () if number % 7 == 6 else tuple(f"node-{number % kinds}-{index}" for index in range(nodes))
    return GatewayReport(
        name=f"gateway-{number}",
        mode="VirtualIPAddress",
        active_node_name=names[0] if names else None,
        standby_node_names=names[1:],
        ready_nodes=len(names),
        source_ips=SourceIPs(f"198.51.100.{number % 250}" if names else None, None),
        nodes={name: NodeReport(suitable=True, reasons=()) for name in names},
        sources={name: NodeSource(f"198.51.100.{number % 250}", None, "eth1", masquerade=False) for name in names},
        link_addresses={},
        conditions=(),
        policies=(),
    )


def account(gateways: int, policies: int, workloads: int) -> Account:
    """An account in which every workload is selected by up to three policies, and one in ten by none."""
    names = [
        tuple(f"policy-{(number * step) % policies}" for step in range(1, 1 + number % 4)) if number % 10 else ()
        for number in range(workloads)
    ]
    return Account(
        Gateways(tuple(map(gateway, range(gateways)))),
        Policies(
            tuple(
                PolicyReport(f"policy-{number}", f"gateway-{number % gateways}", ("0.0.0.0/0", "::/0"), ("10.0.0.0/8",))
                for number in range(policies)
            )
        ),
        Workloads(
            tuple(
                WorkloadReport("Pod", f"team-{number % 50}", f"pod-{number}", "node", (), tuple(dict.fromkeys(chosen)))
                for number, chosen in enumerate(names)
            )
        ),
        Cluster("0x0f000000", 100, 100, (), (), {}),
    )


def arrows(picture: Picture) -> set[tuple[str, str]]:
    return {(picture.boxes[arrow.tail].title, picture.boxes[arrow.head].title) for arrow in picture.arrows}


@pytest.fixture(scope="module")
def picture() -> Picture:
    return draw(open_side(INPUTS).account)


def test_the_way_of_every_workload_is_drawn_to_its_end(picture: Picture) -> None:
    assert arrows(picture) == {
        ("default", "egress-gw-policy"),
        ("default", "egress-vip-policy"),
        ("default", "frontend-policy"),
        ("default", "partner-policy"),
        ("other", "partner-policy"),
        ("other", "reports-policy"),
        ("egress-gw-policy", "egress-gw"),
        ("egress-vip-policy", "egress-vip"),
        ("frontend-policy", "egress-vip"),
        ("reports-policy", "egress-vip"),
        ("partner-policy", "egress-partner"),
        ("egress-gw", "egress-1"),
        ("egress-vip", "egress-1"),
        ("egress-1", "172.18.18.1"),
        ("egress-1", "172.18.18.242"),
        ("172.18.18.1", "outside"),
        ("172.18.18.242", "outside"),
        ("egress-partner", "dropped"),
    }


def test_only_a_gateway_without_a_node_is_a_warning(picture: Picture) -> None:
    assert [box.title for box in picture.boxes if box.warning] == ["egress-partner", "dropped"]


def test_a_gateway_that_lacks_an_address_of_a_family_its_policies_want_is_a_warning() -> None:
    sources = [box for box in draw(account(2, 2, 4)).boxes if box.kind == "source"]

    assert all(box.warning and "no IPv6 address: dropped" in box.lines for box in sources)


def test_a_gateway_that_the_bundle_lacks_is_drawn_as_dropped() -> None:
    made = account(2, 2, 4)
    policies = (*made.policies.policies, PolicyReport("lost", "gone", ("0.0.0.0/0",), ()))

    found = draw(Account(made.gateways, Policies(policies), made.workloads, made.cluster))

    assert {("lost", "gone"), ("gone", "dropped")} <= arrows(found)


def test_workloads_that_no_policy_selects_go_their_ordinary_way() -> None:
    found = draw(account(2, 2, 20))

    (box,) = (box for box in found.boxes if box.kind == "ordinary")
    assert (box.title, Arrow(found.boxes.index(box), len(found.boxes) - 1, "ordinary") in found.arrows) == (
        "6 workloads", True,
    )  # fmt: skip


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 60, 500), (8, 30, 300), (9, 9, 9), (100, 1000, 3000), (200, 50, 3000)])
def test_the_number_of_boxes_is_bounded(size: tuple[int, int, int]) -> None:
    found = draw(account(*size))

    assert len(found.boxes) <= 70
    assert len(found.arrows) <= 250
    assert max((len(box.lines) for box in found.boxes), default=0) <= 8


def test_grouping_loses_no_policy_and_no_workload() -> None:
    found = draw(account(100, 1000, 3000))

    words = [word for box in found.boxes for word in (box.title, *box.lines)]
    counts = {
        what: sum(int(word.split()[0].replace(",", "")) for word in words if re.fullmatch(f"[0-9,]+ {what}", word))
        for what in ("workloads", "policies", "gateways")
    }
    assert counts == {"workloads": 3000, "policies": 1000, "gateways": 100}


def hostile() -> Picture:
    boxes = [Box("policy", text, text, (text,)) for text in HOSTILE]
    return Picture(tuple(boxes), tuple(Arrow(index, index + 1, "egress") for index in range(len(boxes) - 1)))


@pytest.mark.graphviz
@pytest.mark.parametrize("drawing", ["small", "large", "hostile"])
def test_graphviz_draws_every_box_with_its_words(drawing: str, picture: Picture) -> None:
    made = {"small": picture, "large": draw(account(100, 1000, 3000)), "hostile": hostile()}[drawing]

    done = subprocess.run(
        [str(shutil.which("dot")), "-Tsvg"], input=dot_text(made).encode(), capture_output=True, check=True
    )

    assert done.stderr == b""
    space = "{http://www.w3.org/2000/svg}"
    nodes = ET.fromstring(done.stdout).findall(f".//{space}g[@class='node']")  # noqa: S314  # of Graphviz
    words = {"".join("".join(text.itertext()) for text in node.iter(f"{space}text")) for node in nodes}
    expected = {
        "".join([*([box.caption.upper()] if box.caption else []), box.title, *box.lines]).translate(LIKE)
        for box in made.boxes
    }
    assert words == expected


@pytest.fixture(scope="module")
def mermaid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    page = tmp_path_factory.mktemp("mermaid") / "page.html"
    page.write_text(f'<meta charset="utf-8"><script src="{MERMAID.as_uri()}"></script><body>', encoding="utf-8")
    with browser() as found:
        found.open(page)
        found.run("mermaid.initialize({startOnLoad: false, securityLevel: 'strict'})")
        yield found


@pytest.mark.mermaid
@pytest.mark.parametrize("drawing", ["small", "large", "hostile"])
def test_mermaid_renders_every_box_with_its_words(drawing: str, mermaid: Browser, picture: Picture) -> None:
    made = {"small": picture, "large": draw(account(100, 1000, 3000)), "hostile": hostile()}[drawing]

    found = mermaid.run(f"""(async () => {{
        const {{svg}} = await mermaid.render("drawing", {json.dumps(mermaid_text(made))});
        document.body.innerHTML = svg;
        return [...document.querySelectorAll(".node")].map((node) => node.textContent.trim());
    }})()""")

    expected = ["".join([box.caption, box.title, *box.lines]).translate(LIKE) for box in made.boxes]
    assert set(found) ^ set(expected) == set()
    assert mermaid.complaints == []


def luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", BOXES)
def test_words_of_a_box_have_contrast(name: str) -> None:
    assert contrast(TEXT, BOXES[name].fill) >= 7
    assert contrast(BOXES[name].border, BOXES[name].fill) >= 4.5


@pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
def test_arrows_are_seen_on_light_and_dark_pages(page: str) -> None:
    assert min(contrast(colour, page) for colour in ARROWS.values()) >= 3


@pytest.mark.graphviz
@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<?xml"), ("b.png", b"\x89PNG"), ("c.PNG", b"\x89PNG")])
def test_the_end_of_the_name_tells_the_format_of_a_drawing(name: str, start: bytes, tmp_path: Path) -> None:
    assert main(["graph", *INPUTS, "-o", str(tmp_path / name)]) == 0

    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("name", "start"), [("a.dot", "digraph"), ("b.mmd", "flowchart LR\n"), ("c.md", "```mermaid\nflowchart LR\n")]
)
def test_the_end_of_the_name_tells_the_format_of_a_text(name: str, start: str, tmp_path: Path) -> None:
    assert main(["graph", *INPUTS, "-o", str(tmp_path / name)]) == 0

    assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)


def test_a_bundle_and_its_inputs_give_one_drawing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", *INPUTS, "-o", str(tmp_path / "bundle")]) == 0
    capsys.readouterr()

    drawn = []
    for inputs in ([str(tmp_path / "bundle")], INPUTS):
        assert main(["graph", *inputs, "-o", "-"]) == 0
        drawn.append(capsys.readouterr().out)

    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([*INPUTS, "-o", "x.gif"], "end it in .svg, .png,"),
        ([*INPUTS, "-o", "/nowhere/x.mmd"], "/nowhere/x.mmd: cannot be written: No such file or directory"),
        ([*INPUTS, "-o", "x.svg"], "install it (Debian's package graphviz)"),
        ([str(CHANGE / "cases.yaml"), "-o", "x.mmd"], "error[EG105]"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert main(["graph", *arguments]) == 2
    printed = capsys.readouterr()
    assert expected in printed.err
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []


def test_the_documentation_has_the_drawing_of_the_golden_change() -> None:
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")

    assert (CHANGE / "expected" / "graph.md").read_text(encoding="utf-8") in page


def test_a_link_stays_and_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "link.mmd").symlink_to(tmp_path / "kept.mmd")
    os.mkfifo(tmp_path / "pipe.mmd")
    reader = os.open(tmp_path / "pipe.mmd", os.O_RDONLY | os.O_NONBLOCK)

    assert [main(["graph", *INPUTS, "-o", str(tmp_path / name)]) for name in ("link.mmd", "pipe.mmd")] == [0, 0]

    assert (tmp_path / "link.mmd").is_symlink()
    assert (tmp_path / "kept.mmd").read_bytes() == os.read(reader, 1 << 20)
    assert (tmp_path / "pipe.mmd").is_fifo()
    os.close(reader)
