"""libnftables, and nothing else imports it: our table as text, and nft text run as one transaction."""

from nftables import Nftables

from applier.errors import KernelError
from applier.script import TABLE


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
        self._nft.set_json_output(True)
        self._nft.set_terse_output(True)
        try:
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

    def list_table(self) -> str | None:
        """Returns our table's listing, or None if there is no such table.

        Raises:
            KernelError: It cannot be listed.
        """
        if f"table {TABLE}" not in self.run("list tables").splitlines():
            return None
        return self.run(f"list table {TABLE}")
