"""Checks for daemons that take away what they did not make. Pure."""

from collections.abc import Iterator

from applier.doctor.facts import Facts
from bundle.checkup import Check

_NETWORKD = "systemd-network"  # of systemd-networkd the kernel keeps 15 letters
_SWITCHES = {"ManageForeignRoutingPolicyRules": "rules", "ManageForeignRoutes": "routes"}
_NO = frozenset({"no", "false", "off", "0", "n", "f"})


def check_daemons(facts: Facts) -> Iterator[Check]:
    """Yields what there is to say of systemd-networkd and NetworkManager."""
    yield _networkd(facts)
    yield _network_manager(facts)


def _networkd(facts: Facts) -> Check:
    if _NETWORKD not in facts.processes:
        return Check("systemd-networkd", "ok", "systemd-networkd is not running", None)
    removes = [switch for switch in _SWITCHES if facts.networkd.get(switch, "yes").lower() not in _NO]
    if not removes:
        return Check("systemd-networkd", "ok", "systemd-networkd leaves rules and routes of others alone", None)
    return Check(
        "systemd-networkd",
        "warning",
        f"systemd-networkd removes {' and '.join(map(_SWITCHES.__getitem__, removes))} of others whenever it starts",
        f"write {', '.join(f'{switch}=no' for switch in removes)} under [Network] in "
        "/etc/systemd/networkd.conf.d/egressc.conf and restart it before the first apply",
    )


def _network_manager(facts: Facts) -> Check:
    if "NetworkManager" not in facts.processes:
        return Check("network-manager", "ok", "NetworkManager is not running", None)
    if facts.unmanaged:
        return Check(
            "network-manager",
            "info",
            "NetworkManager is running and is told to leave some interfaces alone",
            "see with `nmcli device` that it leaves those alone that the plan names",
        )
    return Check(
        "network-manager",
        "warning",
        "NetworkManager is running, and takes addresses and routes of others from an interface when it activates it",
        "name the interfaces of the plan in `unmanaged-devices` under [keyfile] in "
        "/etc/NetworkManager/conf.d/egressc.conf, or run `egressc apply` after each activation",
    )
