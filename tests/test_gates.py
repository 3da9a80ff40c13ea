"""The names that `--fail-on` takes."""

import pytest

from compiler.gates import GATES, Gate, GateError, parse_gates


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], set()),
        (["new-drop"], {"new-drop"}),
        (["new-drop,source-change", "vip-move"], {"new-drop", "source-change", "vip-move"}),
        (["new-drop, new-drop"], {"new-drop"}),
        ([",".join(GATES)], set(GATES)),
    ],
)
def test_gates_are_given_with_commas_or_one_after_another(texts: list[str], expected: set[Gate]) -> None:
    assert expected == parse_gates(texts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("new-drops", "--fail-on: 'new-drops' is not known; did you mean new-drop?"),
        ("new-drop,", "--fail-on: a name is missing"),
        ("", "--fail-on: a name is missing"),
        ("NEW-DROP\x1b[31m", r"'NEW-DROP\x1b[31m' is not known"),
    ],
)
def test_what_is_no_gate_is_refused_with_what_was_meant(text: str, expected: str) -> None:
    with pytest.raises(GateError) as caught:
        parse_gates([text])

    assert expected in str(caught.value)
    assert "connections-break, source-change" in str(caught.value)


def test_a_command_takes_only_the_gates_that_it_can_tell_of() -> None:
    known: tuple[Gate, ...] = ("new-drop",)

    with pytest.raises(GateError, match=r"it takes new-drop$"):
        parse_gates(["new-cover"], known)
