"""Rulesets as they were in older shapes of the table: texts of today to texts that say the same in other maps."""

import re
from collections.abc import Iterable

from compiler.render import seal

_HEAD = r"(?:\t#.*\n)*\tmap {} \{{\n(?:\t\t.*\n)+?\t\telements = \{{\n(?P<body>(?:\t\t\t.*\n)+)\t\t\}}\n\t\}}\n"
_FAMILIES = (("4", "ip"), ("6", "ip6"))


def single(text: str) -> str:
    """Returns a ruleset file of the time when all classes shared one map, and those of other nodes another.

    The class was a part of the key: from the rule for a node's own workloads, from the packet's priority for others'.
    """
    text = re.sub(r' comment "[0-9a-f]{12}"$', "", text, flags=re.MULTILINE)
    serves = "\tchain remoteroute {" in text
    for family, ip in _FAMILIES:
        routes = remotes = ""
        for name in re.findall(rf"^\tmap ((?:remote)?route{family}_\w+) \{{ ", text, re.MULTILINE):
            text, elements = _take(text, name)
            if name.startswith("remote"):
                remotes += elements
            else:
                digits = name.partition("_")[2]
                routes += re.sub(r"^\t\t\t", f"\t\t\t0x{digits} . ", elements, flags=re.MULTILINE)
        text = _without(text, rf"(?:remote)?route{family}_\w+")
        text = re.sub(
            rf"\t\t{ip} daddr vmap @route{family}_(\w+)\n",
            rf"\t\tmeta mark & 0x00000000 ^ 0x\1 . {ip} daddr vmap @route{family}\n",
            text,
        )
        text = _put(text, f"route{family}", f"mark . ipv{family}_addr : verdict", "\t\tflags interval\n", routes)
        if serves:
            kind = f"classid . ipv{family}_addr : verdict"
            text = _put(text, f"remoteroute{family}", kind, "\t\tflags interval\n", remotes)
    text, _ = _take(text, "remoteclass")
    text = _without(text, "remoteclass")
    text = _without_chains(text, r"remote_\w+")
    lookups = "".join(f"\t\tmeta priority . {ip} daddr vmap @remoteroute{family}\n" for family, ip in _FAMILIES)
    return seal(text.replace("\t\tmeta priority vmap @remoteclass\n", lookups))


def verdicts(text: str) -> str:
    """Returns a ruleset file of the time before that, when other nodes' workloads were among the node's own.

    Each had a verdict that led to a chain for its class.
    """
    text = re.sub(r' comment "[0-9a-f]{12}"$', "", single(text), flags=re.MULTILINE)
    classes: dict[str, str] = {}
    for family, _ in _FAMILIES:
        text, workloads = _take(text, f"remote{family}")
        text, routes = _take(text, f"remoteroute{family}")
        for number in re.findall(r" : (\S+?),?\n", workloads):
            classes[number] = "{:04x}{:04x}".format(*(int(half, 16) for half in number.split(":")))
        for number, digits in classes.items():
            workloads = re.sub(rf" : {number}\b", f" : goto remote_{digits}", workloads)
            routes = re.sub(rf"^\t\t\t{number} \. ", f"\t\t\t0x{digits} . ", routes, flags=re.MULTILINE)
        text = _put(text, f"source{family}", f"ipv{family}_addr : verdict", "", workloads)
        text = _put(text, f"route{family}", f"mark . ipv{family}_addr : verdict", "\t\tflags interval\n", routes)
    text = _without(text, r"remote\w+")
    text = re.sub(r"^\t\tmeta priority set .*@remote.*\n", "", text, flags=re.MULTILINE)
    text = _without_chains(text, "remote(?:route)?")
    chains = "".join(f"\tchain remote_{digits} {{ }}\n" for digits in classes.values())
    text = text.replace("\tset cluster4 {", f"{chains}\tset cluster4 {{", 1)
    return seal(text.removesuffix("}\n") + "".join(_chains(classes.values())) + "}\n")


def _take(text: str, name: str) -> tuple[str, str]:
    """Returns the text without a map's elements, and these, each with a comma."""
    found = re.search(_HEAD.format(name), text)
    if found is None:
        return text, ""
    body = found["body"]
    return text.replace(found[0], ""), body if body.endswith(",\n") else body.removesuffix("\n") + ",\n"


def _without(text: str, names: str) -> str:
    """Returns the text without the declarations of maps, and the commands that empty them."""
    return re.sub(rf"^(?:\tmap {names} \{{.*|flush map inet egressc {names})\n", "", text, flags=re.MULTILINE)


def _without_chains(text: str, names: str) -> str:
    text = re.sub(rf"^\tchain {names} \{{ \}}\n", "", text, flags=re.MULTILINE)
    return re.sub(rf"^\tchain {names} \{{\n(?:\t\t.*\n)+\t\}}\n", "", text, flags=re.MULTILINE)


def _put(text: str, name: str, kind: str, flags: str, elements: str) -> str:
    """Returns the text with these elements in a map, which is declared if it was not, before all others that it has."""
    head = f"\tmap {name} {{\n\t\ttype {kind}\n{flags}"
    opening = f"{head}\t\telements = {{\n"
    if opening in text:
        return text.replace(opening, opening + elements)
    if f"\tmap {name} {{ " not in text:
        declared = f"\tmap {name} {{ type {kind};{' flags interval;' if flags else ''} }}\n"
        text = text.replace("\tset cluster4 {", f"{declared}\tset cluster4 {{", 1)
        text = text.replace(
            "flush table inet egressc\n", f"flush table inet egressc\nflush map inet egressc {name}\n", 1
        )
    return text.removesuffix("}\n") + f"{opening}{elements}\t\t}}\n\t}}\n}}\n" if elements else text


def _chains(classes: Iterable[str]) -> Iterable[str]:
    for digits in classes:
        lookups = (
            f"\t\tmeta mark & 0x00000000 ^ 0x{digits} . {ip} daddr vmap @route{family}\n" for family, ip in _FAMILIES
        )
        yield f"\tchain remote_{digits} {{\n{''.join(lookups)}\t\tcounter drop\n\t}}\n"
