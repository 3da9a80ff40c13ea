"""What the checks of one node's ruleset share: the node's part, the claims, and the failures found so far."""

from collections.abc import Callable, Iterable

from bundle.directory import RULESET, NodePart, node_path
from compiler.naming import chain_name
from compiler.verify.claims import Claims
from compiler.verify.failure import Example, Failure
from compiler.verify.forms import Form, form_of


class Scope:
    """One node under examination.

    Attributes:
        node: Its name.
        claims: What it has to do, and every other node.
        ruleset: What it is told.
        served: Gateways that it is suitable for.
        local: Its selected workloads by class.
        remote: Those of other nodes that it may have to serve.
        failures: What was found.
    """

    def __init__(self, part: NodePart, claims: Claims) -> None:
        self.node = part.node
        self.claims = claims
        self.ruleset = part.ruleset
        self.served = claims.served(part.node)
        self.local = claims.local(part.node)
        self.remote = claims.remote(part.node)
        self.failures: list[Failure] = []
        self._file = node_path(part.node, RULESET)

    def fail(self, message: str, example: Example | None = None) -> None:
        """Adds a failure."""
        self.failures.append(Failure(self._file, message, example))

    def form(self, name: str, wanted: type[Form], example: Callable[[], Example | None]) -> Form | None:
        """Returns what a chain does if it is of the wanted form, else fails."""
        chain = self.ruleset.chains.get(name)
        form = form_of(chain) if chain else None
        if isinstance(form, wanted):
            return form
        self.fail(f"chain {name} {'does not what it must' if chain else 'is missing'}", example())
        return None

    def compare(self, name: str, wanted: Iterable[str], example: Callable[[str], Example | None]) -> None:
        """Compares the elements of a set with those that it must hold."""
        found, needed = set(self.ruleset.sets[name].elements), set(wanted)
        for element in sorted(needed - found):
            self.fail(f"set {name} lacks {element}", example(element))
        for element in sorted(found - needed):
            self.fail(f"set {name} holds {element}, which must not be there", example(element))

    def example(self, verdict: str) -> Example | None:
        """Returns a packet on which the node's verdict is this one, of its own workloads rather than of others."""
        own = self.claims.example(self.node, verdict)
        return own or self.claims.example(self.node, verdict, local=False)

    def next_hop_example(self, node: str) -> Example | None:
        """Returns a packet that is sent to a gateway node."""
        return self.claims.example(self.node, f"goto {chain_name('to', node)}")

    def gateway_example(self, gateway: str) -> Example | None:
        """Returns a packet that leaves here by a gateway."""
        return self.example(f"goto {chain_name('gateway', gateway)}")
