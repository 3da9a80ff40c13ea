"""Clusters of any size as one JSON text, the same bytes for the same numbers.

What is in one: `inventory` draws teams, apps and gateways, `policies` who leaves by which gateway, `objects` writes all
as an API server would, with no more fields than matter.
"""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from bench import objects
from bench.inventory import App, Inventory, Size, draw_inventory
from bench.objects import Obj
from bench.policies import draw_policies

__all__ = ["SIZES", "Size", "changed_cluster", "grown_cluster", "make_cluster", "scaled"]

SIZES: Final[Mapping[str, Size]] = MappingProxyType(
    {
        "S": Size(nodes=10, workloads=200, gateway_nodes=3, gateways=6, policies=20),
        "M": Size(nodes=500, workloads=15_000, gateway_nodes=12, gateways=100, policies=1_000),
        "L": Size(nodes=5_000, workloads=150_000, gateway_nodes=100, gateways=1_000, policies=10_000),
    }
)
"""L is what Kubernetes itself says it can hold: 5,000 nodes and 150,000 pods."""

_CORDONED: Final = frozenset({"node-00000", "node-00001"})


def scaled(size: Size, factor: float) -> Size:
    """Returns a size with more or fewer workloads of the same apps, and with the same policies."""
    return replace(size, workloads=round(size.workloads * factor))


def make_cluster(size: Size, seed: int = 0) -> str:
    """Returns a cluster with its gateways and policies as a `kind: List`.

    Raises:
        ValueError: Numbers that do not go together.
    """
    return _text(list(_objects(draw_inventory(size, seed), seed)))


def changed_cluster(text: str) -> str:
    """Returns a cluster of `make_cluster` after a change that every node's files and many workloads notice.

    Two gateway nodes are cordoned, three virtual IPs become others, one in ten of the policies for all destinations
    excludes a range more, and services get another range.
    """
    items: list[Obj] = json.loads(text)["items"]
    virtual = [block for item in items if (block := item.get("spec", {}).get("sourceIP", {}).get("virtualIPAddress"))]
    for number, block in enumerate([block for block in virtual if "." in block["ip"]][:3], 1):
        block["ip"] = objects.spare_virtual_ip(number)
    everything = [item for item in items if "0.0.0.0/0" in item.get("spec", {}).get("destinationCIDRs", ())]
    for item in everything[::10]:
        item["spec"]["excludedCIDRs"].append("200.1.0.0/16")
    for item in items:
        if item["kind"] == "Node" and item["metadata"]["name"] in _CORDONED:
            item["spec"]["unschedulable"] = True
    items.append(objects.service_cidr("more", "10.10.0.0/16"))
    return _text(items)


def grown_cluster(text: str) -> str:
    """Returns a cluster of `make_cluster` with one workload more, which a policy selects."""
    items: list[Obj] = json.loads(text)["items"]
    entries = [entry for item in items for entry in item.get("spec", {}).get("selectors", ())]
    pods_alone = [entry["podSelector"] for entry in entries if set(entry) == {"podSelector"}]
    labels = [asked["matchLabels"] for asked in pods_alone if set(asked) == {"matchLabels"}]
    # An app that is selected by nothing but its name has one that no other team's app has.
    names = {each["app"] for each in labels if set(each) == {"app"}}
    pods = (item for item in items if item["kind"] == "Pod" and item["metadata"]["labels"]["app"] in names)
    return _text([*items, objects.twin(next(pods))])


def _text(items: list[Obj]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, separators=(",", ":"))


def _objects(inventory: Inventory, seed: int) -> Iterator[Obj]:
    size = inventory.size
    groups = inventory.groups
    yield objects.service_cidr("kubernetes", "10.222.0.0/16", "fd00:10:222::/112")
    for team in inventory.teams:
        yield objects.namespace(team.name, team.labels)
    for number in range(size.nodes):
        yield from objects.node(number, number % groups if number < size.gateway_nodes else None)
    for gateway in inventory.gateways:
        yield objects.gateway(gateway)
    yield from draw_policies(inventory, seed)
    yield from _pods(inventory, seed)


def _pods(inventory: Inventory, seed: int) -> Iterator[Obj]:
    """Spreads the pods of all apps evenly over the nodes, each node's in an order of chance."""
    choose = random.Random(f"pods {seed}")  # noqa: S311  # a sample, not a secret
    nodes = inventory.size.nodes
    places = [number % nodes for number in range(inventory.size.workloads)]
    choose.shuffle(places)
    held = [0] * nodes
    for app, index in _members(inventory):
        node = places.pop()
        held[node] += 1
        yield objects.pod(app, index, node, held[node])


def _members(inventory: Inventory) -> Iterator[tuple[App, int]]:
    return ((app, index) for app in inventory.apps for index in range(app.replicas))
