"""The text of one table: what both readers understand of it does something to every packet, or is refused in words."""

import random
from ipaddress import ip_address

from bundle.names import TABLE_FAMILY, TABLE_NAME
from bundle.ruleset import RulesetError, parse
from compiler.evaluate import EvaluationError, Evaluator, Packet
from fuzz.mutate import text_mutation
from fuzz.samples import bundle

PACKETS = tuple(
    Packet(ip_address(source), ip_address(to), ip_address(source), iif=iif, oif=oif, mark=mark)
    for source, to in (
        ("10.111.11.5", "203.0.113.10"),
        ("fd00:111:0:11::5", "2001:db8:ffff::10"),
        ("10.66.10.5", "1.1.1.1"),
    )
    for iif, oif in (("workload", ""), ("eth0", "eth1"))
    for mark in (0, 0x05000000)
)


def seeds() -> list[bytes]:
    """Returns the rulesets of a bundle."""
    return [content for path, content in bundle().items() if path.endswith(".nft")]


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Changes a few lines."""
    for _ in range(draw.choice((1, 1, 2, 3))):
        data = text_mutation(data, draw)
    return data


def check(data: bytes) -> None:
    """Refusals are of the two known kinds."""
    try:
        ruleset = parse(data.decode(errors="replace"), f"{TABLE_FAMILY} {TABLE_NAME}")
        evaluator = Evaluator(ruleset)
        for packet in PACKETS:
            for hook in ("prerouting", "forward", "output", "postrouting"):
                evaluator.run(hook, packet)
    except (RulesetError, EvaluationError) as fault:
        assert str(fault)
