"""libnftables, and nothing else imports it: our table as text, and nft text run as one transaction."""

import re

from nftables import Nftables

from applier.errors import KernelError
from applier.script import TABLE
from bundle.names import TABLE_FAMILY

_OWNED = re.compile(r"\tflags .*\bowner\b")


class Nft:
    """A connection to nf_tables of the network namespace in which it is made."""

    def __init__(self) -> None:
        try:
            self._nft = Nftables()
        except OSError as error:
            raise KernelError(f"libnftables cannot be loaded ({error}); install the package libnftables1") from None
        # Counters run, so they are no difference; `srcnat - 10` and `90` are one priority under two names.
        self._nft.set_stateless_output(True)
        self._nft.set_numeric_prio_output(True)

    def list_all(self) -> str:
        """Returns everybody's tables as JSON, without the elements of their sets.

        Raises:
            KernelError: They cannot be listed.
        """
        self._nft.set_terse_output(True)
        try:
            # nft 1.0.6 tells of a table that a process owns in broken JSON, and the memory of its caller is broken too.
            if any(_OWNED.match(line) for line in self.run("list ruleset").splitlines()):
                raise KernelError("a process owns a table, as firewalld does, of which nft does not tell in JSON")
            self._nft.set_json_output(True)
            return self.run("list ruleset")
        finally:
            self._nft.set_json_output(False)
            self._nft.set_terse_output(False)

    def run(self, script: str) -> str:
        """Runs nft text as one transaction and returns what it prints.

        Raises:
            KernelError: nft or the kernel refused; nothing of it holds.
        """
        status, output, error = self._nft.cmd(script)
        if status != 0:
            raise KernelError(f"nft: {' '.join(str(error).split())[:1000]}")
        return str(output)

    def list_structure(self) -> str | None:
        """Returns our table's listing without the elements of its sets, or None if there is no such table.

        Raises:
            KernelError: It cannot be listed.
        """
        lines = self._list_terse().splitlines(keepends=True)
        # A table that a process owns says so behind the brace.
        first = f"table {TABLE} {{"
        start = next((place for place, line in enumerate(lines) if line.startswith(first)), None)
        if start is None:
            return None
        return "".join((f"{first}\n", *lines[start + 1 : lines.index("}\n", start) + 1]))

    def list_elements(self, kind: str, name: str) -> str:
        """Returns the listing of one set or map of our table, with its elements.

        Raises:
            KernelError: It cannot be listed.
        """
        return self.run(f"list {kind} {TABLE} {name}")

    def list_chains(self) -> str:
        """Returns the names and hooks of all chains of all tables, everybody's.

        Raises:
            KernelError: They cannot be listed.
        """
        return self.run("list chains")

    def list_counters(self) -> str:
        """Returns a listing with counters and without elements, in which our table is, if there is one.

        Raises:
            KernelError: It cannot be listed.
        """
        self._nft.set_stateless_output(False)
        try:
            return self._list_terse()
        finally:
            self._nft.set_stateless_output(True)

    def _list_terse(self) -> str:
        # Of the listings that leave the elements out, only this one does not make nft 1.0.6 read them either: with
        # 150,000 of them `list table` takes seconds, terse or not, and this a millisecond.
        self._nft.set_terse_output(True)
        try:
            return self.run(f"list ruleset {TABLE_FAMILY}")
        finally:
            self._nft.set_terse_output(False)
