"""Reads the units of `deploy/systemd/`, and what their system call filter lets through."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Unit:
    """Settings of a unit in their order, by section."""

    settings: tuple[tuple[str, str, str], ...]

    def values(self, section: str, name: str) -> list[str]:
        """All values of a setting, each line one."""
        return [value for where, key, value in self.settings if (where, key) == (section, name)]

    def words(self, section: str, name: str) -> list[str]:
        """The words of all lines of a setting."""
        return [word for value in self.values(section, name) for word in value.split()]

    def is_on(self, name: str) -> bool:
        """Whether a restriction of the service is on."""
        return self.values("Service", name) == ["yes"]


def read_unit(path: Path) -> Unit:
    """Reads a unit that uses no continued lines."""
    section, settings = "", []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, sign, value = line.partition("=")
            assert sign, line
            settings.append((section, name, value))
    return Unit(tuple(settings))


def allowed_calls(unit: Unit) -> set[str]:
    """Names of the system calls that `SystemCallFilter=` lets through."""
    first, *others = unit.values("Service", "SystemCallFilter")
    assert not first.startswith("~")
    allowed = _expand(first)
    for value in others:
        allowed = allowed - _expand(value[1:]) if value.startswith("~") else allowed | _expand(value)
    return allowed


def _expand(group: str) -> set[str]:
    command = ["systemd-analyze", "syscall-filter", "--no-pager", group]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    names = {line.strip() for line in lines if line.strip() and not line.strip().startswith("#")}
    inner = {name for name in names if name.startswith("@")}
    return (names - inner).union(*map(_expand, sorted(inner)))
