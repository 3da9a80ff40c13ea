"""Rulesets of gateway nodes as they were before other nodes' workloads had maps of their own.

They were in the maps of the node's own workloads, with a verdict that led to a chain for each of their classes.
"""

import re

from compiler.render import seal

_HEAD = r"\tmap {} \{{\n(?:\t\t.*\n)+?\t\telements = \{{\n(?P<body>(?:\t\t\t.*\n)+)\t\t\}}\n\t\}}\n"


def older(text: str) -> str:
    """Returns a ruleset file that says the same in the older shape."""
    text = re.sub(r' comment "[0-9a-f]{12}"$', "", text, flags=re.MULTILINE)
    classes: dict[str, str] = {}
    for family in "46":
        text, workloads = _take(text, f"remote{family}")
        text, routes = _take(text, f"remoteroute{family}")
        for number in re.findall(r" : (\S+?),?\n", workloads):
            classes[number] = "{:04x}{:04x}".format(*(int(half, 16) for half in number.split(":")))
        for number, digits in classes.items():
            workloads = re.sub(rf" : {number}\b", f" : goto remote_{digits}", workloads)
            routes = re.sub(rf"^\t\t\t{number} \. ", f"\t\t\t0x{digits} . ", routes, flags=re.MULTILINE)
        text = _put(text, f"source{family}", f"ipv{family}_addr : verdict", "", workloads)
        text = _put(text, f"route{family}", f"mark . ipv{family}_addr : verdict", "\t\tflags interval\n", routes)
    text = re.sub(r"^(?:\tmap|flush map inet egressc) remote.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\t\tmeta priority set .*@remote.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\tchain remote(?:route)? \{ \}\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\tchain remote(?:route)? \{\n(?:\t\t.*\n)+\t\}\n", "", text, flags=re.MULTILINE)
    chains = "".join(f"\tchain remote_{digits} {{ }}\n" for digits in classes.values())
    text = text.replace("\tset cluster4 {", f"{chains}\tset cluster4 {{", 1)
    return seal(text.removesuffix("}\n") + "".join(map(_chain, classes.values())) + "}\n")


def _take(text: str, name: str) -> tuple[str, str]:
    """Returns the text without a map, and the elements of the map, each with a comma."""
    found = re.search(_HEAD.format(name), text)
    if found is None:
        return text, ""
    body = found["body"]
    return text.replace(found[0], ""), body if body.endswith(",\n") else body.removesuffix("\n") + ",\n"


def _put(text: str, name: str, kind: str, flags: str, elements: str) -> str:
    """Returns the text with these elements in a map, before all others that it has."""
    if not elements:
        return text
    head = f"\tmap {name} {{\n\t\ttype {kind}\n{flags}\t\telements = {{\n"
    if head in text:
        return text.replace(head, head + elements)
    return text.removesuffix("}\n") + f"{head}{elements}\t\t}}\n\t}}\n}}\n"


def _chain(digits: str) -> str:
    lookups = (
        f"\t\tmeta mark & 0x00000000 ^ 0x{digits} . {ip} daddr vmap @route{n}\n" for ip, n in (("ip", 4), ("ip6", 6))
    )
    return f"\tchain remote_{digits} {{\n{''.join(lookups)}\t\tcounter drop\n\t}}\n"
