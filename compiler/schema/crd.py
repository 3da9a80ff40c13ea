"""CustomResourceDefinitions of the two kinds, as YAML that `kubectl apply -f` takes.

Of CEL they use only what Kubernetes 1.25 has, where rules were on for the first time. The functions for addresses,
`isIP` and `isCIDR`, came with 1.30 and 1.31; regular expressions say the same on every version.
"""

from typing import Any, Final

import yaml

from compiler.inputs import egress
from compiler.schema.models import structural_schema

_GROUP: Final = "network.deckhouse.io"
_NOTE: Final = (
    "For clusters without Deckhouse's cni-cilium module, which brings definitions of its own. Needs Kubernetes 1.25."
)
_NEVER_FOLD: Final = 1_000_000
_AGE: Final = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def gateway() -> str:
    """Returns the definition of EgressGateway."""
    columns = [
        _column("Mode", ".spec.sourceIP.mode"),
        _column("Virtual IP", ".spec.sourceIP.virtualIPAddress.ip"),
        _column("Interface", ".spec.sourceIP.primaryIPFromEgressGatewayNodeInterface.interfaceName", priority=1),
        _column("Active node", ".status.activeNodeName"),
        {"name": "Ready nodes", "type": "integer", "jsonPath": ".status.readyNodes"},
        _AGE,
    ]
    return _definition("EgressGateway", "egressgateways", "egw", columns)


def policy() -> str:
    """Returns the definition of EgressGatewayPolicy."""
    columns = [
        _column("Gateway", ".spec.egressGatewayName"),
        _column("Destinations", ".spec.destinationCIDRs"),
        _AGE,
    ]
    return _definition("EgressGatewayPolicy", "egressgatewaypolicies", "egwp", columns)


def _column(name: str, path: str, *, priority: int = 0) -> dict[str, Any]:
    column = {"name": name, "type": "string", "jsonPath": path}
    return {**column, "priority": priority} if priority else column


def _definition(kind: str, plural: str, short: str, columns: list[dict[str, Any]]) -> str:
    schema = structural_schema(egress.KINDS[kind])
    version: dict[str, Any] = {"name": "v1alpha1", "served": True, "storage": True}
    if "properties" in schema["properties"]["status"]:
        version["subresources"] = {"status": {}}
    else:
        del schema["properties"]["status"]
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{_GROUP}"},
        "spec": {
            "group": _GROUP,
            "scope": "Cluster",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["egress"],
            },
            "versions": [
                {**version, "additionalPrinterColumns": columns, "schema": {"openAPIV3Schema": schema}},
            ],
        },
    }
    text: str = yaml.dump(definition, Dumper=_Plain, sort_keys=False, width=_NEVER_FOLD, allow_unicode=True)
    return f"# {_NOTE}\n{text}"


class _Plain(yaml.SafeDumper):
    """Writes equal parts out each time: anchors are legal, but no one wants to read them."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # PyYAML's own signature
        return True
