"""Tries nft text in the kernel without it ever coming to hold, by the library itself: its Python module cannot."""

import ctypes

from applier.errors import KernelError


def library_fault() -> str:
    """Returns why libnftables cannot be loaded; empty if it can."""
    try:
        _library()
    except KernelError as error:
        return str(error)
    return ""


def dry_run(script: str) -> str:
    """Asks libnftables and the kernel whether they would take nft text, in a transaction that is not committed.

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
