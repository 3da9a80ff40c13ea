"""The addresses by which whoever binds a virtual IP tells a former holder from a stranger."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders import Obj, agent, dump, gateway, interface, member, node, outcome, pod, policy, state
from mutations import resealed
from test_verify import golden, messages, opened

from bundle.codec import DecodeError, decode
from bundle.directory import ADDRESSES, GATEWAYS, node_path
from bundle.model import Addresses
from compiler.verify.verify import verify

HOLDER = member("egress-1")
REST = [*member("worker-1", labels={}), pod("backend", "worker-1"), policy()]


def outside(number: int, *more: str) -> Obj:
    return interface("eth1", f"172.18.18.{number}/24", f"2001:db8:18::{number}/64", *more)


def inside(number: int) -> Obj:
    return interface("eth0", f"172.18.4.{number}/24", f"fd00:4::{number}/64")


def compiled(tmp_path: Path, *objects: Obj) -> dict[str, Any]:
    path = tmp_path / "input.yaml"
    path.write_text(dump(*objects), encoding="utf-8")
    files, findings = outcome(path)
    assert files is not None, findings
    assert messages(verify(opened(files), None)) == []
    return {name: json.loads(files[name]) for name in files if name.endswith(".json")}


def peers(tmp_path: Path, *others: Obj, vip: str = "172.18.18.242", **more: Any) -> list[str]:  # noqa: ANN401  # of a gateway
    """Those of the only node that is well, egress-1."""
    files = compiled(tmp_path, *HOLDER, *others, *REST, gateway(vip=vip, **more))
    found: list[str] = files[node_path("egress-1", ADDRESSES)]["addresses"][0]["peers"]
    return found


def second(*network: Obj) -> list[Obj]:
    """A node that the gateway's selector takes and that is not ready."""
    return [node("egress-2", ready="False"), agent("egress-2"), *network]


def test_a_member_that_is_not_ready_is_known_by_its_internal_ip_and_its_address_on_the_link(tmp_path: Path) -> None:
    others = second(state("egress-2", inside(2), outside(2)))

    assert peers(tmp_path, *others) == ["172.18.4.2", "172.18.18.2"]
    assert peers(tmp_path, *others, vip="2001:db8:18::242") == ["2001:db8:18::2", "fd00:4::2"]


@pytest.mark.parametrize(
    "others",
    [
        [],
        [node("egress-2", labels={}), agent("egress-2"), state("egress-2", inside(2), outside(2))],
    ],
    ids=["alone", "no-member"],
)
def test_nobody_else_is_a_peer(tmp_path: Path, others: list[Obj]) -> None:
    assert peers(tmp_path, *others) == []


def test_of_a_member_without_known_interfaces_only_the_internal_ip_is_known(tmp_path: Path) -> None:
    assert peers(tmp_path, *second()) == ["172.18.4.2"]


def test_an_interface_counts_if_the_virtual_ip_would_be_bound_there_or_is_in_its_subnet(tmp_path: Path) -> None:
    third = interface("eth2", "192.0.2.2/24")
    others = second(state("egress-2", inside(2), outside(2), third))

    # `state` has the default route by the last interface.
    assert peers(tmp_path, *others) == ["172.18.4.2", "172.18.18.2"]
    assert peers(tmp_path, *others, vip="198.51.100.9") == ["172.18.4.2", "192.0.2.2"]
    assert peers(tmp_path, *others, interfaces=["eth2", "eth1"]) == ["172.18.4.2", "172.18.18.2", "192.0.2.2"]
    assert peers(tmp_path, *second(state("egress-2", third, inside(2))), interfaces=["eth1"]) == ["172.18.4.2"]


def test_virtual_ips_and_other_host_addresses_are_nobodys_own(tmp_path: Path) -> None:
    left = outside(2, "172.18.18.242/32", "172.18.18.77/32", "172.18.18.3/24")

    assert peers(tmp_path, *second(state("egress-2", inside(2), left))) == ["172.18.4.2", "172.18.18.2", "172.18.18.3"]


def test_a_loopback_address_is_nobodys_address_on_a_link(tmp_path: Path) -> None:
    lo = interface("lo", "127.0.0.1/8", "192.0.2.2/24")

    assert peers(tmp_path, *second(state("egress-2", inside(2), lo)), interfaces=["lo", "eth1"]) == [
        "172.18.4.2",
        "192.0.2.2",
    ]


def test_without_a_virtual_ip_there_are_none(tmp_path: Path) -> None:
    files = compiled(tmp_path, *HOLDER, *member("egress-2"), *REST, gateway())

    assert files[node_path("egress-1", ADDRESSES)]["addresses"] == []
    assert files[GATEWAYS]["gateways"][0]["linkAddresses"] == {}


def test_a_member_has_no_link_address_of_a_family_that_it_lacks(tmp_path: Path) -> None:
    others = [node("egress-2", six=False), agent("egress-2"), state("egress-2", interface("eth0", "172.18.4.2/24"))]

    assert peers(tmp_path, *others, vip="2001:db8:18::242", interfaces=["eth1"]) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"172.18.4.2",\n          "172.18.18.2"', '"172.18.18.2"', "InternalIP of node egress-2"),
        ('"172.18.4.2",\n          "172.18.18.2"', '"172.18.18.2",\n          "172.18.4.2"', "not sorted"),
        ('"172.18.4.2",\n          "172.18.18.2"', '"172.18.4.2",\n          "2001:db8::2"', "of the other family"),
        ('        "egress-3": [\n          "172', '        "worker-1": [\n          "172', "not those of the members"),
    ],
    ids=["internal-ip", "order", "family", "members"],
)
def test_link_addresses_that_cannot_be_are_found_without_inputs(old: str, new: str, said: str) -> None:
    files = golden("virtual-ip")
    text = files[GATEWAYS].decode()
    assert old in text

    found = messages(verify(opened(resealed(files, GATEWAYS, text.replace(old, new))), None))

    assert any(said in message for message in found)


def test_a_bundle_made_before_there_were_peers_is_refused_by_name() -> None:
    text = golden("virtual-ip")[node_path("egress-1", ADDRESSES)]
    data = json.loads(text)
    del data["addresses"][0]["peers"]

    with pytest.raises(DecodeError, match=r"^addresses\[0\]\.peers: is missing$"):
        decode(Addresses, json.dumps(data))
