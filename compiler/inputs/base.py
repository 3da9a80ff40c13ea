"""What all input models share."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Model(BaseModel):
    """Base of a part of a Kubernetes object: unknown fields are passed over, null means absent."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, populate_by_name=False)

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

    name: str
    namespace: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    creation_timestamp: str | None = Field(None, alias="creationTimestamp")
    deletion_timestamp: str | None = Field(None, alias="deletionTimestamp")


class Condition(Model):
    """One of `status.conditions`."""

    type: str = ""
    status: str = ""
