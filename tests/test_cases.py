"""What `egressc test` asks and answers, entry by entry; that it answers right is shown by `test_cases_agree`."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from builders import Obj, cluster, dump, gateway, member, namespace, pod, policy
from conftest import ROOT
from examined import assertions_of, examiner_of

from compiler.cli import main
from compiler.model import Cluster
from compiler.pipeline import compile_cluster, understand
from compiler.testing.cases import split
from compiler.testing.examine import Breach, Result

PUBLIC = "203.0.113.0/24"


def understood(*objects: Obj) -> Cluster:
    reading = understand({"input.yaml": dump(*objects).encode()})
    assert reading.cluster is not None, reading.findings
    return reading.cluster


def shop() -> Cluster:
    """Two backends in two namespaces, of which a policy selects one; one has IPv4 only."""
    team = {"podSelector": {"matchLabels": {"app": "backend"}}, "namespaceSelector": {"matchLabels": {"team": "a"}}}
    return understood(
        *cluster(gateway(), policy(to=["0.0.0.0/0", "::/0"], excluded=["203.0.113.64/26"], selectors=[team])),
        namespace("default", team="b"),
        namespace("shop", team="a"),
        pod("api", "worker-1", 7, namespace="shop", labels={"app": "backend", "tier": "web"}),
        pod("job", "worker-1", 8, namespace="shop", ips=["10.111.11.8"], labels={"app": "backend"}),
    )


def case(source: object, to: object = "203.0.113.1", **expect: object) -> Obj:
    return {"from": source, "to": to, "expect": {"verdict": "egress", **expect}}


def examine(entry: Obj, kind: str = "cases", where: Cluster | None = None) -> Result:
    (assertion,) = assertions_of(yaml.safe_dump({kind: [entry]}).encode())
    return examiner_of(where or shop()).examine(assertion)


def breach(result: Result) -> Breach:
    (found,) = result.breaches
    return found


def findings_of(text: str) -> list[str]:
    _, _, findings = split({"cases.yaml": text.encode()})
    return [f"{finding.code} {finding.place.field}: {finding.message}" for finding in findings]


# From whom


@pytest.mark.parametrize(
    ("source", "workloads"),
    [
        ("shop/api", 1),
        ("10.111.11.8", 1),
        ({"workload": "shop/api"}, 1),
        ({"namespace": "shop"}, 2),
        ({"namespace": "shop", "labels": {"tier": "web"}}, 1),
        ({"podSelector": {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, "namespace": "shop"}, 1),
        ({"namespaceSelector": {"matchLabels": {"team": "a"}}, "podSelector": {}}, 2),
        ({"labels": {"io.kubernetes.pod.namespace": "shop", "k8s:app": "backend"}}, 2),
    ],
)
def test_a_case_holds_for_every_workload_that_it_means(source: object, workloads: int) -> None:
    result = examine(case(source))

    assert (result.passed, result.workloads) == (True, workloads)


def test_an_empty_selector_means_every_workload() -> None:
    result = examine(case({}, gateway="egress-gw"))

    assert (result.passed, result.workloads) == (False, 3)
    assert breach(result).workloads == ("default/backend",)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("shop/apo", "there is no workload shop/apo; did you mean shop/api?"),
        ("10.9.9.9", "no workload has the address 10.9.9.9"),
        (
            {"labels": {"app": "backent"}},
            "selects no workload, so that nothing is shown: no workload has app=backent; did you mean app=backend?",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["cases", "never"])
def test_who_is_not_there_fails_with_who_may_be_meant(source: object, error: str, kind: str) -> None:
    entry = case(source) if kind == "cases" else {"from": source, "verdict": "drop"}

    assert examine(entry, kind).error == error


# To where


def test_a_case_holds_for_all_of_a_cidr_or_says_exactly_where_not() -> None:
    found = breach(examine(case("shop/api", [PUBLIC, "203.0.112.0/24"])))

    assert found.destinations == ("203.0.113.64/26",)
    assert found.reason == "policy egress-gw-policy excludes 203.0.113.64/26"
    assert found.place is not None
    assert found.place.field == "spec.excludedCIDRs[0]"


def test_what_lies_in_the_cluster_is_bypassed_and_told_so() -> None:
    found = breach(examine(case("shop/api", "10.111.0.0/20")))

    assert found.destinations == ("10.111.1.0/24", "10.111.2.0/24", "10.111.11.0/24")
    assert found.reason == "the destination lies inside the cluster, which is never redirected"


@pytest.mark.parametrize(
    ("source", "workloads", "reason"),
    [
        ("shop/job", ("shop/job",), "has no IPv6 address to send from"),
        ("10.111.11.7", ("shop/api",), "an IPv4 address sends nothing to IPv6"),
        ({"namespace": "shop"}, ("shop/job",), "has no IPv6 address to send from"),
    ],
)
def test_a_destination_of_the_other_family_fails(source: object, workloads: tuple[str], reason: str) -> None:
    found = breach(examine(case(source, "2001:db8:ffff::/48")))

    assert (found.workloads, found.destinations, found.reason) == (workloads, ("2001:db8:ffff::/48",), reason)


def test_a_workload_on_an_unknown_node_cannot_pass() -> None:
    where = understood(*cluster(gateway(), policy()), pod("lost", "worker-9", 9, labels={}))

    found = breach(examine(case("default/lost"), where=where))

    assert found.reason.endswith("default/lost runs on node worker-9, of which the bundle has no rules")


# What is expected


@pytest.mark.parametrize(
    ("expect", "passed"),
    [
        ({"nodes": ["egress-2", "egress-1"]}, True),
        ({"nodes": ["worker-1"]}, False),
        ({"sourceIP": ["192.0.2.1", "172.18.18.1"]}, True),
        ({"sourceIP": "172.18.18.1"}, True),
        ({"sourceIP": ["192.0.2.1"]}, False),
        ({"policy": "egress-gw-policy", "cidr": "0.0.0.0/0", "gateway": "egress-gw", "node": "egress-1"}, True),
        ({"cidr": "::/0"}, False),
    ],
)
def test_each_field_may_have_any_of_its_values(expect: dict[str, object], passed: bool) -> None:
    assert examine(case("shop/api", **expect)).passed is passed


def test_the_emitted_files_are_asked_too() -> None:
    other = understood(*cluster(gateway(vip="172.18.18.240"), policy()))
    files = compile_cluster(other).files
    mine = understood(*cluster(gateway(), policy()))
    (assertion,) = assertions_of(yaml.safe_dump({"cases": [case("default/backend")]}).encode())

    found = breach(examiner_of(mine, files).examine(assertion))

    assert found.reason == (
        "the emitted files do otherwise with a packet from 10.111.11.5 to 203.0.113.1: "
        "default/backend (10.111.11.5) to 203.0.113.1: leaves by node egress-1 with source 172.18.18.240"
    )


# Never


@pytest.mark.parametrize(
    ("entry", "passed"),
    [
        ({"from": {"namespace": "default"}, "gateway": "egress-gw"}, True),
        ({"gateway": "egress-gw"}, False),
        ({"to": "203.0.113.64/26", "verdict": "egress"}, True),
        ({"to": "203.0.113.0/25", "verdict": "egress"}, False),
        ({"verdict": "drop"}, True),
        ({"sourceIP": "172.18.18.2"}, True),
        ({"sourceIP": ["172.18.18.2", "172.18.18.1"]}, False),
        ({"policy": "egress-gw-policy", "verdict": "bypass"}, False),
        ({"node": "egress-2"}, True),
        ({"nodes": ["egress-2", "egress-1"]}, False),
        ({"from": "shop/job", "to": "::/0", "verdict": "egress"}, True),
    ],
)
def test_what_must_never_be_is_proved_or_refuted(entry: Obj, passed: bool) -> None:
    result = examine(entry, "never")

    assert (result.passed, result.error) == (passed, "")


def test_without_destinations_the_inside_of_the_cluster_is_not_meant() -> None:
    where = understood(*cluster(gateway(), policy(to=["0.0.0.0/0", "::/0"])))

    assert examine({"verdict": "bypass"}, "never", where).passed
    assert not examine({"verdict": "bypass", "to": "0.0.0.0/0"}, "never", where).passed


def test_a_refutation_names_all_workloads_and_destinations() -> None:
    found = breach(examine({"to": PUBLIC, "policy": "egress-gw-policy", "verdict": "egress"}, "never"))

    assert found.workloads == ("shop/api", "shop/job")
    assert found.destinations == ("203.0.113.0/26", "203.0.113.128/25")
    assert found.place is not None
    assert (found.place.file, found.place.field) == ("input.yaml", "spec.destinationCIDRs[0]")


def test_an_address_that_only_the_node_knows_is_never_excluded() -> None:
    objects = [item for item in cluster(gateway(), policy()) if item["kind"] != "NodeNetworkState"]

    found = breach(examine({"sourceIP": "192.0.2.1"}, "never", understood(*objects)))

    assert found.fate is not None
    assert found.fate.unknown == "the address of interface eth1 of node egress-1, which only the node knows"


@pytest.mark.parametrize(
    ("field", "what"),
    [("gateway", "EgressGateway"), ("policy", "EgressGatewayPolicy"), ("node", "node"), ("nodes", "node")],
)
def test_a_name_that_is_not_there_proves_nothing(field: str, what: str) -> None:
    value = ["egress-9"] if field == "nodes" else "egress-9"

    assert examine({field: value}, "never").error.startswith(f"there is no {what} egress-9, so that nothing is shown")


# Bad files


DROP = "expect: {verdict: drop}"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (f"from: backend, to: 1.1.1.1, {DROP}", "EG206 cases[0].from: 'backend' is neither NAMESPACE/NAME nor"),
        (f"from: a/b, to: here, {DROP}", "EG206 cases[0].to[0]: 'here' is not an IP address"),
        (f"from: a/b, to: 1.1.1.1/33, {DROP}", "EG207 cases[0].to[0]: '1.1.1.1/33' has too long a prefix"),
        (f"from: a/b, to: 1.1.1.1/8, {DROP}", "EG203 cases[0].to[0]: host bits are set"),
        (f"from: a/b, to: [], {DROP}", "EG201 cases[0].to: the list is empty; give a value"),
        (f"from: 5, to: 1.1.1.1, {DROP}", "EG202 cases[0].from: must be a text or a mapping, not 5"),
        (f"from: a/b, to: 5, {DROP}", "EG202 cases[0].to: must be a text or a list of texts, not 5"),
        (f"from: {{workload: a/b, labels: {{a: b}}}}, to: 1.1.1.1, {DROP}", "EG204 cases[0].from.labels: "),
        (f"from: {{labels: {{'a b': c}}}}, to: 1.1.1.1, {DROP}", "EG208 cases[0].from.labels.a b: "),
        ("from: a/b, to: 1.1.1.1, expect: {verdict: egress, sourceIP: x}", "EG206 cases[0].expect.sourceIP[0]: "),
        ("from: a/b, to: 1.1.1.1, expect: {verdict: egress, nodes: []}", "EG201 cases[0].expect.nodes: "),
    ],
)
def test_a_bad_case_is_a_finding(entry: str, expected: str) -> None:
    assert findings_of(f"cases: [{{{entry}}}]")[0].startswith(expected)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("name: nothing", "EG201 never[0]: says nothing that must never be"),
        ("gatway: x", "EG204 never[0].gatway: there is no field gatway here; did you mean gateway?"),
        ("verdict: leave", "EG205 never[0].verdict: must be "),
    ],
)
def test_a_bad_entry_of_never_is_a_finding(entry: str, expected: str) -> None:
    assert findings_of(f"never: [{{{entry}}}]")[0].startswith(expected)


# The command


def written(tmp_path: Path, **lists: object) -> list[str]:
    (tmp_path / "input.yaml").write_text(dump(*cluster(gateway(), policy())), encoding="utf-8")
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(lists), encoding="utf-8")
    return ["test", str(tmp_path / "input.yaml"), str(tmp_path / "cases.yaml")]


def test_host_bits_are_a_warning_and_the_case_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(written(tmp_path, cases=[case("default/backend", "203.0.113.9/24")]))

    printed = capsys.readouterr()
    assert (status, printed.out) == (0, "1 passed, 0 failed\n")
    assert "cases.yaml:5:7: warning[EG203] cases[0].to[0]: host bits are set and ignored" in printed.err


def test_a_file_may_have_either_list_or_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    never = [{"verdict": "drop"}]

    assert main(written(tmp_path, never=never)) == 0
    assert main(written(tmp_path, never=never, cases=[case("default/backend")])) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n2 passed, 0 failed\n"


def test_the_json_is_as_its_schema_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads((ROOT / "schemas" / "test-output.schema.json").read_text(encoding="utf-8"))
    bad = [case("a/b"), case({}, ["10.111.0.0/16", "::/0"])]

    status = main(
        [*written(tmp_path, cases=bad, never=[{"verdict": "egress"}, {"verdict": "drop"}]), "--format", "json"]
    )

    printed = json.loads(capsys.readouterr().out)
    jsonschema.validate(printed, schema)
    assert (status, [entry["pass"] for entry in printed]) == (1, [False, False, False, True])
    assert printed[0]["actual"]["verdict"] == "error"
    assert printed[3]["actual"] == {}


def test_of_many_ranges_the_first_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pods = [pod(f"p-{n}", "worker-1", 20 + n, labels={"n": str(n)}) for n in range(30)]
    apart = [policy(f"of-{n}", selectors=[{"podSelector": {"matchLabels": {"n": str(n)}}}]) for n in range(30)]
    command = written(tmp_path, never=[{"verdict": "egress"}])
    (tmp_path / "input.yaml").write_text(
        dump(*member("egress-1"), *member("worker-1", labels={}), gateway(), *pods, *apart), encoding="utf-8"
    )

    assert main(command) == 1
    assert capsys.readouterr().out.endswith("  and 10 more such ranges; --format json has all\n0 passed, 1 failed\n")


def test_an_object_in_a_file_of_cases_is_refused_since_it_would_not_be_read() -> None:
    cases = json.dumps({"cases": [case("default/front", expect={"verdict": "bypass"})]})

    assert [text for text in findings_of(f"{dump(namespace('default'))}---\n{cases}") if "file of their own" in text]
