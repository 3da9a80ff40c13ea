"""Whatever lies in a bundle's directory, it is opened or refused by name, with status 2, and nothing hangs."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bundle.directory import ACCOUNT_FILES, MANIFEST, NODE_FILES, POLICIES, BundleError, open_bundle, open_part
from bundle.model import Policies
from bundle.ruleset import fingerprint

NODE = "nodes/worker-1"
SECONDS = 120


def renew(made: Path) -> None:
    """Writes the digests anew, so that harm is not stopped there."""
    manifest = json.loads((made / MANIFEST).read_text())
    for path in manifest["files"]:
        if (made / path).is_file():
            manifest["files"][path] = hashlib.sha256((made / path).read_bytes()).hexdigest()
    (made / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def edit(made: Path, path: str, change: Callable[[str], str]) -> str:
    (made / path).write_text(change((made / path).read_text()), encoding="utf-8")
    renew(made)
    return path


def in_json(made: Path, path: str, old: str, new: str) -> str:
    assert old in (made / path).read_text()
    return edit(made, path, lambda text: text.replace(old, new, 1))


def with_rule(made: Path, rule: str) -> str:
    line = f'\t\t{rule} comment "{fingerprint(rule)}"\n'
    return edit(
        made, f"{NODE}/ruleset.nft", lambda text: text.replace("\tchain decide {\n", f"\tchain decide {{\n{line}")
    )


def replaced(made: Path, path: str) -> Path:
    (made / path).unlink()
    return made / path


def link_out(made: Path) -> str:
    outside = made.parent / "outside.json"
    outside.write_bytes((made / "policies.json").read_bytes())
    replaced(made, "policies.json").symlink_to(outside)
    return "policies.json: is a link that leads out of the bundle"


def link_to_a_device(made: Path) -> str:
    replaced(made, "policies.json").symlink_to("/dev/zero")
    return "policies.json: is a link that leads out of the bundle"


def link_in_a_circle(made: Path) -> str:
    replaced(made, "policies.json").symlink_to("policies.json")
    return "policies.json: "


def folder_that_is_a_link_out(made: Path) -> str:
    (made / NODE).rename(made.parent / "elsewhere")
    (made / NODE).symlink_to(made.parent / "elsewhere")
    return f"{NODE}/"


def pipe(made: Path) -> str:
    os.mkfifo(replaced(made, "policies.json"))
    return "policies.json: is not a regular file"


def pipe_as_manifest(made: Path) -> str:
    os.mkfifo(replaced(made, MANIFEST))
    return f"{MANIFEST}: is not a regular file"


def folder(made: Path) -> str:
    replaced(made, "policies.json").mkdir()
    return "policies.json: Is a directory"


def sparse(made: Path) -> str:
    os.truncate(made / "policies.json", 10 << 30)
    return f"policies.json: has {10 << 30} bytes"


def sparse_manifest(made: Path) -> str:
    os.truncate(made / MANIFEST, 10 << 30)
    return f"{MANIFEST}: has {10 << 30} bytes"


def truncated(made: Path) -> str:
    return edit(made, f"{NODE}/routing.json", lambda text: text[: len(text) // 2]) + ": not valid JSON"


def ruleset_truncated(made: Path) -> str:
    return edit(made, f"{NODE}/ruleset.nft", lambda text: text[: len(text) // 2]) + ": line "


def deep(made: Path) -> str:
    return edit(made, "policies.json", lambda _: "[" * 1_000_000) + ": not valid JSON: nested too deep"


def utf_16(made: Path) -> str:
    (made / "policies.json").write_bytes((made / "policies.json").read_text().encode("utf-16"))
    renew(made)
    return "policies.json: not valid JSON"


def key_twice(made: Path) -> str:
    return (
        in_json(made, "policies.json", '"name"', '"name": "x", "name"') + ": not valid JSON: key 'name' is given twice"
    )


def huge_number(made: Path) -> str:
    return in_json(made, f"{NODE}/routing.json", '"priority": 7300', f'"priority": {"9" * 10_000}') + ": not valid JSON"


def number_of_65_bits(made: Path) -> str:
    path = in_json(made, f"{NODE}/routing.json", '"priority": 7300', f'"priority": {2**64}')
    return f"{path}: rules[0].priority: expected a number of 32 bits"


def negative_number(made: Path) -> str:
    path = in_json(made, f"{NODE}/routing.json", '"priority": 7300', '"priority": -1')
    return f"{path}: rules[0].priority: expected a number of 32 bits"


def no_mark(made: Path) -> str:
    path = in_json(made, f"{NODE}/routing.json", '"fwmask": "0xff000000"', '"fwmask": "all"')
    return f"{path}: rules[0].fwmask: expected a mark"


def no_address(made: Path) -> str:
    path = in_json(made, f"{NODE}/routing.json", '"172.18.4.', '"172.18.400.')
    return f"{path}: internalIPs[0]: expected an IP address"


def address_in_another_form(made: Path) -> str:
    path = in_json(made, f"{NODE}/routing.json", '"fd00:4::', '"FD00:4::')
    return f"{path}: internalIPs[1]: expected an IP address"


def interface_that_is_a_path(made: Path) -> str:
    path = in_json(made, f"{NODE}/routing.json", '"eth0"', '"../eth0"')
    return f"{path}: routes[0].device: expected the name of an interface"


def rule_that_ends_its_chain(made: Path) -> str:
    return with_rule(made, "accept ; } ; chain x {") + ": a rule is more than one statement"


def rule_that_includes(made: Path) -> str:
    return with_rule(made, "$X") + ": a rule is more than one statement"


def rule_that_goes_on(made: Path) -> str:
    return with_rule(made, "accept \\") + ": a rule is more than one statement"


def rule_without_its_digest(made: Path) -> str:
    return in_json(made, f"{NODE}/ruleset.nft", "ct direction reply return", "accept") + ": a rule's comment is not its"


def include(made: Path) -> str:
    return (
        edit(made, f"{NODE}/ruleset.nft", lambda text: 'include "/etc/passwd"\n' + text) + ": line 1: expected a block"
    )


def other_table(made: Path) -> str:
    return edit(made, f"{NODE}/ruleset.nft", lambda text: text + "flush ruleset\n") + ": line "


def table_in_a_table(made: Path) -> str:
    path = edit(made, f"{NODE}/ruleset.nft", lambda text: text.replace("\tset ", "\ttable inet x {\n\t}\n\tset ", 1))
    return f"{path}: holds what is none of ours: table"


def counter_of_others(made: Path) -> str:
    path = edit(made, f"{NODE}/ruleset.nft", lambda text: text.replace("\tset ", "\tcounter x {\n\t}\n\tset ", 1))
    return f"{path}: holds what is none of ours: counter x"


def very_many_braces(made: Path) -> str:
    path = edit(
        made, f"{NODE}/ruleset.nft", lambda text: text.replace("\tset ", "\tx y {\n" + "{" * 1_000_000 + "\n\tset ", 1)
    )
    return f"{path}: line "


def very_many_nodes(made: Path) -> str:
    manifest = json.loads((made / MANIFEST).read_text())
    manifest["nodes"] = [f"n{index}" for index in range(300_000)]
    (made / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return f"{MANIFEST}: the list of files does not fit the list of nodes"


def path_out(made: Path) -> str:
    manifest = json.loads((made / MANIFEST).read_text())
    manifest["files"]["nodes/../../../etc/passwd"] = ""
    (made / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return f"{MANIFEST}: the list of files does not fit the list of nodes: nodes/../../../etc/passwd"


def absolute_path(made: Path) -> str:
    manifest = json.loads((made / MANIFEST).read_text())
    manifest["files"]["/etc/passwd"] = ""
    (made / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return f"{MANIFEST}: the list of files does not fit the list of nodes: /etc/passwd"


def with_node(made: Path, name: str) -> str:
    """Adds a node, with all that the lists then want."""
    manifest = json.loads((made / MANIFEST).read_text())
    manifest["nodes"].append(name)
    manifest["files"].update({f"nodes/{name}/{file}": "0" * 64 for file in NODE_FILES})
    (made / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return f"{MANIFEST}: nodes[{len(manifest['nodes']) - 1}]: expected the name of a Kubernetes object"


def node_that_leads_out(made: Path) -> str:
    return with_node(made, "../../etc")


def node_that_is_this_folder(made: Path) -> str:
    return with_node(made, ".")


def node_with_a_slash(made: Path) -> str:
    return with_node(made, "worker-1/x")


def node_in_capitals(made: Path) -> str:
    return with_node(made, "Worker-1")


def node_with_a_zero_byte(made: Path) -> str:
    return with_node(made, "worker-1\0")


def node_that_is_not_there(made: Path) -> str:
    with_node(made, "worker-9")
    return "nodes/worker-9/"


def file_in_capitals(made: Path) -> str:
    (made / NODE / "Ruleset.nft").touch()
    return f"{NODE}/Ruleset.nft: not a file of this bundle"


def signature_that_is_a_folder(made: Path) -> str:
    (made / "signed.json").mkdir()
    return "signed.json: Is a directory"


def files_beside_a_signature(made: Path) -> str:
    (made / "signed.json.sig.old").touch()
    return "signed.json.sig.old: not a file of this bundle"


HARM = [
    link_out, link_to_a_device, link_in_a_circle, folder_that_is_a_link_out, pipe, pipe_as_manifest, folder, sparse,
    sparse_manifest, truncated, ruleset_truncated, deep, utf_16, key_twice, huge_number, number_of_65_bits,
    negative_number, no_mark, no_address, address_in_another_form, interface_that_is_a_path, rule_that_ends_its_chain,
    rule_that_includes, rule_that_goes_on, rule_without_its_digest, include, other_table, table_in_a_table,
    counter_of_others, very_many_braces, very_many_nodes, path_out, absolute_path, node_that_leads_out,
    node_that_is_this_folder, node_with_a_slash, node_in_capitals, node_with_a_zero_byte, node_that_is_not_there,
    file_in_capitals, signature_that_is_a_folder, files_beside_a_signature,
]  # fmt: skip


def read_all(made: Path) -> None:
    opened = open_bundle(made)
    opened.node("worker-1")
    opened.decode(Policies, POLICIES)


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
def test_harm_to_a_bundle_is_refused_by_file_and_place(made: Path, harm: Callable[[Path], str]) -> None:
    expected = harm(made)

    with pytest.raises(BundleError) as raised:
        read_all(made)

    assert str(raised.value).startswith(f"{made}/{expected}"), raised.value
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("harm", [pipe, sparse, link_to_a_device])
def test_apply_of_a_harmed_bundle_ends_with_status_2_before_it_looks_at_the_kernel(
    made: Path, harm: Callable[[Path], str]
) -> None:
    expected = harm(made)
    command = [sys.executable, "-c", "import sys; from compiler.cli import main; sys.exit(main())"]
    arguments = ["apply", str(made), "--node", "worker-1", "--netns", "/no/such/namespace"]

    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"egressc apply: {made}/{expected}")


def test_links_within_the_bundle_are_followed(made: Path) -> None:
    (made / "policies.json").rename(made / ".data")
    (made / "policies.json").symlink_to(".data")

    assert open_bundle(made).node("worker-1").node == "worker-1"


def test_a_bundle_reached_by_a_link_is_opened(made: Path) -> None:
    (made.parent / "link").symlink_to(made)

    assert open_bundle(made.parent / "link").node("worker-1").node == "worker-1"


@pytest.mark.parametrize("path", [MANIFEST, *ACCOUNT_FILES, *(f"{NODE}/{file}" for file in NODE_FILES)])
def test_a_file_cut_anywhere_is_refused(made: Path, path: str) -> None:
    whole = (made / path).read_bytes()
    # Of the manifest, which is text and has no digest of its own, an end of line may be lacking.
    text = whole.rstrip() if path == MANIFEST else whole
    for length in (0, 1, len(text) // 3, len(text) // 2, len(text) - 2, len(text) - 1):
        (made / path).write_bytes(text[:length])

        with pytest.raises(BundleError, match=f"{path}: "):
            open_bundle(made)


def test_what_changes_after_the_opening_is_not_what_is_applied(made: Path) -> None:
    opened = open_bundle(made)
    expected = open_bundle(made).node("worker-1")
    for path in (made / NODE).iterdir():
        path.write_text("altered")

    assert opened.node("worker-1") == expected


# one node's part


def without_others(made: Path) -> Path:
    """Leaves what a node keeps."""
    kept = {MANIFEST, *(f"{NODE}/{file}" for file in NODE_FILES)}
    for path in made.rglob("*"):
        if path.is_file() and path.relative_to(made).as_posix() not in kept:
            path.unlink()
    return made


def test_a_part_is_that_of_the_whole_bundle(made: Path) -> None:
    expected = open_bundle(made)

    found = open_part(without_others(made), "worker-1")

    assert (found.node("worker-1"), found.digest) == (expected.node("worker-1"), expected.digest)
    with pytest.raises(BundleError, match=r"nodes/worker-2/ruleset\.nft: "):
        found.node("worker-2")


@pytest.mark.parametrize("path", [MANIFEST, *(f"{NODE}/{file}" for file in NODE_FILES)])
def test_a_part_that_lacks_a_file_is_refused(made: Path, path: str) -> None:
    (without_others(made) / path).unlink()

    with pytest.raises(BundleError, match=f"{path}: No such file or directory"):
        open_part(made, "worker-1")


@pytest.mark.parametrize("harm", [rule_that_ends_its_chain, no_mark, interface_that_is_a_path, ruleset_truncated])
def test_harm_to_a_part_is_refused_too(made: Path, harm: Callable[[Path], str]) -> None:
    expected = harm(without_others(made))

    with pytest.raises(BundleError) as raised:
        open_part(made, "worker-1").node("worker-1")

    assert str(raised.value).startswith(f"{made}/{expected}")


@pytest.mark.parametrize(
    ("node", "message"), [("worker-9", "has no node 'worker-9'"), ("../worker-1", "has no node '../worker-1'")]
)
def test_a_part_of_a_node_that_is_none_is_refused(made: Path, node: str, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        open_part(made, node)


def test_a_part_beside_others_is_not_what_a_node_keeps(made: Path) -> None:
    with pytest.raises(BundleError, match="not a file of this bundle"):
        open_part(made, "worker-1")
