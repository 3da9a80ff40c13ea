"""A diff as the value that `--format json` prints: all that there is to say."""

from typing import Final, Literal

from bundle.model import GatewayReport, PolicyReport
from compiler.destinations import range_texts
from compiler.diff.difference import Difference
from compiler.diff.groups import group as group_nodes
from compiler.diff.nodeforms import nodes_json
from compiler.diff.traffic import Group
from compiler.gates import Gate
from compiler.model import Family
from compiler.outcomes import Outcome
from compiler.outputs import DiffOutput, GatewayOutput, OutcomeOutput, PolicyOutput, TrafficOutput

_FAMILIES: Final[dict[Family, Literal["ipv4", "ipv6"]]] = {Family.IPV4: "ipv4", Family.IPV6: "ipv6"}


def diff_json(difference: Difference, met: frozenset[Gate]) -> DiffOutput:
    """Returns the value.

    Args:
        difference: What differs.
        met: Those gates of `--fail-on` that are met.
    """
    traffic, gateways = difference.traffic, difference.gateways
    return {
        "old": difference.old,
        "new": difference.new,
        "differs": bool(difference),
        "gates": sorted(difference.gates()),
        "failed": sorted(met),
        "workloads": {
            "total": traffic.total,
            "changed": traffic.changed,
            "breaking": traffic.breaking,
            "kept": traffic.kept,
            "appeared": list(traffic.appeared),
            "disappeared": list(traffic.disappeared),
            "replaced": list(traffic.replaced),
            "moved": list(traffic.moved),
        },
        "traffic": [_traffic(group) for group in traffic.groups],
        "masters": [
            {
                "gateway": move.gateway,
                "before": move.before,
                "after": move.after,
                "lost": list(move.lost),
                "gained": list(move.gained),
            }
            for move in gateways.masters
        ],
        "virtualIPs": [
            {"address": move.address, "gateways": list(move.gateways), "before": move.before, "after": move.after}
            for move in gateways.virtual_ips
        ],
        "standbys": [
            {"gateway": change.gateway, "before": list(change.before), "after": list(change.after)}
            for change in gateways.standbys
        ],
        "gateways": [
            {"name": pair.name, "before": _gateway(pair.before), "after": _gateway(pair.after)}
            for pair in gateways.gateways
        ],
        "policies": [
            {"name": pair.name, "before": _policy(pair.before), "after": _policy(pair.after)}
            for pair in gateways.policies
        ],
        "precedence": gateways.precedence,
        "clusterAdded": list(gateways.ranges_added),
        "clusterRemoved": list(gateways.ranges_removed),
        "nodesAdded": list(gateways.nodes_added),
        "nodesRemoved": list(gateways.nodes_removed),
        "nodes": nodes_json(group_nodes(difference.nodes)),
    }


def _traffic(group: Group) -> TrafficOutput:
    return {
        "kind": group.kind,
        "family": _FAMILIES[group.family],
        "destinations": list(range_texts(group.ranges, group.family)),
        "before": outcome_json(group.before),
        "after": outcome_json(group.after),
        "policiesBefore": list(group.policies_before),
        "policiesAfter": list(group.policies_after),
        "workloads": list(group.workloads),
        "breaking": group.breaking,
    }


def outcome_json(outcome: Outcome | None) -> OutcomeOutput | None:
    """Returns what becomes of packets, null if there is nobody to send them."""
    return None if outcome is None else outcome_output(outcome)


def outcome_output(outcome: Outcome) -> OutcomeOutput:
    """Returns what becomes of packets."""
    return {
        "verdict": outcome.verdict,
        "gateway": outcome.gateway,
        "node": outcome.node,
        "sourceIP": outcome.source,
        "interface": outcome.interface,
        "reason": outcome.reason,
    }


def _gateway(gateway: GatewayReport | None) -> GatewayOutput | None:
    if gateway is None:
        return None
    addresses = gateway.source_ips
    return {
        "mode": gateway.mode,
        "master": gateway.active_node_name,
        "ipv4": addresses.ipv4,
        "ipv6": addresses.ipv6,
    }


def _policy(policy: PolicyReport | None) -> PolicyOutput | None:
    if policy is None:
        return None
    return {
        "gateway": policy.gateway,
        "destinationCIDRs": list(policy.destination_cidrs),
        "excludedCIDRs": list(policy.excluded_cidrs),
    }
