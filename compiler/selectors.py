"""Label selectors: does a workload match, pseudo-labels included (semantics.md §3)."""

from collections.abc import Iterable, Mapping
from typing import Final

from compiler.model import Labels, Requirement, Selector, Workload
from compiler.patterns import NAMESPACE_LABELS_PREFIX

NAMESPACE_LABEL: Final = "io.kubernetes.pod.namespace"
SERVICE_ACCOUNT_LABEL: Final = "io.cilium.k8s.policy.serviceaccount"


def matches(requirements: Iterable[Requirement], labels: Labels) -> bool:
    """Tells whether labels fulfil all requirements; NotIn and DoesNotExist hold when the key is absent."""
    return all(holds(requirement, labels) for requirement in requirements)


def selects(selectors: Iterable[Selector], labels: Labels, namespace_labels: Labels) -> bool:
    """Tells whether any of a policy's selector entries matches.

    Args:
        selectors: The entries.
        labels: The workload's labels with its pseudo-labels, see `workload_labels`.
        namespace_labels: The labels of its Namespace, empty when the snapshot does not have it.
    """
    return any(admits(selector, labels, namespace_labels) for selector in selectors)


def admits(selector: Selector, labels: Labels, namespace_labels: Labels) -> bool:
    """Tells whether one selector entry matches, with labels as for `selects`."""
    return (selector.pod is None or matches(selector.pod, labels)) and (
        selector.namespace is None or matches(selector.namespace, namespace_labels)
    )


def asks_for_namespace(selector: Selector) -> bool:
    """Tells whether an entry looks at labels of the workload's Namespace."""
    pseudo = (requirement.key.startswith(NAMESPACE_LABELS_PREFIX) for requirement in selector.pod or ())
    return bool(selector.namespace) or any(pseudo)


def workload_labels(workload: Workload, namespace_labels: Labels) -> Mapping[str, str]:
    """Returns a workload's labels and pseudo-labels.

    Who may label a pod cannot give it a pseudo-label: its own labels of such names do not count.
    """
    pseudo = {NAMESPACE_LABELS_PREFIX + key: value for key, value in namespace_labels.items()}
    pseudo[NAMESPACE_LABEL] = workload.namespace
    if workload.service_account:
        pseudo[SERVICE_ACCOUNT_LABEL] = workload.service_account
    own = {key: value for key, value in workload.labels.items() if not _is_pseudo(key)}
    return {**own, **pseudo}


def _is_pseudo(key: str) -> bool:
    return key in (NAMESPACE_LABEL, SERVICE_ACCOUNT_LABEL) or key.startswith(NAMESPACE_LABELS_PREFIX)


def holds(requirement: Requirement, labels: Labels) -> bool:
    """Tells whether labels fulfil one requirement."""
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value is not None and value in requirement.values
        case "NotIn":
            return value is None or value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None


def of_workloads(selector: Selector) -> tuple[Requirement, ...]:
    """Returns all requirements of a selector entry as ones on the labels and pseudo-labels of workloads."""
    namespace = (
        Requirement(NAMESPACE_LABELS_PREFIX + item.key, item.operator, item.values, item.place)
        for item in selector.namespace or ()
    )
    return (*(selector.pod or ()), *namespace)
