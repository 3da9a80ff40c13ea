"""Checks whether the traffic of pods passes the node's netfilter at all. Pure."""

from collections.abc import Iterator

from applier.doctor.facts import Cilium, Facts
from bundle.checkup import Check
from bundle.directory import NodePart

_PASS = frozenset({
    "antrea", "aws-cni", "azure-vnet", "bridge", "calico", "flannel", "kindnet", "ptp", "weave-net",
})  # fmt: skip
"""Plugins that connect pods by a bridge or by pairs of interfaces, so that the node routes for them."""

_PASS_BY = frozenset({"host-device", "ipvlan", "macvlan", "ovs", "sriov", "vlan"})
"""Plugins that connect pods to a link of the node, past its network stack."""

_CALICO_BPF = "bpfin.cali"


def check_pods(facts: Facts, part: NodePart | None) -> Iterator[Check]:
    """Yields what there is to say of how pods are connected.

    Args:
        facts: What is known of the node.
        part: Its part of a bundle, if there is one.
    """
    if facts.cilium:
        yield _cilium_path(facts.cilium)
        yield _cilium_masquerade(facts.cilium, part)
    else:
        yield _path(facts)


def _path(facts: Facts) -> Check:
    if _CALICO_BPF in facts.devices:
        return Check(
            "pod-path",
            "warning",
            "Calico works with eBPF here, which can take the traffic of pods past netfilter",
            "use its iptables or nftables data plane, or see with `nft list table inet egressc` that counters move",
        )
    if facts.cni is None:
        return Check(
            "pod-path",
            "info",
            "there is no CNI configuration in /etc/cni/net.d",
            "nothing, if this is a gateway node without pods",
        )
    if facts.cni in _PASS_BY:
        return Check(
            "pod-path",
            "blocks",
            f"the CNI plugin {facts.cni} takes the traffic of pods past the node's netfilter",
            "use a CNI whose pods the node routes for: Flannel, Calico, Cilium with bpf.hostLegacyRouting=true",
        )
    if facts.cni not in _PASS:
        return Check(
            "pod-path",
            "warning",
            f"the CNI plugin {facts.cni or 'of /etc/cni/net.d'} is not known here",
            "see with `nft list table inet egressc`, after an apply, that counters move when a pod sends",
        )
    return Check("pod-path", "ok", f"the CNI plugin {facts.cni} lets the node route for its pods", None)


def _cilium_path(cilium: Cilium) -> Check:
    if cilium.host_routing:
        return Check(
            "pod-path",
            "blocks",
            "Cilium works with eBPF host routing, which takes the traffic of pods past netfilter",
            "set bpf.hostLegacyRouting=true in Cilium's Helm values",
        )
    if cilium.host_routing is None:
        return Check(
            "pod-path",
            "warning",
            "Cilium is here and does not tell how it routes",
            "see in `cilium-dbg status` that Host Routing is Legacy; else set bpf.hostLegacyRouting=true",
        )
    return Check("pod-path", "ok", "Cilium works with legacy host routing", None)


def _cilium_masquerade(cilium: Cilium, part: NodePart | None) -> Check:
    ways = {route.device for route in part.routing.routes if route.device} if part else set()
    tunnelled = bool(ways) and all(device.startswith("cilium_") for device in ways)
    if cilium.bpf_masquerade and not tunnelled:
        return Check(
            "cilium-masquerade",
            "blocks",
            "Cilium masquerades with eBPF on the native interface, after our rules: what goes to a gateway node gets "
            "this node's address",
            "set bpf.masquerade=false in Cilium's Helm values",
        )
    if cilium.bpf_masquerade is None:
        return Check(
            "cilium-masquerade",
            "warning",
            "Cilium is here and does not tell how it masquerades",
            "see in `cilium-dbg status` that Masquerading is by IPTables; else set bpf.masquerade=false",
        )
    return Check("cilium-masquerade", "ok", "Cilium's eBPF does not masquerade what goes to a gateway node", None)
