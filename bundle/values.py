"""What the strings of a bundle's JSON files may be; `codec` asks for it wherever `model` names it.

A bundle is made by a program, so there is one way to write a value, and a reader need not look at it again.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Annotated

# A Kubernetes name; in particular no `/` and no `..`, since a node's is a folder.
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*+")
_LONGEST_NAME = 253
_INTERFACE = re.compile(r"(?!\.\.?$)[A-Za-z0-9_.@+=-]{1,15}")
_MARK = re.compile(r"0x[0-9a-f]{8}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Check:
    """What a string has to be, in words and as a test."""

    wanted: str
    holds: Callable[[str], bool]


def is_name(text: str) -> bool:
    """Tells whether text is a name that Kubernetes gives to an object."""
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None


def _is_interface(text: str) -> bool:
    return _INTERFACE.fullmatch(text) is not None


def _is_mark(text: str) -> bool:
    return _MARK.fullmatch(text) is not None


def _is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def _is_address(text: str) -> bool:
    try:
        return "%" not in text and str(ip_address(text)) == text
    except ValueError:
        return False


def _is_prefix(text: str) -> bool:
    try:
        return "%" not in text and str(ip_network(text)) == text
    except ValueError:
        return False


NameText = Annotated[str, Check("the name of a Kubernetes object", is_name)]
InterfaceText = Annotated[str, Check("the name of an interface", _is_interface)]
MarkText = Annotated[str, Check("a mark such as 0x05000000", _is_mark)]
DigestText = Annotated[str, Check("a SHA-256 in lower-case hexadecimal", _is_digest)]
AddressText = Annotated[str, Check("an IP address as ipaddress prints it", _is_address)]
PrefixText = Annotated[str, Check("a CIDR as ipaddress prints it", _is_prefix)]
