"""Why a selector selects nothing: the requirement to blame, and the near miss."""

from dataclasses import replace

import pytest

from compiler.diagnostics import Place
from compiler.hints import Labelled
from compiler.model import Labels, Requirement

BACKEND = {"app": "backend", "tier": "web", "io.cilium.k8s.namespace.labels.env": "production"}
FRONTEND = {"app": "frontend", "tier": "edge", "io.kubernetes.pod.namespace": "shop"}


def requirement(text: str) -> Requirement:
    """From kubectl's own spelling: `app=a`, `app in (a, b)`, `app notin (a)`, `app`, `!app`."""
    place = Place("p.yaml", 0, (text,))
    if text.startswith("!"):
        return Requirement(text[1:], "DoesNotExist", (), place)
    if " notin " in text:
        key, _, values = text.partition(" notin ")
        return Requirement(key, "NotIn", tuple(values.strip("()").split(", ")), place)
    if " in " in text:
        key, _, values = text.partition(" in ")
        return Requirement(key, "In", tuple(values.strip("()").split(", ")), place)
    key, equals, value = text.partition("=")
    return Requirement(key, "In", (value,), place) if equals else Requirement(key, "Exists", (), place)


@pytest.mark.parametrize(
    ("asked", "blamed", "expected"),
    [
        (["app=backnd"], 0, "no workload has app=backnd; did you mean app=backend?"),
        (["tier=web", "app=backnd"], 1, "no workload has app=backnd; did you mean app=backend?"),
        (["aps=backend"], 0, "no workload has aps=backend; did you mean app=backend?"),
        (["aps=nothing"], 0, "no workload has aps=nothing; did you mean app?"),
        (["app in (x, frontent)"], 0, "no workload has app in (x, frontent); did you mean app=frontend?"),
        (["app=zzz"], 0, "no workload has app=zzz, only app=backend or app=frontend"),
        (["colour"], 0, "no workload has the label colour"),
        (["teir"], 0, "no workload has the label teir; did you mean tier?"),
        (["io.kubernetes.pod.namespace=shpo"], 0,
         "no workload has io.kubernetes.pod.namespace=shpo; did you mean io.kubernetes.pod.namespace=shop?"),
        (["io.cilium.k8s.namespace.labels.env=prodction"], 0,
         "no workload is in a Namespace that has env=prodction; did you mean env=production?"),
        (["io.cilium.k8s.namespace.labels.envs=production"], 0,
         "no workload is in a Namespace that has envs=production; did you mean env=production?"),
        (["!app"], 0, "every workload has the label app; leave this requirement out"),
        (["app notin (backend, frontend)"], 0,
         "every workload has app in (backend, frontend); leave this requirement out"),
        (["app=backend", "tier=edge"], 0, "no workload that has the rest has app=backend, only app=frontend"),
        (["app=backend", "tier notin (web)"], 1,
         "every workload that has the rest has tier=web; leave this requirement out"),
        (["app=backend", "io.kubernetes.pod.namespace=shop", "tier=web"], 1,
         "no workload that has the rest has io.kubernetes.pod.namespace=shop"),
    ],
)  # fmt: skip
def test_the_requirement_to_blame_and_its_near_miss(asked: list[str], blamed: int, expected: str) -> None:
    requirements = [requirement(text) for text in asked]

    found = Labelled("workload", [BACKEND, BACKEND, FRONTEND]).why_none(requirements)

    place = requirements[blamed].place
    assert (place, expected) == (found[0] and replace(found[0], of_key=False), found[1])


@pytest.mark.parametrize(("asked", "of_key"), [("app=backnd", False), ("aps=backend", True), ("aps", True)])
def test_a_key_that_nothing_has_is_itself_to_blame(asked: str, of_key: bool) -> None:
    place, _ = Labelled("workload", [BACKEND, BACKEND, FRONTEND]).why_none([requirement(asked)])

    assert place is not None
    assert place.of_key == of_key


def test_no_single_requirement_is_to_blame() -> None:
    sets = [{"a": "1", "b": "2"}, {"c": "1", "d": "1"}]
    asked = [requirement(text) for text in ("a=1", "b=2", "c=1", "d=1")]

    found = Labelled("node", sets).why_none(asked)

    assert found == (None, "no node has more than a part of what is asked; leave something out")


def test_nothing_to_select_from() -> None:
    blamed, why = Labelled("node", []).why_none([requirement("a=1")])

    assert blamed is None
    assert why.startswith("the input has no node that counts; add ")


def test_among_thousands_of_values_nothing_is_near() -> None:
    sets: list[Labels] = [{"pod": f"backend-{number}"} for number in range(1001)]

    assert Labelled("workload", sets).why_none([requirement("pod=backend-x")])[1] == "no workload has pod=backend-x"
