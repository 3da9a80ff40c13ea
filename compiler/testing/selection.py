"""Whom `from` of a case means: workloads of a bundle, with the labels that only the cluster has."""

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from bundle.model import WorkloadReport
from compiler.hints import Labelled
from compiler.model import Cluster, Labels, Selector
from compiler.selectors import admits, of_workloads, workload_labels
from compiler.testing.cases import Source
from compiler.text import did_you_mean

_NOTHING: Final[Labels] = {}


class SelectionError(Exception):
    """There is no such workload; the message says so, and what may be meant."""


class Selection:
    """The workloads of a cluster, to choose from."""

    def __init__(self, cluster: Cluster, workloads: tuple[WorkloadReport, ...]) -> None:
        """Takes the workloads of the cluster and those of its account, which are in the same order."""
        self._cluster = cluster
        self._workloads = workloads

    def choose(self, source: Source | None) -> tuple[WorkloadReport, ...]:
        """Returns the workloads that are meant, in order; None means all.

        Raises:
            SelectionError: There is none.
        """
        if source is None:
            return self._workloads
        if source.workload is not None:
            found = self._by_name.get(source.workload, ())
            if not found:
                hint = did_you_mean(source.workload, self._by_name)
                raise SelectionError(f"there is no workload {source.workload}{hint}")
            return tuple(found)
        if source.address is not None:
            holder = self._by_address.get(str(source.address))
            if holder is None:
                raise SelectionError(f"no workload has the address {source.address}")
            return (holder,)
        return self._select(source.selector) if source.selector else self._workloads

    def _select(self, selector: Selector) -> tuple[WorkloadReport, ...]:
        chosen = {key for key, labels in self._labels.items() if admits(selector, labels, self._namespace(key[0]))}
        found = tuple(
            report
            for workload, report in zip(self._cluster.workloads, self._workloads, strict=True)
            if (workload.namespace, workload.service_account, frozenset(workload.labels.items())) in chosen
        )
        if not found:
            _, why = Labelled("workload", list(self._labels.values())).why_none(of_workloads(selector))
            raise SelectionError(f"selects no workload, so that nothing is shown: {why}")
        return found

    def _namespace(self, name: str) -> Labels:
        return self._cluster.namespaces.get(name, _NOTHING)

    @cached_property
    def _labels(self) -> Mapping[tuple[str, str, frozenset[tuple[str, str]]], Labels]:
        """Labels and pseudo-labels by what selectors see of a workload: few beside fifty thousand workloads."""
        return {
            (item.namespace, item.service_account, frozenset(item.labels.items())): workload_labels(
                item, self._namespace(item.namespace)
            )
            for item in self._cluster.workloads
        }

    @cached_property
    def _by_name(self) -> Mapping[str, list[WorkloadReport]]:
        found: dict[str, list[WorkloadReport]] = {}
        for item in self._workloads:
            found.setdefault(f"{item.namespace}/{item.name}", []).append(item)
        return found

    @cached_property
    def _by_address(self) -> Mapping[str, WorkloadReport]:
        return {address: item for item in self._workloads for address in item.addresses}
