"""The file of cases that `egressc test` runs."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from compiler.inputs.base import OwnModel
from compiler.inputs.constraints import MatchLabels, OrText
from compiler.inputs.egress import LabelSelector


def _one_or_many(value: Any) -> Any:  # noqa: ANN401  # anything a user may write
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise PydanticCustomError("text_or_list", "a text or a list of texts")
    return value


Texts = Annotated[list[str], BeforeValidator(_one_or_many), OrText()]


class From(OwnModel):
    """`from`: a workload, or all that the conditions of a mapping select."""

    workload: str = Field(
        "",
        description="One workload as NAMESPACE/NAME, or one of its addresses; written as a text, `from` is this.",
        examples=["default/backend"],
    )
    namespace: str = Field("", description="Workloads of this namespace.", examples=["default"])
    labels: MatchLabels = Field(
        default_factory=dict, description="Workloads with these labels, all of them.", examples=[{"app": "backend"}]
    )
    pod_selector: LabelSelector | None = Field(
        None, alias="podSelector", description="As in `spec.selectors` of an EgressGatewayPolicy."
    )
    namespace_selector: LabelSelector | None = Field(
        None, alias="namespaceSelector", description="As in `spec.selectors` of an EgressGatewayPolicy."
    )

    @model_validator(mode="before")
    @classmethod
    def _text_is_a_workload(cls, data: Any) -> Any:  # noqa: ANN401  # anything a user may write
        if isinstance(data, str):
            return {"workload": data}
        if not isinstance(data, dict):
            raise PydanticCustomError("text_or_mapping", "a text or a mapping")
        return data


class Happening(OwnModel):
    """What may become of a packet; what is not given is not looked at."""

    verdict: Literal["egress", "bypass", "drop"] | None = Field(
        None, description="Redirected to a gateway, left to go its ordinary way, or dropped."
    )
    policy: str | None = Field(None, description="The EgressGatewayPolicy that decides.")
    cidr: str | None = Field(None, description="Its CIDR that decides.", examples=["0.0.0.0/0"])
    gateway: str | None = Field(None, description="The EgressGateway that the packet is sent to.")
    node: str | None = Field(
        None, description="The node where the packet leaves or is dropped; for a bypass the workload's own."
    )
    nodes: list[str] | None = Field(None, description="The same, any of several.")
    source_ip: Annotated[Texts | None, OrText()] = Field(
        None, alias="sourceIP", description="The address that the packet leaves with, or any of several."
    )


class Expectation(Happening):
    """`expect`: the verdict; the rest is compared only where given."""

    verdict: Literal["egress", "bypass", "drop"] = Field(
        description="Redirected to a gateway, left to go its ordinary way, or dropped."
    )


class CaseInput(OwnModel):
    """One entry of `cases`."""

    name: str = Field("", description="What the case shows, for people.")
    source: Annotated[From, OrText()] = Field(
        alias="from",
        description="The workload as NAMESPACE/NAME or by one of its addresses, or a mapping that selects workloads, "
        "for all of which the case must hold.",
        examples=["default/backend"],
    )
    to: Texts = Field(
        description="Destinations, for all of which the case must hold: an address, a CIDR, or a list of them.",
        examples=["203.0.113.10"],
    )
    expect: Expectation = Field(description="What must become of the first packet of a connection.")


class NeverInput(Happening):
    """One entry of `never`: what must become of no packet; conditions are ANDed, and one is needed."""

    name: str = Field("", description="What the entry shows, for people.")
    source: Annotated[From | None, OrText()] = Field(
        None, alias="from", description="As in `cases`; absent is every workload.", examples=[{"namespace": "default"}]
    )
    to: Annotated[Texts | None, OrText()] = Field(
        None,
        description="As in `cases`; absent is everything outside the cluster.",
        examples=["10.0.0.0/8"],
    )


class CasesInput(OwnModel):
    """A file of cases: from, to and the fate expected; and of fates that must never be."""

    cases: list[CaseInput] = Field(default_factory=list, description="What must hold, each by itself.")
    never: list[NeverInput] = Field(
        default_factory=list, description="What must never happen, proved for all workloads and destinations."
    )
