"""EgressGateway and EgressGatewayPolicy (`network.deckhouse.io/v1alpha1`), and the compiler's configuration kind."""

from typing import Literal

from pydantic import Field

from compiler.inputs.base import Metadata, Model, OwnModel


class PrimaryIP(OwnModel):
    """`spec.sourceIP.primaryIPFromEgressGatewayNodeInterface`."""

    interface_name: str = Field(alias="interfaceName")


class VirtualIP(OwnModel):
    """`spec.sourceIP.virtualIPAddress`."""

    ip: str
    interfaces: list[str] = Field(default_factory=list)


class SourceIP(OwnModel):
    """`spec.sourceIP`: a mode, and the block of that mode."""

    mode: Literal["PrimaryIPFromEgressGatewayNodeInterface", "VirtualIPAddress"]
    primary: PrimaryIP | None = Field(None, alias="primaryIPFromEgressGatewayNodeInterface")
    virtual: VirtualIP | None = Field(None, alias="virtualIPAddress")


class EgressGatewaySpec(OwnModel):
    """`EgressGateway.spec`."""

    node_selector: dict[str, str] = Field(default_factory=dict, alias="nodeSelector")
    source_ip: SourceIP = Field(alias="sourceIP")


class EgressGateway(OwnModel):
    """A group of nodes and the source address of what leaves by them."""

    api_version: str = Field(alias="apiVersion")
    kind: str
    metadata: Metadata
    spec: EgressGatewaySpec
    status: Model = Field(default_factory=Model)


class MatchExpression(OwnModel):
    """One entry of `matchExpressions`."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = Field(default_factory=list)


class LabelSelector(OwnModel):
    """A Kubernetes label selector; empty selects everything."""

    match_labels: dict[str, str] = Field(default_factory=dict, alias="matchLabels")
    match_expressions: list[MatchExpression] = Field(default_factory=list, alias="matchExpressions")


class PolicySelector(OwnModel):
    """One entry of `spec.selectors`."""

    pod_selector: LabelSelector | None = Field(None, alias="podSelector")
    namespace_selector: LabelSelector | None = Field(None, alias="namespaceSelector")


class EgressGatewayPolicySpec(OwnModel):
    """`EgressGatewayPolicy.spec`."""

    egress_gateway_name: str = Field(alias="egressGatewayName")
    destination_cidrs: list[str] = Field(alias="destinationCIDRs")
    excluded_cidrs: list[str] = Field(default_factory=list, alias="excludedCIDRs")
    selectors: list[PolicySelector] = Field(default_factory=list)


class EgressGatewayPolicy(OwnModel):
    """Which workloads leave by which gateway, to which destinations."""

    api_version: str = Field(alias="apiVersion")
    kind: str
    metadata: Metadata
    spec: EgressGatewayPolicySpec
    status: Model = Field(default_factory=Model)


class AgentConfig(OwnModel):
    """`spec.agent`: which pods show that the CNI works on a node."""

    enabled: bool = True
    namespace: str = "d8-cni-cilium"
    match_labels: dict[str, str] = Field(default_factory=lambda: {"app": "agent"}, alias="matchLabels")


class ClusterRanges(OwnModel):
    """`spec.clusterRanges`: what is inside the cluster, beside what the snapshot says."""

    pod_cidrs: list[str] = Field(default_factory=list, alias="podCIDRs")
    service_cidrs: list[str] = Field(default_factory=list, alias="serviceCIDRs")
    extra_cidrs: list[str] = Field(default_factory=list, alias="extraCIDRs")


class DatapathConfig(OwnModel):
    """`spec.datapath`: numbers on the nodes; the defaults and their neighbours are in `bundle/names.py`."""

    mark_mask: str | None = Field(None, alias="markMask")
    rule_priority: int | None = Field(None, alias="rulePriority")
    table_base: int | None = Field(None, alias="tableBase")


class ElectionConfig(OwnModel):
    """`spec.election`: how the active node of a gateway is chosen."""

    algorithm: Literal["rendezvous", "balanced"] = "rendezvous"


class CompilerConfigSpec(OwnModel):
    """`EgressCompilerConfig.spec`."""

    agent: AgentConfig = Field(default_factory=lambda: AgentConfig.model_validate({}))
    cluster_ranges: ClusterRanges = Field(
        default_factory=lambda: ClusterRanges.model_validate({}), alias="clusterRanges"
    )
    election: ElectionConfig = Field(default_factory=lambda: ElectionConfig.model_validate({}))
    datapath: DatapathConfig = Field(default_factory=lambda: DatapathConfig.model_validate({}))


class CompilerConfig(OwnModel):
    """`egressc.io/v1alpha1` EgressCompilerConfig: knobs, all with defaults."""

    api_version: str = Field(alias="apiVersion")
    kind: str
    metadata: Metadata | None = None
    spec: CompilerConfigSpec = Field(default_factory=lambda: CompilerConfigSpec.model_validate({}))
