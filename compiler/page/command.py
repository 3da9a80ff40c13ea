"""`egressc report`: writes a bundle, or inputs, as one page to look at in a browser."""

import argparse
import sys
from collections.abc import Sequence

from compiler.console import Console
from compiler.elect import Earlier
from compiler.files import OutputError, write_output
from compiler.outcomes import Outcomes
from compiler.page.data import page_data
from compiler.page.html import page_html
from compiler.page.notes import notes_of_account, notes_of_findings
from compiler.progress import Progress
from compiler.sides import Side, SideError, is_bundle, masters, open_side
from compiler.telling import BAD_INPUT, OK, fail, tell_reading


def main(arguments: argparse.Namespace) -> int:
    """Runs `egressc report` with parsed arguments (`inputs`, `output`, `Console`'s); returns the exit status.

    Raises:
        BundleError: The bundle is not whole.
    """
    console = Console.of(arguments)
    try:
        with console.working() as progress:
            side, told = _open(arguments.inputs, progress)
            progress("asking what becomes of packets")
            outcomes = Outcomes(side.account)
            notes = notes_of_account(outcomes) if told is None else notes_of_findings(told.findings, told.sources)
            page = page_html(side.name, side.bundle.manifest.inputs_digest, page_data(outcomes, notes))
        tell_reading(told or side, console)
        write_output(page.encode("utf-8", "backslashreplace"), arguments.output)
    except SideError as fault:
        sys.stderr.write(fault.told(console.err))
        return BAD_INPUT
    except OutputError as fault:
        return fail(str(fault))
    if arguments.output != "-":
        console.note(f"wrote {arguments.output}")
    return OK


def _open(names: Sequence[str], progress: Progress) -> tuple[Side, Side | None]:
    """Opens what the page is about, and that which has its findings, if there is any.

    Raises:
        SideError: The inputs have errors, or are not those of the bundle.
    """
    if not is_bundle(names[0]):
        side = open_side(names, progress=progress)
        return side, side
    side = open_side(names[:1], progress=progress)
    if len(names) == 1:
        return side, None
    told = open_side(names[1:], Earlier(masters(side.account.gateways)), progress)
    if told.bundle.manifest.inputs_digest != side.bundle.manifest.inputs_digest:
        raise SideError(f"{names[0]}: was not made of {told.name}; name its own inputs, or only the bundle")
    return side, told
