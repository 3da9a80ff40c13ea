"""Addresses as they are read, beside the standard library."""

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compiler.addresses import read_address
from compiler.model import Address
from compiler.text import TextError, parse_network

FEW = settings(max_examples=1000, deadline=None, derandomize=True)

NUMBERS = st.integers(0, 2**128 - 1) | st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 0xFFFF << 32, 2**128 - 1])
SPELT = NUMBERS.map(IPv6Address).flatmap(
    lambda address: st.sampled_from([str(address), address.exploded, str(address).upper()])
) | st.integers(0, 2**32 - 1).map(lambda number: str(IPv4Address(number)))
PIECES = st.sampled_from(
    ["0", "00", "1", "01", "255", "256", "ffff", "fffff", ".", "..", ":", "::", "%", " ", "/", "g", "-", "\u0661", "\0"]
)
TEXTS = SPELT | st.lists(PIECES, max_size=16).map("".join) | st.tuples(SPELT, PIECES).map("".join)


def by_ipaddress(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if "%" in text or getattr(address, "ipv4_mapped", None) is not None else address


@FEW
@given(TEXTS)
@example("1.2.3.04")
@example("1:2:3:4:5:6:7::")
@example("::ffff:1.2.3.4")
@example("::1.2.3.4")
@example("fe80::1%eth0")
@example("1.2.3.4\n")
@example("")
def test_an_address_is_what_it_is_to_the_standard_library(text: str) -> None:
    assert read_address(text) == by_ipaddress(text)


@FEW
@given(SPELT, st.integers(0, 129))
@example("::1", 24)
def test_a_network_is_what_it_is_to_the_standard_library(text: str, length: int) -> None:
    address = by_ipaddress(text)
    if address is None or length > address.max_prefixlen:
        with pytest.raises(TextError):
            parse_network(f"{text}/{length}")
    else:
        expected = ipaddress.ip_network(f"{text}/{length}", strict=False)

        assert parse_network(f"{text}/{length}") == (expected, expected.network_address != address)
