"""The lab's commands as functions: what the command line, the demo and the tests call."""

import io
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TextIO

from compiler.model import Cluster
from lab import build, namespace, script, state, traffic
from lab.build import Result, entering
from lab.model import PORT, LabError, Limits, Masquerade, NodePlan
from lab.state import LabState
from lab.topology import plan_lab
from lab.traffic import CHATTER, Inbound, Packet, Protocol, Question

STRANGER = {4: "203.0.113.77", 6: "2001:db8:77::77"}
"""Where inbound connections come from: documentation addresses, which no cluster has."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is up.

    Attributes:
        state: What was built.
        failed: Names of the nodes that are taken away.
        server: Whether outside's server runs.
    """

    state: LabState
    failed: tuple[str, ...]
    server: bool


def up(  # noqa: PLR0913  # what the command line offers, the last two by keyword
    cluster: Cluster,
    name: str = "egl",
    masquerade: Masquerade = "nft",
    out: TextIO = sys.stdout,
    *,
    limits: Limits | None = None,
    only: Sequence[str] = (),
) -> None:
    """Builds a lab from a cluster and says what is in it; a lab that cannot be built leaves nothing.

    Args:
        cluster: What to build.
        name: The lab's name.
        masquerade: What the nodes' CNI does with pods' traffic to outside.
        out: Where to say it.
        limits: How many nodes and workloads at most.
        only: Keys of the workloads to build; empty means all, up to the limit.

    Raises:
        LabError: It is up already, the cluster does not fit, or the kernel refuses.
    """
    plan = plan_lab(cluster, name, limits, only)
    build.build(plan, masquerade)
    out.writelines(f"note: {note}\n" for note in plan.notes)
    out.write(
        f"lab {name} is up: {len(plan.nodes)} nodes, {len(plan.workloads)} workloads, {len(plan.bridges)} networks, "
        f"masquerade {masquerade}; take it down with: egressc lab down{'' if name == 'egl' else f' --name {name}'}\n"
    )


def apply(name: str, bundle_dir: Path, out: TextIO, *, verbose: bool = False) -> int:
    """Applies a bundle to every node that is not taken away.

    Args:
        name: The lab.
        bundle_dir: The bundle.
        out: Where to say what each node made of it.
        verbose: Whether to say every step; else only those of a node that failed.

    Returns:
        0, or the highest exit status of a node's apply.

    Raises:
        LabError: There is no such lab.
    """
    lab = state.load_complete(name)
    away = set(_failed(lab))
    present = [node for node in lab.plan.nodes if node.name not in away]
    directory = bundle_dir.resolve()
    jobs = [entering(lab, partial(_apply_one, directory, node)) for node in present]
    worst = 0
    for node, result in zip(present, namespace.parallel(jobs), strict=True):
        lines = (result.stdout + result.stderr).splitlines()
        shown = lines if verbose or result.status else lines[-1:]
        out.writelines(f"{node.name}: {line}\n" for line in shown)
        if result.status:
            out.write(f"{node.name}: exit status {result.status}\n")
        worst = max(worst, result.status)
    out.writelines(f"{node_name}: taken away, skipped\n" for node_name in sorted(away))
    return worst


def _apply_one(directory: Path, node: NodePlan) -> Result:
    from applier.cli import run  # noqa: PLC0415  # pulls in netlink and nftables, which nothing else here needs

    out, err = io.StringIO(), io.StringIO()
    status = run(directory, node.name, str(namespace.NETNS / node.namespace), dry_run=False, out=out, err=err)
    return Result(status, out.getvalue(), err.getvalue())


def request(  # noqa: PLR0913, PLR0917  # reads as the command line does
    name: str,
    workload: str,
    to_ip: str,
    port: int = PORT,
    protocol: Protocol = "tcp",
    timeout: float = 2.0,
) -> str | None:
    """Asks from a workload for the address that the other side sees.

    Outside answers for every address that is not the lab's own; for the address of a workload or node of the lab,
    somebody is put there to answer.

    Args:
        name: The lab.
        workload: `NAMESPACE/NAME`, a node's name, or `outside`.
        to_ip: Whom to ask.
        port: Which port; outside listens on 8080 only.
        protocol: TCP (as HTTP) or UDP.
        timeout: Seconds.

    Returns:
        The address, or None when no answer came.

    Raises:
        LabError: There is no such lab or workload, or `to_ip` is no address.
    """
    lab = state.load_complete(name)
    asking = lab.plan.namespace_of(workload)
    question = Question(_address(to_ip), port, protocol, timeout)
    answer = entering(lab, lambda: traffic.ask(question), asking)
    host = _host_of(lab, question.to)
    if host is None:
        return namespace.call(answer)
    with traffic.answering(lab, host, question):
        return namespace.call(answer)


def inbound(  # noqa: PLR0913  # all but two by keyword
    name: str,
    workload: str,
    *,
    version: int = 4,
    port: int = PORT,
    protocol: Protocol = "tcp",
    source: str | None = None,
    timeout: float = 2.0,
) -> Inbound:
    """Connects from outside to a workload, by way of the workload's node.

    Args:
        name: The lab.
        workload: `NAMESPACE/NAME`.
        version: IP version.
        port: Port on which the workload listens meanwhile.
        protocol: TCP or UDP.
        source: Whom outside plays; default a documentation address.
        timeout: Seconds.

    Raises:
        LabError: There is no such lab or workload, or it has no address of that version.
    """
    lab = state.load_complete(name)
    target = lab.plan.workload(workload)
    pod = next((a for a in target.addresses if ip_address(a).version == version), None)
    route = None if pod is None else script.entrance(pod, lab.plan.node(target.node))
    if pod is None or route is None:
        raise LabError(f"workload {workload} and its node have no IPv{version} address in common with outside")
    sender = STRANGER[version] if source is None else _address(source)
    question = Question(pod, port, protocol, timeout)

    def connect() -> str | None:
        build.ip_batch([f"route replace {route}"])
        try:
            return traffic.ask(question, sender)
        finally:
            build.ip_batch([f"route delete {route}"])

    with traffic.answering(lab, target.namespace, question) as server:
        answer = namespace.call(entering(lab, connect, lab.plan.outside.namespace))
        return Inbound(server.result(), answer is not None)


def fail(name: str, node: str) -> None:
    """Takes a node away: its links go down at the far end, as if its cables were pulled.

    Raises:
        LabError: There is no such lab or node.
    """
    _set_links(name, node, "down")


def restore(name: str, node: str) -> None:
    """Brings a node back that was taken away.

    Raises:
        LabError: There is no such lab or node.
    """
    lab = _set_links(name, node, "up")
    plan = lab.plan.node(node)
    for where, names in (
        (lab.plan.hub, {link.port for link in plan.links}),
        (plan.namespace, {link.name for link in plan.links}),
    ):
        namespace.call(entering(lab, partial(build.wait_for_carrier, names), where))


def _set_links(name: str, node: str, to: str) -> LabState:
    lab = state.load_complete(name)
    lines = script.port_states(lab.plan.node(node), to)
    namespace.call(entering(lab, lambda: build.ip_batch(lines), lab.plan.hub))
    return lab


def seen(name: str, *, chatter: bool = False) -> tuple[Packet, ...]:
    """Returns every packet that arrived outside, in order, since `up` or `clear_seen`.

    Args:
        name: The lab.
        chatter: Whether to include ARP, neighbour discovery and group membership.

    Raises:
        LabError: There is no such lab, or packets were lost and the answer would not be the whole truth.
    """
    lab = state.load_complete(name)
    if lost := traffic.control(lab, "flush"):
        raise LabError(f"{lost} packets came faster than they were written down; clear with: egressc lab seen --clear")
    packets = traffic.read_log(state.directory(name) / state.LOG)
    return tuple(packet for packet in packets if chatter or packet.protocol not in CHATTER)


def clear_seen(name: str) -> None:
    """Forgets what arrived outside.

    Raises:
        LabError: There is no such lab.
    """
    traffic.control(state.load_complete(name), "clear")


def execute(name: str, who: str, command: Sequence[str]) -> int:
    """Runs a command in the namespace of a node, a workload or `outside`, on this terminal.

    Returns:
        Its exit status; 127 when there is no such command.

    Raises:
        LabError: There is no such lab or namespace.
    """
    lab = state.load_complete(name)
    target = lab.plan.hub if who == "hub" else lab.plan.namespace_of(who)
    return namespace.call(entering(lab, lambda: _execute(command), target))


def _execute(command: Sequence[str]) -> int:
    try:
        status = subprocess.run(command, check=False, env=build.environment()).returncode  # noqa: S603  # the user's
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    return status if status >= 0 else 128 - status


def run_in(name: str, who: str, command: Sequence[str]) -> Result:
    """Runs a command as `execute` does and returns what it says.

    Raises:
        LabError: There is no such lab, namespace or command.
    """

    def capture() -> Result:
        try:
            done = subprocess.run(  # noqa: S603  # the caller's
                command, check=False, capture_output=True, text=True, env=build.environment()
            )
        except OSError as error:
            raise LabError(f"{command[0]}: {error.strerror}") from None
        return Result(done.returncode, done.stdout, done.stderr)

    lab = state.load_complete(name)
    target = lab.plan.hub if who == "hub" else lab.plan.namespace_of(who)
    return namespace.call(entering(lab, capture, target))


def status(name: str) -> Status:
    """Returns what is up.

    Raises:
        LabError: There is no such lab.
    """
    lab = state.load(name)
    failed = _failed(lab) if lab.complete else ()
    return Status(lab, failed, lab.server is not None and state.alive(lab.server))


def down(name: str) -> bool:
    """Removes all of a lab.

    Returns:
        Whether there was anything to remove.

    Raises:
        LabError: The kernel refuses to remove a namespace.
    """
    if not state.directory(name).exists():
        return False
    build.destroy(name)
    return True


def _failed(lab: LabState) -> tuple[str, ...]:
    # The kernel is asked, so that a link set down by hand counts too.
    flags = namespace.call(entering(lab, build.link_flags, lab.plan.hub))
    return tuple(node.name for node in lab.plan.nodes if not any("UP" in flags[link.port] for link in node.links))


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise LabError(f"{text!r} is not an IP address") from None


def _host_of(lab: LabState, address: str) -> str | None:
    for workload in lab.plan.workloads:
        if address in workload.addresses:
            return workload.namespace
    for node in lab.plan.nodes:
        if any(address == own.partition("/")[0] for link in node.links for own in link.addresses):
            return node.namespace
    return None
