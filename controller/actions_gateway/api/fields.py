"""Scalar types and small structures that several API types share, with their schema constraints."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic.alias_generators import to_camel

from actions_gateway.api import durations


class ApiModel(BaseModel):
    """The base of all API types: camelCase on the wire, unknown fields ignored (the API server prunes them)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


JsonObject = dict[str, JsonValue]
INT32: JsonObject = {"format": "int32"}
INT64: JsonObject = {"format": "int64"}
DATE_TIME: JsonObject = {"format": "date-time"}


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule of a schema and what its violation says."""

    expression: str
    message: str


def cel(*rules: Rule) -> JsonObject:
    """Schema extension that holds CEL rules for the API server to enforce."""
    return {"x-kubernetes-validations": [{"rule": rule.expression, "message": rule.message} for rule in rules]}


def at_least(duration: str) -> JsonObject:
    """A CEL bound on a duration field."""
    return cel(Rule(f"duration(self) >= duration('{duration}')", f"must be at least {duration}"))


Duration = Annotated[str, Field(pattern=durations.PATTERN, max_length=32)]
_QUANTITY_PATTERN = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
Quantity = Annotated[
    str | int,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "pattern": _QUANTITY_PATTERN,
        }
    ),
]
DnsLabel = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
RunnerLabel = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^,\s]+$")]
FreeObject = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]


class ResourceRequirements(ApiModel):
    """Compute resources of a container."""

    requests: dict[str, Quantity] | None = Field(None, description="Minimum amounts, by resource name.")
    limits: dict[str, Quantity] | None = Field(None, description="Maximum amounts, by resource name.")


class ConditionEntry(ApiModel):
    """One entry of `status.conditions`."""

    type: str = Field(max_length=316)
    status: str = Field(json_schema_extra={"enum": ["True", "False", "Unknown"]})
    reason: str = Field(max_length=1024)
    message: str = Field(max_length=32768)
    last_transition_time: str = Field(json_schema_extra=DATE_TIME)
    observed_generation: int | None = Field(None, json_schema_extra=INT64)


Conditions = Annotated[
    list[ConditionEntry],
    Field(
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "maxItems": 32,
        }
    ),
]


class CredentialStatus(ApiModel):
    """What is public of the credential, as the agent sees it; never the key."""

    app_id: str | None = None
    installation_id: str | None = None
    key_fingerprint: str | None = Field(
        None, description="SHA-256 of the public key, as in the App's settings at GitHub."
    )
    token_expires_at: str | None = Field(None, json_schema_extra=DATE_TIME)
    permissions: dict[str, str] | None = None
