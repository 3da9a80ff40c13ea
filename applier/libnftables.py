"""libnftables by ctypes: the handful of calls of libnftables(3) that we need.

The module that comes with nftables is under the GPL, version 2 only, which cannot be bundled with code under the Apache
License 2.0; and what it has beyond these calls, JSON and its validation, we do not use.
"""

import ctypes
import weakref

_LIBRARY = "libnftables.so.1"

# Of `nft_ctx_output_set_flags`, in libnftables(3) and <nftables/libnftables.h>.
_STATELESS = 1 << 2
_NUMERIC_PRIORITY = 1 << 8
_TERSE = 1 << 11


class Nftables:
    """A context of libnftables: its netlink socket belongs to the network namespace in which it was made."""

    def __init__(self) -> None:
        """Loads the library.

        Raises:
            OSError: There is no libnftables.
            AttributeError: It lacks a function that every version since 0.9 has.
        """
        library = ctypes.CDLL(_LIBRARY)
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        library.nft_ctx_free.argtypes = [ctypes.c_void_p]
        for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_output_get_flags"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
            getattr(library, name).restype = ctypes.c_char_p
        library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self._library = library
        self._context = library.nft_ctx_new(0)
        weakref.finalize(self, library.nft_ctx_free, self._context)
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)

    def cmd(self, text: str) -> tuple[int, str, str]:
        """Runs nft text as one transaction.

        Returns:
            Status, 0 for success; what it prints; what it complains of.
        """
        status = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
        output = self._library.nft_ctx_get_output_buffer(self._context)
        error = self._library.nft_ctx_get_error_buffer(self._context)
        return int(status), output.decode(errors="backslashreplace"), error.decode(errors="backslashreplace")

    def set_stateless_output(self, value: bool) -> None:
        """Chooses whether listings leave out what runs: the values of counters."""
        self._set(_STATELESS, value=value)

    def set_numeric_prio_output(self, value: bool) -> None:
        """Chooses whether listings give priorities of chains as numbers."""
        self._set(_NUMERIC_PRIORITY, value=value)

    def set_terse_output(self, value: bool) -> None:
        """Chooses whether listings leave out the elements of sets and maps."""
        self._set(_TERSE, value=value)

    def _set(self, flag: int, *, value: bool) -> None:
        flags = self._library.nft_ctx_output_get_flags(self._context)
        self._library.nft_ctx_output_set_flags(self._context, flags | flag if value else flags & ~flag)
