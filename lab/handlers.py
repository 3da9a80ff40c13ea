"""What each `egressc lab` subcommand does with its arguments: calls a command and prints its result."""

import argparse
import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Sequence
from typing import TextIO

from compiler.model import Cluster
from lab import commands
from lab.model import LabError, Limits
from lab.traffic import Packet

_Handler = Callable[[argparse.Namespace, TextIO, TextIO], int]


def read_inputs(inputs: Sequence[str], err: TextIO) -> Cluster:
    """Reads the inputs with the compiler; what it finds wrong goes to `err`.

    Raises:
        LabError: They do not make a cluster.
    """
    from compiler import pipeline, report  # noqa: PLC0415  # the other commands need no YAML and start faster

    reading = pipeline.read_cluster(inputs)
    if reading.cluster is None:
        err.write(report.findings_text(reading.findings, reading.sources))
        raise LabError("nothing is built from an input with errors; correct them and try again")
    return reading.cluster


def _up(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    limits = Limits(args.max_nodes, args.max_workloads)
    commands.up(read_inputs(args.inputs, err), args.name, args.masquerade, out, limits=limits, only=args.workload)
    return 0


def _apply(args: argparse.Namespace, out: TextIO, _err: TextIO) -> int:
    return commands.apply(args.name, args.directory, out, verbose=args.verbose)


def _request(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    seen = commands.request(args.name, args.source, args.to, args.port, args.protocol, args.timeout)
    if seen is None:
        err.write(f"no answer from {args.to} within {args.timeout:g} s\n")
        return 1
    out.write(f"{seen}\n")
    return 0


def _inbound(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    result = commands.inbound(
        args.name,
        args.to,
        version=6 if args.ipv6 else 4,
        port=args.port,
        protocol=args.protocol,
        timeout=args.timeout,
    )
    if result.seen is not None:
        out.write(f"{result.seen}\n")
    if not result.answered:
        err.write("the workload saw nothing\n" if result.seen is None else "no answer came back\n")
    return 0 if result.answered else 1


def _fail(args: argparse.Namespace, out: TextIO, _err: TextIO) -> int:
    commands.fail(args.name, args.node)
    out.write(f"node {args.node} is taken away; bring it back with: egressc lab restore {args.node}\n")
    return 0


def _restore(args: argparse.Namespace, out: TextIO, _err: TextIO) -> int:
    commands.restore(args.name, args.node)
    out.write(f"node {args.node} is back\n")
    return 0


def _seen(args: argparse.Namespace, out: TextIO, _err: TextIO) -> int:
    if args.clear:
        commands.clear_seen(args.name)
        return 0
    packets = commands.seen(args.name, chatter=args.all)
    if args.format == "json":
        out.write(json.dumps([dataclasses.asdict(packet) for packet in packets], indent=2) + "\n")
    else:
        out.writelines(f"{_line(packet)}\n" for packet in packets)
    return 0


def _line(packet: Packet) -> str:
    def end(address: str, port: int) -> str:
        if not port:
            return address
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    moment = dt.datetime.fromtimestamp(packet.time).astimezone().strftime("%H:%M:%S.%f")
    ends = f"{end(packet.source, packet.source_port)} > {end(packet.destination, packet.destination_port)}"
    return f"{moment} {packet.interface} {packet.protocol} {ends}"


def _exec(args: argparse.Namespace, _out: TextIO, err: TextIO) -> int:
    argv = args.argv[1:] if args.argv[:1] == ["--"] else args.argv
    if not argv:
        err.write("egressc lab exec: what to run? Write it after --\n")
        return 2
    return commands.execute(args.name, args.who, argv)


def _status(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    status = commands.status(args.name)
    plan = status.state.plan
    root = "with" if status.state.holder is None else "without"
    out.write(f"lab {plan.name}, masquerade {status.state.masquerade}, {root} root\n")
    out.writelines(f"network {route.prefix} on {route.device}\n" for route in plan.outside.on_link)
    for node in plan.nodes:
        links = ", ".join(f"{link.name} {' '.join(link.addresses)}" for link in node.links)
        out.write(f"node {node.name}{' (taken away)' if node.name in status.failed else ''}: {links}\n")
    out.writelines(f"workload {pod.key} on {pod.node}: {' '.join(pod.addresses)}\n" for pod in plan.workloads)
    if not status.state.complete:
        err.write(f"half-built; take it down with: egressc lab down --name {plan.name}\n")
    elif not status.server:
        err.write("outside's server is gone: nothing answers; take the lab down and up again\n")
    return 0


def _down(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    if commands.down(args.name):
        out.write(f"lab {args.name} is down\n")
    else:
        err.write(f"no lab {args.name!r} is up; nothing to do\n")
    return 0


HANDLERS: dict[str, _Handler] = {
    "up": _up,
    "apply": _apply,
    "request": _request,
    "inbound": _inbound,
    "fail": _fail,
    "restore": _restore,
    "seen": _seen,
    "exec": _exec,
    "status": _status,
    "down": _down,
}
"""By subcommand; each returns the exit status."""
