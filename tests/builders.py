"""Small builders of YAML objects after the address plan of `conftest.py`, and the way from them to a bundle."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from conftest import GOLDEN

from compiler.diagnostics import Diagnostic
from compiler.explain import Explainer
from compiler.pipeline import compile_cluster, read_cluster, sort
from compiler.source import read_documents

Obj = dict[str, Any]

EGRESS_LABEL = {"node-role.deckhouse.io/egress": ""}


def number(node_name: str) -> int:
    """`egress-2` has number 2 in the address plan, `worker-2` has 12."""
    role, _, index = node_name.rpartition("-")
    return int(index) + (10 if role == "worker" else 0)


def node(name: str, *, ready: str = "True", labels: Mapping[str, str] = EGRESS_LABEL, six: bool = True) -> Obj:
    n = number(name)
    addresses = [{"type": "InternalIP", "address": f"172.18.4.{n}"}]
    cidrs = [f"10.111.{n}.0/24"]
    if six:
        addresses.append({"type": "InternalIP", "address": f"fd00:4::{n}"})
        cidrs.append(f"fd00:111:0:{n}::/64")
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {"podCIDRs": cidrs},
        "status": {"addresses": addresses, "conditions": [{"type": "Ready", "status": ready}]},
    }


def agent(node_name: str, *, ready: str = "True") -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"agent-{node_name}", "namespace": "d8-cni-cilium", "labels": {"app": "agent"}},
        "spec": {"nodeName": node_name, "hostNetwork": True},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    }


def interface(name: str, *addresses: str) -> Obj:
    """Addresses as `172.18.4.1/24`."""
    families: dict[str, list[Obj]] = {"ipv4": [], "ipv6": []}
    for text in addresses:
        ip, _, length = text.partition("/")
        families["ipv6" if ":" in ip else "ipv4"].append({"ip": ip, "prefix-length": int(length)})
    return {
        "name": name,
        "type": "ethernet",
        "state": "up",
        **{label: {"enabled": True, "address": items} for label, items in families.items()},
    }


def state(node_name: str, *interfaces: Obj, defaults: Sequence[str] = ("0.0.0.0/0", "::/0")) -> Obj:
    """A NodeNetworkState; without interfaces eth0, and eth1 on a gateway node, with their addresses of the plan."""
    n = number(node_name)
    if not interfaces:
        interfaces = (interface("eth0", f"172.18.4.{n}/24", f"fd00:4::{n}/64"),)
        if node_name.startswith("egress-"):
            interfaces += (interface("eth1", f"172.18.18.{n}/24", f"2001:db8:18::{n}/64"),)
    routes = [
        {"destination": destination, "next-hop-interface": interfaces[-1]["name"], "table-id": 254}
        for destination in defaults
    ]
    return {
        "apiVersion": "nmstate.io/v1beta1",
        "kind": "NodeNetworkState",
        "metadata": {"name": node_name},
        "status": {"currentState": {"interfaces": list(interfaces), "routes": {"running": routes}}},
    }


def member(name: str, *, labels: Mapping[str, str] = EGRESS_LABEL) -> list[Obj]:
    """A node that is well, with its agent and its interfaces."""
    return [node(name, labels=labels), agent(name), state(name)]


def pod(name: str, node_name: str, index: int = 5, *, namespace: str = "default", **more: Any) -> Obj:  # noqa: ANN401  # YAML
    """A running pod; `labels`, `ips` and `serviceAccountName` may be given."""
    n = number(node_name)
    ips = more.get("ips", [f"10.111.{n}.{index}", f"fd00:111:0:{n}::{index}"])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": more.get("labels", {"app": name})},
        "spec": {"nodeName": node_name, "serviceAccountName": more.get("serviceAccountName", "default")},
        "status": {"phase": "Running", "podIPs": [{"ip": ip} for ip in ips]},
    }


def namespace(name: str, **labels: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def gateway(
    name: str = "egress-gw",
    *,
    vip: str = "",
    selector: Mapping[str, str] = EGRESS_LABEL,
    interfaces: Sequence[str] = (),
) -> Obj:
    """In virtual mode when `vip` is given, else with the address of eth1."""
    source: Obj = {
        "mode": "PrimaryIPFromEgressGatewayNodeInterface",
        "primaryIPFromEgressGatewayNodeInterface": {"interfaceName": "eth1"},
    }
    if vip:
        block = {"ip": vip, **({"interfaces": list(interfaces)} if interfaces else {})}
        source = {"mode": "VirtualIPAddress", "virtualIPAddress": block}
    return {
        "apiVersion": "network.deckhouse.io/v1alpha1",
        "kind": "EgressGateway",
        "metadata": {"name": name},
        "spec": {"nodeSelector": dict(selector), "sourceIP": source},
    }


def policy(  # noqa: PLR0913  # the fields of a policy
    name: str = "egress-gw-policy",
    gateway_name: str = "egress-gw",
    *,
    to: Sequence[str] = ("0.0.0.0/0",),
    excluded: Sequence[str] = (),
    selectors: Sequence[Obj] = ({"podSelector": {}},),
    created: str | None = None,
) -> Obj:
    return {
        "apiVersion": "network.deckhouse.io/v1alpha1",
        "kind": "EgressGatewayPolicy",
        "metadata": {"name": name, **({"creationTimestamp": created} if created else {})},
        "spec": {
            "egressGatewayName": gateway_name,
            "destinationCIDRs": list(to),
            "excludedCIDRs": list(excluded),
            "selectors": list(selectors),
        },
    }


def config(**spec: Any) -> Obj:  # noqa: ANN401  # YAML
    return {"apiVersion": "egressc.io/v1alpha1", "kind": "EgressCompilerConfig", "spec": spec}


def cluster(*more: Obj) -> list[Obj]:
    """Two gateway nodes and a worker, all well, and pod `default/backend` on the worker."""
    parts = [*member("egress-1"), *member("egress-2"), *member("worker-1", labels={})]
    return [*parts, pod("backend", "worker-1"), *more]


def patched(item: Obj, path: str, value: object) -> Obj:
    """A copy of an object with the field at `spec.sourceIP.mode` replaced, or removed when the value is `...`."""
    copy: Obj = json.loads(json.dumps(item))
    *heads, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    target: Any = copy
    for head in heads:
        target = target[head]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return copy


def dump(*objects: Obj) -> str:
    """YAML, a document an object."""
    text: str = yaml.safe_dump_all(objects, sort_keys=False)
    return text


def outcome(path: Path) -> tuple[Mapping[str, bytes] | None, tuple[Diagnostic, ...]]:
    """The bundle's files, None if there was an error, and all findings, for a file or directory of inputs."""
    reading = read_cluster([str(path)])
    if reading.cluster is None:
        return None, reading.findings
    result = compile_cluster(reading.cluster)
    return result.files, sort(reading.findings + result.findings)


def explainer(path: Path) -> Explainer:
    """What explains the bundle compiled from a file or directory of inputs, which must have no errors."""
    files, findings = outcome(path)
    assert files is not None, findings
    return Explainer.of(files)


def golden_objects(case: str) -> list[Obj]:
    """All objects of a golden case's input."""
    paths = sorted((GOLDEN / case / "input").iterdir())
    return [item.data for path in paths for item in read_documents(path.name, path.read_bytes())[0]]
