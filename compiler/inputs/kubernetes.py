"""The parts that matter of Kubernetes' own kinds and of those that the snapshot brings along."""

from pydantic import Field

from compiler.inputs.base import Condition, Metadata, Model


class NodeAddress(Model):
    """One of `Node.status.addresses`."""

    type: str = Field("", description="`InternalIP`, under which other nodes hand packets over, or `ExternalIP`.")
    address: str = Field("", description="The address.")


class NodeSpec(Model):
    """`Node.spec`."""

    unschedulable: bool = Field(False, description="Cordoned; such a node is not suitable for a gateway.")  # noqa: FBT003  # pydantic's own signature
    pod_cidr: str | None = Field(
        None, alias="podCIDR", description="The one pod range of the node, where `podCIDRs` is absent."
    )
    pod_cidrs: list[str] = Field(
        default_factory=list,
        alias="podCIDRs",
        description="Pod ranges of the node; they lie inside the cluster and are never redirected.",
    )


class NodeStatus(Model):
    """`Node.status`."""

    addresses: list[NodeAddress] = Field(
        default_factory=list, description="Addresses of the node; they are never redirected."
    )
    conditions: list[Condition] = Field(
        default_factory=list, description="`Ready` must be True for the node to be suitable."
    )


class Node(Model):
    """`v1` Node."""

    metadata: Metadata = Field(description="Name, and the labels that `nodeSelector` looks at.")
    spec: NodeSpec = Field(
        default_factory=lambda: NodeSpec.model_validate({}), description="Whether it is cordoned, and its pod ranges."
    )
    status: NodeStatus = Field(
        default_factory=lambda: NodeStatus.model_validate({}), description="Its addresses and conditions."
    )


class PodSpec(Model):
    """`Pod.spec`."""

    node_name: str = Field("", alias="nodeName", description="The node that the pod runs on.")
    host_network: bool = Field(
        default=False, alias="hostNetwork", description="Such a pod has its node's address and is never redirected."
    )
    service_account_name: str = Field(
        "", alias="serviceAccountName", description="Value of the pseudo-label `io.cilium.k8s.policy.serviceaccount`."
    )


class PodIP(Model):
    """One of `Pod.status.podIPs`."""

    ip: str = Field("", description="The address.")


class PodStatus(Model):
    """`Pod.status`."""

    phase: str = Field("", description="A pod that Succeeded or Failed does not count.")
    pod_ip: str = Field("", alias="podIP", description="The one address of the pod, where `podIPs` is absent.")
    pod_ips: list[PodIP] = Field(
        default_factory=list, alias="podIPs", description="Addresses of the pod, at most one a family."
    )
    conditions: list[Condition] = Field(default_factory=list, description="`Ready` is looked at in agent pods.")


class Pod(Model):
    """`v1` Pod."""

    metadata: Metadata = Field(description="Name, namespace, and the labels that selectors look at.")
    spec: PodSpec = Field(default_factory=lambda: PodSpec.model_validate({}), description="Where it runs, and as whom.")
    status: PodStatus = Field(
        default_factory=lambda: PodStatus.model_validate({}), description="Its addresses and phase."
    )


class Namespace(Model):
    """`v1` Namespace."""

    metadata: Metadata = Field(description="Name, and the labels that `namespaceSelector` looks at.")


class VirtualMachineStatus(Model):
    """`VirtualMachine.status`."""

    ip_address: str = Field("", alias="ipAddress", description="Address of the machine.")
    node_name: str = Field("", alias="nodeName", description="The node that it runs on.")
    phase: str = Field("", description="A machine that is Stopped or Pending does not count.")


class VirtualMachine(Model):
    """`virtualization.deckhouse.io/v1alpha2` VirtualMachine."""

    metadata: Metadata = Field(description="Name, namespace, and the labels that selectors look at.")
    status: VirtualMachineStatus = Field(
        default_factory=lambda: VirtualMachineStatus.model_validate({}), description="Its address and where it runs."
    )


class NmstateAddress(Model):
    """One address of an interface."""

    ip: str = Field(description="The address.")
    prefix_length: int = Field(
        alias="prefix-length", description="Length of its prefix, which tells what else is on the link."
    )


class NmstateFamily(Model):
    """`ipv4` or `ipv6` of an interface."""

    enabled: bool = Field(True, description="Whether the interface has addresses of this family.")  # noqa: FBT003  # pydantic's own signature
    address: list[NmstateAddress] = Field(
        default_factory=list, description="Its addresses; the first global one can be a gateway's source address."
    )


class NmstateInterface(Model):
    """One of `interfaces`."""

    name: str = Field(description="Name of the interface.")
    type: str = Field("", description="Kind of the interface; an `ovs-bridge` is passed over.")
    state: str = Field("up", description="An interface that is `down` or `absent` is passed over.")
    ipv4: NmstateFamily = Field(
        default_factory=lambda: NmstateFamily.model_validate({}), description="Its IPv4 addresses."
    )
    ipv6: NmstateFamily = Field(
        default_factory=lambda: NmstateFamily.model_validate({}), description="Its IPv6 addresses."
    )


class NmstateRoute(Model):
    """One of `routes.running`."""

    destination: str = Field("", description="Only default routes are looked at.")
    next_hop_interface: str = Field(
        "", alias="next-hop-interface", description="The interface that the route leads out by."
    )
    next_hop_address: str = Field("", alias="next-hop-address", description="The router.")
    table_id: int = Field(254, alias="table-id", description="Routing table; only the main one, 254, is looked at.")
    metric: int = Field(0, description="The lower wins.")


class NmstateRoutes(Model):
    """`routes`; `running` is None when the state does not tell."""

    running: list[NmstateRoute] | None = Field(
        None, description="The routes in force; absent when the state does not tell."
    )


class NmstateState(Model):
    """`status.currentState`."""

    interfaces: list[NmstateInterface] = Field(default_factory=list, description="The node's interfaces.")
    routes: NmstateRoutes = Field(
        default_factory=lambda: NmstateRoutes.model_validate({}), description="The node's routes."
    )


class NodeNetworkStateStatus(Model):
    """`NodeNetworkState.status`."""

    current_state: NmstateState = Field(alias="currentState", description="What the node has, as nmstate reports it.")


class NodeNetworkState(Model):
    """`nmstate.io/v1beta1` NodeNetworkState."""

    metadata: Metadata = Field(description="Name of the node.")
    status: NodeNetworkStateStatus = Field(description="What the node reports.")


class ServiceCIDRSpec(Model):
    """`ServiceCIDR.spec`."""

    cidrs: list[str] = Field(
        default_factory=list, description="Ranges of services; they lie inside the cluster and are never redirected."
    )


class ServiceCIDR(Model):
    """`networking.k8s.io/v1` ServiceCIDR."""

    metadata: Metadata = Field(description="Name of the object.")
    spec: ServiceCIDRSpec = Field(default_factory=lambda: ServiceCIDRSpec.model_validate({}), description="The ranges.")


class VirtualizationSettings(Model):
    """`ModuleConfig.spec.settings` of the module `virtualization`."""

    virtual_machine_cidrs: list[str] = Field(
        default_factory=list,
        alias="virtualMachineCIDRs",
        description="Ranges of virtual machines; they lie inside the cluster and are never redirected.",
    )


class ModuleConfigSpec(Model):
    """`ModuleConfig.spec`."""

    settings: VirtualizationSettings = Field(
        default_factory=lambda: VirtualizationSettings.model_validate({}), description="Settings of the module."
    )


class ModuleConfig(Model):
    """`deckhouse.io/v1alpha1` ModuleConfig."""

    metadata: Metadata = Field(description="Name of the module; only `virtualization` is read.")
    spec: ModuleConfigSpec = Field(
        default_factory=lambda: ModuleConfigSpec.model_validate({}), description="The configuration."
    )
