"""`egressc verify`: every golden bundle is proved, and whatever is wrong with one is found."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import jsonschema
import pytest
from builders import Obj, agent, cluster, config, dump, gateway, interface, node, patched, pod, policy, state
from conftest import GOLDEN, GOLDEN_CASES, ROOT
from mutations import Files, Mutant, of_json, of_rulesets, resealed

from bundle.codec import decode
from bundle.directory import (
    ADDRESSES,
    CLUSTER,
    GATEWAYS,
    MANIFEST,
    POLICIES,
    ROUTING,
    STATUS,
    WORKLOADS,
    Bundle,
    BundleError,
)
from bundle.model import Manifest
from compiler.account import Account
from compiler.cli import main
from compiler.files import write_bundle
from compiler.pipeline import account_for, compile_cluster, read_cluster
from compiler.verify.verify import Verdict, verify

MUTATED = ("overlapping-policies", "interfaces-unknown")
"""Between them they have every sort of chain, set and file: both modes, both families, masquerade and standbys."""
EVERY = int(os.environ.get("EGRESSC_EVERY_MUTANT", "13"))
"""Of the thousands of mutants of a bundle every so many are tried; `make proof` tries all."""


def opened(files: Files) -> Bundle:
    return Bundle(Path("made"), decode(Manifest, files[MANIFEST]), dict(files))


def golden(case: str) -> Files:
    folder = GOLDEN / case / "expected"
    names = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    return {name: (folder / name).read_bytes() for name in (MANIFEST, *names)}


def made(path: Path, objects: Iterable[Obj], *, keep_going: bool = False) -> Files:
    path.write_text(dump(*objects), encoding="utf-8")
    reading = read_cluster([str(path)], keep_going=keep_going)
    assert reading.cluster is not None, reading.findings
    compiled = compile_cluster(reading.cluster, keep_going=keep_going)
    assert compiled.files is not None, compiled.findings
    return compiled.files


def messages(verdict: Verdict) -> list[str]:
    return [f"{failure.file}: {failure.message}" for failure in verdict.failures]


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_every_golden_bundle_is_proved_by_itself_and_with_its_inputs(case: str) -> None:
    bundle = opened(golden(case))
    reading = read_cluster([str(GOLDEN / case / "input")])
    assert reading.cluster is not None

    by_itself = verify(bundle, None)
    with_inputs = verify(bundle, account_for(reading.cluster, {}))

    assert (messages(by_itself), messages(with_inputs)) == ([], [])
    assert by_itself.nodes == len(bundle.manifest.nodes)


NARROW = state("worker-1", interface("eth0", "172.18.4.11/30"))
TWIN = pod("twin", "worker-1", 5)
TWO_GATEWAYS = [
    gateway("one"),
    gateway("two", vip="172.18.18.240"),
    policy("a", "one"),
    policy("b", "two", to=["203.0.113.0/24"]),
]


@pytest.mark.parametrize(
    "objects",
    [
        cluster(gateway(), policy(), NARROW),
        cluster(gateway(), policy(), TWIN),
        cluster(gateway(), policy("app", selectors=[{"podSelector": {"matchLabels": {"app": "twin"}}}]), TWIN),
        cluster(*TWO_GATEWAYS, config(datapath={"markMask": "0x01000000"})),
        cluster(*TWO_GATEWAYS, config(datapath={"markMask": "0x03000000"})),
        cluster(policy("lost", "nowhere"), gateway(), policy(to=["203.0.113.0/24"])),
        [node("egress-1"), agent("egress-1"), node("worker-1", labels={}), *cluster(gateway(), policy())[-3:]],
        cluster(*TWO_GATEWAYS, config(election={"algorithm": "balanced"})),
    ],
    ids=[
        "not-on-link",
        "two-with-one-address",
        "one-selected",
        "one-mark",
        "few-marks",
        "no-gateway",
        "unknown",
        "balanced",
    ],
)
def test_a_bundle_made_in_spite_of_errors_is_proved(tmp_path: Path, objects: Sequence[Obj]) -> None:
    files = made(tmp_path / "input.yaml", objects, keep_going=True)

    assert messages(verify(opened(files), None)) == []


def test_an_element_given_twice_is_refused() -> None:
    files = golden("primary-ip")
    path = "nodes/worker-1/ruleset.nft"
    text = files[path].decode()
    element = next(line for line in text.splitlines() if " : goto to_" in line)
    doubled = f"{element.split(' : ')[0]} : return,\n{element}"

    with pytest.raises(BundleError, match="holds an element twice"):
        verify(opened(resealed(files, path, text.replace(element, doubled))), None)


def is_found(mutant: Mutant, expected: Account | None = None) -> bool:
    try:
        return bool(verify(opened(mutant.files), expected).failures)
    except BundleError:  # it was not even of the right shape
        return True


def mutants(case: str, step: int) -> list[Mutant]:
    files = golden(case)
    return [*of_rulesets(files), *of_json(files, (ROUTING, ADDRESSES))][::step]


@pytest.mark.parametrize("case", MUTATED)
def test_every_harm_to_a_node_s_files_is_found(case: str) -> None:
    tried = mutants(case, EVERY)

    missed = [mutant.name for mutant in tried if not is_found(mutant)]

    assert missed == []
    assert len(tried) >= 100


def test_every_harm_to_the_account_is_found_with_the_inputs() -> None:
    case = "overlapping-policies"
    reading = read_cluster([str(GOLDEN / case / "input")])
    assert reading.cluster is not None
    expected = account_for(reading.cluster, {})
    files = golden(case)
    tried = list(of_json(files, (GATEWAYS, POLICIES, WORKLOADS, CLUSTER)))

    missed = [mutant.name for mutant in tried[::2] if not is_found(mutant, expected)]

    assert missed == []
    assert len(tried[::2]) >= 100


def test_a_status_that_says_otherwise_is_found() -> None:
    files = golden("primary-ip")
    text = files[STATUS].decode().replace("activeNodeName: egress-", "activeNodeName: egress-9")

    verdict = verify(opened(resealed(files, STATUS, text)), None)

    assert messages(verdict) == ["status.yaml: does not say the same of the gateways as gateways.json"]


def test_a_failure_shows_the_packet_and_what_becomes_of_it() -> None:
    files = golden("primary-ip")
    path = "nodes/worker-1/ruleset.nft"
    text = files[path].decode()
    element = next(line for line in text.splitlines() if " : goto to_" in line)

    verdict = verify(opened(resealed(files, path, text.replace(element, element.split(" : ")[0] + " : return"))), None)

    (failure,) = verdict.failures
    assert failure.message.startswith("map route4_7c0420b1 must say goto to_egress-1 of 0.0.0.0/0, and says return")
    assert failure.example is not None
    assert failure.example.workload == "default/backend-1"
    assert failure.example.expected == "leave by gateway egress-gw, node egress-1, with source 172.18.18.1"
    assert failure.actual == "it goes its ordinary way"


def test_rules_that_leak_are_found_by_trying_packets() -> None:
    files = golden("primary-ip")
    path = "nodes/egress-1/ruleset.nft"
    text = files[path].decode().replace("\t\tct status snat goto unproven", "\t\tct status snat accept")

    verdict = verify(opened(resealed(files, path, text)), None)

    (failure,) = verdict.failures
    assert failure.message.startswith("at postrouting, IPv4 packet from a source that is ")
    assert "ct status snat accept" in failure.message


@pytest.fixture
def bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["compile", str(GOLDEN / "primary-ip" / "input"), "-o", str(tmp_path / "bundle")]) == 0
    capsys.readouterr()
    return tmp_path / "bundle"


def test_the_command_says_what_was_proved(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["verify", str(bundle), str(GOLDEN / "primary-ip" / "input")])

    said = capsys.readouterr()
    assert (status, said.err) == (0, "")
    assert said.out == "verified: 5 nodes, 3 workloads, 5 classes of workload and destination\n"


def test_the_command_fails_where_the_inputs_say_otherwise(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = cluster(gateway(), patched(policy(), "spec.destinationCIDRs", ["203.0.113.0/24"]))
    (tmp_path / "input.yaml").write_text(dump(*objects), encoding="utf-8")

    status = main(["verify", str(bundle), str(tmp_path / "input.yaml")])

    assert status == 1
    assert "policies.json: policies.egress-gw-policy.destinationCIDRs" in capsys.readouterr().out


def test_output_fits_its_schema(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = golden("primary-ip")
    path = "nodes/egress-1/ruleset.nft"
    harmed = resealed(files, path, files[path].decode().replace("snat ip to 172.18.18.1 ", "snat ip to 192.0.2.77 "))
    write_bundle(harmed, tmp_path / "harmed")
    schema = json.loads((ROOT / "schemas" / "verify-output.schema.json").read_text(encoding="utf-8"))

    statuses = []
    for folder in (bundle, tmp_path / "harmed"):
        statuses.append(main(["verify", str(folder), "--format", "json"]))
        jsonschema.validate(json.loads(capsys.readouterr().out), schema)

    assert statuses == [0, 1]


def test_the_command_refuses_what_is_no_bundle_and_inputs_with_errors(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "input.yaml").write_text("kind: [\n", encoding="utf-8")

    statuses = [main(["verify", str(tmp_path / "none")]), main(["verify", str(bundle), str(tmp_path / "input.yaml")])]

    assert statuses == [2, 2]
    assert "error[EG102]" in capsys.readouterr().err


STRANGE_RULES = (
    ("guard", "meta mark & 0xff000000 == 0x79000000 accept"),
    ("guard", 'oifname "eth7" accept'),
    ("guard", "rt ip nexthop 10.9.9.9 accept"),
    ("decide", 'iifname "vlan7" return'),
    ("prerouting", 'iifname "cilium_host" return'),
)


@pytest.mark.parametrize(("chain", "rule"), STRANGE_RULES)
def test_a_rule_of_another_version_that_no_tried_packet_meets_is_found(chain: str, rule: str) -> None:
    files = golden("primary-ip")
    path = "nodes/egress-1/ruleset.nft"
    text = files[path].decode().replace(f"\tchain {chain} {{\n", f"\tchain {chain} {{\n\t\t{rule}\n", 1)
    harmed = dict(resealed(files, path, text))
    harmed[MANIFEST] = harmed[MANIFEST].replace(b'"compilerVersion": "0.1.0"', b'"compilerVersion": "0.0.1"')

    assert rule in text
    assert messages(verify(opened(harmed), None)) != []


def account_with(path: str, old: str, new: str) -> list[str]:
    """What verify says of a bundle whose account has one text replaced."""
    files = golden("virtual-ip")
    text = files[path].decode()
    assert old in text
    return messages(verify(opened(resealed(files, path, text.replace(old, new))), None))


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (CLUSTER, '"rulePriority": 7300', '"rulePriority": 40000'),
        (CLUSTER, '"tableBase": 7300', '"tableBase": 100'),
        (CLUSTER, '"127.0.0.0/8"', '"0.0.0.0/1",\n    "128.0.0.0/1"'),
        (GATEWAYS, '"172.18.18.242"', '"127.0.0.1"'),
        (GATEWAYS, '"172.18.18.242"', '"172.18.4.11"'),
        (GATEWAYS, '"ipv4": "172.18.18.242"', '"ipv4": "2001:db8::1"'),
        (
            WORKLOADS,
            '"addresses": [\n        "10.111.11.5"',
            '"addresses": [\n        "10.111.11.5",\n        "10.111.11.7"',
        ),
        (WORKLOADS, '"addresses": [\n        "10.111.11.5"\n      ]', '"addresses": []'),
    ],
)
def test_an_account_that_cannot_be_is_refused_without_inputs(path: str, old: str, new: str) -> None:
    assert account_with(path, old, new) != []


@pytest.mark.parametrize(
    ("node", "reason", "found"),
    [
        ("worker-1", "SelectorMismatch", "a node that its selector does not take is among its nodes"),
        ("nowhere", "NotReady", "one of its nodes is not in the cluster"),
    ],
)
def test_nodes_of_a_gateway_that_cannot_be_its_members_are_refused(node: str, reason: str, found: str) -> None:
    more = f'"nodes": {{"{node}": {{"suitable": false, "reasons": ["{reason}"]}},'

    assert f"gateways.json: gateway egress-gw: {found}" in account_with(GATEWAYS, '"nodes": {', more)


def test_a_gateway_that_is_there_twice_is_refused() -> None:
    files = golden("virtual-ip")
    data = json.loads(files[GATEWAYS])
    data["gateways"] *= 2

    verdict = verify(opened(resealed(files, GATEWAYS, json.dumps(data))), None)

    assert "gateways.json: egress-gw is there twice" in messages(verdict)


def test_a_chain_that_nothing_leads_to_must_be_one_of_ours_too() -> None:
    files = golden("virtual-ip")
    path = "nodes/worker-1/ruleset.nft"
    text = files[path].decode().rstrip("\n").removesuffix("}") + "\n\tchain junk {\n\t\tfrobnicate all\n\t}\n}\n"

    said = messages(verify(opened(resealed(files, path, text)), None))

    assert said == [f"{path}: chain junk does none of the things that chains outside of the fixed rules do"]


def test_an_address_in_the_map_of_the_other_family_is_found() -> None:
    files = golden("dual-stack")
    path = "nodes/worker-1/ruleset.nft"
    text = files[path].decode()
    line = next(line for line in text.splitlines() if line.strip().startswith("10.111.11.5 : "))
    head = "\tmap source6 {\n\t\ttype ipv6_addr : verdict\n\t\telements = {\n"
    moved = text.replace(f"{line}\n", "", 1).replace(head, f"{head}{line.rstrip(',')},\n", 1)

    assert moved != text
    assert any(
        "source6 holds 10.111.11.5" in said for said in messages(verify(opened(resealed(files, path, moved)), None))
    )
