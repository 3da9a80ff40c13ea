"""Files that are either the old or the new ones, whenever the writer is killed and after a power cut too."""

import os
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Puts a file in place of another, or where there was none.

    What a writer that was killed leaves behind, `.NAME.new`, the next one takes away. One writer at a time.

    Raises:
        OSError: The disk failed; the old file is still there.
    """
    staging = path.with_name(f".{path.name}.new")
    staging.unlink(missing_ok=True)
    try:
        write_file(staging, content, mode)
        staging.replace(path)
    except OSError:
        with suppress(OSError):
            staging.unlink()
        raise
    sync_directory(path.parent)


def write_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes a new file and waits until the disk has it.

    Raises:
        OSError: The disk failed, or there is something of that name, be it a link.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Waits until the disk has the names in a directory.

    Raises:
        OSError: The disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
