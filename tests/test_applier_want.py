"""What on a node forbids a plan."""

import pytest

from applier.errors import RefusedError
from applier.model import Live
from applier.want import want
from bundle.directory import NodePart
from bundle.model import Address, Addresses, Routing
from bundle.ruleset import Ruleset

PART = NodePart(
    node="egress-1",
    ruleset_text="",
    ruleset=Ruleset({}, {}),
    routing=Routing("egress-1", (), (), (), (), ()),
    addresses=Addresses("egress-1", (Address("172.18.18.242/32", "eth1", True, None, ("egress-gw",), ()),)),  # noqa: FBT003
)


def live(release: str) -> Live:
    return Live(None, (), (), (), {}, devices=("eth1",), release=release)


def test_a_virtual_ip_is_refused_by_a_kernel_that_forgets_whose_it_is() -> None:
    with pytest.raises(RefusedError, match=r"Linux 5\.15\.0-91-generic does not keep .* 5\.18 or newer"):
        want(PART, live("5.15.0-91-generic"))


@pytest.mark.parametrize("release", ["5.18.0", "6.1.0-13-amd64", "6.18", "unheard-of"])
def test_a_virtual_ip_is_taken_by_one_that_does_not(release: str) -> None:
    assert [address.address for address in want(PART, live(release)).addresses] == ["172.18.18.242/32"]
