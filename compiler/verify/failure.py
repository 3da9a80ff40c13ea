"""What a failed verification says."""

from dataclasses import dataclass

from compiler.model import Address


@dataclass(frozen=True, slots=True)
class Example:
    """The first packet of a connection that shows a failure: from a workload, and what should become of it."""

    workload: str
    node: str
    source: Address
    destination: Address
    expected: str


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that the bundle does otherwise than it should.

    Attributes:
        file: Path in the bundle.
        message: What is wrong, in one sentence.
        example: A packet that meets it, None where no workload's packet does.
        actual: What the files do to that packet.
    """

    file: str
    message: str
    example: Example | None = None
    actual: str = ""
