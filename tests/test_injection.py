"""What stands in a field stays in that field: no name ends a line, a statement, a quotation or a folder."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from builders import Obj, agent, cluster, config, gateway, interface, namespace, node, patched, pod, policy, state
from fuzz.properties import sound_bundle, sound_findings, sound_text
from fuzz.samples import objects

from bundle.codec import decode
from bundle.directory import GATEWAYS, RULESET, STATUS
from bundle.model import Gateways, Manifest
from compiler import report
from compiler.cli import main
from compiler.diagnostics import has_errors
from compiler.pipeline import Compiled, compile_cluster, sort, understand

HOSTILE = (
    "x\n\t\taccept\n",
    'x" } ; flush ruleset ; table ip y { chain z { type filter hook input priority 0',
    'eth1" accept comment "',
    "../../../etc/cron.d/x",
    "a/../b",
    "..",
    ".",
    "/etc/passwd",
    "{{ plan.node }}",
    "{% for x in y %}",
    "$(reboot)",
    "`reboot`",
    "\x1b[2J\x1b]0;x\x07",
    "x\r\n- apiVersion: v1",
    "x: {y: z} # ",
    "\u202e\u2028\x85",
    "\0",
    "-rf",
    "*",
    "@cluster4",
    "# x",
    "a\\",
    "\ufeffa",
    "é",
    "а",  # noqa: RUF001  # Cyrillic, on purpose
    "e\u0301",
    "a" * 300,
    "::ffff:10.0.0.1",
    "10.0.0.1%eth0",
    "1.1.1.1, 2.2.2.2",
    "0.0.0.0/0 } accept",
)


def strings(data: object, path: str = "") -> Iterator[str]:
    """The paths of all texts in an object."""
    if isinstance(data, dict):
        for key, value in data.items():
            if "." not in key:  # label keys, which `patched` cannot name; they have a test of their own
                yield from strings(value, f"{path}.{key}".lstrip("."))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from strings(value, f"{path}.{index}")
    elif isinstance(data, str):
        yield path


RICH = objects()[2]
# One of each: of two entries of a list the first.
FIELDS = {
    f"{item['kind']}-{re.sub('[0-9]+', 'N', path)}": (index, path)
    for index, item in reversed(tuple(enumerate(RICH)))
    for path in reversed(tuple(strings(item)))
}


def outcome(items: list[Obj]) -> Compiled:
    """Compiles, and holds all that is said and written to what it may look like."""
    reading = understand({"input.json": json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode()})
    compiled = compile_cluster(reading.cluster) if reading.cluster else Compiled(())
    findings = sort(reading.findings + compiled.findings)
    sound_findings(findings, reading.sources)
    assert (compiled.files is None) == has_errors(findings)
    if compiled.files is not None:
        sound_bundle(compiled.files)
        sound_text(report.summary(decode(Gateways, compiled.files[GATEWAYS])))
        names = [document["metadata"]["name"] for document in yaml.safe_load_all(compiled.files[STATUS])]
        assert sorted(names) == sorted(item["metadata"]["name"] for item in items if item["kind"] == "EgressGateway")
    return replace(compiled, findings=findings)


@pytest.mark.parametrize("number", range(len(FIELDS)), ids=list(FIELDS))
def test_no_text_in_any_field_reaches_beyond_it(number: int) -> None:
    index, path = list(FIELDS.values())[number]

    for text in HOSTILE[number % 3 :: 3]:
        outcome([*RICH[:index], patched(RICH[index], path, text), *RICH[index + 1 :]])


def test_no_label_key_in_any_map_reaches_beyond_it() -> None:
    for text in HOSTILE:
        labels = {text: text}
        outcome(cluster(gateway(selector=labels), policy()))
        outcome(cluster(gateway(), policy(selectors=[{"podSelector": {"matchLabels": labels}}])))
        outcome(cluster(gateway(), policy(), namespace("default", **labels), pod("b", "worker-1", 7, labels=labels)))
        outcome(cluster(gateway(), policy(), config(agent={"matchLabels": labels, "namespace": text})))


NAMED: dict[str, tuple[Callable[[str], list[Obj]], str]] = {
    "EgressGateway": (lambda text: [*cluster(gateway(text), policy(gateway_name=text))], "EG213"),
    "EgressGatewayPolicy": (lambda text: [*cluster(gateway(), policy(text))], "EG213"),
    "Node": (lambda text: [*cluster(gateway(), policy()), patched(node("egress-3"), "metadata.name", text)], "EG213"),
    "Pod": (lambda text: [*cluster(gateway(), policy()), pod(text, "worker-1", 7)], "EG213"),
    "Pod's namespace": (lambda text: cluster(gateway(), policy(), pod("a", "worker-1", 7, namespace=text)), "EG213"),
    "Pod's node": (
        lambda text: cluster(gateway(), policy(), patched(pod("a", "worker-1", 7), "spec.nodeName", text)),
        "EG213",
    ),
    "interface": (
        lambda text: cluster(
            patched(gateway(), "spec.sourceIP.primaryIPFromEgressGatewayNodeInterface.interfaceName", text), policy()
        ),
        "EG209",
    ),
    "interfaces": (lambda text: cluster(gateway(vip="172.18.18.240", interfaces=[text]), policy()), "EG209"),
}


@pytest.mark.parametrize("what", NAMED)
def test_a_name_that_is_none_is_refused_by_its_code(what: str) -> None:
    make, code = NAMED[what]
    for text in HOSTILE:
        if (what.startswith("interface") and text in ("-rf", "@cluster4")) or text == "\0":
            continue  # Linux takes the first two; the third has a test in every field above

        made = outcome(make(text))

        assert made.files is None, text
        assert code in [finding.code for finding in made.findings], text


ODD_NAMES = (
    "a.b-c.9",
    "0",
    "9.9.9.9",
    "policy",
    "map",
    "snat",
    "a" * 63 + "." + "b" * 63 + "." + "c" * 63 + "." + "d" * 61,
)
NFT_CHECK = ("unshare", "-n", "nft", "--check", "-f")
ODD_INTERFACES = ("eth1.100", "@", "-rf", "a=b", "br-0_x", "policy", "x" * 15, "...")


@pytest.mark.kernel
@pytest.mark.parametrize("interface_name", ODD_INTERFACES)
def test_odd_names_that_are_taken_make_rulesets_that_load(tmp_path: Path, interface_name: str) -> None:
    nodes = [
        *(patched(node("egress-1"), "metadata.name", name) for name in ODD_NAMES),
        *(
            patched(agent("egress-1"), "spec.nodeName", name)
            | {"metadata": {**agent("egress-1")["metadata"], "name": f"a{index}"}}
            for index, name in enumerate(ODD_NAMES)
        ),
    ]
    for index, item in enumerate(nodes[: len(ODD_NAMES)]):
        item["status"]["addresses"] = [{"type": "InternalIP", "address": f"172.18.4.{index + 1}"}]
        item["spec"] = {"podCIDRs": [f"10.111.{index}.0/24"]}
    gateways = [
        patched(gateway(name), "spec.sourceIP.primaryIPFromEgressGatewayNodeInterface.interfaceName", interface_name)
        for name in ODD_NAMES
    ]
    policies = [policy(name, name, to=[f"203.0.{index}.0/24"]) for index, name in enumerate(ODD_NAMES)]
    seen = patched(state("egress-1", interface(interface_name, "172.18.18.1/24")), "metadata.name", ODD_NAMES[0])
    workload = patched(pod("a", "worker-1", ips=["10.111.0.9"]), "spec.nodeName", ODD_NAMES[0])

    made = outcome([*nodes, *gateways, *policies, seen, workload])

    assert made.files is not None, made.findings
    assert decode(Manifest, made.files["manifest.json"]).nodes == tuple(sorted(ODD_NAMES))
    for path, content in made.files.items():
        if path.endswith(RULESET):
            file = tmp_path / "ruleset.nft"
            file.write_bytes(content)
            done = subprocess.run([*NFT_CHECK, str(file)], capture_output=True, check=False)
            assert done.returncode == 0, done.stderr


def test_no_argument_and_no_file_name_reaches_beyond_its_line(
    tmp_path: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in HOSTILE[::3]:
        if "\0" in text:
            continue  # no argument of a program can hold it
        shown = tmp_path / text.replace("/", "_")[:200]
        shown.write_text("kind: 5\n", encoding="utf-8") if not shown.exists() else None
        broken = shutil.copytree(made, tmp_path / "broken", dirs_exist_ok=True)
        (broken / (text.replace("/", "_")[:200].strip(".") or "x")).write_text("")
        for arguments in (
            ["check", str(shown)],
            ["check", "--format", "json", str(shown)],
            ["check", f"{tmp_path}/none/{text}"],
            ["compile", str(shown), "-o", str(shown)],
            ["test", str(shown)],
            ["explain", str(made), "--from", text, "--to", "203.0.113.10"],
            ["explain", str(made), "--from", f"default/{text}", "--to", "203.0.113.10"],
            ["explain", str(made), "--from", "default/backend-1", "--to", text],
            ["explain", f"{tmp_path}/none/{text}", "--from", "a", "--to", "b"],
            ["explain", str(broken), "--from", "default/backend-1", "--to", "203.0.113.10"],
            ["apply", str(made), "--dry-run", "--node", text],
            ["apply", str(broken), "--dry-run", "--node", "worker-1"],
            ["check", str(shown), f"--{text}"],
            [text],
        ):
            try:
                status = main(arguments)
            except SystemExit as ended:
                status = 2 if ended.code == 2 else 99
            output = capsys.readouterr()
            assert status == 2, (arguments, output)
            sound_text(output.out)
            sound_text(output.err)
            assert "Traceback" not in output.err
        shutil.rmtree(broken)
