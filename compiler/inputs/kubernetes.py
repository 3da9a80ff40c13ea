"""The parts that matter of Kubernetes' own kinds and of those that the snapshot brings along."""

from pydantic import Field

from compiler.inputs.base import Condition, Metadata, Model


class NodeAddress(Model):
    """One of `Node.status.addresses`."""

    type: str = ""
    address: str = ""


class NodeSpec(Model):
    """`Node.spec`."""

    unschedulable: bool = False
    pod_cidr: str | None = Field(None, alias="podCIDR")
    pod_cidrs: list[str] = Field(default_factory=list, alias="podCIDRs")


class NodeStatus(Model):
    """`Node.status`."""

    addresses: list[NodeAddress] = Field(default_factory=list)
    conditions: list[Condition] = Field(default_factory=list)


class Node(Model):
    """`v1` Node."""

    metadata: Metadata
    spec: NodeSpec = Field(default_factory=lambda: NodeSpec.model_validate({}))
    status: NodeStatus = Field(default_factory=lambda: NodeStatus.model_validate({}))


class PodSpec(Model):
    """`Pod.spec`."""

    node_name: str = Field("", alias="nodeName")
    host_network: bool = Field(False, alias="hostNetwork")  # noqa: FBT003  # pydantic's own signature
    service_account_name: str = Field("", alias="serviceAccountName")


class PodIP(Model):
    """One of `Pod.status.podIPs`."""

    ip: str = ""


class PodStatus(Model):
    """`Pod.status`."""

    phase: str = ""
    pod_ip: str = Field("", alias="podIP")
    pod_ips: list[PodIP] = Field(default_factory=list, alias="podIPs")
    conditions: list[Condition] = Field(default_factory=list)


class Pod(Model):
    """`v1` Pod."""

    metadata: Metadata
    spec: PodSpec = Field(default_factory=lambda: PodSpec.model_validate({}))
    status: PodStatus = Field(default_factory=lambda: PodStatus.model_validate({}))


class Namespace(Model):
    """`v1` Namespace."""

    metadata: Metadata


class VirtualMachineStatus(Model):
    """`VirtualMachine.status`."""

    ip_address: str = Field("", alias="ipAddress")
    node_name: str = Field("", alias="nodeName")
    phase: str = ""


class VirtualMachine(Model):
    """`virtualization.deckhouse.io/v1alpha2` VirtualMachine."""

    metadata: Metadata
    status: VirtualMachineStatus = Field(default_factory=lambda: VirtualMachineStatus.model_validate({}))


class NmstateAddress(Model):
    """One address of an interface."""

    ip: str
    prefix_length: int = Field(alias="prefix-length")


class NmstateFamily(Model):
    """`ipv4` or `ipv6` of an interface."""

    enabled: bool = True
    address: list[NmstateAddress] = Field(default_factory=list)


class NmstateInterface(Model):
    """One of `interfaces`."""

    name: str
    type: str = ""
    state: str = "up"
    ipv4: NmstateFamily = Field(default_factory=lambda: NmstateFamily.model_validate({}))
    ipv6: NmstateFamily = Field(default_factory=lambda: NmstateFamily.model_validate({}))


class NmstateRoute(Model):
    """One of `routes.running`."""

    destination: str = ""
    next_hop_interface: str = Field("", alias="next-hop-interface")
    next_hop_address: str = Field("", alias="next-hop-address")
    table_id: int = Field(254, alias="table-id")
    metric: int = 0


class NmstateRoutes(Model):
    """`routes`; `running` is None when the state does not tell."""

    running: list[NmstateRoute] | None = None


class NmstateState(Model):
    """`status.currentState`."""

    interfaces: list[NmstateInterface] = Field(default_factory=list)
    routes: NmstateRoutes = Field(default_factory=lambda: NmstateRoutes.model_validate({}))


class NodeNetworkStateStatus(Model):
    """`NodeNetworkState.status`."""

    current_state: NmstateState = Field(alias="currentState")


class NodeNetworkState(Model):
    """`nmstate.io/v1beta1` NodeNetworkState."""

    metadata: Metadata
    status: NodeNetworkStateStatus


class ServiceCIDRSpec(Model):
    """`ServiceCIDR.spec`."""

    cidrs: list[str] = Field(default_factory=list)


class ServiceCIDR(Model):
    """`networking.k8s.io/v1` ServiceCIDR."""

    metadata: Metadata
    spec: ServiceCIDRSpec = Field(default_factory=lambda: ServiceCIDRSpec.model_validate({}))


class VirtualizationSettings(Model):
    """`ModuleConfig.spec.settings` of the module `virtualization`."""

    virtual_machine_cidrs: list[str] = Field(default_factory=list, alias="virtualMachineCIDRs")


class ModuleConfigSpec(Model):
    """`ModuleConfig.spec`."""

    settings: VirtualizationSettings = Field(default_factory=lambda: VirtualizationSettings.model_validate({}))


class ModuleConfig(Model):
    """`deckhouse.io/v1alpha1` ModuleConfig."""

    metadata: Metadata
    spec: ModuleConfigSpec = Field(default_factory=lambda: ModuleConfigSpec.model_validate({}))
