"""`egressc explain`: the fate of a packet on the command line, and bundles that are not to be trusted."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders import cluster, dump, gateway, pod, policy
from conftest import FATE

from bundle.directory import open_bundle
from compiler.cli import main


def explain(made: Path, *arguments: str) -> int:
    return main(["explain", str(made), *arguments])


def test_explain_tells_the_fate_on_its_first_line(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = explain(made, "--from", "default/backend-1", "--to", "203.0.113.10")

    lines = capsys.readouterr().out.splitlines()
    fate = "default/backend-1 (10.111.11.5) to 203.0.113.10: leaves by node egress-1 with source 172.18.18.1"
    assert (0, fate) == (status, lines[0])
    assert (
        lines[1] == "  why: policy egress-gw-policy sends 0.0.0.0/0 to gateway egress-gw, whose active node is egress-1"
    )


def test_explain_tells_json(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = explain(made, "--from", "10.111.11.5", "--to", "203.0.113.10", "--format", "json")

    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    hops = told.pop("hops")
    assert (status, told) == (
        0,
        {
            **FATE,
            "from": {"workload": "default/backend-1", "ip": "10.111.11.5"},
            "to": "203.0.113.10",
        },
    )
    assert [(hop["node"], hop["at"]) for hop in hops] == [
        ("worker-1", "prerouting"),
        ("worker-1", "routing"),
        ("worker-1", "postrouting"),
        ("egress-1", "prerouting"),
        ("egress-1", "postrouting"),
    ]


@pytest.mark.parametrize(
    ("source", "to", "expected"),
    [
        ("default/backend-1", "10.222.0.7", "goes its ordinary way"),
        ("default/frontend-1", "203.0.113.10", "goes its ordinary way"),
        ("default/backend-1", "2001:db8:ffff::10", "leaves by node egress-2 with source 2001:db8:18::242"),
        ("fd00:111:0:11::5", "2001:db8:ffff::10", "leaves by node egress-2 with source 2001:db8:18::242"),
    ],
)
def test_explain_takes_names_and_addresses_of_both_families(
    made: Path, capsys: pytest.CaptureFixture[str], source: str, to: str, expected: str
) -> None:
    assert explain(made, "--from", source, "--to", to) == 0

    assert expected in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("source", "to", "expected"),
    [
        (
            "default/backnd-1",
            "203.0.113.10",
            "--from: the bundle has no workload default/backnd-1; did you mean default/",
        ),
        ("nowhere/zzz", "203.0.113.10", "--from: the bundle has no workload nowhere/zzz"),
        ("backend-1", "203.0.113.10", "--from: 'backend-1' is neither NAMESPACE/NAME nor an IP address"),
        ("10.9.9.9", "203.0.113.10", "--from: no workload of the bundle has the address 10.9.9.9"),
        ("10.111.11.5", "::1", "--from is IPv4 and --to is IPv6; give two of one family"),
        ("default/backend-1", "example.com", "--to: 'example.com' is not an IP address"),
        ("default/backend-1", "", "--to: '' is not an IP address"),
        ("default/backend-1", "203.0.113.0/24", "--to: '203.0.113.0/24' is not an IP address; leave out the prefix"),
    ],
)
def test_explain_refuses_what_it_cannot_answer(
    made: Path, capsys: pytest.CaptureFixture[str], source: str, to: str, expected: str
) -> None:
    status = explain(made, "--from", source, "--to", to)

    output = capsys.readouterr()
    assert (status, output.out) == (2, "")
    assert output.err.startswith(f"egressc: {expected}")


def test_explain_names_the_family_that_a_workload_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input.yaml"
    single = pod("four", "worker-1", ips=["10.111.11.44"])
    path.write_text(dump(*cluster(single, gateway(), policy())), encoding="utf-8")
    assert main(["compile", str(path), "-o", str(tmp_path / "bundle")]) == 0
    capsys.readouterr()

    assert explain(tmp_path / "bundle", "--from", "default/four", "--to", "2001:db8::1") == 2

    assert capsys.readouterr().err == "egressc: --from: default/four has no IPv6 address; it has 10.111.11.44\n"


# bundles that are not to be trusted


def damage_altered(made: Path) -> str:
    path = made / "nodes" / "egress-1" / "ruleset.nft"
    path.write_bytes(path.read_bytes().replace(b"drop", b"accept", 1))
    return "nodes/egress-1/ruleset.nft: was altered"


def damage_missing(made: Path) -> str:
    (made / "workloads.json").unlink()
    return "workloads.json: No such file"


def damage_foreign(made: Path) -> str:
    (made / "nodes" / "worker-1" / "extra.nft").write_text("", encoding="utf-8")
    return "nodes/worker-1/extra.nft: not a file of this bundle"


def manifest(made: Path, **fields: object) -> None:
    path = made / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **fields}), encoding="utf-8")


def damage_version(made: Path) -> str:
    manifest(made, formatVersion=2)
    return "manifest.json: format version 2 is not 1"


def damage_json(made: Path) -> str:
    (made / "manifest.json").write_text("{", encoding="utf-8")
    return "manifest.json: not valid JSON"


def damage_field(made: Path) -> str:
    manifest(made, extra=1)
    return "manifest.json: extra: unknown field"


def damage_type(made: Path) -> str:
    manifest(made, nodes="worker-1")
    return "manifest.json: nodes: expected a list"


def damage_no_manifest(made: Path) -> str:
    (made / "manifest.json").unlink()
    return "manifest.json: No such file or directory; is this a bundle?"


def damage_nodes(made: Path) -> str:
    manifest(made, nodes=[])
    return "manifest.json: the list of files does not fit the list of nodes"


def damage_traversal(made: Path) -> str:
    files: dict[str, str] = json.loads((made / "manifest.json").read_bytes())["files"]
    moved = {name.replace("nodes/egress-1/", "nodes/../../"): digest for name, digest in files.items()}
    nodes = ["../..", *(node for node in open_bundle(made).manifest.nodes if node != "egress-1")]
    manifest(made, nodes=nodes, files=moved)
    return "manifest.json: nodes[0]: expected the name of a Kubernetes object"


def damage_deep(made: Path) -> str:
    (made / "manifest.json").write_text("[" * 100_000, encoding="utf-8")
    return "manifest.json: not valid JSON"


DAMAGES = [value for name, value in sorted(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.removeprefix("damage_"))
def test_a_damaged_bundle_is_refused_by_the_name_of_the_file(
    made: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Any,  # noqa: ANN401  # one of the functions above
) -> None:
    expected = damage(made)

    status = explain(made, "--from", "default/backend-1", "--to", "203.0.113.10")

    output = capsys.readouterr()
    assert (status, output.out, output.err.count("\n")) == (2, "", 1)
    assert output.err.startswith(f"egressc: {made}/{expected}")


def test_a_directory_of_dot_files_beside_the_bundle_is_no_harm(made: Path) -> None:
    (made / ".git").mkdir()
    (made / ".git" / "HEAD").write_text("ref", encoding="utf-8")

    assert explain(made, "--from", "default/backend-1", "--to", "203.0.113.10") == 0
