"""Text that users write to addresses, prefixes and names, each fault in its own words; and counts and lists in ours."""

import re
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Final

from compiler import patterns
from compiler.addresses import read_address
from compiler.model import Address, Network

_SUBDOMAIN = re.compile(patterns.SUBDOMAIN)
_LABEL_NAME = re.compile(patterns.LABEL_NAME)
_MOST_WORDS: Final = 1000
_PREFIX = re.compile(r"[0-9]{1,3}")
_SHOWN: Final = 63  # of a name that is too long, enough to know it by


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
    if (address := read_address(text)) is not None:
        return address
    head, slash, _ = text.partition("/")
    hint = f"leave out the prefix length: {head}" if slash and read_address(head) else "write one such as 192.0.2.10"
    raise TextError("EG206", f"{text!r} is not an IP address; {hint}")


def readable_addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    """Returns the IP addresses among texts, sorted and each once."""
    found = {address for text in texts if (address := read_address(text)) is not None}
    return tuple(sorted(found, key=lambda address: (address.version, int(address))))


def parse_network(text: str) -> tuple[Network, bool]:
    """Reads a CIDR.

    Returns:
        The network, and whether host bits were set and dropped.

    Raises:
        TextError: It is not one, or has no prefix length.
    """
    head, slash, prefix = text.partition("/")
    address = read_address(head)
    if address is None or (slash and not _PREFIX.fullmatch(prefix)):
        raise TextError("EG207", f"{text!r} is not a CIDR; write one such as 10.20.0.0/16 or 2001:db8::/32")
    if not slash:
        raise TextError("EG207", f"{text!r} has no prefix length; did you mean {address}/{address.max_prefixlen}?")
    if int(prefix) > address.max_prefixlen:
        message = f"{text!r} has too long a prefix; an IPv{address.version} CIDR has 0 to {address.max_prefixlen}"
        raise TextError("EG207", message)
    made = IPv4Network if isinstance(address, IPv4Address) else IPv6Network
    network = made((int(address), int(prefix)), strict=False)
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
    if len(text) > patterns.SUBDOMAIN_LENGTH or not _SUBDOMAIN.fullmatch(text):
        shown = text if len(text) < _SHOWN else text[:_SHOWN] + "…"
        message = f"{shown!r} is not a name that Kubernetes takes; write lower-case letters, digits, '-', '.'"
        raise TextError("EG213", message)


def check_label_key(text: str) -> None:
    """Checks a label key, with or without a DNS prefix.

    Raises:
        TextError: Kubernetes would refuse it.
    """
    prefix, slash, name = text.rpartition("/")
    fits = _LABEL_NAME.fullmatch(name) is not None
    if slash:
        fits = fits and len(prefix) <= patterns.SUBDOMAIN_LENGTH and _SUBDOMAIN.fullmatch(prefix) is not None
    if not fits:
        raise TextError(
            "EG208", f"{text!r} is not a label key that Kubernetes takes; write one such as app or example.com/role"
        )


def check_label_value(text: str) -> None:
    """Checks a label value.

    Raises:
        TextError: Kubernetes would refuse it.
    """
    if not patterns.LABEL_VALUE.holds(text):
        message = f"{text!r} is not a label value; write at most 63 letters, digits, '-', '_' and '.'"
        raise TextError("EG208", message)


def check_interface(text: str) -> None:
    """Checks the name of a network interface.

    Raises:
        TextError: Linux would refuse it, or it has a character that means something to nft.
    """
    if len(text.encode()) > 15:  # noqa: PLR2004  # IFNAMSIZ less the final NUL
        raise TextError(
            "EG209",
            f"{text!r} is longer than the 15 bytes that Linux allows for an interface name; write a shorter one",
        )
    if not patterns.INTERFACE.holds(text):
        raise TextError("EG209", f"{text!r} is not an interface name; write one such as eth1")


def closest(text: str, known: Collection[str], cutoff: float = 0.6) -> str | None:
    """Returns the known word that was probably meant; None where nothing is near, or too many words are known.

    Of thousands of words some are always near, such as pod names, and to compare with all of them takes long. So does a
    long word, which takes the square of its length; nothing that may be meant here has a right to be long.
    """
    if len(known) > _MOST_WORDS or len(text) > patterns.SUBDOMAIN_LENGTH:
        return None
    words = sorted(word for word in known if len(word) <= patterns.SUBDOMAIN_LENGTH)
    return next(iter(get_close_matches(text, words, n=1, cutoff=cutoff)), None)


def did_you_mean(text: str, known: Collection[str]) -> str:
    """Returns `; did you mean X?` for the closest of the known words, or nothing."""
    close = closest(text, known)
    return f"; did you mean {close}?" if close else ""


def counted(number: int, what: str) -> str:
    """Returns a number with its noun, as in `1 workload` and `2 workloads`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def some_of(texts: Sequence[str], most: int) -> str:
    """Returns the first of a list, and how many there are beyond these."""
    shown = ", ".join(texts[:most])
    more = len(texts) - most
    return f"{shown} and {more:,} more" if more > 0 else shown
