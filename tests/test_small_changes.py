"""A small change of a large table: what is read and what travels, and that nothing is overlooked for it."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from applier_bundles import NODE, Item, State, mark_rule, ruleset_text, state_a, write_bundle
from hypothesis import given
from hypothesis import strategies as st
from kernel_fixtures import TABLE, Netns
from kernel_fixtures import netns as netns  # noqa: PLC0414  # a fixture is found under its name

from applier.connections import Connection
from applier.errors import KernelError
from applier.kernel import Kernel, LinuxKernel
from applier.late import bar_late_replies
from applier.netns import entered
from applier.record import Records
from applier.session import Outcome, Session
from bundle.delta import reduce
from bundle.directory import NodePart, open_bundle
from bundle.ruleset import parse

MANY = 1200


def state(count: int, **changed: str) -> State:
    """A state with that many workloads; those in `changed` (by last word) have another class."""
    elements = tuple(f"10.1.{i >> 8}.{i & 255} : goto {changed.get(f'w{i}', 'class_a')}" for i in range(count))
    first = state_a()
    return first.with_sets(source4=replace(first.sets["source4"], elements=elements)).with_chains(
        {"class_b": first.chains["class_a"]}
    )


def routed(state: State) -> State:
    """The state with routes of many more classes, and with those of class_b, which all lead to another node."""
    spec = state.sets["route4_a"].spec
    more = {f"route4_{16 + i:08x}": Item("map", spec, ("0.0.0.0/0 : goto to_node-b",)) for i in range(MANY)}
    own = Item("map", spec, ("0.0.0.0/0 : goto to_node-b",))
    chains = {"class_b": ("", ("ip daddr vmap @route4_b", "counter drop"))}
    return state.with_sets(route4_b=own, **more).with_chains(chains)


def routes_of(part: NodePart) -> int:
    """Returns how many elements of maps from destinations were read."""
    return sum(len(item.elements) for name, item in part.ruleset.sets.items() if name.startswith("route"))


class Node:
    """A namespace with a record of its own, and what the last apply wrote."""

    def __init__(self, netns: Netns, folder: Path) -> None:
        self.netns = netns
        self._folder = folder
        self._count = 0
        (folder / "run").mkdir()

    def apply_again(self, wanted: State) -> Outcome:
        """Applies, whatever else there is in the table."""
        self._count += 1
        bundle = open_bundle(write_bundle(self._folder / str(self._count), wanted))
        with entered(self.netns.name):
            kernel = LinuxKernel()
            try:
                return Session(kernel).apply(bundle.node(NODE), lambda _: None)
            finally:
                kernel.close()

    def apply(self, wanted: State) -> tuple[Outcome, list[str], int]:
        """Applies; returns the outcome, the lines of its steps, and how many elements of source4 were read."""
        outcome, lines, part = self.apply_part(wanted)
        return outcome, lines, len(part.ruleset.sets["source4"].elements)

    def apply_part(self, wanted: State, forgotten: list[str] | None = None) -> tuple[Outcome, list[str], NodePart]:
        """Applies; returns the outcome, the lines of its steps, and what was read.

        Args:
            wanted: What to apply.
            forgotten: Takes the sources of connections that are deleted, of which then one is there.
        """
        self._count += 1
        bundle = open_bundle(write_bundle(self._folder / str(self._count), wanted))
        lines: list[str] = []
        with entered(self.netns.name):
            kernel = LinuxKernel()
            try:
                connected = Failing(kernel, 0, lambda: None)
                used = kernel if forgotten is None else cast("Kernel", connected)
                session = Session(used, Records(self._folder / "run"))
                part = session.part(bundle, NODE)
                outcome = session.apply(part, lines.append)
            finally:
                kernel.close()
        assert outcome.status == 0, outcome.message
        assert self.netns.table() == whole(wanted, self.netns)
        if forgotten is not None:
            forgotten += connected.forgotten
        return outcome, lines, part


def whole(wanted: State, netns: Netns) -> object:
    """The table as it should be: with the elements of the bundle, and the rules in nft's own words."""
    table = netns.table()
    assert table is not None
    text = parse(ruleset_text(wanted), TABLE)
    return replace(
        table, sets={name: replace(table.sets[name], elements=text.sets[name].elements) for name in text.sets}
    )


@pytest.fixture
def node(netns: Netns, tmp_path: Path) -> Node:
    return Node(netns, tmp_path)


@pytest.mark.kernel
def test_of_a_large_map_only_what_differs_is_read_and_travels(node: Node) -> None:
    node.apply(state(MANY))
    _, lines, read = node.apply(state(MANY + 1))

    assert read == 1
    assert lines == [
        f"nft add set {TABLE} unsettled {{ type mark; }}",
        f"nft add element {TABLE} source4 {{ 10.1.4.176 : goto class_a }}",
        "conntrack delete what the rules now bind otherwise from 10.1.4.176",
        f"nft delete set {TABLE} unsettled",
    ]
    _, lines, read = node.apply(state(MANY, w7="class_b"))
    assert (read, len(lines)) == (1, 5)
    outcome, lines, read = node.apply(state(MANY, w7="class_b"))
    assert (outcome.message, lines, read) == ("nothing to do", [], 0)


@pytest.mark.kernel
def test_routes_are_read_only_where_more_differs_than_who_comes_and_goes(node: Node) -> None:
    def read(wanted: State) -> int:
        return routes_of(node.apply_part(routed(wanted))[2])

    everything = sum(len(item.elements) for name, item in routed(state(MANY)).sets.items() if "route" in name)
    assert read(state(MANY)) == everything
    assert read(state(MANY + 1)) == 0
    # Two chains swap their marks: what leads to them is taken away first.
    _, lines, part = node.apply_part(
        routed(state(MANY).with_chains({"to_node-b": ("", (mark_rule(6),)), "gateway_g": ("", (mark_rule(5),))}))
    )
    assert routes_of(part) == everything
    assert any(line.startswith(f"nft delete element {TABLE} route4_a {{ 0.0.0.0/1") for line in lines)


@pytest.mark.kernel
@pytest.mark.parametrize(("other", "expected"), [("class_a", []), ("class_b", ["10.1.0.1"])])
def test_connections_are_settled_by_the_routes_that_were_not_read(node: Node, other: str, expected: list[str]) -> None:
    """Class_a leaves by the gateway whose address the connection has, class_b by another node."""
    known = routed(state(MANY, w1="class_c").with_chains({"class_c": ("", ("counter drop",))}))
    node.apply_part(known)
    forgotten: list[str] = []

    _, lines, part = node.apply_part(replace(routed(state(MANY, w1=other)), chains=known.chains), forgotten=forgotten)

    assert "conntrack delete what the rules now bind otherwise from 10.1.0.1" in lines
    assert routes_of(part) == 0
    assert forgotten == expected


@pytest.mark.kernel
@pytest.mark.parametrize(
    "text",
    [
        f"delete element {TABLE} source4 {{ 10.1.0.9 }}",
        f"add element {TABLE} source4 {{ 10.9.9.9 : goto class_a }}",
        "flush ruleset",
        "add table ip theirs",
    ],
)
def test_what_somebody_changed_meanwhile_is_not_overlooked(node: Node, text: str) -> None:
    node.apply(state(MANY))
    node.netns.nft(text)
    _, _, read = node.apply(state(MANY + 1))

    assert read == MANY + 1


class Failing:
    """A kernel that fails at its nth nft transaction, after something else happened to the table."""

    def __init__(self, kernel: LinuxKernel, at: int, before: Callable[[], None]) -> None:
        self._kernel = kernel
        self._at = at
        self._before = before
        self.forgotten: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._kernel, name)

    def run_nft(self, script: str) -> None:
        self._at -= 1
        if self._at == 0:
            self._before()
            raise KernelError("injected")
        self._kernel.run_nft(script)

    def list_connections(self, sources: Iterable[str] | None = None) -> list[Connection]:
        """One that is bound to a gateway's address by the rules, as they are whatever this change does."""
        found = [Connection("10.1.0.1", "203.0.113.1", "172.18.18.241", 0x01000000, 0, b"")]
        return [each for each in found if sources is None or each.source in sources]

    def delete_connections(self, connections: Iterable[Connection]) -> int:
        self.forgotten += [each.source for each in connections]
        return 0


@pytest.mark.kernel
@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("text", ["", "flush ruleset", f"delete element {TABLE} source4 {{ 10.1.0.9 }}"])
def test_a_small_change_that_fails_puts_back_everything_and_forgets_nobody(
    node: Node, tmp_path: Path, at: int, text: str
) -> None:
    node.apply(state(MANY))
    first = node.netns.dump()
    bundle = open_bundle(write_bundle(tmp_path / "next", state(MANY + 1)))
    with entered(node.netns.name):
        kernel = LinuxKernel()
        failing = Failing(kernel, at, lambda: node.netns.nft(text) if text else None)
        session = Session(cast("Kernel", failing), Records(tmp_path / "run"))
        part = session.part(bundle, NODE)
        assert part.scope
        outcome = session.apply(part, lambda _: None)
        kernel.close()

    assert (outcome.status, outcome.message) == (3, "failed, and the node was put back as it was: injected")
    assert node.netns.dump() == first
    assert failing.forgotten == []


@pytest.mark.kernel
def test_what_changes_between_the_reading_and_the_look_is_not_overlooked(node: Node, tmp_path: Path) -> None:
    node.apply(state(MANY))
    bundle = open_bundle(write_bundle(tmp_path / "next", state(MANY)))
    with entered(node.netns.name):
        kernel = LinuxKernel()
        session = Session(kernel, Records(tmp_path / "run"))
        part = session.part(bundle, NODE)
        node.netns.nft(f"delete element {TABLE} source4 {{ 10.1.0.9 }}")
        assert session.apply(part, lambda _: None).changes > 0
        kernel.close()

    assert node.netns.table() == whole(state(MANY), node.netns)


@pytest.mark.kernel
@pytest.mark.parametrize(
    "element", ['10.9.9.9 comment "x" : goto class_a', "* : drop", "10.9.9.9 timeout 1h : drop", "10.9.9.9 : drop"]
)
def test_odd_elements_in_a_large_map_go(node: Node, element: str) -> None:
    node.apply(state(MANY))
    flags = " flags timeout;" if "timeout" in element else ""
    if flags:
        node.netns.nft(f"flush chain {TABLE} decide; delete map {TABLE} source4")
        node.netns.nft(f"add map {TABLE} source4 {{ type ipv4_addr : verdict;{flags} }}")
    node.netns.nft(f"add element {TABLE} source4 {{ {element} }}")

    node.apply(state(MANY))


@pytest.mark.kernel
def test_what_is_put_into_the_bar_of_late_replies_goes_and_the_bar_may_stay(node: Node) -> None:
    node.apply(state(5))
    node.netns.nft(bar_late_replies([Connection("10.1.0.1", "203.0.113.1", "10.1.0.1", 0x01000000, 0, b"")]))
    assert node.apply_again(state(5)).message == "nothing to do"
    node.netns.nft(f"add rule {TABLE} late accept")
    assert node.apply_again(state(5)).changes > 0
    node.apply(state(5))


@pytest.mark.kernel
def test_a_record_that_is_damaged_or_of_another_boot_is_not_believed(node: Node, tmp_path: Path) -> None:
    (tmp_path / "run" / "x").write_text("")
    for damage in ("{", "[]", '{"boot": "another"}', ""):
        node.apply(state(MANY))
        head = next(path for path in (tmp_path / "run").iterdir() if path.suffix == ".json")
        head.write_text(damage)
        assert node.apply(state(MANY))[2] == MANY
    node.apply(state(MANY))
    text = next(path for path in (tmp_path / "run").iterdir() if path.suffix == ".nft")
    text.write_text(text.read_text().replace("10.1.0.9 ", "10.9.0.9 "))

    assert node.apply(state(MANY))[2] == MANY


_KEYS = st.integers(0, 2000)


@given(st.dictionaries(_KEYS, st.sampled_from("ab")), st.dictionaries(_KEYS, st.sampled_from("ab")), st.booleans())
def test_a_reduced_text_differs_from_the_known_one_as_the_whole_does(
    old: dict[int, str], new: dict[int, str], in_order: bool
) -> None:
    # Enough that is alike that the map counts as large.
    base = dict.fromkeys(range(500, 1600), "a")
    texts = []
    for changes in (old, new):
        items = {**base, **changes}
        order = sorted(items) if in_order else list(items)
        elements = tuple(f"10.1.{i >> 8}.{i & 255} : goto class_{items[i]}" for i in order)
        texts.append(ruleset_text(state_a().with_sets(source4=replace(state_a().sets["source4"], elements=elements))))
    first, second = (parse(text, TABLE).sets["source4"].elements for text in texts)

    short, keys = reduce(texts[0], texts[1])

    assert keys["source4"] == {key for key, _ in first.items() ^ second.items()}
    assert parse(short, TABLE).sets["source4"].elements == {
        key: value for key, value in second.items() if first.get(key) != value
    }
    rest = replace(parse(short, TABLE), sets={})
    assert rest == replace(parse(texts[1], TABLE), sets={})


def test_a_text_with_a_map_in_two_parts_is_read_as_it_is() -> None:
    text = ruleset_text(state(MANY))
    start, end = text.index("\tmap source4 {\n"), text.index("\t\t}\n\t}\n", text.index("\tmap source4 {\n"))
    block = text[start : end + len("\t\t}\n\t}\n")]
    twice = text.replace(block, block + block.replace("10.1.", "10.2."))

    assert reduce(text, twice) == (twice, {})
    assert reduce(twice, text) == (text, {})


def test_what_is_declared_and_has_no_elements_is_not_read_where_nothing_but_addresses_differs() -> None:
    text = ruleset_text(state(MANY))

    assert reduce(text, ruleset_text(state(MANY + 1)))[1]["source6"] == frozenset()
    other = ruleset_text(state(MANY).with_chains({"class_c": ("", ("counter drop",))}))
    assert "source6" not in reduce(text, other)[1]


def test_a_map_of_routes_may_stand_in_several_blocks() -> None:
    text = ruleset_text(routed(state(MANY)))
    start = text.index("\tmap route4_a {\n")
    block = text[start : text.index("\t\t}\n\t}\n", start) + len("\t\t}\n\t}\n")]
    more = text.replace(block, block + block.replace("0.0.0.0/1", "10.0.0.0/8").replace("128.0.0.0/1", "11.0.0.0/8"))

    assert reduce(more, more)[1]["route4_a"] == frozenset()
    assert "route4_a" not in reduce(text, more)[1]
    assert parse(reduce(text, more)[0], TABLE).sets["route4_a"] == parse(more, TABLE).sets["route4_a"]


def test_small_maps_and_unknown_texts_are_read_as_they_are() -> None:
    text = ruleset_text(state_a())

    assert reduce("", text) == (text, {})
    assert reduce(text, text) == (text, {})
