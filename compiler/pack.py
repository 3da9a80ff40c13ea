"""Bundle: plans and the account of them to the files of a bundle, by path.

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
from bundle.model import FORMAT_VERSION, Gateways, Manifest
from compiler.account import Account
from compiler.nodeplan import NodePlan
from compiler.render import render


def pack(account: Account, digest: str, plans: Iterable[NodePlan]) -> dict[str, bytes]:
    """Returns every file of the bundle; `digest` is that of the inputs."""
    texts = account_files(account)
    names = []
    for plan in plans:
        names.append(plan.node)
        texts[directory.node_path(plan.node, directory.RULESET)] = render(plan)
        texts[directory.node_path(plan.node, directory.ROUTING)] = encode(plan.routing)
        texts[directory.node_path(plan.node, directory.ADDRESSES)] = encode(plan.addresses)
    return seal(texts, digest, names)


def account_files(account: Account) -> dict[str, str]:
    """Returns the files that tell about the cluster as a whole."""
    return {
        directory.CLUSTER: encode(account.cluster),
        directory.GATEWAYS: encode(account.gateways),
        directory.POLICIES: encode(account.policies),
        directory.WORKLOADS: encode(account.workloads),
        directory.STATUS: status(account.gateways),
    }


def seal(texts: Mapping[str, str], digest: str, nodes: Iterable[str]) -> dict[str, bytes]:
    """Adds the manifest, which holds the digest of each file."""
    files = {path: text.encode() for path, text in sorted(texts.items())}
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        compiler_version=bundle.__version__,
        inputs_digest=digest,
        nodes=tuple(nodes),
        files={path: hashlib.sha256(content).hexdigest() for path, content in files.items()},
    )
    return {directory.MANIFEST: encode(manifest).encode(), **files}


class _StatusDumper(yaml.SafeDumper):
    """Puts into quotes whatever some reader of YAML takes for a number or a boolean: a name may be `1e3` or `y`."""


_StatusDumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+.0-9].*|[ynYN]$"), None)


def status(gateways: Gateways) -> str:
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
