"""Which policies select a workload, without asking every policy about every workload.

Each entry of `spec.selectors` is filed under one label that a workload must have to be selected, the rarest of those it
asks for; a workload's labels then lead to the few entries that can select it, and only these are asked. Equal label
sets, which the pods of one Deployment have, are matched once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from compiler.model import Labels, Policy, Requirement, Selector, Workload
from compiler.selectors import admits, of_workloads, workload_labels

_Label = tuple[str, str] | tuple[str]
"""A key with its value, or a key with any value."""

_Filed = tuple[int, Selector]
"""The number of a policy in order of precedence, and an entry of its selectors."""


class Matching:
    """The selectors of a cluster's policies, by the labels that they ask for.

    Attributes:
        used: Entries that select a workload which was asked about.
    """

    def __init__(
        self, policies: Sequence[Policy], namespaces: Mapping[str, Labels], workloads: Iterable[Workload]
    ) -> None:
        """Files the selectors.

        Args:
            policies: In order of precedence.
            namespaces: Labels of each Namespace.
            workloads: Those whose labels tell which label is rare; others may be asked about too.
        """
        self.used: set[Selector] = set()
        self._policies = policies
        self._namespaces = namespaces
        self._known: dict[object, tuple[Policy, ...]] = {}
        self._each_once: dict[tuple[int, ...], tuple[Policy, ...]] = {}
        distinct = {signature(workload): workload for workload in workloads}
        held = Counter(label for workload in distinct.values() for label in _labels(self._labels_of(workload)))
        self._filed: dict[_Label, list[_Filed]] = {}
        self._unfiled: list[_Filed] = []
        for number, policy in enumerate(policies):
            for entry in policy.selectors:
                asked = filter(None, map(_must_have, of_workloads(entry)))
                rarest = min(asked, key=lambda labels: sum(held[label] for label in labels), default=None)
                for filed in [self._unfiled] if rarest is None else [self._filed.setdefault(at, []) for at in rarest]:
                    filed.append((number, entry))

    def policies_of(self, workload: Workload) -> tuple[Policy, ...]:
        """Returns the policies that select a workload, in order of precedence; equal ones are one object."""
        key = signature(workload)
        if key not in self._known:
            self._known[key] = self._ask(workload)
        return self._known[key]

    def __len__(self) -> int:
        """How many different label sets are remembered."""
        return len(self._known)

    def forget(self, most: int) -> None:
        """Forgets what was asked, if that is more than so many different label sets."""
        if len(self._known) > most:
            self._known.clear()

    def _ask(self, workload: Workload) -> tuple[Policy, ...]:
        labels = self._labels_of(workload)
        namespace_labels = self._namespaces.get(workload.namespace, {})
        numbers = set()
        for number, entry in self._candidates(labels):
            if admits(entry, labels, namespace_labels):
                self.used.add(entry)
                numbers.add(number)
        found = tuple(sorted(numbers))
        if found not in self._each_once:
            self._each_once[found] = tuple(self._policies[number] for number in found)
        return self._each_once[found]

    def _candidates(self, labels: Labels) -> Iterator[_Filed]:
        yield from self._unfiled
        for label in _labels(labels):
            yield from self._filed.get(label, ())

    def _labels_of(self, workload: Workload) -> Labels:
        return workload_labels(workload, self._namespaces.get(workload.namespace, {}))


def signature(workload: Workload) -> object:
    """Returns what selectors see of a workload."""
    return (workload.namespace, workload.service_account, frozenset(workload.labels.items()))


def _labels(labels: Labels) -> Iterator[_Label]:
    for key, value in labels.items():
        yield (key, value)
        yield (key,)


def _must_have(requirement: Requirement) -> tuple[_Label, ...]:
    """Returns labels of which a workload must have one; none where the requirement is that it has not."""
    match requirement.operator:
        case "In":
            return tuple((requirement.key, value) for value in dict.fromkeys(requirement.values))
        case "Exists":
            return ((requirement.key,),)
    return ()
