"""Addresses are written as `ipaddress` writes them."""

from ipaddress import IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.addresses import address_text

MANY = settings(max_examples=500, deadline=None, derandomize=True)
GROUPS = st.lists(st.sampled_from([0, 0, 0, 1, 0x10, 0xFD00, 0xFFFF]), min_size=8, max_size=8)


@MANY
@given(groups=GROUPS)
def test_text_is_that_of_ipaddress(groups: list[int]) -> None:
    address = IPv6Address(b"".join(group.to_bytes(2, "big") for group in groups))

    assert str(address) == address_text(address)


@pytest.mark.parametrize("text", ["10.0.0.1", "::", "::1", "1::", "::ffff:10.0.0.1", "::10.0.0.1", "fe80::1%eth0"])
def test_odd_ones_too(text: str) -> None:
    assert str(ip_address(text)) == address_text(ip_address(text))
