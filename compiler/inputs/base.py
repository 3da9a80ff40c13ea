"""What all input models share."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from compiler.inputs.constraints import ObjectName, Rule


class Model(BaseModel):
    """Base of a part of a Kubernetes object: unknown fields are passed over, null means absent."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, populate_by_name=False)

    rules: ClassVar[tuple[Rule, ...]] = ()
    """What must hold between fields, for the schemas; the compiler's own words for it are in `validate`."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:  # noqa: ANN401  # anything a user may write
        if isinstance(data, dict) and None in data.values():
            known = {field.alias or name for name, field in cls.model_fields.items()}
            return {key: value for key, value in data.items() if value is not None or key not in known}
        return data


class OwnModel(Model):
    """Base of a part of our own kinds: an unknown field is a finding, since it was meant to do something."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=False)


class Metadata(Model):
    """`metadata`, of which Kubernetes knows more fields than matter here."""

    name: ObjectName = Field(description="Name of the object.")
    namespace: str = Field("", description="Namespace of a Pod or VirtualMachine; absent means `default`.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels, which selectors match.")
    creation_timestamp: str | None = Field(
        None,
        alias="creationTimestamp",
        description="When the object was created. Of two policies with one CIDR the older decides; absent is newest.",
    )
    deletion_timestamp: str | None = Field(
        None,
        alias="deletionTimestamp",
        description="When deletion was asked for; neither such a node nor one with such an agent is suitable.",
    )


class Condition(Model):
    """One of `status.conditions`."""

    type: str = Field("", description="What the condition is about; `Ready` is looked at.")
    status: str = Field("", description="`True`, `False` or `Unknown`; absent is as `Unknown`.")
