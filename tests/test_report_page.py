"""`egressc report` in a real browser: what the page answers, how it can be used and looks, and that it is closed."""

import json
import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from builders import cluster, dump, gateway, interface, member, pod, policy, state
from conftest import GOLDEN, GOLDEN_CASES

from bench.browser import Browser, browser
from bench.clusters import Size, make_cluster
from compiler.cli import main
from compiler.explain import Explainer
from compiler.model import Family
from compiler.outcomes import Outcomes
from compiler.page.data import PageData, page_data
from compiler.page.html import page_html
from compiler.sides import Side, open_side

CHANGE = GOLDEN / "outputs" / "change"
INPUTS = (str(CHANGE / "after"), str(CHANGE / "cluster.yaml"))
MANY = Size(nodes=20, workloads=1_500, policies=1_000, gateways=20, gateway_nodes=9)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


def report(target: Path, *inputs: str) -> Path:
    assert main(["report", *inputs, "-o", str(target)]) == 0
    return target


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(tmp_path_factory.mktemp("small") / "report.html", *INPUTS)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("many")
    (home / "cluster.json").write_text(make_cluster(MANY), encoding="utf-8")
    return report(home / "report.html", str(home / "cluster.json"))


@pytest.fixture
def page(chromium: Browser, small: Path) -> Browser:
    chromium.show_as(width=1280, height=900)
    chromium.open(small)
    return chromium


def text(page: Browser, selector: str) -> str:
    found: str = page.run(f"document.querySelector({json.dumps(selector)}).innerText")
    return " ".join(found.split())


def rows(page: Browser, section: str) -> list[str]:
    found: list[str] = page.run(f"[...document.querySelectorAll('#{section} tbody tr')].map((row) => row.innerText)")
    return [" ".join(row.split()) for row in found]


def focused(page: Browser) -> str:
    found: str = page.run("document.activeElement.id || document.activeElement.innerText")
    return " ".join(found.split())


def fill(page: Browser, selector: str, value: str) -> None:
    page.click(selector)
    page.run(f"document.querySelector({json.dumps(selector)}).select()")
    page.type(value)


def ask(page: Browser, source: str, destination: str) -> str:
    fill(page, "#packet-from", source)
    fill(page, "#packet-to", destination)
    page.press("Enter")
    return text(page, "#packet-answer .words")


# What it answers


def destinations(side: Side) -> list[str]:
    """Both sides of every edge at which a decision may change, and some others."""
    account = side.account
    prefixes = {
        *account.cluster.never_redirected,
        *(text for item in account.policies.policies for text in (*item.destination_cidrs, *item.excluded_cidrs)),
    }
    found = {int(ip_address(text)): ip_address(text) for text in ("203.0.113.10", "2001:db8:ffff::10")}
    for network in map(ip_network, prefixes):
        make = type(network.network_address)
        low, high = int(network.network_address), int(network.broadcast_address)
        for number in (low - 1, low, high, high + 1):
            if 0 <= number < 1 << network.max_prefixlen:
                found[number << 8 | network.version] = make(number)
    return sorted(map(str, found.values()))


FIELDS = ("verdict", "policy", "cidr", "gateway", "node", "source", "sentence")


def expected(explainer: Explainer, source: str, destination: str) -> list[str | None]:
    """The fields of `fateOf` as explain tells them, which follows the emitted rules."""
    fate = explainer.explain(source, destination)
    node = fate.trace.node if fate.trace.verdict == "egress" else None
    address = str(fate.trace.source) if fate.trace.source else None
    return [fate.trace.verdict, fate.policy, fate.cidr, fate.gateway, node, address, fate.reason]


@pytest.mark.parametrize("case", [*GOLDEN_CASES, "outputs/change"])
def test_the_page_answers_as_explain_and_outcomes_do(case: str, chromium: Browser, tmp_path: Path) -> None:
    inputs = INPUTS if case == "outputs/change" else (str(GOLDEN / case / "input"),)

    compare(chromium, tmp_path, *inputs)


def test_the_page_answers_so_where_parts_are_left_out(chromium: Browser, tmp_path: Path) -> None:
    """Two pods of one address, a gateway node that is not on the link, and a policy whose gateway is broken."""
    twins = [pod("a", "worker-1", ips=["10.111.11.77"]), pod("b", "worker-1", ips=["10.111.11.77"])]
    off_link = [*member("worker-2", labels={})[:2], state("worker-2", interface("eth0", "172.18.4.12/32"))]
    objects = [
        *cluster(gateway()),
        *off_link,
        *twins,
        pod("far", "worker-2", labels={"app": "a"}),
        pod("lost", "worker-1", 9),
        policy("for-a", to=["203.0.113.0/24"], selectors=[{"podSelector": {"matchLabels": {"app": "a"}}}]),
        policy("for-b", to=["192.0.0.0/8"], selectors=[{"podSelector": {"matchLabels": {"app": "b"}}}]),
        gateway("broken", vip="not-an-address"),
        policy("for-lost", "broken", selectors=[{"podSelector": {"matchLabels": {"app": "lost"}}}]),
    ]
    (tmp_path / "input.yaml").write_text(dump(*objects), encoding="utf-8")
    bundle = str(tmp_path / "bundle")
    assert main(["compile", str(tmp_path / "input.yaml"), "--keep-going", "-o", bundle]) == 0

    verdicts = compare(chromium, tmp_path, bundle)

    assert {"", "contested", "no_gateway", "no_next_hop"} <= verdicts


def compare(chromium: Browser, home: Path, *inputs: str) -> set[str]:
    """Asks about many packets; returns the reasons of those that are dropped, empty for the others."""
    side = open_side(inputs)
    explainer, outcomes = Explainer(side.bundle), Outcomes(side.account)
    chromium.open(report(home / "report.html", *inputs))
    packets = [
        (item, f"{item.namespace}/{item.name}", destination)
        for item in outcomes.workloads
        for destination in destinations(side)
        if any((":" in destination) == (":" in own) for own in item.addresses)
    ]

    answers = chromium.run(f"""(() => {{
        const data = JSON.parse(document.getElementById("data").textContent);
        const pick = (fate) => {json.dumps(FIELDS)}.map((field) => fate[field] ?? null);
        return {json.dumps([packet[1:] for packet in packets])}.map((packet) => pick(fateOf(data, ...packet)));
    }})()""")

    assert len(packets) > 20
    reasons = set[str]()
    for (workload, name, destination), answer in zip(packets, answers, strict=True):
        assert expected(explainer, name, destination) == answer, (name, destination)
        number = int(ip_address(destination))
        table = outcomes.table(workload, Family(ip_address(destination).version))
        outcome = next(found for low, high, found in table if low <= number <= high)
        assert [outcome.verdict, outcome.node, outcome.source] == [answer[0], answer[4], answer[5]]
        reasons.add(outcome.reason)
    return reasons


@pytest.mark.parametrize(
    "written",
    [
        "203.0.113.10", "::ffff:1.2.3.4", "2001:DB8::1", "1:2:3:4:5:6:7::", "::", "1::8", "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:1.2.3.4", "01.2.3.4", "1.2.3", "1.2.3.256", "1.2.3.4/8", "::1%eth0", "1::2::3", ":1", "1:", "",
        "12345::", "1:2:3:4:5:6:7:8:9", "1:2:3:4::5:6:7:8", " 1.2.3.4", "::1.2.3", "1.2.3.4::", "٣.2.3.4", ":::",
        "+1.2.3.4",
    ],
)  # fmt: skip
def test_addresses_are_read_as_python_reads_them(written: str, page: Browser) -> None:
    try:
        address = None if "%" in written else ip_address(written)
    except ValueError:
        address = None

    found = page.run(f"""(() => {{
        const address = readAddress({json.dumps(written)});
        return address === null ? null : [address.family, address.number.toString()];
    }})()""")

    assert found == (None if address is None else [int(address.version == 6), str(int(address))])


# Using it


def test_a_packet_is_chosen_and_its_path_drawn(page: Browser) -> None:
    words = ask(page, "default/backend-1", "203.0.113.10")

    assert words == (
        "default/backend-1 (10.111.11.5) to 203.0.113.10 leaves by node egress-1 with source 172.18.18.1: "
        "policy egress-gw-policy sends 0.0.0.0/0 to gateway egress-gw, whose active node is egress-1."
    )
    steps = page.run("[...document.querySelectorAll('.path strong')].map((step) => step.textContent)")
    assert steps == ["default/backend-1", "worker-1", "172.18.4.1", "egress-gw", "172.18.18.1", "203.0.113.10"]
    assert text(page, ".verdict") == "Leaves by a gateway"


@pytest.mark.parametrize(
    ("destination", "verdict", "last"),
    [
        ("198.51.100.7", "Goes its ordinary way", "198.51.100.7"),
        ("10.111.11.9", "Goes its ordinary way", "10.111.11.9"),
        ("192.0.2.1", "Dropped", "Dropped"),
    ],
)
def test_a_path_ends_where_the_packet_does(destination: str, verdict: str, last: str, page: Browser) -> None:
    ask(page, "10.111.11.5", destination)

    assert text(page, ".verdict") == verdict
    assert text(page, ".path li:last-child strong") == last


@pytest.mark.parametrize(
    ("source", "destination", "fault"),
    [
        ("", "1.2.3.4", "Name a workload as namespace/name, or give its address."),
        ("default/nobody", "1.2.3.4", "There is no workload default/nobody here."),
        ("default/backend-1", "1.2.3", "Give one IP address as the destination, such as 203.0.113.10."),
        ("default/backend-1", "::1", "default/backend-1 has no IPv6 address; it has 10.111.11.5."),
    ],
)
def test_a_question_without_an_answer_says_why(source: str, destination: str, fault: str, page: Browser) -> None:
    for selector, value in (("#packet-from", source), ("#packet-to", destination)):
        fill(page, selector, value)
    page.click("#packet-form button")

    assert text(page, "#packet-fault") == fault
    assert page.run("document.querySelectorAll('[aria-invalid]').length") == 1
    assert page.run("document.activeElement.getAttribute('aria-invalid')") == "true"
    assert page.run("document.getElementById('packet-answer').children.length") == 0


def test_the_keyboard_alone_gets_to_an_answer(page: Browser) -> None:
    page.press("Tab")
    assert focused(page) == "Skip to the path of a packet"
    page.press("Enter", "Tab")
    assert focused(page) == "packet-from"
    page.type("backend")
    page.press("ArrowDown", "ArrowDown", "ArrowUp")
    assert page.run("document.getElementById('packet-from').getAttribute('aria-activedescendant')") == "packet-choice-0"
    page.press("Enter")
    assert focused(page) == "packet-to"
    page.type("203.0.113.10")
    page.press("Enter")

    assert text(page, ".words").startswith("default/backend-1 (10.111.11.5) to 203.0.113.10 leaves by node egress-1")


def test_a_row_is_reached_and_chosen_by_keys(page: Browser) -> None:
    page.run("document.getElementById('workloads-search').focus()")
    page.press("ArrowDown", "ArrowDown", "End", "Home", "ArrowDown")
    assert focused(page).startswith("default/backend-2 10.111.12.8")
    assert page.run("document.querySelectorAll('#workloads tbody [tabindex=\"0\"]').length") == 1
    page.press("Enter")

    assert focused(page) == "packet-to"
    assert page.run("document.getElementById('packet-from').value") == "default/backend-2"


def test_escape_closes_the_choices(page: Browser) -> None:
    fill(page, "#packet-from", "backend")
    assert page.run("document.getElementById('packet-from').getAttribute('aria-expanded')") == "true"
    page.press("Escape")

    assert page.run("document.getElementById('packet-choices').hidden")
    assert page.run("document.getElementById('packet-from').getAttribute('aria-expanded')") == "false"


def test_a_choice_is_taken_with_the_mouse(page: Browser) -> None:
    fill(page, "#packet-from", "reports")
    page.click("#packet-choices li")

    assert page.run("document.getElementById('packet-from').value") == "other/reports-1"
    assert focused(page) == "packet-to"


def test_the_gateways_tell_master_standbys_and_who_is_left_out(page: Browser) -> None:
    page.run("document.querySelectorAll('#gateways details').forEach((item) => { item.open = true; })")

    assert rows(page, "gateways")[1] == (
        "egress-partner virtual IP no node: dropped no node is suitable, so traffic is dropped (no node has the labels "
        "of spec.nodeSelector) none none none 1 3 Policies"
    )
    assert rows(page, "gateways")[0] == (
        "egress-gw address of the node egress-1 egress-3, egress-2 172.18.18.1 3 nodes "
        "AgentNotReady: egress-6 Cordoned: egress-4 NotReady: egress-5 1 2 Policies"
    )


def test_a_search_leaves_the_rows_that_match_every_word(page: Browser) -> None:
    fill(page, "#workloads-search", "OTHER egress-vip")

    assert [row.split()[0] for row in rows(page, "workloads")] == ["other/reports-1"]
    assert text(page, "#workloads .status") == "1 of 6 workloads"
    page.type(" nothing")
    assert text(page, "#workloads .status") == "Nothing matches; there are 6 workloads"


def test_a_column_is_sorted_up_and_down(page: Browser) -> None:
    ranks = []
    for _ in range(2):
        page.click("#policies th:nth-child(2) button")
        order = page.run("document.querySelector('#policies th:nth-child(2)').getAttribute('aria-sort')")
        ranks.append((order, [row.split()[1] for row in rows(page, "policies")]))

    names = ["egress-gw-policy", "egress-vip-policy", "frontend-policy", "partner-policy", "reports-policy"]
    assert ranks == [("ascending", names), ("descending", names[::-1])]


def test_rows_lead_from_gateway_to_policies_to_workloads(page: Browser) -> None:
    page.click("#gateways tbody tr:nth-child(2) .act button")
    assert [row.split()[1] for row in rows(page, "policies")] == ["partner-policy"]
    page.click("#policies tbody tr:first-child .act button")

    assert [row.split()[0] for row in rows(page, "workloads")] == [
        "default/backend-1", "default/backend-2", "other/backend-1",
    ]  # fmt: skip


def test_a_thousand_policies_are_searched_sorted_and_leafed_through(chromium: Browser, many: Path) -> None:
    chromium.show_as(width=1280, height=900)
    chromium.open(many)
    assert text(chromium, "#policies .status") == "1,000 policies"
    assert text(chromium, "#policies .where") == "Page 1 of 67"
    assert len(rows(chromium, "policies")) == 15
    chromium.click("#policies [aria-label='Last page of Policies']")
    assert rows(chromium, "policies")[-1].startswith("1000 policy-")
    assert chromium.run("document.querySelector('#policies [aria-label=\"Next page of Policies\"]').disabled")
    chromium.run("document.querySelector('#policies tbody tr').focus()")
    chromium.press("PageUp", "Home", "ArrowUp")
    assert focused(chromium).startswith("975 policy-")

    fill(chromium, "#policies-search", "policy-00321")

    assert [row.split()[1] for row in rows(chromium, "policies")] == ["policy-00321"]
    fill(chromium, "#workloads-search", "policy-00001")
    assert re.fullmatch(r"[0-9]+ of 1,500 workloads", text(chromium, "#workloads .status"))
    assert chromium.complaints == []


# How it looks

CONTRAST = """(() => {
    const parse = (text) => { const [r, g, b, a = 1] = text.match(/[0-9.]+/g).map(Number); return [r, g, b, a]; };
    const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a)];
    const ground = (element) => {
        if (element === null) return [255, 255, 255];
        const own = parse(getComputedStyle(element).backgroundColor);
        return own[3] === 1 ? own.slice(0, 3) : over(own, ground(element.parentElement));
    };
    const light = (colour) => {
        const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        const [r, g, b] = colour.map((part) => linear(part / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    const look = (element, pseudo, words) => {
        const below = ground(element);
        const above = over(parse(getComputedStyle(element, pseudo).color), below);
        const [low, high] = [light(above), light(below)].sort((one, other) => one - other);
        found.push([(high + 0.05) / (low + 0.05), words]);
    };
    for (const element of document.body.querySelectorAll("*")) {
        if (!element.checkVisibility() || element.closest("svg, script, noscript")) continue;
        const texts = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
        const words = texts.map((node) => node.data.trim()).join("");
        if (words !== "") look(element, null, words);
        if (element.placeholder) look(element, "::placeholder", element.placeholder);
    }
    return found;
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("destination", ["203.0.113.10", "192.0.2.1", "198.51.100.7", "wrong"])
def test_all_words_have_contrast(scheme: str, destination: str, page: Browser) -> None:
    page.show_as(width=1280, height=900, scheme=scheme)
    page.run("document.querySelectorAll('details').forEach((item) => { item.open = true; })")
    for selector, value in (("#packet-from", "default/backend-1"), ("#packet-to", destination)):
        fill(page, selector, value)
    page.press("Enter")

    found = page.run(CONTRAST)

    assert len(found) > 100
    assert [(round(ratio, 2), words) for ratio, words in found if ratio < 4.5] == []


def ground(page: Browser) -> str:
    found: str = page.run("getComputedStyle(document.body).backgroundColor")
    return found


def test_the_theme_follows_the_system_until_it_is_chosen(page: Browser) -> None:
    light = ground(page)
    page.show_as(width=1280, height=900, scheme="dark")
    dark = ground(page)
    assert dark != light
    assert page.run("document.getElementById('theme').getAttribute('aria-pressed')") == "true"

    page.click("#theme")

    assert ground(page) == light
    assert page.run("document.getElementById('theme').getAttribute('aria-pressed')") == "false"
    page.show_as(width=1280, height=900, scheme="light")
    page.click("#theme")
    assert ground(page) == dark


@pytest.mark.parametrize("width", [360, 768, 1000, 1280])
@pytest.mark.parametrize("which", ["small", "many"])
def test_the_page_is_never_wider_than_the_window(
    width: int, which: str, chromium: Browser, request: pytest.FixtureRequest
) -> None:
    chromium.show_as(width=width, height=800)
    chromium.open(request.getfixturevalue(which))
    if which == "small":
        ask(chromium, "default/backend-1", "203.0.113.10")

    assert chromium.run("document.documentElement.scrollWidth") <= width
    beyond = f"""[...document.querySelectorAll("main *")]
        .filter((item) => item.checkVisibility() && !item.closest(".unseen, .scroll"))
        .filter((item) => item.getBoundingClientRect().right > {width})
        .map((item) => item.outerHTML.slice(0, 99))"""
    assert chromium.run(beyond) == []
    scrolled = "[...document.querySelectorAll('.scroll')].some((item) => item.scrollWidth > item.clientWidth)"
    assert width == 1000 or not chromium.run(scrolled)


def test_on_a_narrow_screen_each_value_stands_beside_its_name(page: Browser) -> None:
    page.show_as(width=360, height=800)

    places = page.run("""[...document.querySelectorAll("#gateways tbody tr:first-child td:not(.act)")].map((cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        const [own, text] = [cell.getBoundingClientRect(), range.getBoundingClientRect()];
        return [text.left - own.left > 90, text.top - own.top < 12];
    })""")
    assert places == [[True, True]] * 7


def test_print_shows_the_answer_and_no_controls(page: Browser) -> None:
    ask(page, "default/backend-1", "203.0.113.10")
    page.show_as(width=800, height=900, scheme="dark", media="print")

    assert page.run("document.querySelector('.words').checkVisibility()")
    shown = page.run(
        "[...document.querySelectorAll('.bar, .tools input, .act')].filter((item) => item.checkVisibility())"
    )
    assert shown == []
    assert ground(page) == "rgb(255, 255, 255)"


def test_every_control_has_a_name_and_every_id_is_there_once(page: Browser) -> None:
    nameless = page.run("""[...document.querySelectorAll("button, input, a, table, section, nav, ol")]
        .filter((item) => !(item.ariaLabel || item.labels?.length || item.hasAttribute("aria-labelledby")
            || (["A", "BUTTON"].includes(item.tagName) && item.innerText.trim())))
        .map((item) => item.outerHTML)""")
    twice = page.run("""[...document.querySelectorAll("[id]")].map((item) => item.id)
        .filter((id, at, all) => all.indexOf(id) !== at)""")
    missing = page.run("""["aria-labelledby", "aria-controls", "for"]
        .flatMap((name) => [...document.querySelectorAll(`[${name}]`)].map((item) => item.getAttribute(name)))
        .filter((id) => document.getElementById(id) === null)""")

    assert (nameless, twice, missing) == ([], [], [])


# That it is closed


def test_the_page_asks_for_nothing_and_complains_of_nothing(page: Browser, small: Path) -> None:
    ask(page, "default/backend-1", "203.0.113.10")
    page.click("#theme")

    assert page.requests == [small.as_uri()]
    assert page.complaints == []


def test_the_policy_of_the_page_stops_all_that_is_not_its_own(page: Browser) -> None:
    stopped = page.run("""(async () => {
        const found = new Set();
        document.addEventListener("securitypolicyviolation", (event) => found.add(event.effectiveDirective));
        for (const name of ["script", "style"]) {
            const element = document.createElement(name);
            element.textContent = name === "script" ? "window.foreign = true" : "body { color: red }";
            document.body.append(element);
        }
        const elements = "<img src='x.png'><iframe src='x.html'></iframe><p style='color: red' onclick='f()'></p>";
        document.body.insertAdjacentHTML("beforeend", elements);
        await fetch("x.json").catch(() => null);
        await new Promise((done) => setTimeout(done, 100));
        return [...found].sort();
    })()""")

    assert page.run("window.foreign ?? null") is None
    assert stopped == [
        "connect-src", "frame-src", "img-src", "script-src-attr", "script-src-elem", "style-src-attr", "style-src-elem",
    ]  # fmt: skip


HOSTILE = "</script ></script><script>window.foreign = 1</script><!--<script >\u2028'\"&amp;${1}`<b>"


def hostile_data() -> PageData:
    data = page_data(Outcomes(open_side(INPUTS).account), [])
    data["notes"] = [{"severity": "error", "code": HOSTILE, "place": HOSTILE, "message": HOSTILE}]
    data["gateways"][0]["name"] = data["policies"][0]["name"] = data["namespaces"][0] = HOSTILE
    return data


def test_hostile_names_are_text(chromium: Browser, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page_html(HOSTILE, HOSTILE, hostile_data()), encoding="utf-8")
    chromium.open(tmp_path / "page.html")

    cell: Any = chromium.run("document.querySelector('#notes tbody td:last-child').textContent")
    assert cell == HOSTILE
    assert chromium.run("document.querySelector('#gateways tbody td b').textContent") == HOSTILE
    assert chromium.run("document.querySelector('h1').textContent") == HOSTILE
    assert chromium.run("document.title").startswith("Egress of </script >")
    assert chromium.run("window.foreign ?? null") is None
    assert chromium.complaints == []


# The command


def written(capsys: pytest.CaptureFixture[str], *inputs: str) -> str:
    assert main(["report", *inputs, "-o", "-"]) == 0
    return capsys.readouterr().out


def notes(page: str) -> Sequence[dict[str, str]]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    found: list[dict[str, str]] = json.loads(text)["notes"]
    return found


@pytest.fixture
def bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["compile", *INPUTS, "-o", str(tmp_path / "bundle")]) == 0
    capsys.readouterr()
    return str(tmp_path / "bundle")


def test_a_bundle_alone_tells_what_its_account_gives_cause_for(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert [(note["place"], note["message"]) for note in notes(written(capsys, bundle))] == [
        (
            "EgressGateway egress-partner",
            "no node is suitable, so traffic is dropped (no node has the labels of spec.nodeSelector)",
        )
    ]


def test_a_bundle_with_its_inputs_tells_their_findings(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    (note,) = notes(written(capsys, bundle, *INPUTS))

    assert (note["severity"], note["code"], note["place"]) == ("warning", "EG306", f"{INPUTS[0]}/egress.yaml:87")


def test_a_bundle_with_other_inputs_is_refused(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", bundle, str(GOLDEN / "virtual-ip" / "input"), "-o", "-"]) == 2

    assert "was not made of" in capsys.readouterr().err
