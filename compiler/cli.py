"""The command line of `egressc`: its commands and their arguments; how they are run stands in `applier.program`."""

import argparse
import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lab.cli as lab_cli
from applier import program
from applier.arguments import add_parsers
from applier.program import Examples, Parser, make_parser, run
from compiler.gates import GATES

if TYPE_CHECKING:
    from applier.program import Commands

_SNAPSHOT: Final = "kubectl get nodes,pods,namespaces,servicecidrs,nodenetworkstates -A -o yaml"

_COLLECTOR: Final = (100_000, 50, 1000)
"""Thresholds of CPython's collector of garbage."""

COMMON: Final = "common options"
"""Title of those that all commands of the compiler have."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `egressc`; returns the exit status."""
    # A large cluster is millions of values that stay until the end, and CPython would walk all of them again and again
    # in search of garbage: a quarter of the time that it takes to read one. What is young is still looked at.
    gc.set_threshold(*_COLLECTOR)
    return run(make(), argv)


def make() -> Parser:
    """Returns the parser of all commands, of which completions and documents are made too."""
    parser, commands = make_parser(
        "Compiles EgressGateway and EgressGatewayPolicy into nftables, policy routing and virtual IPs."
    )

    _add_making(commands)
    _add_asking(commands)
    _add_reviewing(commands)
    _add_others(commands)
    add_parsers(commands)
    lab_cli.add_parser(commands).set_defaults(command="lab.cli:main")
    return parser


def _add_making(commands: "Commands") -> None:
    compile_ = add_command(
        commands,
        "compile",
        "compile inputs to a bundle",
        "compiler.commands:compile_inputs",
        examples=(
            ("egressc compile egress/ cluster.yaml -o bundle", "compile resources and a snapshot of the cluster"),
            (
                f"{_SNAPSHOT} | egressc compile egress/ - -o bundle --previous bundle",
                "a snapshot from the live cluster; with `balanced`, masters stay where the earlier bundle has them",
            ),
        ),
    )
    _inputs(compile_)
    compile_.add_argument("-o", "--output", metavar="DIR", required=True, type=Path, help="where the bundle goes")
    _choices(compile_)

    check = add_command(
        commands,
        "check",
        "print what is wrong with inputs, and write nothing",
        "compiler.commands:check",
        examples=(
            ("egressc check egress/ cluster.yaml", "print findings with their lines"),
            ("egressc check egress/ cluster.yaml --format sarif >findings.sarif", "for code scanning services"),
        ),
    )
    _inputs(check)
    _choices(check)
    _format(check, "json", "sarif", "github")


def _add_asking(commands: "Commands") -> None:
    explain = add_command(
        commands,
        "explain",
        "tell the fate of a packet, from a bundle",
        "compiler.commands:explain",
        examples=(
            ("egressc explain bundle --from default/backend-1 --to 203.0.113.10", "a workload by name"),
            ("egressc explain bundle --from 10.111.11.5 --to 203.0.113.10 --format json", "by address, for programs"),
        ),
    )
    explain.add_argument("bundle", metavar="DIR", type=Path, help="the bundle")
    explain.add_argument("--from", dest="source", metavar="NS/NAME|IP", required=True, help="workload or its address")
    explain.add_argument("--to", metavar="IP", required=True, help="destination address")
    _format(explain, "json")

    verify = add_command(
        commands,
        "verify",
        "prove that a bundle does what it should",
        "compiler.commands:verify",
        examples=(
            ("egressc verify bundle", "hold its files against what it says of itself"),
            ("egressc verify bundle egress/ cluster.yaml", "and that against the inputs"),
        ),
        statuses={1: "the bundle does not do what it should"},
    )
    verify.add_argument("bundle", metavar="DIR", type=Path, help="the bundle")
    _inputs(verify, "what the bundle was made of; without, it is held against what it says of itself", nargs="*")
    _keep_going(verify)
    _format(verify, "json")

    test = add_command(
        commands,
        "test",
        "hold cases against inputs: what must become of packets, and what never",
        "compiler.testing.command:main",
        examples=(
            ("egressc test egress/ cluster.yaml cases.yaml", "prove the cases of a file"),
            ("egressc test egress/ cluster.yaml cases.yaml --junit junit.xml", "for a pipeline that shows tests"),
            ("egressc test egress/ cluster.yaml cases.yaml --lab", "and send their packets, on this machine"),
        ),
        statuses={1: "a case failed"},
    )
    _cases(test)
    _format(test, "json", "junit")


def _add_reviewing(commands: "Commands") -> None:
    diff = add_command(
        commands,
        "diff",
        "tell what changes between two bundles or inputs, for traffic first and then node by node",
        "compiler.diff.command:main",
        examples=(
            ("egressc diff old new", "two bundles"),
            ("egressc diff before/ after/ --with cluster.yaml --format markdown", "inputs, for a pull request"),
            ("egressc diff old new --fail-on connections-break,new-drop", "a gate in a pipeline"),
            ("egressc diff --live new --node worker-1", "what an apply would change on this node"),
        ),
        statuses={1: "something differs; with --fail-on, one of the gates is met"},
    )
    diff.add_argument("old", metavar="OLD", help="a bundle, or a file or directory of inputs")
    diff.add_argument("new", metavar="NEW", nargs="?", help="the same; with --live there is only one, a bundle")
    diff.add_argument(
        "--with",
        dest="shared",
        metavar="INPUT",
        action="append",
        default=[],
        help="a further input of sides that are inputs, such as the snapshot; may be given several times",
    )
    diff.add_argument(
        "--fail-on",
        metavar="GATE,…",
        action="append",
        default=[],
        help=f"exit with 1 only if one of these happens: {', '.join(GATES)}",
    )
    diff.add_argument("--live", action="store_true", help="compare the kernel of this node with a bundle; needs root")
    diff.add_argument("--node", metavar="NAME", help="with --live, the node that this is")
    diff.add_argument("--netns", metavar="PATH", help="with --live, network namespace to look at: a path, or a name")
    _format(diff, "markdown", "json")

    simulate = add_command(
        commands,
        "simulate",
        "tell who takes over, and whose traffic changes, when nodes are lost or cordoned",
        "compiler.simulate.command:main",
        examples=(
            ("egressc simulate egress/ cluster.yaml --down egress-1", "before a node is taken away, or when it is"),
            ("egressc simulate egress/ cluster.yaml --cordon egress-1 egress-2", "before work on several nodes"),
            ("egressc simulate egress/ cluster.yaml --all-single-failures", "which node is the worst to lose"),
            (
                "egressc simulate egress/ cluster.yaml --all-single-failures --fail-on new-drop,no-standby",
                "a gate in a pipeline: no node's loss may drop anything",
            ),
        ),
        statuses={1: "traffic of a workload on another node changes; with --fail-on, one of the gates is met"},
    )
    _inputs(simulate)
    _suppositions(simulate)
    _format(simulate, "markdown", "json")

    graph = add_command(
        commands,
        "graph",
        "draw who leaves by which gateway, node and address",
        "compiler.graph.command:main",
        examples=(
            ("egressc graph bundle -o egress.svg", "a drawing, by Graphviz"),
            ("egressc graph egress/ cluster.yaml -o egress.md", "of inputs, as Mermaid that a pull request renders"),
        ),
    )
    _one_side(graph)
    graph.add_argument("-o", "--output", metavar="FILE", required=True, help="where the drawing goes; - is stdout")
    graph.add_argument(
        "--format",
        choices=("svg", "png", "dot", "mermaid", "markdown"),
        help="without, it is told from the end of FILE's name: .svg, .png, .dot, .mmd, .md; of stdout it is mermaid",
    )

    page = add_command(
        commands,
        "report",
        "make one page to look at a bundle in, with a browser",
        "compiler.page.command:main",
        examples=(
            ("egressc report bundle -o report.html", "a bundle"),
            ("egressc report bundle egress/ cluster.yaml -o report.html", "with the findings of its inputs"),
        ),
    )
    _one_side(page, "; after a bundle, the inputs that it was made of, whose findings the page shows")
    page.add_argument("-o", "--output", metavar="FILE", required=True, help="where the HTML goes; - is stdout")


def _add_others(commands: "Commands") -> None:
    schema = add_command(
        commands,
        "schema",
        "print a schema, or the names of all",
        "compiler.commands:schema",
        examples=(
            ("egressc schema", "list what there is"),
            ("egressc schema crd-egressgateway", "print a CustomResourceDefinition, for kubectl apply"),
        ),
    )
    schema.add_argument("name", metavar="NAME", nargs="?", help="one of the names; without it they are listed")

    sign = add_command(
        commands,
        "sign",
        "sign a bundle with an SSH key",
        "compiler.sign:main",
        examples=(("egressc sign bundle --key ~/.ssh/id_ed25519", "sign with the time as its serial"),),
    )
    sign.add_argument("bundle", metavar="DIR", type=Path, help="the bundle")
    sign.add_argument(
        "--key",
        metavar="FILE",
        required=True,
        type=Path,
        help="an SSH key: a private one, or a public one whose private half an agent or a token holds",
    )
    sign.add_argument(
        "--serial",
        metavar="N",
        type=int,
        help="tells which of two bundles is the newer one, so it must grow; without it, the seconds since 1970",
    )

    completion = add_command(
        commands,
        "completion",
        "print what makes a shell complete our arguments",
        "compiler.completion:main",
        examples=(
            ("egressc completion bash >~/.local/share/bash-completion/completions/egressc", "for bash, from now on"),
            ("egressc completion zsh >~/.zfunc/_egressc", "for zsh, where ~/.zfunc is in fpath before compinit"),
            ("egressc completion fish >~/.config/fish/completions/egressc.fish", "for fish"),
        ),
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")


def add_command(  # noqa: PLR0913  # as the one of `program`
    commands: "Commands",
    name: str,
    text: str,
    target: str,
    *,
    examples: Examples = (),
    statuses: Mapping[int, str] | None = None,
) -> Parser:
    """Adds a command of the compiler, as `program.add_command`, with the options that all of these have."""
    parser = program.add_command(commands, name, text, target, examples=examples, statuses=statuses)
    group = parser.add_argument_group(COMMON)
    loudness = group.add_mutually_exclusive_group()
    loudness.add_argument(
        "-q", "--quiet", action="store_true", help="on standard error nothing but errors: no warnings, counts, progress"
    )
    loudness.add_argument(
        "-v", "--verbose", action="store_true", help="say what is read, and which stage takes how long"
    )
    group.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto is on terminals, if NO_COLOR is empty and TERM is not dumb (default: auto)",
    )
    return parser


def _inputs(
    parser: argparse.ArgumentParser,
    text: str = "YAML or JSON files, directories of them, or - for standard input",
    nargs: str = "+",
) -> None:
    parser.add_argument("inputs", metavar="INPUT", nargs=nargs, help=text)
    parser.add_argument("--config", metavar="FILE", help="a further input: the EgressCompilerConfig")


def _one_side(parser: argparse.ArgumentParser, more: str = "") -> None:
    parser.add_argument(
        "inputs", metavar="DIR|INPUT", nargs="+", help=f"a bundle, or inputs, which are compiled on the fly{more}"
    )


def _suppositions(parser: argparse.ArgumentParser) -> None:
    for name, text in (
        ("--down", "nodes that are lost, and their workloads with them"),
        ("--cordon", "nodes that serve no gateway any more; their workloads stay"),
    ):
        parser.add_argument(name, metavar="NODE", nargs="+", action="extend", default=[], help=text)
    parser.add_argument("--all-single-failures", action="store_true", help="the loss of each node by itself")
    parser.add_argument(
        "--previous",
        metavar="DIR",
        type=Path,
        help="the bundle in use: with spec.election.algorithm `balanced` its masters are those before the change",
    )
    parser.add_argument(
        "--fail-on",
        metavar="GATE,…",
        action="append",
        default=[],
        help=f"exit with 1 only if one of these happens: {', '.join(GATES)}; the loss of a node never does new-bypass "
        "and new-cover; with --all-single-failures, no-standby means gateways that have none as it is",
    )


def _format(parser: argparse.ArgumentParser, *others: str) -> None:
    parser.add_argument(
        "--format", choices=("text", *others), default="text", help="text is for people (default: text)"
    )


def _cases(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs", metavar="FILE", nargs="+", help="inputs and, known by their lists `cases` or `never`, files of cases"
    )
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write JUnit XML too, to this file")
    parser.add_argument(
        "--lab",
        dest="command",
        action="store_const",
        const="lab.cases:main",
        help="send packets too, in a cluster of network namespaces; needs root, or user namespaces",
    )


def _choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--previous",
        metavar="DIR",
        type=Path,
        help="the earlier bundle: with spec.election.algorithm `balanced` its masters stay where they are suitable; "
        "with `rendezvous` it changes nothing; if it is the output directory, it may be missing the first time",
    )
    parser.add_argument(
        "--rebalance",
        action="store_true",
        help="with `balanced`, move as few of the previous masters as make their numbers even; to see first what would "
        "move, use check",
    )
    _keep_going(parser)


def _keep_going(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="leave broken objects out, say what becomes of their traffic, and compile the rest: what policies send to "
        "a gateway that is left out is dropped, and policies that are left out themselves decide nothing; compile has "
        "exit status 0 then",
    )
