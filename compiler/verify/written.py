"""The rules that all nodes have alike, to the letter as this version of egressc writes them.

No part of the proof: it finds what a hand changed without a change of meaning, which a reviewer wants to know too.
"""

from functools import cache

from bundle.model import Addresses, ReplyRule, Routing
from bundle.names import TABLE_FAMILY, TABLE_NAME
from bundle.ruleset import parse
from compiler.nodeplan import NodePlan, Ranges, Translation
from compiler.render import render
from compiler.verify.skeleton import Skeleton, World, skeleton_of


def differing_chain(skeleton: Skeleton, world: World) -> str:
    """Returns the name of a chain that is not as it is written, nothing if all are."""
    found, written = ({chain.name: chain for chain in chains} for chains in (skeleton, _written(world)))
    return next((name for name in sorted({*found, *written}) if found.get(name) != written.get(name)), "")


@cache
def _written(world: World) -> Skeleton:
    interface = "outside" if world.masquerades else None
    translation = Translation("", "marks", "translates", world.mask, (), interface, armed=True)
    answer = ReplyRule("ipv4", 0, "", 0)
    plan = NodePlan(
        node="",
        mark_mask=world.mask,
        node_interfaces=world.node_interfaces,
        cluster=Ranges(()),
        stray_sources=Ranges(()),
        sources=(),
        classes=(),
        remotes=(),
        next_hops=(),
        translations=(translation,) if world.serves else (),
        routing=Routing("", (), (), (answer,) if world.answers else (), (), ()),
        addresses=Addresses("", ()),
        contested=False,
    )
    return skeleton_of(parse(render(plan), f"{TABLE_FAMILY} {TABLE_NAME}"))[0]
