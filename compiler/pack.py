"""Bundle: plans and reports to the files of a bundle, by path.

In: all that the earlier stages made. Out: path to bytes, the manifest included. Does not touch the disk; the format is
`bundle/`'s.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping

import yaml

import bundle
from bundle import directory
from bundle.codec import encode
from bundle.model import (
    FORMAT_VERSION,
    Condition,
    GatewayReport,
    Gateways,
    Manifest,
    NodeReport,
    Policies,
    PolicyReport,
    SourceIPs,
    WorkloadReport,
    Workloads,
)
from compiler.elect import Election
from compiler.model import Cluster, Family
from compiler.nodeplan import NodePlan
from compiler.render import render
from compiler.resolve import Resolved
from compiler.suitability import why_none


def pack(
    cluster: Cluster, resolved: Resolved, elections: Mapping[str, Election], plans: Iterable[NodePlan]
) -> dict[str, bytes]:
    """Returns every file of the bundle."""
    gateways = report_gateways(cluster, resolved, elections)
    texts = {
        directory.GATEWAYS: encode(gateways),
        directory.POLICIES: encode(_policies(cluster)),
        directory.WORKLOADS: encode(_workloads(cluster, resolved)),
        directory.STATUS: _status(gateways),
    }
    names = []
    for plan in plans:
        names.append(plan.node)
        texts[directory.node_path(plan.node, directory.RULESET)] = render(plan)
        texts[directory.node_path(plan.node, directory.ROUTING)] = encode(plan.routing)
        texts[directory.node_path(plan.node, directory.ADDRESSES)] = encode(plan.addresses)
    files = {path: text.encode() for path, text in sorted(texts.items())}
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        compiler_version=bundle.__version__,
        inputs_digest=cluster.digest,
        nodes=tuple(names),
        files={path: hashlib.sha256(content).hexdigest() for path, content in files.items()},
    )
    return {directory.MANIFEST: encode(manifest).encode(), **files}


def report_gateways(cluster: Cluster, resolved: Resolved, elections: Mapping[str, Election]) -> Gateways:
    """Returns what there is to say about each gateway."""
    return Gateways(tuple(_report(name, cluster, resolved, election) for name, election in sorted(elections.items())))


def _report(name: str, cluster: Cluster, resolved: Resolved, election: Election) -> GatewayReport:
    verdicts = resolved.suitability[name]
    master = election.master
    source = verdicts[master].source if master else None
    addresses = source.addresses if source else {}
    if master:
        message = f"{master} is the active node, {len(election.order) - 1} more stand by"
        condition = Condition("Ready", "True", "ElectionSucceed", message)
    else:
        message = f"no node is suitable, so traffic is dropped ({why_none(verdicts)})"
        condition = Condition("Ready", "False", "ElectionFailed", message)
    return GatewayReport(
        name=name,
        mode=election.gateway.mode.value,
        active_node_name=master,
        standby_node_names=election.order[1:],
        ready_nodes=len(election.order),
        source_ips=SourceIPs(*(str(addresses[f]) if f in addresses else None for f in (Family.IPV4, Family.IPV6))),
        nodes={node: NodeReport(verdict.suitable, verdict.reasons) for node, verdict in verdicts.items()},
        conditions=(condition,),
        policies=tuple(sorted(policy.name for policy in cluster.policies if policy.gateway == name)),
    )


def _policies(cluster: Cluster) -> Policies:
    return Policies(
        tuple(
            PolicyReport(
                policy.name,
                policy.gateway,
                tuple(str(prefix) for prefix in policy.destinations),
                tuple(str(prefix) for prefix in policy.excluded),
            )
            for policy in cluster.policies
        )
    )


def _workloads(cluster: Cluster, resolved: Resolved) -> Workloads:
    selected = {id(workload): item.names for item in resolved.classes for workload in item.workloads}
    return Workloads(
        tuple(
            WorkloadReport(
                workload.kind,
                workload.namespace,
                workload.name,
                workload.node,
                tuple(str(address) for address in workload.addresses.values()),
                selected.get(id(workload), ()),
            )
            for workload in cluster.workloads
        )
    )


class _StatusDumper(yaml.SafeDumper):
    """Puts into quotes whatever some reader of YAML takes for a number or a boolean: a name may be `1e3` or `y`."""


_StatusDumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+.0-9].*|[ynYN]$"), None)


def _status(gateways: Gateways) -> str:
    """One document a gateway, in Deckhouse's own fields.

    For `kubectl apply --server-side --subresource=status`, or one by one for `kubectl patch --subresource=status
    --type=merge`. Conditions have no `lastTransitionTime`: a bundle does not know the clock, and a made-up time would
    either lie or change with every compile.
    """
    documents = [
        {
            "apiVersion": "network.deckhouse.io/v1alpha1",
            "kind": "EgressGateway",
            "metadata": {"name": gateway.name},
            "status": {
                "activeNodeName": gateway.active_node_name or "",
                "readyNodes": gateway.ready_nodes,
                "conditions": [
                    {"type": c.type, "status": c.status, "reason": c.reason, "message": c.message}
                    for c in gateway.conditions
                ],
            },
        }
        for gateway in gateways.gateways
    ]
    text: str = yaml.dump_all(documents, Dumper=_StatusDumper, sort_keys=False, width=1000, allow_unicode=True)
    return text
