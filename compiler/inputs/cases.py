"""The file of cases that `egressc test` runs."""

from typing import Literal

from pydantic import Field

from compiler.inputs.base import OwnModel


class Expectation(OwnModel):
    """`expect`: the verdict; the rest is compared only where given."""

    verdict: Literal["egress", "bypass", "drop"] = Field(
        description="Redirected to a gateway, left to go its ordinary way, or dropped."
    )
    policy: str | None = Field(None, description="The EgressGatewayPolicy that decides.")
    cidr: str | None = Field(None, description="Its CIDR that decides.", examples=["0.0.0.0/0"])
    gateway: str | None = Field(None, description="The EgressGateway that the packet is sent to.")
    node: str | None = Field(None, description="The node where the packet leaves or is dropped.")
    source_ip: str | None = Field(None, alias="sourceIP", description="The address that the packet leaves with.")


class CaseInput(OwnModel):
    """One entry of `cases`."""

    name: str = Field("", description="What the case shows, for people.")
    source: str = Field(
        alias="from",
        description="The workload as NAMESPACE/NAME, or one of its addresses.",
        examples=["default/backend"],
    )
    to: str = Field(description="Destination address.", examples=["203.0.113.10"])
    expect: Expectation = Field(description="What must become of the first packet of a connection.")


class CasesInput(OwnModel):
    """A file of cases: from, to and the fate expected."""

    cases: list[CaseInput] = Field(description="The cases, each run by itself.")
