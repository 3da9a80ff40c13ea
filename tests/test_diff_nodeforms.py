"""Changes of nodes as people and programs get them: grouped, bounded, and with nothing in them that is obeyed."""

import json

import jsonschema
import pytest
from builders import gateway, member, pod, policy
from test_diff_nodes import made

from compiler.diff.change import Change, NodeChange
from compiler.diff.groups import Group, group
from compiler.diff.nodeforms import nodes_json, nodes_markdown, nodes_text
from compiler.diff.nodes import nodes
from compiler.outputs import NodeGroupOutput
from compiler.schema.classes import class_schema

RANGE = Change("element", "set cluster4", "203.0.113.0/24", None, "")
HOSTILE = "x</summary>\n```\n[a](http://b) \x1b[31m```` <script>"


def moved(address: str, name: str, before: str = "local(a)", after: str = "local(b)") -> Change:
    return Change("source", "map source4", address, before, after, name)


def text(found: tuple[NodeChange, ...], **limits: int) -> list[str]:
    return [str(line) for line in nodes_text(group(found), **limits)]


def many(number: int) -> tuple[NodeChange, ...]:
    """Nodes that have nothing in common but how much changes."""
    return tuple(
        NodeChange(
            f"node-{index}",
            "changed",
            tuple(Change("element", "set cluster4", f"10.{index}.{n}.0/24", None, "") for n in range(9)),
        )
        for index in range(number)
    )


def test_nodes_are_alike_whichever_of_their_own_workloads_are_concerned() -> None:
    found = (
        NodeChange("n1", "changed", (moved("10.0.1.1", "d/x"), RANGE)),
        NodeChange("n2", "changed", (moved("10.0.2.1", "d/y"), moved("10.0.2.2", "d/z"), RANGE)),
        NodeChange("n3", "changed", (moved("10.0.3.1", "d/v", after="local(c)"), RANGE)),
    )

    assert text(found) == [
        "~ 2 nodes: n1, n2",
        "  map source4: workloads to their classes",
        "    ~ 3 such as 10.0.1.1 (d/x) on n1: local(a) -> local(b)",
        "  set cluster4: destinations that are never redirected",
        "    + 203.0.113.0/24",
        "~ 1 node: n3",
        "  map source4: workloads to their classes",
        "    ~ 10.0.3.1 (d/v): local(a) -> local(c)",
        "  set cluster4: destinations that are never redirected",
        "    + 203.0.113.0/24",
    ]


def test_a_mark_is_told_as_it_is_where_all_nodes_have_it_and_by_one_of_them_where_not() -> None:
    one, two = (Change("mark", "mark", "node g", None, number) for number in ("0x01000000", "0x02000000"))
    same = (NodeChange("n1", "changed", (one,)), NodeChange("n2", "changed", (one,)))
    other = (NodeChange("n1", "changed", (one,)), NodeChange("n2", "changed", (two,)))

    assert text(same)[2] == "    + node g: 0x01000000"
    assert text(other)[2] == "    + node g: 0x01000000 on n1, and not the same on all nodes"


def test_nodes_that_come_go_and_are_worded_otherwise_are_named_so() -> None:
    found = (
        NodeChange("n1", "added", (RANGE,)),
        NodeChange("n2", "removed", (Change("element", "set cluster4", "203.0.113.0/24", "", None),)),
        NodeChange("n3", "changed", ()),
    )

    assert [line for line in text(found) if not line.startswith("   ")] == [
        "+ 1 new node: n1",
        "  set cluster4: destinations that are never redirected",
        "- 1 gone node: n2",
        "  set cluster4: destinations that are never redirected",
        "~ 1 node: n3",
        "  only the wording of the files differs: what they do is the same",
    ]


def test_a_verdict_has_words() -> None:
    old, new = made(policy()), made(policy(excluded=["203.0.113.0/24"]))

    assert "    ~ 203.0.113.0/24: goto to_egress-1 (sent to that node) -> return (its ordinary way)" in text(
        nodes(old, new)
    )


def test_a_new_class_is_told_by_what_its_policies_decide() -> None:
    shown = text(nodes(made(), made(policy(to=["203.0.113.0/24"]))))

    start = shown.index("  map route4, local(egress-gw-policy): by destination")
    assert shown[start + 1 : start + 3] == [
        "    + 2 ranges that no policy decides: return (its ordinary way)",
        "    + 203.0.113.0/24: goto to_egress-1 (sent to that node)",
    ]


def test_a_chain_that_comes_stands_over_its_rules() -> None:
    shown = text(nodes(made(policy()), made(gateway("vip", vip="172.18.18.241"), policy())))

    start = shown.index("  + chain snat_vip")
    assert shown[start + 1] == "    + rule 1: snat ip to 172.18.18.241"


def test_text_is_bounded_and_says_what_it_leaves_out() -> None:
    shown = text(many(30), shown=3, lines=4)

    assert len(shown) == 3 * (1 + 4 + 1) + 1
    assert shown[5] == "  … and 6 more lines; --format json has all of it"
    assert shown[-1] == "… 27 more groups of 27 nodes with 243 changes are not shown; --format json has them all"


@pytest.mark.parametrize("budget", [0, 100, 299, 300, 301, 500, 1000, 3000, 9000, 60_000])
def test_markdown_keeps_its_budget_and_says_what_it_leaves_out(budget: int) -> None:
    groups = group(many(40))

    shown = nodes_markdown(groups, budget)

    assert len(shown.encode()) <= budget
    left_out = 40 - shown.count("<details>")
    assert shown.count("</details>") == shown.count("<details>")
    if budget >= 300 and left_out:
        assert f"… {left_out} more group" in shown
    assert budget < 60_000 or left_out == 0


def test_nothing_in_markdown_is_obeyed() -> None:
    change = Change("sysctl", "sysctl", HOSTILE, None, HOSTILE, HOSTILE)

    shown = nodes_markdown([Group("changed", (change,), ((HOSTILE, ()),))], 60_000)

    head, _, rest = shown.partition("</summary>\n\n`````diff\n")
    body, _, tail = rest.partition("\n`````\n")
    assert "<script>" not in head
    assert "\n" not in head
    assert "\x1b" not in shown
    assert HOSTILE.count("```") == 2
    assert "```` <script>" in body
    assert tail == "\n</details>\n"


def test_json_has_every_change_of_every_node() -> None:
    old = made(policy(), *member("worker-2", labels={}))
    new = made(policy(), pod("new", "worker-1", 9), *member("worker-3", labels={}))
    found = nodes(old, new)

    data = nodes_json(group(found))

    jsonschema.validate(json.loads(json.dumps(data)), _list_of(class_schema(NodeGroupOutput)))
    listed = {
        (node, item["state"], *change.values())
        for item in data
        for node in item["nodes"]
        for change in (*item["changes"], *item["own"].get(node, []))
    }
    assert listed == {
        (item.node, item.state, c.kind, c.place, c.subject, c.before, c.after, c.note)
        for item in found
        for c in item.changes
    }


def _list_of(schema: dict[str, object]) -> dict[str, object]:
    definitions = schema.pop("$defs", {})
    return {"type": "array", "items": schema, "$defs": definitions}
