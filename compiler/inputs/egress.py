"""EgressGateway and EgressGatewayPolicy (`network.deckhouse.io/v1alpha1`), and the compiler's configuration kind."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from bundle import names
from compiler import patterns
from compiler.inputs.base import Metadata, Model, OwnModel
from compiler.inputs.constraints import (
    ApiServer,
    Cidr,
    Cidrs,
    Keywords,
    LabelValue,
    MatchLabels,
    NodeLabels,
    ObjectName,
    Rule,
    SelectorKey,
    Shown,
    Unchecked,
)

MAX_RULE_PRIORITY: Final = names.MAIN_PRIORITY - 1
"""The last one before `main`."""

_PRIMARY: Final = "PrimaryIPFromEgressGatewayNodeInterface"
_VIRTUAL: Final = "VirtualIPAddress"
_API_VERSION: Final = "Version of the schema that the object is written in."
_KIND: Final = "Kind of the object."


class PrimaryIP(OwnModel):
    """`spec.sourceIP.primaryIPFromEgressGatewayNodeInterface`."""

    interface_name: Unchecked = Field(
        alias="interfaceName",
        description="Interface of the gateway's nodes whose first address, one a family, becomes the source address.",
        examples=["eth1"],
    )


class VirtualIP(OwnModel):
    """`spec.sourceIP.virtualIPAddress`."""

    ip: Unchecked = Field(
        description="The source address. The active node binds it and announces it; it belongs to no node.",
        examples=["192.0.2.40", "2001:db8::40"],
    )
    interfaces: Annotated[list[Unchecked], ApiServer({"maxItems": 16})] = Field(
        default_factory=list,
        description=(
            "Where the address is bound: the first of these that the active node has. Absent, it is the interface "
            "whose subnet holds the address, else that of the default route."
        ),
        examples=[["eth1"]],
    )


def _mode(mode: str, field: str, name: str, text: patterns.Text, message: str) -> Rule:
    """A rule about a field of a mode's block: a block of the other mode is passed over."""
    block = f"self.{field}"
    return Rule(
        f"self.mode != '{mode}' || !has({block}) || ({text.cel(f'{block}.{name}')})",
        message,
        {
            "if": {"properties": {"mode": {"const": mode}}},
            "then": {"properties": {field: {"properties": {name: text.schema()}}}},
        },
    )


def _needs(mode: str, field: str) -> Rule:
    return Rule(
        f"self.mode != '{mode}' || has(self.{field})",
        f"mode {mode} needs {field}",
        {"if": {"properties": {"mode": {"const": mode}}}, "then": {"required": [field]}},
    )


_INTERFACE_MESSAGE = "an interface name has at most 15 letters, digits and characters of '_.@+=-', such as eth1"


class SourceIP(OwnModel):
    """`spec.sourceIP`: a mode, and the block of that mode."""

    rules: ClassVar = (
        _needs(_PRIMARY, "primaryIPFromEgressGatewayNodeInterface"),
        _needs(_VIRTUAL, "virtualIPAddress"),
        _mode(
            _PRIMARY,
            "primaryIPFromEgressGatewayNodeInterface",
            "interfaceName",
            patterns.INTERFACE,
            _INTERFACE_MESSAGE,
        ),
        _mode(
            _VIRTUAL,
            "virtualIPAddress",
            "ip",
            patterns.SOURCE_ADDRESS,
            "virtualIPAddress.ip must be a unicast IPv4 or IPv6 address of your network, without a prefix length",
        ),
        Rule(
            f"self.mode != '{_VIRTUAL}' || !has(self.virtualIPAddress) || !has(self.virtualIPAddress.interfaces) || "
            f"self.virtualIPAddress.interfaces.all(name, {patterns.INTERFACE.cel('name')})",
            _INTERFACE_MESSAGE,
            {
                "if": {"properties": {"mode": {"const": _VIRTUAL}}},
                "then": {
                    "properties": {
                        "virtualIPAddress": {"properties": {"interfaces": {"items": patterns.INTERFACE.schema()}}}
                    }
                },
            },
        ),
    )

    mode: Literal["PrimaryIPFromEgressGatewayNodeInterface", "VirtualIPAddress"] = Field(
        description="Where the source address comes from: an interface of the active node, or a virtual IP.",
    )
    primary: PrimaryIP | None = Field(
        None,
        alias="primaryIPFromEgressGatewayNodeInterface",
        description=f"Needed by mode {_PRIMARY}, and passed over in the other.",
    )
    virtual: VirtualIP | None = Field(
        None,
        alias="virtualIPAddress",
        description=f"Needed by mode {_VIRTUAL}, and passed over in the other.",
    )


class EgressGatewaySpec(OwnModel):
    """`EgressGateway.spec`."""

    node_selector: NodeLabels = Field(
        default_factory=dict,
        alias="nodeSelector",
        description="Labels that the gateway's nodes have, all of them; empty takes every node.",
        examples=[{"node-role.deckhouse.io/egress": ""}],
    )
    source_ip: SourceIP = Field(
        alias="sourceIP", description="The address that traffic through the gateway leaves with."
    )


class StatusCondition(Model):
    """One of `EgressGateway.status.conditions`."""

    type: str = Field(description="What the condition is about: `Ready`.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field("", description="Why, as one word: `ElectionSucceed` or `ElectionFailed`.")
    message: str = Field("", description="Why, for people.")
    last_transition_time: Annotated[str, Keywords({"format": "date-time"})] = Field(
        "", alias="lastTransitionTime", description="When `status` last changed."
    )


class EgressGatewayStatus(Model):
    """`EgressGateway.status`, which `status.yaml` of a bundle patches and the compiler does not read."""

    active_node_name: str = Field(
        "", alias="activeNodeName", description="The node that traffic leaves by; empty when none is suitable."
    )
    ready_nodes: Annotated[int, Keywords({"minimum": 0}), ApiServer({"format": "int32"})] = Field(
        0, alias="readyNodes", description="How many nodes are suitable: the active one and those that stand by."
    )
    conditions: Annotated[
        list[StatusCondition],
        ApiServer({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = Field(default_factory=list, description="`Ready`: whether a node was elected.")


class EgressGateway(OwnModel):
    """A group of nodes and the source address of what leaves by them."""

    api_version: Annotated[str, Keywords({"enum": ["network.deckhouse.io/v1alpha1"]})] = Field(
        alias="apiVersion", description=_API_VERSION
    )
    kind: Annotated[str, Keywords({"enum": ["EgressGateway"]})] = Field(description=_KIND)
    metadata: Metadata = Field(description="Name and labels of the object.")
    spec: EgressGatewaySpec = Field(description="Which nodes, and which source address.")
    status: Annotated[Model, Shown(EgressGatewayStatus)] = Field(
        default_factory=Model, description="What was made of it; written by controllers and not read."
    )


class MatchExpression(OwnModel):
    """One entry of `matchExpressions`."""

    rules: ClassVar = (
        Rule(
            "!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)",
            "operators In and NotIn need values",
            {
                "if": {"properties": {"operator": {"enum": ["In", "NotIn"]}}},
                "then": {"required": ["values"], "properties": {"values": {"minItems": 1}}},
            },
        ),
        Rule(
            "self.operator in ['In', 'NotIn'] || !has(self.values) || size(self.values) == 0",
            "operators Exists and DoesNotExist take no values",
            {
                "if": {"properties": {"operator": {"enum": ["Exists", "DoesNotExist"]}}},
                "then": {"properties": {"values": {"maxItems": 0}}},
            },
        ),
    )

    key: SelectorKey = Field(description="The label that is looked at.", examples=["app"])
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="What must hold of the label; NotIn and DoesNotExist hold too where there is no such label."
    )
    values: Annotated[list[LabelValue], ApiServer({"maxItems": 1000})] = Field(
        default_factory=list, description="The values that In and NotIn compare with.", examples=[["backend"]]
    )


class LabelSelector(OwnModel):
    """A Kubernetes label selector; empty selects everything."""

    match_labels: MatchLabels = Field(
        default_factory=dict,
        alias="matchLabels",
        description="Labels that must be there with these values, all of them.",
        examples=[{"app": "backend"}],
    )
    match_expressions: Annotated[list[MatchExpression], ApiServer({"maxItems": 16})] = Field(
        default_factory=list, alias="matchExpressions", description="Conditions on labels; all must hold."
    )


class PolicySelector(OwnModel):
    """One entry of `spec.selectors`."""

    rules: ClassVar = (
        Rule(
            "has(self.podSelector) || has(self.namespaceSelector)",
            "needs a podSelector or a namespaceSelector; podSelector: {} selects every workload",
            {"anyOf": [{"required": ["podSelector"]}, {"required": ["namespaceSelector"]}]},
        ),
    )

    pod_selector: Annotated[LabelSelector, ApiServer({"x-kubernetes-map-type": "atomic"})] | None = Field(
        None,
        alias="podSelector",
        description=(
            "Labels of the workload, a Pod or VirtualMachine of any namespace; empty selects all. Also "
            "`io.kubernetes.pod.namespace`, `io.cilium.k8s.policy.serviceaccount` and "
            "`io.cilium.k8s.namespace.labels.KEY`; keys may begin with `k8s:` or `any:`."
        ),
    )
    namespace_selector: Annotated[LabelSelector, ApiServer({"x-kubernetes-map-type": "atomic"})] | None = Field(
        None, alias="namespaceSelector", description="Labels of the workload's Namespace; holds beside podSelector."
    )


class EgressGatewayPolicySpec(OwnModel):
    """`EgressGatewayPolicy.spec`."""

    egress_gateway_name: ObjectName = Field(
        alias="egressGatewayName", description="The EgressGateway that traffic leaves by.", examples=["egress-gw"]
    )
    destination_cidrs: Annotated[Cidrs, Keywords({"minItems": 1})] = Field(
        alias="destinationCIDRs",
        description=(
            "Destinations of the traffic. The longest of all CIDRs that hold a destination decides; `0.0.0.0/0` and "
            "`::/0` are everything outside the cluster."
        ),
        examples=[["0.0.0.0/0", "::/0"]],
    )
    excluded_cidrs: Cidrs = Field(
        default_factory=list,
        alias="excludedCIDRs",
        description="Destinations that go their ordinary way, unless a longer CIDR decides otherwise.",
        examples=[["192.0.2.0/24"]],
    )
    selectors: Annotated[list[PolicySelector], ApiServer({"maxItems": 100})] = Field(
        default_factory=list,
        description="Which workloads: those that any of the entries selects; an empty list selects none.",
        examples=[[{"podSelector": {"matchLabels": {"app": "backend"}}}]],
    )


class EgressGatewayPolicy(OwnModel):
    """Which workloads leave by which gateway, to which destinations."""

    api_version: Annotated[str, Keywords({"enum": ["network.deckhouse.io/v1alpha1"]})] = Field(
        alias="apiVersion", description=_API_VERSION
    )
    kind: Annotated[str, Keywords({"enum": ["EgressGatewayPolicy"]})] = Field(description=_KIND)
    metadata: Metadata = Field(description="Name and labels of the object.")
    spec: EgressGatewayPolicySpec = Field(description="Which workloads, which destinations, and by which gateway.")
    status: Model = Field(default_factory=Model, description="Not read.")


class AgentConfig(OwnModel):
    """`spec.agent`: which pods show that the CNI works on a node."""

    enabled: bool = Field(
        default=True,
        description="Whether a node needs a Ready agent pod to be suitable; false for clusters without Cilium.",
    )
    namespace: str = Field("d8-cni-cilium", description="Namespace of the agent pods.")
    match_labels: NodeLabels = Field(
        default_factory=lambda: {"app": "agent"}, alias="matchLabels", description="Labels of the agent pods."
    )


class ClusterRanges(OwnModel):
    """`spec.clusterRanges`: what is inside the cluster, beside what the snapshot says."""

    pod_cidrs: list[Cidr] = Field(default_factory=list, alias="podCIDRs", description="Ranges of pods.")
    service_cidrs: list[Cidr] = Field(default_factory=list, alias="serviceCIDRs", description="Ranges of services.")
    extra_cidrs: list[Cidr] = Field(
        default_factory=list, alias="extraCIDRs", description="Further ranges that are never redirected."
    )


class DatapathConfig(OwnModel):
    """`spec.datapath`: numbers on the nodes; the defaults and their neighbours are in `bundle/names.py`."""

    mark_mask: Annotated[str, Keywords({"pattern": "^0[xX][0-9a-fA-F]{1,8}$"})] | None = Field(
        None,
        alias="markMask",
        description=f"Neighbouring bits of the packet mark that are ours; absent is 0x{names.MARK_MASK:08x}.",
        examples=["0xff000000"],
    )
    rule_priority: Annotated[int, Keywords({"minimum": 1, "maximum": MAX_RULE_PRIORITY})] | None = Field(
        None, alias="rulePriority", description=f"Priority of our `ip rule`s; absent is {names.RULE_PRIORITY}."
    )
    table_base: Annotated[int, Keywords({"minimum": 1, "maximum": names.TABLE_LIMIT - 1})] | None = Field(
        None,
        alias="tableBase",
        description=(
            f"First of our routing tables, of which there are as many as the mask has numbers; absent is "
            f"{names.TABLE_BASE}. All must lie below {names.TABLE_LIMIT}, clear of 253 to 255 and 1490."
        ),
    )


class ElectionConfig(OwnModel):
    """`spec.election`: how the active node of a gateway is chosen."""

    algorithm: Literal["rendezvous", "balanced"] = Field(
        "rendezvous",
        description=(
            "`rendezvous` chooses by a hash of names, for each gateway by itself; `balanced` keeps the masters of "
            "the bundle given by `--previous` and gives new ones to the nodes that have the fewest."
        ),
    )


class CompilerConfigSpec(OwnModel):
    """`EgressCompilerConfig.spec`."""

    agent: AgentConfig = Field(
        default_factory=lambda: AgentConfig.model_validate({}),
        description="Which pods show that the CNI works on a node.",
    )
    cluster_ranges: ClusterRanges = Field(
        default_factory=lambda: ClusterRanges.model_validate({}),
        alias="clusterRanges",
        description="What is inside the cluster, beside what the snapshot says.",
    )
    datapath: DatapathConfig = Field(
        default_factory=lambda: DatapathConfig.model_validate({}), description="Numbers on the nodes."
    )
    election: ElectionConfig = Field(
        default_factory=lambda: ElectionConfig.model_validate({}),
        description="How the active node of a gateway is chosen.",
    )


class CompilerConfig(OwnModel):
    """`egressc.io/v1alpha1` EgressCompilerConfig: knobs, all with defaults."""

    api_version: Annotated[str, Keywords({"enum": ["egressc.io/v1alpha1"]})] = Field(
        alias="apiVersion", description=_API_VERSION
    )
    kind: Annotated[str, Keywords({"enum": ["EgressCompilerConfig"]})] = Field(description=_KIND)
    metadata: Metadata | None = Field(None, description="May be left out: it is no object of a cluster.")
    spec: CompilerConfigSpec = Field(
        default_factory=lambda: CompilerConfigSpec.model_validate({}), description="The knobs."
    )


KINDS: Final[Mapping[str, type[OwnModel]]] = {
    "EgressGateway": EgressGateway,
    "EgressGatewayPolicy": EgressGatewayPolicy,
    "EgressCompilerConfig": CompilerConfig,
}
"""The kinds of our own by name."""
