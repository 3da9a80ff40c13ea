"""Configuration of other programs as text to what we want of it. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from applier.doctor.facts import Cilium

_CILIUM_DEFINE = re.compile(r"^#define (\w+)", re.MULTILINE)
_MULTUS = frozenset({"multus", "multus-shim"})


def settings(texts: Iterable[str], section: str) -> Mapping[str, str]:
    """Returns the settings of one section of files in the form of systemd's; of a later text wins over an earlier."""
    found: dict[str, str] = {}
    for text in texts:
        here = ""
        for line in map(str.strip, text.splitlines()):
            if line.startswith("[") and line.endswith("]"):
                here = line[1:-1]
            elif here == section and "=" in line and line[0] not in "#;":
                name, _, value = line.partition("=")
                found[name.strip()] = value.strip()
    return found


def leaves_unmanaged(texts: Iterable[str]) -> bool:
    """Returns whether NetworkManager's configuration names interfaces that it is not to manage."""
    for text in texts:
        here = ""
        for line in map(str.strip, text.splitlines()):
            if line.startswith("["):
                here = line.strip("[]")
            name, equals, value = (part.strip() for part in line.partition("="))
            if equals and value and here == "keyfile" and name.rstrip("+") == "unmanaged-devices":
                return True
            if here.startswith("device") and name == "managed" and value in ("0", "false", "no"):
                return True
    return False


def cni_plugin(texts: Iterable[str]) -> str | None:
    """Returns the type of the plugin that connects pods.

    Args:
        texts: Files of `/etc/cni/net.d` in the order of their names, the first of which counts.

    Returns:
        None if there is no file; empty if it says nothing that we understand.
    """
    seen = False
    for text in texts:
        seen = True
        try:
            data = json.loads(text)
            kind = (data["plugins"][0] if "plugins" in data else data)["type"]
        except (ValueError, TypeError, LookupError):
            return ""
        if kind not in _MULTUS:  # which hands over to the others
            return str(kind)
    return "" if seen else None


def cilium(runtime_config: str, node_config: str) -> Cilium:
    """Reads what Cilium's agent leaves on a node.

    Args:
        runtime_config: `agent-runtime-config.json`; empty if there is none.
        node_config: `node_config.h`; empty if there is none.
    """
    found = dict(_fields(runtime_config))
    defines = set(_CILIUM_DEFINE.findall(node_config))
    legacy, masquerades = found.get("EnableHostLegacyRouting"), found.get("EnableBPFMasquerade")
    host_routing = None if legacy is None else not legacy
    if "ENABLE_HOST_ROUTING" in defines:
        host_routing = True
    if {"ENABLE_MASQUERADE_IPV4", "ENABLE_MASQUERADE_IPV6"} & defines:
        masquerades = True
    return Cilium(host_routing, masquerades)


def _fields(text: str) -> Iterator[tuple[str, bool]]:
    """Yields all booleans of a JSON text, however deep."""
    try:
        ahead = [json.loads(text)]
    except ValueError:
        return
    while ahead:
        value = ahead.pop()
        if isinstance(value, dict):
            yield from ((name, item) for name, item in value.items() if isinstance(item, bool))
            ahead.extend(value.values())
        elif isinstance(value, list):
            ahead.extend(value)
