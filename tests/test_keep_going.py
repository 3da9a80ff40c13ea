"""`--keep-going`: what is broken is left out, and no traffic leaves otherwise because a gateway was."""

import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from builders import (
    Obj,
    cluster,
    config,
    dump,
    gateway,
    golden_objects,
    interface,
    member,
    namespace,
    node,
    patched,
    pod,
    policy,
    state,
)
from conftest import GOLDEN_CASES
from hypothesis import given
from test_cli import tree
from test_hostile_input import few, harmed

from compiler import report
from compiler.cli import main
from compiler.diagnostics import Diagnostic, has_errors
from compiler.explain import Explainer
from compiler.pipeline import compile_cluster, read_cluster, sort

OUTSIDE = "203.0.113.10"
VIP = "172.18.18.240"


class Outcome(NamedTuple):
    """What `compile --keep-going` makes of an input."""

    files: dict[str, bytes] | None
    findings: tuple[Diagnostic, ...]
    left_out: tuple[str, ...]

    @property
    def codes(self) -> set[str]:
        return {item.code for item in self.findings}

    def fate(self, source: str = "default/backend", to: str = OUTSIDE) -> tuple[str, str]:
        """Verdict and the chain that decided it."""
        assert self.files is not None, self.findings
        trace = Explainer.of(self.files).explain(source, to).trace
        return trace.verdict, trace.chain

    def json(self, name: str) -> Any:  # noqa: ANN401  # JSON
        assert self.files is not None, self.findings
        return json.loads(self.files[name])


def keep_going(path: Path, *objects: Obj) -> Outcome:
    if objects:
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}), encoding="utf-8")
    reading = read_cluster([str(path)], keep_going=True)
    if reading.cluster is None:
        return Outcome(None, reading.findings, reading.left_out)
    compiled = compile_cluster(reading.cluster, keep_going=True)
    files = None if compiled.files is None else dict(compiled.files)
    return Outcome(files, sort(reading.findings + compiled.findings), reading.left_out)


BROKEN_GATEWAY = patched(gateway(), "spec.sourceIP.mode", "VirtualIP")
NARROW = state("worker-1", interface("eth0", "172.18.4.11/30"))


@pytest.mark.parametrize(
    ("objects", "left_out"),
    [
        ([BROKEN_GATEWAY, policy()], ("EgressGateway egress-gw",)),
        ([policy(gateway_name="nobody")], ()),
        ([gateway(), gateway(vip=VIP), policy()], ("EgressGateway egress-gw",)),
        (
            [gateway("one", vip=VIP), gateway("two", vip=VIP), policy(gateway_name="one")],
            ("EgressGateway one", "EgressGateway two"),
        ),
        ([gateway(vip="172.18.4.1"), policy()], ("EgressGateway egress-gw",)),
    ],
    ids=["broken", "missing", "given-twice", "two-with-one-vip", "address-of-a-node"],
)
def test_a_policy_whose_gateway_is_gone_drops(tmp_path: Path, objects: list[Obj], left_out: tuple[str, ...]) -> None:
    wide = (gateway("sound"), policy("wide", "sound", to=["203.0.0.0/8"]))
    narrow = [
        patched(item, "spec.destinationCIDRs", ["203.0.113.0/24"]) if "Policy" in item["kind"] else item
        for item in objects
    ]

    found = keep_going(tmp_path / "input.json", *cluster(*narrow, *wide))

    assert has_errors(found.findings)
    assert left_out == found.left_out
    assert ("EG301" in found.codes) == (not left_out)
    assert found.fate() == ("drop", "drop_no_gateway")
    assert found.fate(to="203.0.114.1") == ("egress", "gateway_sound")
    assert [item["name"] for item in found.json("gateways.json")["gateways"]] == ["sound"]
    assert found.files is not None
    assert found.files["status.yaml"].count(b"kind: EgressGateway") == 1


def test_a_broken_policy_is_left_out_and_the_finding_says_what_that_means(tmp_path: Path) -> None:
    broken = patched(policy("broken"), "spec.destinationCIDRs", ["203.0.113.0"])

    found = keep_going(tmp_path / "input.json", *cluster(gateway(), broken, policy("sound", to=["198.51.100.0/24"])))

    assert found.fate() == ("bypass", "")
    assert found.fate(to="198.51.100.1")[0] == "egress"
    told = next(item.message for item in found.findings if item.code == "EG320")
    assert told.startswith("EgressGatewayPolicy broken is left out: what it would decide goes its ordinary way")


def test_a_left_out_gateways_virtual_ip_is_still_nobodys_own_address(tmp_path: Path) -> None:
    left = patched(gateway("left", vip=VIP), "spec.nodeSelector", {"a": 5})
    bound = state("egress-1", interface("eth0", "172.18.4.1/24"), interface("eth1", f"{VIP}/32", "172.18.18.1/24"))
    parts = [node("egress-1", six=False), member("egress-1")[1], bound, *member("worker-1", labels={})]

    found = keep_going(tmp_path / "input.json", *parts, pod("backend", "worker-1"), left, gateway(), policy())

    assert found.json("gateways.json")["gateways"][0]["sourceIPs"]["ipv4"] == "172.18.18.1"
    assert found.fate(to=VIP)[0] == "egress"


@pytest.mark.parametrize(
    "harm",
    [
        ("Node", "metadata.labels", {"a": 5}),
        ("Node", "status.addresses.0.address", "172.18.4"),
        ("NodeNetworkState", "status.currentState.interfaces.0.ipv4.address.0.prefix-length", 33),
    ],
)
def test_what_a_broken_node_has_stays_inside_the_cluster(tmp_path: Path, harm: tuple[str, str, object]) -> None:
    kind, path, value = harm
    objects = [
        patched(item, path, value) if (item["kind"], item["metadata"]["name"]) == (kind, "egress-2") else item
        for item in cluster(gateway(), policy())
    ]

    found = keep_going(tmp_path / "input.json", *objects)

    assert found.left_out == (f"{kind} egress-2",)
    for inside in ("10.111.2.9", "fd00:4::2", "172.18.18.2"):
        assert found.fate(to=inside)[0] == "bypass", inside
    assert found.fate()[0] == "egress"


def test_a_broken_node_serves_no_gateway_and_has_no_part(tmp_path: Path) -> None:
    objects = [
        patched(item, "spec.unschedulable", "no")
        if item["metadata"]["name"] == "egress-1" and item["kind"] == "Node"
        else item
        for item in cluster(gateway(), policy())
    ]

    found = keep_going(tmp_path / "input.json", *objects)

    assert found.json("gateways.json")["gateways"][0]["activeNodeName"] == "egress-2"
    assert found.json("manifest.json")["nodes"] == ["egress-2", "worker-1"]
    assert "EG312" not in found.codes


@pytest.mark.parametrize(
    ("item", "to"),
    [
        ({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "a"},
          "spec": {"cidrs": ["10.222.0.0/16", "10.223.0.0"]}}, "10.222.0.10"),
        ({"apiVersion": "deckhouse.io/v1alpha1", "kind": "ModuleConfig", "metadata": {"name": "virtualization"},
          "spec": {"settings": {"virtualMachineCIDRs": ["10.66.10.0/24", "0.0.0.0/0", 5]}}}, "10.66.10.5"),
    ],
    ids=["ServiceCIDR", "ModuleConfig"],
)  # fmt: skip
def test_ranges_that_can_be_read_count(tmp_path: Path, item: Obj, to: str) -> None:
    found = keep_going(tmp_path / "input.json", *cluster(gateway(), policy(), item))

    assert found.left_out == (f"{item['kind']} {item['metadata']['name']}",)
    assert found.fate(to=to)[0] == "bypass"
    assert found.fate()[0] == "egress"


def test_a_broken_pod_changes_nothing_for_others(tmp_path: Path) -> None:
    alone = keep_going(tmp_path / "alone.json", *cluster(gateway(), policy()))
    broken = [
        pod("a", "worker-1", ips=["10.111.11.300"]),
        patched(pod("b", "worker-1", 6), "metadata.labels", {"app": 5}),
        {"apiVersion": "v1", "kind": "Pod", "metadata": {}},
        patched(namespace("other"), "metadata.labels", []),
        patched(policy("c"), "spec.selectors", [{}]),
        patched(gateway("d"), "spec.sourceIP", ...),
    ]

    found = keep_going(tmp_path / "input.json", *cluster(gateway(), policy()), *broken)

    assert len(found.left_out) == len(broken)
    assert found.files is not None
    assert alone.files is not None
    assert {name for name in alone.files if alone.files[name] != found.files[name]} == {"manifest.json"}


def twins(first: Obj, second: Obj) -> list[Obj]:
    """Gateway and policies for two workloads of one address: `a` to the documentation range, `b` to all but that."""
    return [
        *cluster(gateway()),
        first,
        second,
        policy("for-a", to=["203.0.113.0/24"], selectors=[{"podSelector": {"matchLabels": {"app": "a"}}}]),
        policy(
            "for-b",
            to=["192.0.0.0/8"],
            excluded=["192.0.2.0/24", "203.0.113.0/25"],
            selectors=[{"podSelector": {"matchLabels": {"app": "b"}}}],
        ),
    ]


@pytest.mark.parametrize("on", ["worker-1", "egress-1"], ids=["one-node", "two-nodes"])
def test_of_two_workloads_with_one_address_neither_gets_the_others_fate(tmp_path: Path, on: str) -> None:
    address = "10.111.11.77"
    objects = twins(pod("a", "worker-1", ips=[address]), pod("b", on, ips=[address, "fd00:111:0:11::77"]))

    found = keep_going(tmp_path / "input.json", *objects)

    assert {"EG304", "EG322"} <= found.codes
    assert found.left_out == ()
    for name in ("default/a", "default/b"):
        for to in (OUTSIDE, "203.0.113.200", "192.0.3.1"):
            assert found.fate(name, to) == ("drop", "drop_contested"), (name, to)
        for to in ("192.0.2.1", "198.51.100.1"):
            assert found.fate(name, to) == ("bypass", ""), (name, to)
    assert found.files is not None
    text = found.files["nodes/worker-1/ruleset.nft"].decode()
    assert text.count(f"{address} : goto ") == 1
    others = "egress-2" if on == "egress-1" else "egress-1"
    assert f"{address} : goto " not in found.files[f"nodes/{others}/ruleset.nft"].decode()


def test_two_workloads_with_one_address_that_no_policy_selects_go_their_way(tmp_path: Path) -> None:
    two = (pod("x", "worker-1", ips=["10.111.11.77"]), pod("y", "worker-1", ips=["10.111.11.77"]))

    found = keep_going(tmp_path / "input.json", *twins(*two))

    assert found.fate("default/x") == ("bypass", "")
    assert found.files is not None
    assert b"drop_contested" not in found.files["nodes/worker-1/ruleset.nft"]


def test_a_gateway_node_off_the_link_is_not_used_from_there(tmp_path: Path) -> None:
    parts = [*member("egress-1"), *member("worker-1", labels={})[:2], NARROW, pod("backend", "worker-1")]

    found = keep_going(tmp_path / "input.json", *parts, pod("near", "egress-1"), gateway(), policy())

    assert {"EG403", "EG322"} <= found.codes
    assert "EG404" not in found.codes
    assert found.fate() == ("drop", "drop_no_next_hop")
    assert found.fate("default/near")[0] == "egress"


def test_a_node_with_too_many_marks_drops_what_policies_decide(tmp_path: Path) -> None:
    gates = [item for name in "ab" for item in (gateway(name), policy(name, name, to=[f"{ord(name)}.0.0.0/8"]))]
    few_marks = config(datapath={"markMask": "0x01000000"})
    parts = [*member("egress-1"), *member("worker-1", labels={}), pod("on", "egress-1"), pod("far", "worker-1")]

    found = keep_going(tmp_path / "input.json", *parts, *gates, few_marks)

    assert {"EG406", "EG322"} <= found.codes
    assert found.fate("default/on", "97.1.1.1") == ("drop", "drop_no_next_hop")
    assert found.fate("default/on", OUTSIDE) == ("bypass", "")
    assert found.fate("default/far", "98.1.1.1") == ("drop", "drop_stray")


@pytest.mark.parametrize(
    "texts",
    [
        {"config.yaml": dump(config(agents={}))},
        {"config.yaml": "kind: EgressCompilerConfig\nspec: [\n"},
        {"config.yaml": dump(config(), {**config(), "metadata": {"name": "b"}})},
    ],
)
def test_a_configuration_is_never_left_out(tmp_path: Path, texts: dict[str, str]) -> None:
    (tmp_path / "sound.yaml").write_text(dump(*cluster(gateway(), policy())), encoding="utf-8")
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    found = keep_going(tmp_path)

    assert found.files is None
    assert "EG321" in found.codes


def test_a_text_that_cannot_be_read_is_left_out_and_other_files_count(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{dump(gateway())}---\nkind: [\n---\n{dump(policy('lost'))}", encoding="utf-8")
    (tmp_path / "b.yaml").write_text(dump(*cluster(policy())), encoding="utf-8")

    found = keep_going(tmp_path)

    assert found.left_out == (f"document 2 of {tmp_path}/a.yaml",)
    assert found.fate()[0] == "egress"


@pytest.mark.parametrize("code", ["EG101", "EG107"])
def test_without_anything_to_go_on_nothing_is_written(tmp_path: Path, code: str) -> None:
    path = tmp_path / "input.yaml"
    if code == "EG107":
        path.write_text(f"{dump(*cluster())}---\nkind: [\n", encoding="utf-8")

    found = keep_going(path)

    assert found.files is None
    assert code in found.codes


def test_the_command_writes_the_rest_and_says_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*cluster(BROKEN_GATEWAY, policy()), pod("a", "worker-1", ips=["x"])), encoding="utf-8")
    options = [str(path), "--keep-going"]

    assert main(["compile", *options, "-o", str(tmp_path / "bundle")]) == 0

    told = capsys.readouterr().err
    assert "error[EG205]" in told
    assert "warning[EG320] EgressGateway egress-gw is left out: policies that name it go on deciding" in told
    assert "2 objects are left out because of errors: EgressGateway egress-gw, Pod default/a\n" in told
    written = tree(tmp_path / "bundle")
    assert main(["check", *options]) == 2
    assert "warning[EG320]" in capsys.readouterr().out
    assert main(["compile", str(path), "-o", str(tmp_path / "bundle")]) == 2
    assert written == tree(tmp_path / "bundle")


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_without_errors_the_option_changes_nothing(tmp_path: Path, case: str) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*golden_objects(case)), encoding="utf-8")
    reading = read_cluster([str(path)])
    assert reading.cluster is not None
    plain = compile_cluster(reading.cluster)

    found = keep_going(path)

    assert (plain.files, sort(reading.findings + plain.findings), ()) == tuple(found)


Fates = dict[tuple[str, str], dict[str, object]]
"""What becomes of packets, by address of the workload and destination."""


def fates(found: Outcome) -> Fates:
    """The fate of packets from every workload to the edges of every policy's CIDRs and beyond."""
    assert found.files is not None, found.findings
    explain = Explainer.of(found.files)
    destinations = {OUTSIDE, "2001:db8:ffff::10"}
    for rule in found.json("policies.json")["policies"]:
        for text in (*rule["destinationCIDRs"], *rule["excludedCIDRs"]):
            destinations |= {str(ip_network(text)[0]), str(ip_network(text)[-1])}
    nodes = found.json("manifest.json")["nodes"]
    return {
        (address, to): dict(explain.explain(address, to).as_json())
        for workload in found.json("workloads.json")["workloads"]
        if workload["node"] in nodes
        for address in workload["addresses"]
        for to in sorted(destinations)
        if (":" in to) == (":" in address)
    }


def broken(objects: list[Obj], index: int) -> list[Obj]:
    """The objects with one of them broken."""
    return [patched(item, "metadata.labels", {"x": 5}) if at == index else item for at, item in enumerate(objects)]


def same(first: dict[str, object], second: dict[str, object]) -> bool:
    return all(first[key] == second[key] for key in ("verdict", "node", "sourceIP"))


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_no_traffic_leaves_otherwise_because_a_gateway_was_left_out(tmp_path: Path, case: str) -> None:
    objects = golden_objects(case)
    before = fates(keep_going(tmp_path / "before.json", *objects))
    for index, item in enumerate(objects):
        if item["kind"] == "EgressGateway":
            name = item["metadata"]["name"]

            found = keep_going(tmp_path / "input.json", *broken(objects, index))

            assert found.left_out == (f"EgressGateway {name}",)
            for key, fate in fates(found).items():
                if before[key]["gateway"] == name:
                    assert fate["verdict"] == "drop", key
                else:
                    assert same(before[key], fate), key


@pytest.mark.parametrize("case", ["two-gateways", "overlapping-policies", "virtual-machine", "excluded-cidrs"])
def test_what_is_left_out_changes_nothing_for_those_whom_it_does_not_concern(tmp_path: Path, case: str) -> None:
    objects = golden_objects(case)
    whole = keep_going(tmp_path / "before.json", *objects)
    before = fates(whole)
    workloads = {address: item for item in whole.json("workloads.json")["workloads"] for address in item["addresses"]}
    kinds = ("Pod", "VirtualMachine", "Node", "Namespace", "EgressGatewayPolicy", "ServiceCIDR", "ModuleConfig")
    for index, item in enumerate(objects):
        name, space = item["metadata"]["name"], item["metadata"].get("namespace", "")
        if item["kind"] not in kinds or space == "d8-cni-cilium":
            continue

        found = keep_going(tmp_path / "input.json", *broken(objects, index))

        if item["kind"] == "EgressGatewayPolicy" and len(whole.json("policies.json")["policies"]) == 1:
            assert (found.files, "EG107" in found.codes) == (None, True)  # a bundle of no policies lets everything out
            continue
        assert len(found.left_out) == 1
        for (address, to), fate in fates(found).items():
            workload = workloads[address]
            concerned = {
                "Node": name in (workload["node"], before[address, to]["node"]),
                "Namespace": workload["namespace"] == name,
                "EgressGatewayPolicy": name in workload["policies"],
            }.get(item["kind"], (workload["namespace"], workload["name"]) == (space, name))
            assert concerned or same(before[address, to], fate), (item["kind"], name, address, to)


@few(150)
@given(objects=harmed())
def test_harmed_inputs_are_compiled_as_far_as_they_are_sound(tmp_path: Path, objects: list[Obj]) -> None:
    path = tmp_path / "input.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}), encoding="utf-8")
    reading = read_cluster([str(path)])
    plain = compile_cluster(reading.cluster) if reading.cluster else None

    found = keep_going(path)

    report.findings_text(found.findings, reading.sources).encode()
    if plain is not None and plain.files is not None:
        assert (plain.files, ()) == (found.files, found.left_out)
    if found.files is not None:
        explain = Explainer.of(found.files)
        for workload in found.json("workloads.json")["workloads"]:
            if workload["node"] in found.json("manifest.json")["nodes"]:
                for address in workload["addresses"]:
                    explain.explain(address, OUTSIDE if "." in address else "2001:db8:ffff::10")
    else:
        assert {"EG101", "EG107", "EG321"} & found.codes


@pytest.mark.parametrize(
    "text",
    [dump(config()).replace("EgressCompilerConfig", "EgressCompilerconfig").encode(), dump(config()).encode("utf-16")],
    ids=["misspelt", "utf-16"],
)
def test_a_configuration_that_cannot_be_read_is_not_left_out_either(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "sound.yaml").write_text(dump(*cluster(gateway(), policy())), encoding="utf-8")
    (tmp_path / "config.yaml").write_bytes(text)

    found = keep_going(tmp_path)

    assert (found.files, "EG321" in found.codes) == (None, True)
