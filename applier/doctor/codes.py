"""The codes of all checks with what each is about, in the order in which they are made and printed."""

from typing import Final

CODES: Final = {
    # the kernel, and what it lets us do
    "kernel-release": "the release of the kernel, where something depends on it that cannot be tried",
    "capabilities": "whether this process has CAP_NET_ADMIN and CAP_NET_RAW, as the applier must",
    "libnftables": "whether libnftables can be loaded",
    "nft-features": "each feature of nf_tables that a ruleset uses, tried in the kernel with a table that never comes "
    "to be",
    "ip-forward": "whether the node forwards IPv4",
    "rp-filter": "interfaces with strict reverse path filtering",
    "conntrack-size": "how full connection tracking is",
    "conntrack-loose": "whether connection tracking picks up connections in mid-stream",
    "sysctls-writable": "whether kernel settings of the network can be written",
    # what others have taken
    "rule-priority": "`ip rule`s of others at our priorities",
    "rule-order": "`ip rule`s of others that decide about our packets before ours do",
    "rule-marks": "`ip rule`s of others that look at our bits of the packet mark",
    "routing-tables": "routes of others in our routing tables",
    "packet-mark": "rules of others that set or look at our bits of the packet mark",
    "connection-mark": "rules of others that set our bit of the connection mark",
    "source-nat": "source NAT of others that binds a connection before ours does",
    "flowtables": "flowtables of others, whose packets pass our rules by",
    "forward-policy": "chains of others that drop what is forwarded unless a rule of theirs accepts it",
    "unreadable-rules": "rules of others that could not be read",
    # what takes away what it did not make
    "systemd-networkd": "whether systemd-networkd removes rules and routes that it did not make",
    "network-manager": "whether NetworkManager manages interfaces",
    # how pods are connected
    "pod-path": "whether the traffic of pods passes the node's netfilter at all",
    "cilium-masquerade": "whether Cilium masquerades behind netfilter",
    # what the plan expects, if there is a bundle
    "plan-interfaces": "whether the interfaces that the plan names are there and up",
    "plan-ipv6": "whether IPv6 is there, where the plan needs it",
    "plan-sysctls": "kernel settings that an apply changes",
    "plan-next-hops": "whether the gateway nodes that the plan sends to answer on their link",
    "plan-virtual-ips": "whether the virtual IPs that the plan gives to the node can be bound",
    "virtual-ip-answered": "whether somebody else on the network answers for a virtual IP",
}
"""Code to what it is about; `docs/doctor.md` has the same lines, with the remedies."""
