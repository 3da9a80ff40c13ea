"""`LabPlan` to text: what `ip -batch`, sysctl and the masquerade's own tool are told in each namespace. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network

from lab.model import LabPlan, Link, Masquerade, NodePlan, WorkloadPlan

_FALLBACK_METRIC = 4096
"""Below everything that is added later, such as the route of an inbound connection."""

_POD_GATEWAY = {4: "169.254.1.1", 6: "fe80::1"}
"""A next hop that exists in the pod's neighbour table only, as Calico does it: pods need no subnet."""

# Duplicate address detection would hold back every IPv6 address for a second; nothing here sends advertisements.
_QUIET = {
    "ipv6/conf/{}/accept_dad": "0",
    "ipv6/conf/{}/dad_transmits": "0",
    "ipv6/conf/{}/accept_ra": "0",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What is done in one namespace: settings below /proc/sys/net, lines for `ip -batch`, then commands with input.

    Attributes:
        namespace: Network namespace.
        sysctls: Path and value.
        batch: Lines for `ip -batch`.
        commands: Argument list and standard input.
    """

    namespace: str
    sysctls: tuple[tuple[str, str], ...] = ()
    batch: tuple[str, ...] = ()
    commands: tuple[tuple[tuple[str, ...], str], ...] = ()


def stages(plan: LabPlan, masquerade: Masquerade) -> tuple[tuple[Step, ...], ...]:
    """Returns what to do once the namespaces are there: stage by stage, the steps of a stage in any order."""
    prepare = [
        Step(plan.hub, _settings({"ipv6/conf/{}/disable_ipv6": "1"})),
        Step(plan.outside.namespace, _settings(_outside_sysctls())),
        *(Step(node.namespace, _settings(_node_sysctls())) for node in plan.nodes),
        *(Step(workload.namespace, _settings(_QUIET)) for workload in plan.workloads),
    ]
    # Ports first, all in one go: both ends of a veth are made by whoever holds the bridge.
    wire = [Step(plan.hub, batch=tuple(_hub(plan)))]
    configure = [
        Step(plan.outside.namespace, batch=tuple(_outside(plan))),
        *(
            Step(node.namespace, batch=tuple(_node(plan, node)), commands=tuple(_cni(plan, masquerade)))
            for node in plan.nodes
        ),
    ]
    finish = [Step(workload.namespace, batch=tuple(_workload(workload))) for workload in plan.workloads]
    return tuple(map(tuple, (prepare, wire, configure, finish)))


def port_states(node: NodePlan, state: str) -> tuple[str, ...]:
    """Returns the hub's `ip -batch` lines that set all links of a node `up` or `down`."""
    return tuple(f"link set {link.port} {state}" for link in node.links)


def entrance(pod: str, node: NodePlan) -> str | None:
    """Returns outside's route to a pod by way of its node, without the verb; None without a common family."""
    version = ip_address(pod).version
    via = next((a for a in node.entrances if ip_address(a).version == version), None)
    return None if via is None else f"table local {ip_network(pod)} via {via}"


def _settings(values: dict[str, str]) -> tuple[tuple[str, str], ...]:
    # `default` is for the interfaces to come, `all` for the switches that only it has.
    every = [(name.format(scope), value) for name, value in values.items() for scope in ("all", "default")]
    return tuple(dict(every).items())


def _node_sysctls() -> dict[str, str]:
    # Strict reverse-path filtering is the worst that distributions set: a plan must undo it where it is in the way.
    return {**_QUIET, "ipv4/ip_forward": "1", "ipv6/conf/{}/forwarding": "1", "ipv4/conf/{}/rp_filter": "1"}


def _outside_sysctls() -> dict[str, str]:
    return {
        **_QUIET,
        "ipv4/ip_forward": "1",
        "ipv6/conf/{}/forwarding": "1",
        "ipv4/conf/{}/rp_filter": "0",
        "ipv4/conf/{}/send_redirects": "0",
        "ipv4/ip_nonlocal_bind": "1",
        "ipv6/ip_nonlocal_bind": "1",
    }


def _hub(plan: LabPlan) -> Iterator[str]:
    for bridge in plan.bridges:
        yield f"link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        yield f"link set {bridge} up"
    for namespace, links in (
        (plan.outside.namespace, plan.outside.links),
        *((node.namespace, node.links) for node in plan.nodes),
    ):
        for link in links:
            yield f"link add {link.port} type veth peer name {link.name} netns {namespace}"
            yield f"link set {link.port} master {link.bridge} up"


def _link(link: Link) -> Iterator[str]:
    yield f"link set {link.name} up"
    for text in link.addresses:
        address = ip_interface(text)
        yield f"address add {text} dev {link.name}" + (" nodad" if address.version == 6 else "")  # noqa: PLR2004


def _outside(plan: LabPlan) -> Iterator[str]:
    yield "link set lo up"
    for link in plan.outside.links:
        yield from _link(link)
    # Every address is ours, save the more specific prefixes beside it in the same table. A table of its own would not
    # do: the kernel looks into `local` only when it asks whether it may reply from an address.
    for route in plan.outside.on_link:
        yield f"route replace table local {route.prefix} dev {route.device}"
    for prefix in plan.outside.unreachable:
        yield f"route add unreachable {prefix} table local metric {_FALLBACK_METRIC}"
    yield "route add local 0.0.0.0/0 dev lo table local"
    yield "route add local ::/0 dev lo table local"


def _node(plan: LabPlan, node: NodePlan) -> Iterator[str]:
    yield "link set lo up"
    for link in node.links:
        yield from _link(link)
    seen: list[str] = []
    for route in node.defaults:
        gateway = "" if route.via is None else f" via {route.via} onlink"
        # The kernel refuses a second default route of the same metric; the snapshot does not tell metrics.
        metric = f" metric {100 + seen.count(route.everything)}" if route.everything in seen else ""
        seen.append(route.everything)
        yield f"route add {route.everything}{gateway} dev {route.device}{metric}"
    hops = {(hop.node, hop.version): hop.address for hop in node.next_hops}
    for workload in plan.workloads:
        here = workload.node == node.name
        if here:
            yield (
                f"link add {workload.veth} address {workload.node_mac} type veth "
                f"peer name eth0 address {workload.mac} netns {workload.namespace}"
            )
            yield f"link set {workload.veth} up"
        for address in workload.addresses:
            target = ip_network(address)
            via = hops.get((workload.node, target.version))
            if here:
                yield f"route add {target} dev {workload.veth}"
                yield f"neighbour add {address} lladdr {workload.mac} dev {workload.veth} nud permanent"
            elif via is not None:
                yield f"route add {target} via {via}"


def _workload(workload: WorkloadPlan) -> Iterator[str]:
    yield "link set lo up"
    yield "link set eth0 up"
    for address in workload.addresses:
        version = ip_address(address).version
        gateway = _POD_GATEWAY[version]
        yield f"address add {ip_network(address)} dev eth0" + (" nodad" if version == 6 else "")  # noqa: PLR2004
        yield f"neighbour add {gateway} lladdr {workload.node_mac} dev eth0 nud permanent"
        yield f"route add {'0.0.0.0/0' if version == 4 else '::/0'} via {gateway} dev eth0 onlink"  # noqa: PLR2004


def _cni(plan: LabPlan, masquerade: Masquerade) -> Iterator[tuple[tuple[str, ...], str]]:
    if masquerade == "none":
        return
    for version in (4, 6):
        pods = _of(plan.pod_ranges, version)
        inside = _of(plan.inside_ranges, version)
        if not pods:
            continue
        if masquerade == "nft":
            yield ("nft", "-f", "-"), _nft(version, pods, inside)
        else:
            yield (*restore_command(masquerade, version), "--noflush"), _iptables(pods, inside)


def restore_command(masquerade: Masquerade, version: int) -> tuple[str, ...]:
    """Returns the command that loads iptables rules of one IP version."""
    return (f"{'ip' if version == 4 else 'ip6'}tables-{masquerade.removeprefix('iptables-')}-restore",)  # noqa: PLR2004


def _of(prefixes: Iterable[str], version: int) -> list[str]:
    return [prefix for prefix in prefixes if ip_network(prefix).version == version]


def _nft(version: int, pods: Sequence[str], inside: Sequence[str]) -> str:
    family = "ip" if version == 4 else "ip6"  # noqa: PLR2004
    return (
        f"table {family} cni {{\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat; policy accept;\n"
        f"    {family} saddr {{ {', '.join(pods)} }} {family} daddr != {{ {', '.join(inside)} }} masquerade\n"
        "  }\n"
        "}\n"
    )


def _iptables(pods: Sequence[str], inside: Sequence[str]) -> str:
    lines = ["*nat", ":CNI-MASQ - [0:0]"]
    lines += [f"-A POSTROUTING -s {prefix} -j CNI-MASQ" for prefix in pods]
    lines += [f"-A CNI-MASQ -d {prefix} -j RETURN" for prefix in inside]
    return "\n".join([*lines, "-A CNI-MASQ -j MASQUERADE", "COMMIT", ""])
