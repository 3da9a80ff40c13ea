"""Whole clusters as hypothesis strategies: lists of objects, as YAML gives them, after the address plan of `conftest`.

They are small, so that thousands are compiled in a minute, and drawn from few words, so that what is rare in life is
common here: equal and nested CIDRs, ties, nodes that are ill in several ways at once. About one in eight has a fault
(`cluster_faults`) that must be an error.
"""

from collections.abc import Sequence

from builders import EGRESS_LABEL, Obj, agent, config, gateway, interface, namespace, node, number, patched, pod, policy
from builders import state as network_state
from cluster_faults import FAULTS
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

# Words: the fewer, the more they meet.

CIDRS_4 = [
    *("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "192.0.0.0/2"),
    *("203.0.112.0/23", "203.0.113.0/24", "203.0.113.0/25", "203.0.113.128/25", "203.0.113.8/29", "203.0.113.8/30"),
    *("203.0.113.12/30", "203.0.113.10/31", "203.0.113.10/32", "203.0.113.11/32", "203.0.113.77/24", "203.0.114.0/24"),
    *("10.0.0.0/8", "10.111.0.0/16", "10.111.11.0/24", "10.111.11.128/25", "10.222.0.0/15", "10.66.10.0/24"),
    *("172.16.0.0/12", "172.18.4.0/24", "172.18.4.2/32", "172.18.4.2/31", "172.18.18.240/29", "172.18.18.241/32"),
    *("192.168.0.0/16", "192.168.5.0/24", "192.168.4.0/23", "127.0.0.0/7", "169.254.0.0/15", "169.254.1.0/24"),
    *("224.0.0.0/3", "239.1.2.3/32", "255.255.255.255/32", "255.255.255.254/31", "0.0.0.0/32"),
]
CIDRS_6 = [
    *("::/0", "::/1", "8000::/1", "2000::/3", "::/127", "::1/128", "::2/127"),
    *("2001:db8:ffff::/48", "2001:db8:fffe::/47", "2001:db8:ffff::/49", "2001:db8:ffff:8000::/49"),
    *("2001:db8:ffff::10/128", "2001:db8:ffff::10/127", "2001:db8:ffff::11/128", "2001:db8:ffff::77/64"),
    *("fd00::/8", "fd00:111::/32", "fd00:111:0:b::/64", "fd00:222::/32", "fd00:4::2/128", "fd00:4::/64"),
    *("fe80::/9", "fe80::/10", "fe80:0:0:1::/64", "ff00::/8", "ff02::1/128", "fe00::/7"),
    *("2001:db8:18::/64", "2001:db8:18::241/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"),
]
VIRTUAL_IPS = [
    *("172.18.18.241", "172.18.18.242", "172.18.4.243", "198.18.0.244", "192.168.5.245"),
    *("2001:db8:18::241", "2001:db8:18::242", "fd00:4::243", "2001:db8:99::244"),
]
CREATED = [
    None,
    "2024-01-01T00:00:00Z",
    "2024-01-01T03:00:00+03:00",  # the same moment
    "2024-06-01T00:00:00Z",
    "2024-01-01T02:00:00+03:00",  # earlier, though its text is greater
]
POD_SELECTORS: list[Obj] = [
    {},
    {"matchLabels": {"app": "front"}},
    {"matchLabels": {"k8s:app": "back"}},
    {"matchLabels": {"any:app": "front", "tier": "web"}},
    {"matchLabels": {"tier": ""}},
    {"matchLabels": {"io.kubernetes.pod.namespace": "default"}},
    {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "shop", "app": "back"}},
    {"matchLabels": {"any:io.cilium.k8s.policy.serviceaccount": "mailer"}},
    {"matchLabels": {"io.cilium.k8s.namespace.labels.team": "pay"}},
    {"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.team": "ship"}},
    {"matchExpressions": [{"key": "app", "operator": "In", "values": ["front", "other"]}]},
    {"matchExpressions": [{"key": "any:tier", "operator": "NotIn", "values": ["web"]}]},
    {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
    {"matchExpressions": [{"key": "k8s:tier", "operator": "DoesNotExist"}]},
    {"matchExpressions": [{"key": "io.cilium.k8s.policy.serviceaccount", "operator": "NotIn", "values": ["mailer"]}]},
    {"matchExpressions": [{"key": "io.kubernetes.pod.namespace", "operator": "In", "values": ["shop", "pay"]}]},
    {"matchExpressions": [{"key": "io.cilium.k8s.namespace.labels.team", "operator": "DoesNotExist"}]},
    {"matchLabels": {"app": "front"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]},
]
NAMESPACE_SELECTORS: list[Obj] = [
    {},
    {"matchLabels": {"team": "pay"}},
    {"matchLabels": {"k8s:team": "ship"}},
    {"matchExpressions": [{"key": "team", "operator": "Exists"}]},
    {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["pay"]}]},
    {"matchExpressions": [{"key": "any:team", "operator": "DoesNotExist"}]},
]
PHASES = ["Running", "Pending", "Unknown", "Running", "Running", "Succeeded", "Failed"]
MACHINE_PHASES = ["Running", "Migrating", "Running", "Pending", "Stopped"]


def one_in(draw: DrawFn, n: int) -> bool:
    """Rarely true; shrinks to false."""
    return draw(st.integers(0, n - 1)) == n - 1


def some(draw: DrawFn, words: Sequence[str], least: int, most: int) -> list[str]:
    return draw(st.lists(st.sampled_from(words), min_size=least, max_size=most))


@st.composite
def clusters(draw: DrawFn) -> list[Obj]:
    """A cluster with its gateways and policies, in any order, perhaps with a fault."""
    names = [f"egress-{n}" for n in range(1, draw(st.integers(1, 3)) + 1)]
    names += [f"worker-{n}" for n in range(1, draw(st.integers(1, 2)) + 1)]
    virtual_ips = draw(st.lists(st.sampled_from(VIRTUAL_IPS), unique=True, min_size=3, max_size=3))
    gateways = _gateways(draw, virtual_ips)
    well = draw(st.booleans())
    nodes = [item for name in names for item in _node(draw, name, virtual_ips, well=well)]
    if one_in(draw, 20):
        nodes = [item for item in nodes if item["kind"] != "Pod"]
    if one_in(draw, 20):
        nodes = [
            patched(item, "spec.podCIDRs", ...) if item.get("spec", {}).get("podCIDRs") else item for item in nodes
        ]
    objects = [
        *nodes,
        *_namespaces(draw),
        *_ranges(draw),
        *(item for index in range(draw(st.integers(1, 5))) for item in _workload(draw, names, index)),
        *gateways,
        *_policies(draw, [item["metadata"]["name"] for item in gateways]),
    ]
    fault = draw(st.sampled_from([None] * 7 * len(FAULTS) + FAULTS))
    if fault:
        objects = fault(objects)
    turn = draw(st.integers(0, len(objects)))
    return objects[turn:] + objects[:turn]


# Nodes


def _node(draw: DrawFn, name: str, virtual_ips: Sequence[str], *, well: bool) -> list[Obj]:
    """A node with its agent and its interfaces; one that is not well may lack anything that makes it suitable."""
    labels = EGRESS_LABEL if name.startswith("egress-") else {}
    zone = draw(st.sampled_from(["a", "b"]))
    item = node(name, labels={**labels, "zone": zone}, six=not one_in(draw, 6))
    if one_in(draw, 12):  # of the other family only
        item["status"]["addresses"] = [a for a in item["status"]["addresses"] if ":" in a["address"]]
    if one_in(draw, 12):
        item["status"]["addresses"] += [{"type": "InternalIP", "address": f"192.168.5.{number(name)}"}]
    item["status"]["addresses"].append({"type": "Hostname", "address": name})
    known = [] if one_in(draw, 5) else [_state(draw, name, virtual_ips, well=well)]
    if well:
        return [item, agent(name), *known]
    leaving = patched(agent(name), "metadata.deletionTimestamp", "2024-06-01T00:00:00Z")
    agents = draw(st.sampled_from([*([agent(name)],) * 6, [], [agent(name, ready="False")], [leaving]]))
    return [_ill(draw, item) if one_in(draw, 3) else item, *agents, *known]


def _ill(draw: DrawFn, item: Obj) -> Obj:
    kind = draw(st.integers(0, 6))
    if kind in {0, 6}:
        item = patched(item, "spec.unschedulable", value=True)
    if kind in {1, 6}:
        item = patched(item, "status.conditions.0.status", draw(st.sampled_from(["False", "Unknown"])))
    if kind == 2:
        item = patched(item, "status.conditions", [{"type": "MemoryPressure", "status": "True"}])
    if kind == 3:
        item = patched(item, "metadata.deletionTimestamp", "2024-06-01T00:00:00Z")
    if kind == 4:
        item = patched(item, "metadata.labels", {})
    if kind == 5:
        item = patched(item, "spec.podCIDRs", ...)
    return item


def _state(draw: DrawFn, name: str, virtual_ips: Sequence[str], *, well: bool) -> Obj:
    n = number(name)
    first = [f"172.18.4.{n}/24", f"fd00:4::{n}/64"]
    four, six = f"172.18.18.{n}/24", f"2001:db8:18::{n}/64"
    # Linux lists a new IPv6 address before older ones, so that virtual IPs from an earlier bundle may come first.
    held = [f"{address}/{128 if ':' in address else 32}" for address in virtual_ips[:2]]
    shapes: list[list[str]] = [
        *([four, six],) * 3,
        [four],
        [six],
        [f"169.254.9.{n}/16", f"fe80::{n}/64", four, six],
        [four, six, f"198.18.0.{n}/24", f"172.18.18.{n + 100}/24", f"172.18.18.{n + 128}/25"],
        [*held, four, six],
        [four, six, *held],
        *([] if well else [[], [f"fe80::{n}/64"]]),
    ]
    interfaces = [
        interface("lo", "127.0.0.1/8", "::1/128"),
        interface("eth0", *([] if one_in(draw, 12) else first)),
        interface("eth1", *draw(st.sampled_from(shapes))),
    ]
    if not well and one_in(draw, 6):
        interfaces.pop()
    defaults = draw(st.sampled_from([("0.0.0.0/0", "::/0"), ("0.0.0.0/0",), ("::/0",), ()]))
    item = network_state(name, *interfaces, defaults=defaults)
    _more_routes(draw, item["status"]["currentState"]["routes"]["running"])
    return item


def _more_routes(draw: DrawFn, routes: list[Obj]) -> None:
    """Default routes of another table, or better ones by another interface."""
    kind = draw(st.integers(0, 5))
    if kind == 4:
        routes.append({"destination": "0.0.0.0/0", "next-hop-interface": "eth0", "table-id": 100})
    elif kind == 5:
        for index, route in enumerate(routes):
            route["metric"] = 200 + index
        routes += [{**route, "metric": 100, "next-hop-interface": "eth0"} for route in routes]


# What is around


def _namespaces(draw: DrawFn) -> list[Obj]:
    teams = draw(st.lists(st.sampled_from(["", "pay", "ship", "none"]), min_size=2, max_size=2))
    return [
        namespace(name, **({"team": team} if team else {}))
        for name, team in zip(("default", "shop"), teams, strict=True)
        if team != "none"
    ]


def _ranges(draw: DrawFn) -> list[Obj]:
    found: list[Obj] = []
    if one_in(draw, 2):
        cidrs = draw(st.sampled_from([["10.222.0.0/16"], ["10.222.0.0/16", "fd00:222::/108"], ["fd00:222::/108"]]))
        found.append(_object("networking.k8s.io/v1", "ServiceCIDR", "kubernetes", {"cidrs": cidrs}))
    if one_in(draw, 2):
        name = "virtualization" if not one_in(draw, 6) else "other"
        spec = {"enabled": True, "settings": {"virtualMachineCIDRs": ["10.66.10.0/24"]}, "version": 1}
        found.append(_object("deckhouse.io/v1alpha1", "ModuleConfig", name, spec))
    if one_in(draw, 3):
        ranges: Obj = {}
        if one_in(draw, 2):
            ranges["extraCIDRs"] = some(draw, ["192.168.0.0/16", "203.0.113.64/26", "2001:db8:ffff::/112"], 1, 2)
        if one_in(draw, 3):
            ranges["podCIDRs"] = some(draw, ["10.111.0.0/16", "fd00:111::/48"], 1, 2)
        if one_in(draw, 3):
            ranges["serviceCIDRs"] = ["10.222.0.0/15"]
        found.append(config(**({"agent": {"enabled": False}} if one_in(draw, 2) else {}), clusterRanges=ranges))
    return found


def _object(version: str, kind: str, name: str, spec: Obj) -> Obj:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


# Workloads


def _workload(draw: DrawFn, names: Sequence[str], index: int) -> list[Obj]:
    home = draw(st.sampled_from(names))
    if one_in(draw, 20):
        home = "worker-9"
    space = draw(st.sampled_from(["default", "shop"]))
    labels = {"app": draw(st.sampled_from(["front", "back"]))}
    if one_in(draw, 2):
        labels["tier"] = draw(st.sampled_from(["web", ""]))
    n = number(home)
    families = draw(st.sampled_from([2, 0, 1]))
    account = draw(st.sampled_from(["default", "mailer"]))
    kind = draw(st.integers(0, 9))
    if kind >= 6:
        ips = [f"10.66.10.{10 + index}", f"fd00:66::{10 + index}"]
        ips = ips if families == 2 else ips[families : families + 1]
        return _machine(draw, names, pod(f"w{index}", home, namespace=space, labels=labels, ips=ips))
    ips = [f"10.111.{n}.{10 + index}", f"fd00:111:0:{n}::{10 + index}"]
    if families < 2:
        ips = ips[families : families + 1]
    item = pod(f"w{index}", home, namespace=space, labels=labels, ips=ips, serviceAccountName=account)
    if kind == 4:
        return [patched(item, "spec.hostNetwork", value=True)]
    if kind == 5:
        return [patched(item, "status.phase", draw(st.sampled_from(PHASES)))]
    return [item]


def _machine(draw: DrawFn, names: Sequence[str], like: Obj) -> list[Obj]:
    """A virtual machine, its launcher pod or pods, or some of them."""
    name, space = like["metadata"]["name"], like["metadata"]["namespace"]
    labels, ips = like["metadata"]["labels"], [entry["ip"] for entry in like["status"]["podIPs"]]
    home = like["spec"]["nodeName"]
    status = {"ipAddress": ips[0], "nodeName": home, "phase": draw(st.sampled_from(MACHINE_PHASES))}
    lag = draw(st.integers(0, 11))  # what it says of itself may be late
    if lag == 9:
        status["nodeName"] = draw(st.sampled_from(names))
    elif lag == 10:
        status["ipAddress"] = ips[0].replace("66", "67")
    elif lag == 11:
        del status[draw(st.sampled_from(["ipAddress", "nodeName"]))]
    machine = {
        "apiVersion": "virtualization.deckhouse.io/v1alpha2",
        "kind": "VirtualMachine",
        "metadata": {"name": name, "namespace": space, "labels": labels},
        "status": status,
    }
    launchers = []
    for turn in range(draw(st.integers(0, 2))):
        place = home if turn == 0 else draw(st.sampled_from(names))
        mine = {**labels, "vm.kubevirt.internal.virtualization.deckhouse.io/name": name}
        priority = draw(st.sampled_from([str(turn), str(turn), str(1 - turn), "", "10"]))
        if priority:
            mine["network.deckhouse.io/pod-common-ip-priority"] = priority
        launchers.append(pod(f"{name}-{turn}", place, namespace=space, labels=mine, ips=ips))
    return launchers if launchers and one_in(draw, 3) else [machine, *launchers]


# Gateways and policies


def _gateways(draw: DrawFn, virtual_ips: Sequence[str]) -> list[Obj]:
    found = []
    selectors = [*(EGRESS_LABEL,) * 5, {"zone": "a"}, {}, EGRESS_LABEL | {"zone": "b"}, {"zone": "c"}]
    for index in range(draw(st.integers(1, 3))):
        selector = draw(st.sampled_from(selectors))
        if one_in(draw, 2):
            named = some(draw, ["eth1", "eth0", "eth7"], 1, 2) if one_in(draw, 3) else []
            item = gateway(f"gate-{index}", vip=virtual_ips[index], selector=selector, interfaces=named)
        else:
            item = gateway(f"gate-{index}", selector=selector)
            path = "spec.sourceIP.primaryIPFromEgressGatewayNodeInterface.interfaceName"
            item = patched(item, path, draw(st.sampled_from([*("eth1",) * 5, "eth0", "eth0", "eth7"])))
        if not selector and one_in(draw, 2):
            item = patched(item, "spec.nodeSelector", ...)
        found.append(item)
    return found


def _policies(draw: DrawFn, gateways: Sequence[str]) -> list[Obj]:
    words = some(draw, CIDRS_4, 2, 5) + some(draw, CIDRS_6, 1, 4)
    found = []
    names = draw(st.permutations(["alpha", "beta", "delta", "gamma", "omega"]))
    for name in names[: draw(st.integers(1, 5))]:
        entries = []
        for _ in range(draw(st.sampled_from([*(1,) * 5, 2, 2, 0]))):
            kind = draw(st.integers(0, 4))
            entry: Obj = {}
            if kind < 4:
                entry["podSelector"] = draw(st.sampled_from(POD_SELECTORS)) if one_in(draw, 3) else {}
            if kind > 2:
                entry["namespaceSelector"] = draw(st.sampled_from(NAMESPACE_SELECTORS))
            entries.append(entry)
        found.append(
            policy(
                name,
                draw(st.sampled_from(gateways)),
                to=some(draw, words, 1, 4),
                excluded=some(draw, words, 0, 3),
                selectors=entries,
                created=draw(st.sampled_from(CREATED)),
            )
        )
    return found
