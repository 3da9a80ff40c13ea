"""Policies of a made cluster: who leaves by which gateway, to which destinations.

An app that has policies has a first one, perhaps a second and a third for a part of its pods; a few teams have one for
all their pods, and a few are for all namespaces with a label. Each of these five layers draws from its own part of one
pool of nested prefixes of partners: CIDRs of policies overlap as they do where people share partners, yet no two
policies of a workload name the very same CIDR, which `egressc` would warn of.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Final, TypeVar

from bench.inventory import App, Gateway, Inventory, Mode, wide_policies
from bench.objects import Obj

_PRIVATE4: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
_PRIVATE6: Final = "fc00::/7"
_START: Final = datetime(2024, 1, 1, tzinfo=UTC)
_NAMESPACE: Final = "io.kubernetes.pod.namespace"
_ACCOUNT: Final = "io.cilium.k8s.policy.serviceaccount"
_MOST_CIDRS: Final = 10
_EXCLUDED4: Final = 27  # a length that no prefix of the pool has
_EXCLUDED6: Final = 60
_T = TypeVar("_T")


class _Layer(IntEnum):
    FIRST = 0
    SECOND = 1
    THIRD = 2
    TEAM = 3
    ZONE = 4


@dataclass(frozen=True, slots=True)
class _Pool:
    """Prefixes of partners by layer, in order of address, so that neighbours are often of one partner."""

    ipv4: tuple[tuple[IPv4Network, ...], ...]
    ipv6: tuple[tuple[IPv6Network, ...], ...]


def draw_policies(inventory: Inventory, seed: int) -> Iterator[Obj]:
    """Draws all policies, as EgressGatewayPolicy objects."""
    choose = random.Random(f"policies {seed}")  # noqa: S311  # a sample, not a secret
    pool = _draw_pool(50 + inventory.size.policies // 20, choose)
    teams: list[list[Gateway]] = [[] for _ in inventory.teams]
    for gateway in inventory.gateways:
        teams[gateway.team].append(gateway)
    ages = choose.sample(range(inventory.size.policies), inventory.size.policies)
    for number, (layer, team, selectors) in enumerate(_choices(inventory, choose)):
        gateway = choose.choice(inventory.gateways if team is None else teams[team])
        destinations, excluded = _draw_cidrs(layer, gateway.mode, pool, choose)
        created = _START + timedelta(minutes=37 * ages[number])
        yield {
            "apiVersion": "network.deckhouse.io/v1alpha1",
            "kind": "EgressGatewayPolicy",
            "metadata": {"name": f"policy-{number:05}", "creationTimestamp": f"{created:%Y-%m-%dT%H:%M:%SZ}"},
            "spec": {
                "egressGatewayName": gateway.name,
                "destinationCIDRs": destinations,
                "excludedCIDRs": excluded,
                "selectors": selectors,
            },
        }


def _choices(inventory: Inventory, choose: random.Random) -> Iterator[tuple[_Layer, int | None, list[Obj]]]:
    """Yields for each policy its layer, the team that it is of, and its selectors."""
    wide, zones = wide_policies(inventory.size)
    rest = inventory.size.policies - wide - zones
    third, second = rest // 7, rest // 3
    first = rest - second - third
    left = list(inventory.apps)
    choose.shuffle(left)
    covered: list[App] = []
    for _ in range(first):
        group = [left.pop()]
        if choose.random() < 1 / 4:
            mate = next((app for app in left[-50:] if app.team == group[0].team), None)
            if mate is not None:
                left.remove(mate)
                group.append(mate)
        covered += group
        yield _Layer.FIRST, group[0].team, _whole(group, choose)
    chosen = choose.sample(covered, second)
    # With a policy for its whole team a workload has four; it never has more.
    for layer, apps in ((_Layer.SECOND, chosen), (_Layer.THIRD, chosen[:third])):
        for number, app in enumerate(apps):
            yield layer, app.team, _part(app, number + layer, choose)
    for team in inventory.teams:
        if team.wide:
            yield _Layer.TEAM, team.number, [{"podSelector": {"matchLabels": {_NAMESPACE: team.name}}}]
    behind = {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}
    for zone in range(zones):
        namespaces = {"matchLabels": {"zone": f"zone-{zone}"}}
        yield _Layer.ZONE, None, [{"podSelector": behind, "namespaceSelector": namespaces}]


def _whole(group: Sequence[App], choose: random.Random) -> list[Obj]:
    """Selects all pods of apps of one team."""
    if len(group) == 1 or choose.random() < 1 / 2:
        return [_entry(app, choose, _name(app, choose)) for app in group]
    names = {"key": "app", "operator": "In", "values": [app.name for app in group]}
    return [_entry(group[0], choose, {}, [names])]


def _name(app: App, choose: random.Random) -> dict[str, str]:
    if app.account != "default" and choose.random() < 1 / 4:
        return {_ACCOUNT: app.account}
    return {"app": app.name}


def _part(app: App, number: int, choose: random.Random) -> list[Obj]:
    """Selects some of the pods of an app, perhaps all; the number says how, so that all ways occur."""
    kinds: list[Obj]
    if app.kind == "StatefulSet":
        kinds = [
            {"key": "statefulset.kubernetes.io/pod-name", "operator": "In", "values": [f"{app.name}-0"]},
            {"key": "apps.kubernetes.io/pod-index", "operator": "In", "values": ["0", "1", "2"]},
            {"key": "statefulset.kubernetes.io/pod-name", "operator": "Exists"},
        ]
    else:
        kinds = [
            {"key": "track", "operator": "NotIn", "values": ["canary", "preview"]},
            {"key": "track", "operator": "DoesNotExist"},
            {"key": "pod-template-hash", "operator": "Exists"},
        ]
    if app.account != "default":
        kinds.insert(0, {"key": _ACCOUNT, "operator": "In", "values": [app.account]})
    return [_entry(app, choose, {"app": app.name}, [kinds[number % len(kinds)]])]


def _entry(app: App, choose: random.Random, labels: dict[str, str], expressions: Sequence[Obj] = ()) -> Obj:
    """Selects pods of the namespace of an app's team."""
    entry: Obj = {}
    if "app" in labels and app.unique:
        pass  # no other team has an app of this name
    elif choose.random() < 1 / 3:
        entry["namespaceSelector"] = {"matchLabels": {"team": f"team-{app.team:03}"}}
    else:
        labels = {**labels, _NAMESPACE: f"team-{app.team:03}"}
    pods: Obj = {"matchLabels": labels} if labels else {}
    if expressions:
        pods["matchExpressions"] = list(expressions)
    return {"podSelector": pods, **entry}


def _draw_cidrs(layer: _Layer, mode: Mode, pool: _Pool, choose: random.Random) -> tuple[list[str], list[str]]:
    """Draws destinations and exclusions of the families that the gateway has a source address for."""
    ipv4 = mode != "virtual6"
    ipv6 = mode == "virtual6" or (mode == "primary" and choose.random() < 1 / 2)
    if layer is _Layer.FIRST and choose.random() < 1 / 3:
        destinations = ["0.0.0.0/0"] * ipv4 + ["::/0"] * ipv6
        excluded = [*choose.sample(_PRIVATE4, choose.randint(1, 3)) * ipv4, *[_PRIVATE6] * ipv6]
        return destinations, excluded
    count = min(1 + int(choose.expovariate(0.4)), _MOST_CIDRS)
    some4 = _slice(pool.ipv4[layer], count - count // 3 * ipv6, choose) if ipv4 else ()
    some6 = _slice(pool.ipv6[layer], max(count // 3, 1), choose) if ipv6 else ()
    excluded = []
    if choose.random() < 1 / 3:
        excluded += [_inside4(item, choose) for item in some4[:2] if item.prefixlen < _EXCLUDED4]
        excluded += [_inside6(item, choose) for item in some6[:1] if item.prefixlen < _EXCLUDED6]
    # Two random exclusions inside of nested prefixes may be one.
    return [str(item) for item in (*some4, *some6)], list(dict.fromkeys(excluded))


def _slice(items: Sequence[_T], count: int, choose: random.Random) -> Sequence[_T]:
    start = choose.randrange(max(len(items) - count, 0) + 1)
    return items[start : start + count]


def _inside4(block: IPv4Network, choose: random.Random) -> str:
    step = 1 << 32 - _EXCLUDED4
    first = int(block.network_address) + step * choose.randrange(block.num_addresses // step)
    return str(IPv4Network((first, _EXCLUDED4)))


def _inside6(block: IPv6Network, choose: random.Random) -> str:
    step = 1 << 128 - _EXCLUDED6
    first = int(block.network_address) + step * choose.randrange(block.num_addresses // step)
    return str(IPv6Network((first, _EXCLUDED6)))


def _draw_pool(partners: int, choose: random.Random) -> _Pool:
    """Draws a block of each family for each partner, and prefixes inside of it."""
    ipv4: dict[IPv4Network, _Layer] = {}
    ipv6: dict[IPv6Network, _Layer] = {}
    layers = tuple(_Layer)
    for number in range(partners):
        # From 20.0.0.0 and 2a00:: on: far from private ranges and from those of the address plan.
        start4, start6 = (20 << 24) + (number << 16), (0x2A00 << 112) + (number << 96)
        for length in (choose.choice((16, 18, 20)), *choose.choices((22, 24, 26, 28, 32), k=7)):
            offset = choose.getrandbits(12) & -(1 << 32 - length)
            ipv4[IPv4Network((start4 + offset, length))] = choose.choice(layers)
        for length in (32, *choose.choices((48, 56, 64), k=4)):
            offset = choose.getrandbits(96) & -(1 << 128 - length)
            ipv6[IPv6Network((start6 + offset, length))] = choose.choice(layers)
    return _Pool(
        tuple(tuple(sorted(item for item, of in ipv4.items() if of is layer)) for layer in layers),
        tuple(tuple(sorted(item for item, of in ipv6.items() if of is layer)) for layer in layers),
    )
