"""libnftables, and nothing else imports it: tables as text, and nft text run as one transaction or only tried."""

import ctypes
from collections.abc import Iterator

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

    def list_others(self) -> Iterator[tuple[str, str | KernelError]]:
        """Yields the family and name of each table but ours, with its listing as JSON without the elements of its sets.

        A table that cannot be listed comes with the reason instead.

        Raises:
            KernelError: The tables cannot be listed.
        """
        for line in self.run("list tables").splitlines():
            name = line.removeprefix("table ")
            if name == TABLE:
                continue
            self._nft.set_json_output(True)
            self._nft.set_terse_output(True)
            try:
                yield name, self.run(f"list table {name}")
            except KernelError as error:
                yield name, error
            finally:
                self._nft.set_json_output(False)
                self._nft.set_terse_output(False)


def library_fault() -> str:
    """Returns why libnftables cannot be loaded; empty if it can."""
    try:
        _library()
    except KernelError as error:
        return str(error)
    return ""


def dry_run(script: str) -> str:
    """Asks libnftables and the kernel whether they would take nft text, in a transaction that is not committed.

    The module for Python has no such switch, so the library is asked by itself.

    Returns:
        What they say against it; empty if they would take it.

    Raises:
        KernelError: libnftables cannot be loaded.
    """
    library = _library()
    context = ctypes.c_void_p(library.nft_ctx_new(0))
    try:
        library.nft_ctx_set_dry_run(context, ctypes.c_bool(True))  # noqa: FBT003  # C has no names at a call
        library.nft_ctx_buffer_error(context)
        if library.nft_run_cmd_from_buffer(context, script.encode()) == 0:
            return ""
        said: bytes = library.nft_ctx_get_error_buffer(context)
        return " ".join(said.decode(errors="replace").split())[:200] or "refused without a word"
    finally:
        library.nft_ctx_free(context)


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError as error:
        raise KernelError(f"libnftables cannot be loaded ({error}); install the package libnftables1") from None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    return library
