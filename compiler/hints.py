"""Why a label selector selects nothing, and what it nearly selects.

In: requirements, and the labels of all that could be selected. Out: the requirement to blame, with a sentence. Asked
only when there is a finding to make, so that a cluster in order does not pay for an index of its labels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from compiler.diagnostics import Place
from compiler.model import Labels, Requirement
from compiler.patterns import NAMESPACE_LABELS_PREFIX
from compiler.selectors import holds
from compiler.text import closest

_FEW: Final = 4  # values that are worth listing


class Labelled:
    """Label sets of things of one kind, by key and value."""

    def __init__(self, what: str, sets: Sequence[Labels]) -> None:
        self._what = what
        self._sets = sets
        self._holders: dict[str, dict[str, list[int]]] = {}
        for number, labels in enumerate(sets):
            for key, value in labels.items():
                self._holders.setdefault(key, {}).setdefault(value, []).append(number)

    def why_none(self, requirements: Sequence[Requirement]) -> tuple[Place | None, str]:
        """Tells why nothing fulfils all of the requirements.

        Args:
            requirements: What is asked; keys of Namespace labels with the prefix of their pseudo-labels.

        Returns:
            The place of the requirement to blame, None if there is none, and a sentence.
        """
        if not self._sets:
            return None, f"the input has no {self._what} that counts; add what `kubectl get -A -o yaml` prints of them"
        for requirement in requirements:
            if not self._has_any(requirement):
                return self._place(requirement), self._miss(requirement, self._holders, "")
        for candidates in self._candidates(requirements):
            failing: dict[Requirement, list[int]] = {}
            for number in candidates:
                missed = [item for item in requirements if not holds(item, self._sets[number])]
                if len(missed) == 1:
                    failing.setdefault(missed[0], []).append(number)
            if failing:
                blamed = max(requirements, key=lambda item: len(failing.get(item, ())))
                present: dict[str, set[str]] = {}
                for number in failing[blamed]:
                    for key, value in self._sets[number].items():
                        present.setdefault(key, set()).add(value)
                return self._place(blamed), self._miss(blamed, present, " that has the rest")
        return None, f"no {self._what} has more than a part of what is asked; leave something out"

    def _place(self, requirement: Requirement) -> Place:
        """Returns the key where it is the key that nothing has."""
        return replace(requirement.place, of_key=requirement.key not in self._holders)

    def _count(self, key: str) -> int:
        return sum(len(numbers) for numbers in self._holders.get(key, {}).values())

    def _has_any(self, requirement: Requirement) -> bool:
        values = self._holders.get(requirement.key, {})
        match requirement.operator:
            case "In":
                return any(value in values for value in requirement.values)
            case "Exists":
                return bool(values)
            case "NotIn":
                matching = sum(len(values.get(value, ())) for value in set(requirement.values))
                return matching < len(self._sets)
            case "DoesNotExist":
                return self._count(requirement.key) < len(self._sets)

    def _candidates(self, requirements: Iterable[Requirement]) -> Iterable[Sequence[int]]:
        """Returns what fulfils each requirement, the fewest first: the rarest label says best what was meant."""
        asked = []
        for requirement in requirements:
            values = self._holders.get(requirement.key, {})
            if requirement.operator == "In":
                asked.append([number for value in set(requirement.values) for number in values.get(value, ())])
            elif requirement.operator == "Exists":
                asked.append([number for numbers in values.values() for number in numbers])
        return sorted(asked, key=len) or [range(len(self._sets))]

    def _miss(self, requirement: Requirement, present: Mapping[str, Iterable[str]], rest: str) -> str:
        prefix = NAMESPACE_LABELS_PREFIX if requirement.key.startswith(NAMESPACE_LABELS_PREFIX) else ""
        place = f"{self._what}{rest}" + (" is in a Namespace that" if prefix and self._what == "workload" else "")
        key = requirement.key.removeprefix(prefix)
        if requirement.operator in ("NotIn", "DoesNotExist"):
            return f"every {place} has {_shown(requirement, key)}; leave this requirement out"
        near = self._near(requirement, present, prefix)
        values = sorted(present.get(requirement.key, ()))
        if near is not None:
            hint = f"; did you mean {near}?"
        elif 0 < len(values) <= _FEW:
            hint = f", only {' or '.join(f'{key}={value}' for value in values)}"
        else:
            hint = ""
        return f"no {place} has {_shown(requirement, key)}{hint}"

    @staticmethod
    def _near(requirement: Requirement, present: Mapping[str, Iterable[str]], prefix: str) -> str | None:
        values = present.get(requirement.key)
        if values is not None:
            key = requirement.key.removeprefix(prefix)
            found = (closest(value, tuple(values)) for value in requirement.values)
            return next((f"{key}={value}" for value in found if value is not None), None)
        keys = [name.removeprefix(prefix) for name in present if name.startswith(prefix)]
        name = closest(requirement.key.removeprefix(prefix), keys)
        if name is None or requirement.operator == "Exists":
            return name
        value = next((item for item in requirement.values if item in present[prefix + name]), None)
        return name if value is None else f"{name}={value}"


def _shown(requirement: Requirement, key: str) -> str:
    if requirement.operator in ("Exists", "DoesNotExist"):
        return f"the label {key}"
    if len(requirement.values) == 1:
        return f"{key}={requirement.values[0]}"
    return f"{key} in ({', '.join(requirement.values)})"
