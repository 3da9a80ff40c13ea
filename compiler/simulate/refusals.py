"""Refusals: the errors for which compile would refuse a cluster with other masters, found without making plans.

Only two errors depend on who is master: a master off the link of a workload's node (EG403), and too few mark numbers
(EG406). A test holds this against the errors of `plan`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from compiler.diagnostics import Diagnostic, Severity
from compiler.links import Links
from compiler.model import Cluster, Family
from compiler.plan import too_few_marks
from compiler.resolve import Resolved


class Refusals:
    """What the workloads of each node ask of the gateways."""

    def __init__(self, cluster: Cluster, resolved: Resolved) -> None:
        """Indexes a cluster that was read without an error, so that no address in it is contested."""
        self._nodes = cluster.nodes
        self._limit = cluster.config.mark_mask >> cluster.config.mark_shift
        self._suitability = resolved.suitability
        self._asking: dict[str, dict[tuple[str, Family], None]] = {}
        self._naming: dict[str, dict[str, None]] = {}
        self._named: dict[str, dict[str, None]] = {}
        for item in resolved.classes:
            named = dict.fromkeys(item.table.gateways)
            decided = {family: {d.gateway for d in item.table.decisions[family]} - {None} for family in Family}
            on_nodes = {(w.node, family): None for w in item.workloads for family in w.addresses}
            for node, family in on_nodes:
                if node not in cluster.nodes:
                    continue
                self._named.setdefault(node, {}).update(named)
                for gateway in sorted(filter(None, decided[family])):
                    self._asking.setdefault(gateway, {})[node, family] = None
        for node, gateways in self._named.items():
            for gateway in gateways:
                self._naming.setdefault(gateway, {})[node] = None

    def find(
        self, orders: Mapping[str, tuple[str, ...]], changed: Iterable[str], lost: Collection[str] = ()
    ) -> tuple[Diagnostic, ...]:
        """Returns the errors, sorted.

        Args:
            orders: Gateway to its suitable nodes, the master first.
            changed: The gateways whose master is to be asked about; the others are known to give no error.
            lost: Nodes whose workloads are gone.
        """
        changed = list(changed)
        found = self._short_of_marks(orders, changed, lost)
        links = Links(self._nodes)
        for gateway in changed:
            for node, family in self._asking.get(gateway, {}) if orders[gateway] else ():
                master = orders[gateway][0]
                if node not in {master, *lost} and node not in found and self._has_source(gateway, master, family):
                    links.reaches(self._nodes[node], master, family)
        off_link = (finding for finding in links.done() if finding.severity is Severity.ERROR)
        return tuple(sorted((*found.values(), *off_link), key=lambda finding: (finding.code, finding.message)))

    def _short_of_marks(
        self, orders: Mapping[str, tuple[str, ...]], changed: Iterable[str], lost: Collection[str]
    ) -> dict[str, Diagnostic]:
        served = Counter(node for order in orders.values() for node in order)
        # Where no gateway that is named has moved, no more next hops are needed than before.
        asked = {node for gateway in changed for node in self._naming.get(gateway, {})} | served.keys()
        found = {}
        for node in sorted(asked):
            named = () if node in lost else self._named.get(node, ())
            masters = {orders[gateway][0] for gateway in named if orders.get(gateway)} - {node}
            needed = len(masters) + served[node]
            if needed > self._limit:
                found[node] = too_few_marks(self._nodes[node], needed, self._limit)
        return found

    def _has_source(self, gateway: str, master: str, family: Family) -> bool:
        source = self._suitability[gateway][master].source
        return source is not None and (source.masquerade or family in source.addresses)
