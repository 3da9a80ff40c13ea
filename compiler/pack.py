"""Bundle: plans and the account of them to the files of a bundle, by path.

In: all that the earlier stages made. Out: path to bytes, the manifest included. Does not touch the disk; the format is
`bundle/`'s.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

import yaml

import bundle
from bundle import directory
from bundle.codec import encode
from bundle.model import FORMAT_VERSION, Gateways, Manifest
from compiler.account import Account
from compiler.nodeplan import NodePlan
from compiler.render import render


def pack(account: Account, digest: str, plans: Iterable[NodePlan]) -> dict[str, bytes]:
    """Returns every file of the bundle by its path; `digest` is that of the inputs."""
    files = dict(stream(account, digest, plans))
    return dict(sorted(files.items(), key=lambda item: (item[0] != directory.MANIFEST, item[0])))


def stream(account: Account, digest: str, plans: Iterable[NodePlan]) -> Iterator[tuple[str, bytes]]:
    """Yields every file of the bundle, one after another, so that a large one need not be held at once.

    The manifest, which has the digests of all others, is the last.
    """
    digests = {}
    nodes = []
    for path, text in account_files(account).items():
        content = text.encode()
        digests[path] = hashlib.sha256(content).hexdigest()
        yield path, content
    for plan in plans:
        nodes.append(plan.node)
        for path, content in node_files(plan).items():
            digests[path] = hashlib.sha256(content).hexdigest()
            yield path, content
    yield directory.MANIFEST, manifest(digests, digest, nodes)


def node_files(plan: NodePlan) -> dict[str, bytes]:
    """Returns the files of one node by their paths."""
    texts = {
        directory.RULESET: render(plan),
        directory.ROUTING: encode(plan.routing),
        directory.ADDRESSES: encode(plan.addresses),
    }
    return {directory.node_path(plan.node, name): text.encode() for name, text in texts.items()}


def account_files(account: Account) -> dict[str, str]:
    """Returns the files that tell about the cluster as a whole."""
    return {
        directory.CLUSTER: encode(account.cluster),
        directory.GATEWAYS: encode(account.gateways),
        directory.POLICIES: encode(account.policies),
        directory.WORKLOADS: encode(account.workloads),
        directory.STATUS: status(account.gateways),
    }


def manifest(digests: Mapping[str, str], digest: str, nodes: Iterable[str]) -> bytes:
    """Returns the manifest of a bundle, given the digest of each file, that of the inputs, and the nodes' names."""
    made = Manifest(
        format_version=FORMAT_VERSION,
        compiler_version=bundle.__version__,
        inputs_digest=digest,
        nodes=tuple(nodes),
        files=dict(sorted(digests.items())),
    )
    return encode(made).encode()


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
