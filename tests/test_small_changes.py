"""A small change of a large table: what is read and what travels, and that nothing is overlooked for it."""

from dataclasses import replace
from pathlib import Path

import pytest
from applier_bundles import NODE, State, ruleset_text, state_a, write_bundle
from hypothesis import given
from hypothesis import strategies as st
from kernel_fixtures import TABLE, Netns
from kernel_fixtures import netns as netns  # noqa: PLC0414  # a fixture is found under its name

from applier.kernel import LinuxKernel
from applier.netns import entered
from applier.record import Records
from applier.session import Outcome, Session
from bundle.delta import reduce
from bundle.directory import open_bundle
from bundle.ruleset import parse

MANY = 1200


def state(count: int, **changed: str) -> State:
    """A state with that many workloads; those in `changed` (by last word) have another class."""
    elements = tuple(f"10.1.{i >> 8}.{i & 255} : goto {changed.get(f'w{i}', 'class_a')}" for i in range(count))
    first = state_a()
    return first.with_sets(source4=replace(first.sets["source4"], elements=elements)).with_chains(
        {"class_b": first.chains["class_a"]}
    )


class Node:
    """A namespace with a record of its own, and what the last apply wrote."""

    def __init__(self, netns: Netns, folder: Path) -> None:
        self.netns = netns
        self._folder = folder
        self._count = 0
        (folder / "run").mkdir()

    def apply(self, wanted: State) -> tuple[Outcome, list[str], int]:
        """Applies; returns the outcome, the lines of its steps, and how many elements of source4 were read."""
        self._count += 1
        bundle = open_bundle(write_bundle(self._folder / str(self._count), wanted))
        lines: list[str] = []
        with entered(self.netns.name):
            kernel = LinuxKernel()
            try:
                session = Session(kernel, Records(self._folder / "run"))
                part = session.part(bundle, NODE)
                outcome = session.apply(part, lines.append)
            finally:
                kernel.close()
        assert outcome.status == 0, outcome.message
        assert self.netns.table() == whole(wanted, self.netns)
        return outcome, lines, len(part.ruleset.sets["source4"].elements)


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


@given(st.dictionaries(_KEYS, st.sampled_from("ab")), st.dictionaries(_KEYS, st.sampled_from("ab")))
def test_a_reduced_text_differs_from_the_known_one_as_the_whole_does(old: dict[int, str], new: dict[int, str]) -> None:
    # Enough that is alike that the map counts as large.
    base = dict.fromkeys(range(3000, 4100), "a")
    texts = []
    for changes in (old, new):
        elements = tuple(f"10.1.{i >> 8}.{i & 255} : goto class_{c}" for i, c in {**base, **changes}.items())
        texts.append(ruleset_text(state_a().with_sets(source4=replace(state_a().sets["source4"], elements=elements))))
    first, second = (parse(text, TABLE).sets["source4"].elements for text in texts)

    short, keys = reduce(texts[0], texts[1])

    assert keys["source4"] == {key for key, _ in first.items() ^ second.items()}
    assert parse(short, TABLE).sets["source4"].elements == {
        key: value for key, value in second.items() if first.get(key) != value
    }
    rest = replace(parse(short, TABLE), sets={})
    assert rest == replace(parse(texts[1], TABLE), sets={})


def test_small_maps_and_unknown_texts_are_read_as_they_are() -> None:
    text = ruleset_text(state_a())

    assert reduce("", text) == (text, {})
    assert reduce(text, text) == (text, {})
