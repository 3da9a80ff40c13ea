"""The stages in their order: what `compile`, `check`, `test` and the lab have in common.

Pure but for `read_cluster`, which reads the inputs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from compiler.account import Account, give_account
from compiler.balance import Move
from compiler.diagnostics import Diagnostic, Place, error, has_errors
from compiler.elect import NOTHING_EARLIER, Earlier, elect
from compiler.files import Sources, read_sources
from compiler.load import Loaded, load, read_objects
from compiler.model import Cluster
from compiler.nodeplan import NodePlan
from compiler.pack import pack, stream
from compiler.plan import plan
from compiler.progress import Progress, counted, silent
from compiler.resolve import resolve
from compiler.review import review
from compiler.salvage import broken_kinds, pass_over, salvage
from compiler.validate import validate

_OWN_KINDS: Final = {"EgressGateway", "EgressGatewayPolicy"}


@dataclass(frozen=True, slots=True)
class Reading:
    """The inputs as understood.

    Attributes:
        cluster: None if there was an error, or, where broken objects are left out, one that cannot be left out.
        findings: All of them, sorted by place.
        passed_over: How many objects of other kinds there were.
        sources: The text of each input.
        left_out: Names of the broken objects that were left out.
        draft: Where only gateways and policies have errors, the cluster without those: there is something to say about
            the rest in the same run. Nothing is made of it.
    """

    cluster: Cluster | None
    findings: tuple[Diagnostic, ...]
    passed_over: int
    sources: Sources
    left_out: tuple[str, ...] = ()
    draft: Cluster | None = None


@dataclass(frozen=True)
class Compiled:
    """The result of all stages.

    Attributes:
        findings: Of all stages.
        moves: Masters moved for the sake of balance, or that would be if it had been asked for.
        masters: How many gateways have a master.
        account: What the bundle tells about the whole, None if there was an error that is not passed over.
        plans: Of each node, in order of name; none then.
        digest: Of the inputs.
    """

    findings: tuple[Diagnostic, ...]
    moves: tuple[Move, ...] = ()
    masters: int = 0
    account: Account | None = None
    plans: tuple[NodePlan, ...] = ()
    digest: str = ""

    @cached_property
    def files(self) -> Mapping[str, bytes] | None:
        """The files of a bundle by path, None if there is none."""
        return None if self.account is None else pack(self.account, self.digest, self.plans)

    def stream(self, progress: Progress = silent) -> Iterator[tuple[str, bytes]]:
        """Yields the files of a bundle one after another, the manifest last; nothing if there is none."""
        if self.account is not None:
            yield from stream(self.account, self.digest, counted(self.plans, "writing files", progress))


def read_cluster(inputs: Sequence[str], *, keep_going: bool = False, progress: Progress = silent) -> Reading:
    """Reads files, directories or standard input (`-`) and validates what is in them."""
    progress("reading files")
    return understand(*read_sources(inputs), keep_going=keep_going, progress=progress)


def understand(
    sources: Sources,
    findings: tuple[Diagnostic, ...] = (),
    *,
    keep_going: bool = False,
    progress: Progress = silent,
) -> Reading:
    """Validates what was read.

    Args:
        sources: The text of each input.
        findings: Those of reading them.
        keep_going: Whether objects with errors are left out, instead of there being no cluster.
        progress: Is told of each stage.
    """
    files = [read_objects(name, raw) for name, raw in counted(tuple(sources.items()), "understanding files", progress)]
    progress("validating objects")
    loaded, faults = load(files)
    findings += faults
    if keep_going or not has_errors(findings):
        findings += nothing_to_do(loaded, next(iter(sources), "-"))
    if keep_going:
        rest = salvage(loaded, findings, sources)
        return Reading(rest.cluster, sort(findings + rest.findings), loaded.passed_over, sources, rest.left_out)
    cluster, faults = validate(loaded)
    findings += faults
    if not has_errors(findings):
        return Reading(cluster, sort(findings), loaded.passed_over, sources)
    draft = salvage(loaded, findings, sources).cluster if broken_kinds(findings, loaded) <= _OWN_KINDS else None
    return Reading(None, sort(findings), loaded.passed_over, sources, draft=draft)


def nothing_to_do(loaded: Loaded, file: str) -> tuple[Diagnostic, ...]:
    """Returns the error that there is nothing to compile, if that is so, at the beginning of a file."""
    if loaded.of("EgressGateway") or loaded.of("EgressGatewayPolicy"):
        return ()
    message = "no EgressGateway and no EgressGatewayPolicy in the input; name the files that hold them"
    return (error("EG107", Place(file), message),)


def compile_cluster(
    cluster: Cluster, earlier: Earlier = NOTHING_EARLIER, *, keep_going: bool = False, progress: Progress = silent
) -> Compiled:
    """Compiles a cluster to the files of a bundle.

    Args:
        cluster: As it was read.
        earlier: Who was master before, which counts for the algorithm `balanced`.
        keep_going: Whether errors of the plan are passed over: what they concern is dropped then.
        progress: Is told of each stage.
    """
    progress("resolving policies")
    resolved = resolve(cluster)
    findings = review(cluster, resolved)
    progress("electing masters")
    elected = elect(cluster.gateways, resolved.suitability, cluster.config.election, earlier)
    progress("planning nodes")
    plans, faults = plan(cluster, resolved, elected.elections)
    findings += faults
    if keep_going:
        findings += pass_over(findings)
    masters = sum(election.master is not None for election in elected.elections.values())
    if has_errors(findings) and not keep_going:
        return Compiled(sort(findings), elected.moves, masters)
    account = give_account(cluster, resolved, elected.elections)
    return Compiled(sort(findings), elected.moves, masters, account, plans, cluster.digest)


def account_for(cluster: Cluster, masters: Mapping[str, str]) -> Account:
    """Returns what a bundle of a cluster has to tell, without making its nodes' files.

    Args:
        cluster: As it was read.
        masters: Gateway to its master in the bundle at hand, which the algorithm `balanced` keeps where it may.
    """
    resolved = resolve(cluster)
    elected = elect(cluster.gateways, resolved.suitability, cluster.config.election, Earlier(masters))
    return give_account(cluster, resolved, elected.elections)


def sort(findings: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorts findings by place, each once."""

    def order(finding: Diagnostic) -> tuple[object, ...]:
        place = finding.place
        path = tuple((0, part, "") if isinstance(part, int) else (1, 0, part) for part in place.path)
        return (place.file, place.document, path, finding.code, finding.message)

    return tuple(sorted(set(findings), key=order))
