"""Runs a command under the restrictions of a unit, without systemd: `sandbox.py UNIT CALLS FOLDER COMMAND…`.

To be run as root in a mount namespace of its own. CALLS is a file with the system calls to let through; what is in
FOLDER is found below /srv. Of the unit, these are kept: capabilities, no new privileges, what is read-only and what is
not, the devices, system calls, socket families, no memory both writable and executable, no namespaces. The home
directories stay, since the interpreter of whoever develops may live there.
"""

import ctypes
import errno
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from units import Unit, read_unit

LIBC: Final = ctypes.CDLL(None, use_errno=True)
SECCOMP: Final = ctypes.CDLL("libseccomp.so.2")

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
CAPABILITIES: Final = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}
LAST_CAPABILITY = 40
FAMILIES: Final = {"AF_UNIX": 1, "AF_NETLINK": 16, "AF_PACKET": 17}
PROT_WRITE, PROT_EXEC = 2, 4
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LT, EQ, GT, MASKED_EQ = 2, 4, 6, 7
DEVICES = ("null", "zero", "full", "random", "urandom")


class Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp` of libseccomp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def main() -> None:
    unit_path, calls_path, folder, *command = sys.argv[1:]
    unit, calls = read_unit(Path(unit_path)), Path(calls_path).read_text("ascii").split()
    arrange_files(unit, Path(folder))
    drop_capabilities(unit)
    filter_calls(unit, calls)
    os.execv(command[0], command)  # noqa: S606  # the whole point


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [None if text is None else text.encode() for text in (source, target, kind)]
    if LIBC.mount(*texts, ctypes.c_ulong(flags), data.encode() if data else None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def arrange_files(unit: Unit, folder: Path) -> None:
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", "/srv", "tmpfs", 0)
    shutil.copytree(folder, "/srv", dirs_exist_ok=True)
    interpreter = Path(sys.prefix)
    descriptor = os.open(interpreter, os.O_RDONLY | os.O_DIRECTORY)
    for place in ("/run", "/var/lib", *(["/tmp"] if unit.is_on("PrivateTmp") else [])):  # noqa: S108  # of our own
        mount("tmpfs", place, "tmpfs", 0, "mode=0755")
    if not interpreter.exists():  # the checkout is below /tmp, where no node has its Python
        interpreter.mkdir(parents=True)
        mount(f"/proc/self/fd/{descriptor}", str(interpreter), None, MS_BIND)
    os.close(descriptor)
    writable = [Path("/run") / name for name in unit.words("Service", "RuntimeDirectory")]
    writable += [Path("/var/lib") / name for name in unit.words("Service", "StateDirectory")]
    writable += [Path(word.removeprefix("-")) for word in unit.words("Service", "ReadWritePaths")]
    for path in writable:
        if path.is_relative_to("/var/lib") or path.is_relative_to("/run"):
            path.mkdir(parents=True)
    if unit.is_on("PrivateDevices"):
        arrange_devices()
    if unit.is_on("ProtectKernelTunables"):
        mount("/proc/sys", "/proc/sys", None, MS_BIND | MS_REC)
        read_only("/proc/sys")
        read_only("/sys")
    assert unit.values("Service", "ProtectSystem") == ["strict"]
    places = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in places:
        if not Path(place).is_relative_to("/proc") and not Path(place).is_relative_to("/dev"):
            with suppress(FileNotFoundError):  # below what was mounted over it just now
                read_only(place)
    for path in [*writable, *([Path("/tmp")] if unit.is_on("PrivateTmp") else [])]:  # noqa: S108  # of our own
        mount(str(path), str(path), None, MS_BIND | MS_REC)
        mount("none", str(path), None, MS_BIND | MS_REMOUNT)


def arrange_devices() -> None:
    Path("/run/dev").mkdir()
    for name in DEVICES:
        (Path("/run/dev") / name).touch()
        mount(f"/dev/{name}", f"/run/dev/{name}", None, MS_BIND)
    mount("/run/dev", "/dev", None, MS_BIND | MS_REC)


def read_only(place: str) -> None:
    mount("none", place, None, MS_BIND | MS_REMOUNT | MS_RDONLY)


def drop_capabilities(unit: Unit) -> None:
    kept = {CAPABILITIES[name] for name in unit.words("Service", "CapabilityBoundingSet")}
    for number in set(range(LAST_CAPABILITY + 1)) - kept:
        assert LIBC.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0
    assert unit.is_on("NoNewPrivileges")
    assert LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0


def filter_calls(unit: Unit, calls: list[str]) -> None:
    if unit.is_on("MemoryDenyWriteExecute"):
        both = PROT_WRITE | PROT_EXEC
        deny(
            errno.EPERM,
            ("mmap", (2, MASKED_EQ, both, both)),
            ("mprotect", (2, MASKED_EQ, PROT_EXEC, PROT_EXEC)),
            ("pkey_mprotect", (2, MASKED_EQ, PROT_EXEC, PROT_EXEC)),
        )
    if unit.is_on("RestrictNamespaces"):
        deny(errno.EPERM, ("unshare", None), ("setns", None))
    families = {FAMILIES[name] for name in unit.words("Service", "RestrictAddressFamilies")}
    others = sorted(set(range(min(families), max(families))) - families)
    deny(
        errno.EAFNOSUPPORT,
        ("socket", (0, LT, min(families), 0)),
        ("socket", (0, GT, max(families), 0)),
        *(("socket", (0, EQ, number, 0)) for number in others),
    )
    context = make_filter(ERRNO | errno.EPERM)
    for name in calls:
        add(context, ALLOW, name, None)
    load(context)


def deny(number: int, *rules: tuple[str, tuple[int, int, int, int] | None]) -> None:
    context = make_filter(ALLOW)
    for name, comparison in rules:
        add(context, ERRNO | number, name, comparison)
    load(context)


def make_filter(default: int) -> ctypes.c_void_p:
    SECCOMP.seccomp_init.restype = ctypes.c_void_p
    return ctypes.c_void_p(SECCOMP.seccomp_init(ctypes.c_uint32(default)))


def add(context: ctypes.c_void_p, action: int, name: str, comparison: tuple[int, int, int, int] | None) -> None:
    number = SECCOMP.seccomp_syscall_resolve_name(name.encode())
    if number < 0:  # of another architecture
        return
    rules = (Comparison * 1)(Comparison(*comparison)) if comparison else None
    status = SECCOMP.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, int(rules is not None), rules)
    assert status == 0, (name, status)


def load(context: ctypes.c_void_p) -> None:
    assert SECCOMP.seccomp_load(context) == 0
    SECCOMP.seccomp_release(context)


if __name__ == "__main__":
    main()
