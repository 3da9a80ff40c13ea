"""Text that users write to addresses, prefixes and names; each function says what is wrong in its own words."""

import re
from difflib import get_close_matches
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

from compiler.model import Address, Network

# RFC 1123 subdomain, what Kubernetes takes as an object's name; safe as a file name and in nft text.
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SUBDOMAIN_LENGTH: Final = 253
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_LENGTH: Final = 63
# The kernel refuses `/`, `:`, blanks, `.` and `..` (dev_valid_name); quotes, `\` and `*` mean something to nft.
_INTERFACE = re.compile(r"(?!\.\.?$)[A-Za-z0-9_.@+=-]{1,15}")
_PREFIX = re.compile(r"[0-9]{1,3}")


class TextError(ValueError):
    """The text is not what it should be; `code` is the diagnostic's, the message says what to write."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def parse_address(text: str) -> Address:
    """Reads one IP address, without prefix length or zone.

    Raises:
        TextError: It is not one.
    """
    if _is_address(text):
        return ip_address(text)
    head, slash, _ = text.partition("/")
    hint = f"; leave out the prefix length: {head}" if slash and _is_address(head) else ""
    raise TextError("EG206", f"{text!r} is not an IP address{hint}")


def parse_network(text: str) -> tuple[Network, bool]:
    """Reads a CIDR.

    Returns:
        The network, and whether host bits were set and dropped.

    Raises:
        TextError: It is not one, or has no prefix length.
    """
    head, slash, prefix = text.partition("/")
    if not _is_address(head) or (slash and not _PREFIX.fullmatch(prefix)):
        raise TextError("EG207", f"{text!r} is not a CIDR such as 10.20.0.0/16 or 2001:db8::/32")
    address = ip_address(head)
    if not slash:
        raise TextError("EG207", f"{text!r} has no prefix length; did you mean {address}/{address.max_prefixlen}?")
    if int(prefix) > address.max_prefixlen:
        message = f"{text!r}: the prefix length of an IPv{address.version} CIDR is 0 to {address.max_prefixlen}"
        raise TextError("EG207", message)
    network = ip_network(text, strict=False)
    return network, network.network_address != address


def check_source_address(address: Address) -> None:
    """Checks that an address can be the source of traffic to the outside.

    Raises:
        TextError: It is loopback, multicast, link-local, unspecified or the broadcast address.
    """
    broadcast = isinstance(address, IPv4Address) and int(address) == 2**32 - 1
    if address.is_loopback or address.is_multicast or address.is_link_local or address.is_unspecified or broadcast:
        raise TextError("EG206", f"{address} cannot be a source address; give a unicast address of your network")


def check_name(text: str) -> None:
    """Checks an object's name.

    Raises:
        TextError: Kubernetes would refuse it.
    """
    if len(text) > _SUBDOMAIN_LENGTH or not _SUBDOMAIN.fullmatch(text):
        shown = text if len(text) < _LABEL_LENGTH else text[:_LABEL_LENGTH] + "…"
        message = f"{shown!r} is not a name that Kubernetes takes: lower-case letters, digits, '-' and '.', at most 253"
        raise TextError("EG213", message)


def check_label_key(text: str) -> None:
    """Checks a label key, with or without a DNS prefix.

    Raises:
        TextError: Kubernetes would refuse it.
    """
    prefix, slash, name = text.rpartition("/")
    fits = len(name) <= _LABEL_LENGTH and _LABEL_NAME.fullmatch(name)
    if slash:
        fits = fits and len(prefix) <= _SUBDOMAIN_LENGTH and _SUBDOMAIN.fullmatch(prefix)
    if not fits:
        raise TextError("EG208", f"{text!r} is not a label key that Kubernetes takes, such as app or example.com/role")


def check_label_value(text: str) -> None:
    """Checks a label value.

    Raises:
        TextError: Kubernetes would refuse it.
    """
    if text and (len(text) > _LABEL_LENGTH or not _LABEL_NAME.fullmatch(text)):
        message = f"{text!r} is not a label value: letters, digits, '-', '_' and '.', at most 63"
        raise TextError("EG208", message)


def check_interface(text: str) -> None:
    """Checks the name of a network interface.

    Raises:
        TextError: Linux would refuse it, or it has a character that means something to nft.
    """
    if len(text.encode()) > 15:  # noqa: PLR2004  # IFNAMSIZ less the final NUL
        raise TextError("EG209", f"{text!r} is longer than the 15 bytes that Linux allows for an interface name")
    if not _INTERFACE.fullmatch(text):
        raise TextError("EG209", f"{text!r} is not an interface name such as eth1")


def did_you_mean(text: str, known: list[str]) -> str:
    """Returns `; did you mean X?` for the closest of the known words, or nothing."""
    if len(text) > _SUBDOMAIN_LENGTH:  # nothing that has a right to be long, and comparing takes the square of it
        return ""
    close = get_close_matches(text, [word for word in known if len(word) <= _SUBDOMAIN_LENGTH], n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _is_address(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    # Not with a zone; and no IPv4 in IPv6 clothes, which Pythons print differently and no packet on a wire has.
    return "%" not in text and getattr(address, "ipv4_mapped", None) is None
