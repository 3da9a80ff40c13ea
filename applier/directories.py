"""Where the applier keeps what is not in the kernel."""

import os
from pathlib import Path

_RUN = Path("/run/egressc")


def runtime_directory() -> Path | None:
    """Returns the directory for what lives until the next boot, made if need be; None where there can be none.

    systemd names it in `RUNTIME_DIRECTORY`. Only root may have one: what others can write would not be believed.
    """
    named = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]  # systemd may name several
    path = Path(named) if named.startswith("/") else _RUN
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.stat()
    except OSError:
        return None
    if status.st_uid != os.geteuid() or status.st_mode & 0o022 or not os.access(path, os.W_OK):
        return None
    return path
