"""`egressc sign`: writes into a bundle, which it checks first, who vouches for it. Needs none of the stages."""

import argparse
import sys
import time
from typing import Final

from bundle.directory import SIGNATURE, SIGNED, open_bundle
from bundle.disk import replace_file
from bundle.signature import SignatureError, sign, state
from bundle.text import printable_lines

_OK: Final = 0
_BAD_INPUT: Final = 2
_SERIALS: Final = 1 << 32


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc sign` with parsed arguments (`bundle`, `key`, `serial`); returns the exit status.

    Raises:
        BundleError: It is no bundle, or not unaltered: nothing to put one's name to.
    """
    serial = int(time.time()) if arguments.serial is None else arguments.serial
    if not 0 <= serial < _SERIALS:
        return _fail(f"--serial {serial} is not between 0 and {_SERIALS - 1}")
    bundle = open_bundle(arguments.bundle)
    statement = state(bundle, serial)
    try:
        signature = sign(statement, arguments.key)
        # Between the two the bundle is refused as altered, and never taken for what it is not.
        replace_file(bundle.directory / SIGNATURE, signature)
        replace_file(bundle.directory / SIGNED, statement)
    except SignatureError as fault:
        return _fail(str(fault))
    except OSError as fault:
        return _fail(f"{fault.filename or bundle.directory}: {fault.strerror}")
    sys.stdout.write(printable_lines(f"signed {bundle.directory}: serial {serial}, manifest {bundle.digest}") + "\n")
    return _OK


def _fail(text: str) -> int:
    sys.stderr.write(f"egressc sign: {printable_lines(text)}\n")
    return _BAD_INPUT
