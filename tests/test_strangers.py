"""What a stranger tried: addresses and labels that are not where they belong, and rules where none should be."""

from pathlib import Path

import pytest
from builders import Obj, agent, cluster, dump, explainer, gateway, node, outcome, patched, pod, policy
from mutations import resealed
from test_verify import golden, made, messages, opened

from bundle.directory import WORKLOADS, BundleError
from compiler.cli import main
from compiler.verify.verify import verify


def unknown_interfaces(*more: Obj) -> list[Obj]:
    """Two gateway nodes and a worker of whose interfaces nothing is known."""
    nodes = [node("egress-1"), agent("egress-1"), node("egress-2"), agent("egress-2"), node("worker-1", labels={})]
    return [*nodes, gateway(vip="172.18.18.240"), *more]


@pytest.mark.parametrize("selected", [True, False])
def test_a_pod_with_an_address_of_another_node_s_range_goes_its_ordinary_way(tmp_path: Path, selected: bool) -> None:
    borrowed = pod("borrowed", "worker-1", ips=["10.111.1.77"], labels={"app": "b"})
    rule = policy(
        to=["203.0.113.0/24"], selectors=[{"podSelector": {"matchLabels": {"app": "b" if selected else "c"}}}]
    )
    objects = unknown_interfaces(borrowed, pod("c", "worker-1", 6, labels={"app": "c"}), rule)
    path = tmp_path / "input.yaml"

    files = made(path, objects)

    assert explainer(path).explain("default/borrowed", "192.0.2.1").as_json()["verdict"] == "bypass"
    assert messages(verify(opened(files), None)) == []


def test_a_pod_cannot_give_itself_a_pseudo_label(tmp_path: Path) -> None:
    forged = {"io.cilium.k8s.namespace.labels.team": "core", "io.cilium.k8s.policy.serviceaccount": "admin"}
    rules = [policy(f"by-{number}", selectors=[{"podSelector": {"matchLabels": {key: value}}}])
             for number, (key, value) in enumerate(forged.items())]  # fmt: skip
    item = patched(pod("forger", "worker-1", 6, labels=forged), "spec.serviceAccountName", "")
    path = tmp_path / "input.yaml"

    made(path, cluster(gateway(), *rules, item))

    assert explainer(path).explain("default/forger", "203.0.113.10").as_json()["verdict"] == "bypass"


@pytest.mark.parametrize("rule", ["counter accept", "ip daddr 203.0.113.7 accept", "return", "counter drop"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_no_rule_hides_in_the_chain_of_a_class(rule: str, place: int) -> None:
    files = golden("virtual-ip")
    path = "nodes/worker-1/ruleset.nft"
    lines = files[path].decode().splitlines()
    start = next(
        number for number, line in enumerate(lines) if line.startswith("\tchain local_") and line.endswith("{")
    )
    lines.insert(start + 1 + place, f"\t\t{rule}")

    verdict = verify(opened(resealed(files, path, "\n".join(lines) + "\n")), None)

    assert messages(verdict) != []


GUARD = "\tchain guard { type filter hook postrouting priority 110; policy accept; }"
AFTER = "\t# After destination"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"\t\t}}\n\t}}\n\n{AFTER}", f"\t\t}}\n\t\ttimeout 5s\n\t}}\n\n{AFTER}"),
        (GUARD, f"{GUARD}\n{GUARD.replace('110', '111')}"),
    ],
    ids=["behind-elements", "hooked-twice"],
)
def test_text_that_nft_refuses_is_refused(old: str, new: str) -> None:
    files = golden("virtual-ip")
    path = "nodes/egress-1/ruleset.nft"
    text = files[path].decode()
    assert old in text

    with pytest.raises(BundleError):
        verify(opened(resealed(files, path, text.replace(old, new, 1))), None)


def test_an_element_of_the_other_family_is_found() -> None:
    files = golden("virtual-ip")
    path = "nodes/worker-1/ruleset.nft"
    text = files[path].decode().replace("127.0.0.0/8", "fe80::/10", 1)

    assert any("of the other family" in said for said in messages(verify(opened(resealed(files, path, text)), None)))


def test_a_workload_on_a_node_that_is_not_there_does_not_end_verify() -> None:
    files = golden("interfaces-unknown")
    text = files[WORKLOADS].decode().replace('"node": "worker-1"', '"node": "ghost"')

    assert messages(verify(opened(resealed(files, WORKLOADS, text)), None)) != []


def test_ranges_that_are_everything_together_are_an_error(tmp_path: Path) -> None:
    service = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "all"},
               "spec": {"cidrs": ["0.0.0.0/1", "128.0.0.0/1"]}}  # fmt: skip
    path = tmp_path / "input.yaml"
    path.write_text(dump(*cluster(gateway(), policy(), service)), encoding="utf-8")

    assert "EG216" in {finding.code for finding in outcome(path)[1]}


def test_an_error_in_one_policy_does_not_hide_what_is_odd_about_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = policy("broken", to=["203.0.113.0/33"])
    twins = [policy("a", to=["203.0.113.0/24"]), policy("b", excluded=["203.0.113.0/24"])]
    (tmp_path / "input.yaml").write_text(dump(*cluster(gateway(), broken, *twins)), encoding="utf-8")

    status = main(["check", str(tmp_path / "input.yaml")])

    said = capsys.readouterr().out
    assert status == 2
    assert "error[EG207]" in said
    assert "warning[EG307]" in said
