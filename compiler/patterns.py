"""Sets of texts as regular expressions that Python, ECMAScript and RE2 read alike: no lookahead, no case folding.

`text` says in words what is wrong with a text; the schemas of `schemas/` say the same to editors and API servers.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

SUBDOMAIN: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
"""RFC 1123 subdomain, what Kubernetes takes as an object's name; safe as a file name and in nft text."""
SUBDOMAIN_LENGTH: Final = 253
LABEL_NAME: Final = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
"""A label's value, and the part of its key behind the `/`; at most 63 long."""
NAMESPACE_LABELS_PREFIX: Final = "io.cilium.k8s.namespace.labels."
"""What makes a label key that of the workload's Namespace."""

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"({_OCTET}\.){{3}}{_OCTET}"
_H = "[0-9a-fA-F]{1,4}"


def _groups(low: int, high: int) -> str:
    return f"({_H}:){{{low},{high}}}" if high else ""


_BEFORE_IPV4 = "|".join(
    (f"({_H}:){{6}}", f"::{_groups(0, 5)}", *(f"({_H}:){{{n}}}:{_groups(0, 5 - n)}" for n in range(1, 6)))
)
_IPV6 = "|".join(
    (
        f"({_H}:){{7}}{_H}",
        f"({_H}:){{1,7}}:",
        *(f"{_groups(1, 7 - after)}(:{_H}){{1,{after}}}" for after in range(1, 7)),
        f":(:{_H}){{1,7}}",
        "::",
        f"({_BEFORE_IPV4}){_IPV4}",
    )
)
# IPv4 in IPv6 clothes, ::ffff:0:0/96: five groups of zeros, written out or not, then ffff and two more groups.
_ZEROS = "0{1,4}"
_MAPPED = f"({_ZEROS}:){{5}}[fF]{{4}}:.*|({_ZEROS}(:{_ZEROS})*)?::({_ZEROS}:)*[fF]{{4}}:({_H}:{_H}|{_IPV4})"
_NO_SOURCE_4 = r"127\..*|169\.254\..*|2(2[4-9]|3[0-9])\..*|0\.0\.0\.0|255\.255\.255\.255"
_NO_SOURCE_6 = r"[0:]*:0{0,3}[01]?|[0:]*:0\.0\.0\.[01]|[fF]{2}[0-9a-fA-F]{2}:.*|[fF][eE][89abAB][0-9a-fA-F]:.*"
_LENGTH_4 = "(0{0,2}[0-9]|0?[12][0-9]|0?3[0-2])"
_LENGTH_6 = "(0{0,2}[0-9]|0?[1-9][0-9]|1[01][0-9]|12[0-8])"
_PSEUDO = f"({re.escape(NAMESPACE_LABELS_PREFIX)})?"
_SOURCES = "((k8s|any):)?"


@dataclass(frozen=True, slots=True)
class Text:
    """The texts that match all of some regular expressions and none of others, from end to end."""

    all_of: tuple[str, ...]
    none_of: tuple[str, ...] = ()

    def holds(self, text: str) -> bool:
        """Tells whether a text is one of them."""
        matches = [re.fullmatch(pattern, text) is not None for pattern in (*self.all_of, *self.none_of)]
        return all(matches[: len(self.all_of)]) and not any(matches[len(self.all_of) :])

    def cel(self, name: str = "self") -> str:
        """Returns the condition as CEL about a variable."""
        wanted = [f"{name}.matches(r'{_whole(pattern)}')" for pattern in self.all_of]
        return " && ".join(wanted + [f"!{name}.matches(r'{_whole(pattern)}')" for pattern in self.none_of])

    def schema(self) -> dict[str, Any]:
        """Returns the condition as keywords of JSON Schema, such as a structural schema takes too."""
        first, *more = ({"pattern": _whole(pattern)} for pattern in self.all_of)
        schema: dict[str, Any] = {**first, **({"allOf": more} if more else {})}
        unwanted = [{"pattern": _whole(pattern)} for pattern in self.none_of]
        if unwanted:
            schema["not"] = unwanted[0] if len(unwanted) == 1 else {"anyOf": unwanted}
        return schema


def _whole(pattern: str) -> str:
    return f"^({pattern})$"


def _key(sources: str) -> Text:
    return Text(
        (
            f"{sources}{_PSEUDO}({SUBDOMAIN}/)?{LABEL_NAME}",
            f"{sources}{_PSEUDO}([^/]{{1,{SUBDOMAIN_LENGTH}}}/)?[^/]+",
        ),
        # What follows the prefix of a pseudo-label is a key, so that the whole being one is not enough.
        (f"{sources}{re.escape(NAMESPACE_LABELS_PREFIX)}[-_.].*",),
    )


NAME: Final = Text((SUBDOMAIN,))
"""An object's name, but for its length."""
LABEL_VALUE: Final = Text((f"({LABEL_NAME})?",))
LABEL_KEY: Final = _key("")
"""A label key; that of a pseudo-label is a prefix and a key of the Namespace, which may be as long as any."""
SELECTOR_KEY: Final = _key(_SOURCES)
"""A label key as Cilium writes it, with or without the label's source."""
INTERFACE: Final = Text((r"[A-Za-z0-9_.@+=-]{1,15}",), (r"\.\.?",))
"""The kernel refuses `/`, `:`, blanks, `.` and `..` (dev_valid_name); quotes, `\\` and `*` mean something to nft."""
ADDRESS: Final = Text((f"{_IPV4}|{_IPV6}",), (_MAPPED,))
"""An IP address without a zone, and not IPv4 in IPv6 clothes, which no packet on a wire has."""
SOURCE_ADDRESS: Final = Text(ADDRESS.all_of, (*ADDRESS.none_of, _NO_SOURCE_4, _NO_SOURCE_6))
"""An address that can be the source of traffic to the outside."""
CIDR: Final = Text((f"({_IPV4})/{_LENGTH_4}|({_IPV6})/{_LENGTH_6}",), (f"({_MAPPED})/.*",))
"""An address with a prefix length; its host bits may be set."""
