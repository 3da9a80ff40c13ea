"""Reads a node to `Facts`: the only part of doctor that touches anything, and it changes nothing."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from applier.doctor import files
from applier.doctor.facts import Cilium, Facts, Others
from applier.doctor.features import FEATURES, script
from applier.doctor.listing import iptables, merged, nft_tables
from applier.doctor.plan import neighbours, virtual_ips, wayless
from applier.errors import KernelError
from applier.kernel import Kernel
from applier.nft import Nft
from applier.probe import probe
from applier.trial import dry_run, library_fault
from bundle.directory import NodePart

_SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv6/conf/all/disable_ipv6",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_loose",
)
_STRICT = "net/ipv4/conf/*/rp_filter"
_SYSTEMD = ("etc", "run", "usr/local/lib", "usr/lib")  # in order of precedence
_PATIENCE = 10  # seconds for iptables-save


def gather_means() -> Facts:
    """Reads only whether there are the means to read more."""
    return Facts(os.uname().release, _capabilities(), library_fault())


def gather(kernel: Kernel, part: NodePart | None, means: Facts, root: Path = Path("/")) -> Facts:
    """Reads all that the checks need.

    Args:
        kernel: Of the network namespace to look at, which this thread is in.
        part: The node's part of a bundle, if there is one: its interfaces, next hops and addresses are looked at too.
        means: What `gather_means` returned.
        root: Where the node's files are.

    Raises:
        KernelError: The kernel cannot be read.
    """
    ways = {address: kernel.find_device(address) for address in wayless(part)} if part else {}
    devices = kernel.list_devices()
    return replace(
        means,
        failed_features={feature: said for feature, parts in FEATURES.items() if (said := dry_run(script(parts)))},
        sysctls={name: kernel.read_sysctl(name) for name in _sysctls(kernel, part)},
        sysctls_writable=os.access("/proc/sys/net/ipv4/ip_forward", os.W_OK),
        rules=kernel.list_rules(),
        routes=kernel.list_routes(),
        addresses=kernel.list_addresses(),
        devices=devices,
        ways=ways,
        others=_others(),
        processes=frozenset(_processes(root)),
        networkd=files.settings(_networkd(root), "Network"),
        unmanaged=files.leaves_unmanaged(_network_manager(root)),
        cni=files.cni_plugin(_cni(root)),
        cilium=_cilium(root, devices),
        answers=probe(virtual_ips(part, ways), neighbours=neighbours(part, ways)) if part else {},
    )


def _capabilities() -> frozenset[int]:
    status = Path("/proc/thread-self/status").read_text("utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("CapEff:"))
    mask = int(line.split()[1], 16)
    return frozenset(number for number in range(64) if mask >> number & 1)


def _sysctls(kernel: Kernel, part: NodePart | None) -> Iterator[str]:
    yield from _SYSCTLS
    yield from kernel.find_sysctls(_STRICT)
    if part:
        yield from (setting.name for setting in part.routing.sysctls)


def _others() -> Others:
    unreadable: list[str] = []
    tables: tuple[Others, ...] = ()
    untold = False
    try:
        tables, untold = nft_tables(Nft().list_all())
    except (KernelError, ValueError) as error:  # nft 1.0.6 tells of a table that a process owns in no JSON
        unreadable.append(f"tables of nftables cannot be listed: {error}")
    saved: list[Others] = []
    # Asked only where there is something to tell: a program that loads modules would change the node.
    if untold:
        saved += _saved("nft", unreadable)
    if _read(Path("/proc/thread-self/net/ip_tables_names")) or _read(Path("/proc/thread-self/net/ip6_tables_names")):
        saved += _saved("legacy", unreadable)
    return merged((*tables, *saved, Others(unreadable=tuple(unreadable))))


def _saved(variant: str, unreadable: list[str]) -> Iterator[Others]:
    families: tuple[tuple[Literal["ip", "ip6"], str], ...] = (("ip", "iptables"), ("ip6", "ip6tables"))
    for family, program in families:
        path = shutil.which(f"{program}-{variant}-save") or shutil.which(f"{program}-save")
        try:
            if path is None:
                raise FileNotFoundError(2, "it is not installed")  # told like any other failure
            done = subprocess.run([path], capture_output=True, text=True, check=True, timeout=_PATIENCE)  # noqa: S603  # a system program, without arguments
            yield iptables(family, done.stdout)
        except (OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
            unreadable.append(f"rules of {program} ({variant}) cannot be read with {program}-save: {_said(error)}")


def _said(error: Exception) -> str:
    return str(error.strerror if isinstance(error, OSError) else error)


def _processes(root: Path) -> Iterator[str]:
    for path in (root / "proc").glob("[0-9]*/comm"):
        yield _read(path).strip()


def _networkd(root: Path) -> Iterator[str]:
    yield from _texts(path for folder in _SYSTEMD[::-1] if (path := root / folder / "systemd/networkd.conf").is_file())
    drop_ins = {
        path.name: path
        for folder in _SYSTEMD[::-1]
        for path in (root / folder / "systemd/networkd.conf.d").glob("*.conf")
    }
    yield from _texts(drop_ins[name] for name in sorted(drop_ins))


def _network_manager(root: Path) -> Iterator[str]:
    for folder in ("etc", "run", "usr/lib"):
        home = root / folder / "NetworkManager"
        yield from _texts((home / "NetworkManager.conf", *sorted((home / "conf.d").glob("*.conf"))))


def _cni(root: Path) -> Iterator[str]:
    # Cilium keeps others' files beside its own under another ending, which nobody reads.
    home = root / "etc/cni/net.d"
    yield from _texts(sorted(path for path in home.glob("*") if path.suffix in {".conf", ".conflist", ".json"}))


def _cilium(root: Path, devices: tuple[str, ...]) -> Cilium | None:
    if "cilium_host" not in devices:
        return None
    state = root / "run/cilium/state"
    return files.cilium(_read(state / "agent-runtime-config.json"), _read(state / "globals/node_config.h"))


def _texts(paths: Iterable[Path]) -> Iterator[str]:
    return (text for path in paths if (text := _read(path)))


def _read(path: Path) -> str:
    """Returns the text of a file of others; empty if it is not there or not to be read."""
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
