"""Valid and broken objects of our kinds: what the API server and the compiler say to each, and where they differ."""

from typing import NamedTuple

from builders import Obj, gateway, patched, policy

VIP = "spec.sourceIP.virtualIPAddress"
PRIMARY = "spec.sourceIP.primaryIPFromEgressGatewayNodeInterface"
SELECTOR = "spec.selectors.0.podSelector"
NAMESPACES = "spec.selectors.0.namespaceSelector"
PSEUDO = "io.cilium.k8s.namespace.labels."
LONG = "a" * 63
DOMAIN = ".".join(["a" * 49] * 5) + ".aaa"
assert len(DOMAIN) == 253


class Row(NamedTuple):
    """An object, and the code of the compiler's finding where there is one."""

    name: str
    item: Obj
    code: str = ""


def gate(path: str, value: object, code: str = "") -> Row:
    return Row(f"{path}={value!r}"[:80], patched(gateway(), path, value), code)


def virtual(path: str, value: object, code: str = "") -> Row:
    return Row(f"{path}={value!r}"[:80], patched(gateway(vip="192.0.2.40"), path, value), code)


def rule(path: str, value: object, code: str = "") -> Row:
    given = policy(excluded=["192.0.2.0/24"], selectors=[{"podSelector": {}, "namespaceSelector": {}}])
    return Row(f"{path}={value!r}"[:80], patched(given, path, value), code)


def expression(value: object, code: str = "", at: str = SELECTOR) -> Row:
    return rule(f"{at}.matchExpressions", [value], code)


ACCEPTED = (
    Row("primary", gateway()),
    Row("virtual", gateway(vip="192.0.2.40", interfaces=["eth0", "bond0.100"])),
    Row("policy", policy()),
    *(
        virtual(f"{VIP}.ip", text)
        for text in (
            "2001:db8::1",
            "2001:DB8:0:0::1",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "64:ff9b::192.0.2.1",
            "::2",
        )
    ),
    *(virtual(f"{VIP}.interfaces", value) for value in ([], None, ["...", "a" * 15, "a@b", "+=-_"])),
    virtual("spec.sourceIP.primaryIPFromEgressGatewayNodeInterface", {"interfaceName": "eth 0"}),
    virtual("spec.sourceIP.primaryIPFromEgressGatewayNodeInterface", None),
    gate(VIP, {"ip": "not looked at", "interfaces": ["a" * 16]}),
    gate("spec.nodeSelector", ...),
    gate("spec.nodeSelector", None),
    gate("spec.nodeSelector", {LONG: LONG, f"{DOMAIN}/{LONG}": "", f"{PSEUDO}{DOMAIN}/{LONG}": "a", "A_b.c-d": "x.y"}),
    gate("status", {"activeNodeName": "egress-1"}),
    *(
        rule("spec.destinationCIDRs", [text])
        for text in ("0.0.0.0/0", "::/0", "10.1.2.3/8", "10.0.0.0/08", "2001:db8::/128", "::ffff:0:0:0/96", "1::8/064")
    ),
    rule("spec.destinationCIDRs", ["10.0.0.0/8", "10.0.0.0/8"]),
    rule("spec.excludedCIDRs", ...),
    rule("spec.excludedCIDRs", []),
    rule("spec.selectors", ...),
    rule("spec.selectors", []),
    rule("spec.selectors", [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]),
    *(
        rule(f"{at}.matchLabels", {key: "a"})
        for at in (SELECTOR, NAMESPACES)
        for key in (
            "app",
            "k8s:app",
            "any:example.com/app",
            f"k8s:{PSEUDO}team",
            f"{PSEUDO}example.com/a",
        )
    ),
    *(
        expression(value, at=at)
        for at in (SELECTOR, NAMESPACES)
        for value in (
            {"key": "app", "operator": "In", "values": ["a", ""]},
            {"key": f"any:{PSEUDO}a", "operator": "NotIn", "values": ["a"]},
            {"key": "app", "operator": "Exists"},
            {"key": "app", "operator": "DoesNotExist", "values": []},
            {"key": "app", "operator": "Exists", "values": None},
        )
    ),
)

REFUSED = (
    gate("spec", ..., "EG201"),
    gate("spec", None, "EG201"),
    gate("spec", [], "EG202"),
    gate("spec.sourceIP", ..., "EG201"),
    gate("spec.sourceIP.mode", ..., "EG201"),
    gate("spec.sourceIP.mode", "Primary", "EG205"),
    gate("spec.sourceIP.mode", "VirtualIPAddress", "EG201"),
    gate(PRIMARY, ..., "EG201"),
    gate(PRIMARY, {}, "EG201"),
    gate(f"{PRIMARY}.interfaceNames", "eth1", "EG204"),
    *(
        gate(f"{PRIMARY}.interfaceName", text, "EG209")
        for text in ("", ".", "..", "a" * 16, "ä" * 8, "eth 1", "a/b", "a:1")
    ),
    gate(f"{PRIMARY}.interfaceName", 5, "EG202"),
    virtual(VIP, None, "EG201"),
    virtual(VIP, {"interfaces": []}, "EG201"),
    *(
        virtual(f"{VIP}.ip", text, "EG206")
        for text in (
            "",
            "192.0.2.40/32",
            "192.0.2.256",
            "192.0.2.040",
            "192.0.2",
            "2001:db8::g",
            "fe80::1%eth0",
            "::ffff:192.0.2.1",
            "0:0:0:0:0:ffff:c000:201",
            "1:2:3:4:5:6:7:8:9",
            "1::2::3",
            ":::",
            "1:2:3:4:5:6:7:8::",
            "192.0.2.1\n",
            "egress.example",
            "127.0.0.1",
            "0.0.0.0",  # noqa: S104  # refused
            "224.0.0.1",
            "239.255.255.255",
            "169.254.1.1",
            "255.255.255.255",
            "::1",
            "::",
            "0:0::0:1",
            "::0.0.0.1",
            "ff02::1",
            "fe80::1",
            "FEBF::1",
        )
    ),
    virtual(f"{VIP}.interfaces", ["eth1", ".."], "EG209"),
    virtual(f"{VIP}.interfaces", "eth1", "EG202"),
    virtual(f"{VIP}.interfaces", [None], "EG202"),
    gate(VIP, {}, "EG201"),
    gate(VIP, {"ip": 5}, "EG202"),
    *(
        gate("spec.nodeSelector", {key: ""}, "EG208")
        for key in (
            "",
            "-a",
            "a-",
            "a/b/c",
            "/a",
            "a/",
            "Example.com/a",
            f"{LONG}a",
            f"a{DOMAIN}/a",
            "k8s:app",
            "a b",
            "ä",
            PSEUDO,
            f"{PSEUDO}-a",
            f"{PSEUDO}Example.com/a",
        )
    ),
    *(gate("spec.nodeSelector", {"a": text}, "EG208") for text in ("-a", "a b", f"{LONG}a", "ä", "a\n")),
    gate("spec.nodeSelector", {"a": 5}, "EG202"),
    gate("spec.nodeSelector", ["a"], "EG202"),
    gate("spec.other", {}, "EG204"),
    gate("spec.other", None, "EG204"),
    rule("spec.egressGatewayName", ..., "EG201"),
    rule("spec.egressGatewayName", 5, "EG202"),
    *(rule("spec.egressGatewayName", text, "EG301") for text in ("", "Egress", "-a", "a_b", "a" * 254)),
    rule("spec.destinationCIDRs", ..., "EG201"),
    rule("spec.destinationCIDRs", [], "EG201"),
    rule("spec.destinationCIDRs", "0.0.0.0/0", "EG202"),
    rule("spec.destinationCIDRs", [None], "EG202"),
    *(
        rule(field, ["::/0", text], "EG207")
        for field in ("spec.destinationCIDRs", "spec.excludedCIDRs")
        for text in (
            "",
            "10.0.0.0",
            "::",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0.0/",
            "10.0.0.0/0008",
            "10.0.0/8",
            "010.0.0.0/8",
            "::ffff:10.0.0.0/104",
            "0:0:0:0:0:ffff::/96",
            "fe80::%1/64",
            "everything",
            "10.0.0.0/8 ",
        )
    ),
    rule("spec.selectors", {}, "EG202"),
    rule("spec.selectors", [{}], "EG211"),
    rule("spec.selectors", [{"podSelector": None}], "EG211"),
    rule("spec.selectors", [None], "EG202"),
    rule("spec.selectors.0.serviceSelector", {}, "EG204"),
    *(
        rule(f"{at}.matchLabels", labels, "EG208")
        for at in (SELECTOR, NAMESPACES)
        for labels in (
            {"a b": ""},
            {"any:k8s:app": ""},
            {"k8s:any:app": ""},
            {f"k8s:{PSEUDO}_a": ""},
            {f"a{DOMAIN}/a": ""},
            {"a": "ä"},
        )
    ),
    *(
        expression(value, code, at)
        for at in (SELECTOR, NAMESPACES)
        for value, code in (
            ({"key": "a b", "operator": "Exists"}, "EG208"),
            ({"key": f"{PSEUDO}.a", "operator": "Exists"}, "EG208"),
            ({"key": f"a{DOMAIN}/a", "operator": "Exists"}, "EG208"),
            ({"key": "app", "operator": "Has"}, "EG205"),
            ({"key": "app", "operator": "In"}, "EG210"),
            ({"key": "app", "operator": "In", "values": []}, "EG210"),
            ({"key": "app", "operator": "NotIn", "values": None}, "EG210"),
            ({"key": "app", "operator": "Exists", "values": ["a"]}, "EG210"),
            ({"key": "app", "operator": "In", "values": ["a b"]}, "EG208"),
            ({"operator": "Exists"}, "EG201"),
        )
    ),
)

ONLY_THE_COMPILER = (
    # Other objects.
    rule("spec.egressGatewayName", "nobody", "EG301"),
    virtual(f"{VIP}.ip", "172.18.4.1", "EG303"),
    virtual(f"{VIP}.ip", "10.111.1.77", "EG303"),
    # The API server drops entries that are null before it looks, and a selector gets wider.
    gate("spec.nodeSelector", {"zone": None}, "EG202"),
    rule(f"{SELECTOR}.matchLabels", {"app": None}, "EG202"),
)
"""What only the compiler refuses, and why."""

ONLY_THE_API_SERVER = (
    # So that it can tell what a rule may cost, there are bounds that nobody should ever meet.
    gate("spec.nodeSelector", {f"a{n}": "" for n in range(17)}),
    virtual(f"{VIP}.interfaces", [f"eth{n}" for n in range(17)]),
    gate(VIP, {"ip": "a" * 1025}),
    rule("spec.destinationCIDRs", [f"10.{n % 256}.{n // 256}.0/24" for n in range(1001)]),
    rule("spec.excludedCIDRs", [f"10.{n % 256}.{n // 256}.0/24" for n in range(1001)]),
    rule("spec.selectors", [{"podSelector": {}}] * 101),
    rule(f"{SELECTOR}.matchLabels", {f"a{n}": "" for n in range(17)}),
    rule(f"{SELECTOR}.matchExpressions", [{"key": "a", "operator": "Exists"}] * 17),
    expression({"key": "app", "operator": "In", "values": [f"a{n}" for n in range(1001)]}),
)
"""What only the API server refuses, and why."""
