"""ActionsGateway: what a tenant writes."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from actions_gateway.api.fields import (
    INT32,
    INT64,
    ApiModel,
    Conditions,
    CredentialStatus,
    DnsLabel,
    JsonObject,
    ResourceRequirements,
    Rule,
    cel,
)
from actions_gateway.api.names import MAX_NAME_LENGTH
from actions_gateway.api.runnergroup import GROUP_RULES, GroupSettings

GITHUB_URL_PATTERN = r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._-]+){1,3}/?$"
HOST_PATTERN = r"^(\*\.)?([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
CIDR_PATTERN = (
    r"^([0-9]{1,3}(\.[0-9]{1,3}){3}/([1-9]|[12][0-9]|3[0-2])|[0-9a-fA-F:]+/([1-9]|[1-9][0-9]|1[01][0-9]|12[0-8]))$"
)
"""A prefix of length 0 would be everything."""

MAX_RUNNER_GROUPS = 32
"""An agent exports about 125 series per group; more groups would leave the budget of 5,000 series per target."""

_REPLICAS = Rule(
    # The API server also asks it of the empty default, before the fields' own defaults are there.
    "!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
    "minReplicas must not exceed maxReplicas",
)
_NAMES = Rule(
    f"!has(self.spec.runnerGroups) || "
    f"self.spec.runnerGroups.all(g, size(self.metadata.name) + size(g.name) <= {MAX_NAME_LENGTH})",
    f"the gateway's name and each runner group's name together have at most {MAX_NAME_LENGTH} characters",
)
_NAME = Rule(
    f"size(self.metadata.name) <= {MAX_NAME_LENGTH}", f"a gateway's name has at most {MAX_NAME_LENGTH} characters"
)
NAME_RULES = cel(_NAMES, _NAME)

EMPTY_DEFAULT: JsonObject = {"default": {}}
"""Written out so that the API server fills in the nested defaults of an object that a tenant leaves out."""

Cidr = Annotated[str, Field(max_length=64, pattern=CIDR_PATTERN)]
Host = Annotated[str, Field(max_length=253, pattern=HOST_PATTERN)]


class SecurityProfile(StrEnum):
    """The Pod Security level of the namespace and the floor of its workers."""

    BASELINE = "baseline"
    RESTRICTED = "restricted"
    PRIVILEGED = "privileged"


class GitHubAppRef(ApiModel):
    """The Secret that holds the App's credentials, in the gateway's own namespace."""

    name: str = Field(
        min_length=1,
        max_length=253,
        description="Secret with the keys appId, installationId and privateKey. Changing it rotates the credential.",
    )


class CaBundleRef(ApiModel):
    """A ConfigMap key with certificate authorities in PEM."""

    name: str = Field(min_length=1, max_length=253)
    key: str = Field("ca.crt", min_length=1, max_length=253)


class ProxySettings(ApiModel):
    """The tenant's egress proxy pool."""

    model_config = ConfigDict(json_schema_extra=cel(_REPLICAS))

    min_replicas: Annotated[int, Field(ge=1, le=100, json_schema_extra=INT32)] = 2
    max_replicas: Annotated[int, Field(ge=1, le=100, json_schema_extra=INT32)] = 10
    target_cpu_utilization_percentage: Annotated[int, Field(ge=1, le=100, json_schema_extra=INT32)] = Field(
        60, alias="targetCPUUtilizationPercentage"
    )
    resources: ResourceRequirements | None = None
    no_proxy_cidrs: Annotated[list[Cidr], Field(max_length=32)] = Field(
        default_factory=list, alias="noProxyCIDRs", description="Destinations that bypass the proxy."
    )
    managed_network_policy: bool = True
    access_log: bool = Field(False, description="One JSON line per tunnel on the proxy's standard output.")
    allowed_hosts: Annotated[list[Host], Field(max_length=64)] = Field(
        default_factory=list, description="Host names, or *.suffix, allowed beside GitHub's own."
    )

    @model_validator(mode="after")
    def _replicas_are_ordered(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(_REPLICAS.message)
        return self


class AgentSettings(ApiModel):
    """The tenant's agent."""

    resources: ResourceRequirements | None = Field(None, description="Replaces the defaults key by key.")


class RunnerGroupEntry(GroupSettings):
    """One runner group of the gateway; becomes a RunnerGroup object named <gateway>-<name>."""

    model_config = ConfigDict(json_schema_extra=GROUP_RULES)

    name: DnsLabel = Field(description="Unique within the gateway.")


class ActionsGatewaySpec(ApiModel):
    """The spec of an ActionsGateway."""

    git_hub_app_ref: GitHubAppRef
    git_hub_url: str = Field(
        alias="gitHubURL",
        max_length=2048,
        pattern=GITHUB_URL_PATTERN,
        description="The organization, enterprise or repository whose jobs the gateway runs.",
    )
    proxy: ProxySettings = Field(default_factory=ProxySettings.model_construct, json_schema_extra=EMPTY_DEFAULT)
    agent: AgentSettings = Field(default_factory=AgentSettings.model_construct, json_schema_extra=EMPTY_DEFAULT)
    runner_groups: Annotated[
        list[RunnerGroupEntry],
        Field(
            max_length=MAX_RUNNER_GROUPS,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(default_factory=list)
    security_profile: SecurityProfile = SecurityProfile.BASELINE
    ca_bundle_ref: CaBundleRef | None = Field(None, description="Trusted by agent and workers beside the system's.")
    log_level: Annotated[str, Field(json_schema_extra={"enum": ["info", "debug"]})] = "info"
    paused: bool = Field(False, description="Claims nothing while true; running jobs go on to their end.")

    @model_validator(mode="after")
    def _group_names_are_unique(self) -> Self:
        names = [group.name for group in self.runner_groups]
        if len(set(names)) != len(names):
            raise ValueError("runnerGroups must have unique names")
        return self


class ActionsGatewayStatus(ApiModel):
    """What the manager reports."""

    conditions: Conditions = Field(default_factory=list)
    proxy_ready_replicas: int = Field(0, json_schema_extra=INT32, description="Proxies that take connections.")
    active_sessions: int = Field(0, json_schema_extra=INT32)
    active_jobs: int = Field(0, json_schema_extra=INT32)
    observed_generation: int = Field(0, json_schema_extra=INT64)
    credential: CredentialStatus | None = None


def parse_gateway_spec(name: str, spec: dict[str, Any]) -> ActionsGatewaySpec:
    """The typed spec of a stored gateway; raises ValueError that names the field.

    Checks here what the CRD's CEL rules check too, for API servers that do not evaluate them.
    """
    parsed = ActionsGatewaySpec.model_validate(spec)
    for group in parsed.runner_groups:
        if len(name) + len(group.name) > MAX_NAME_LENGTH:
            raise ValueError(f"runnerGroups[{group.name}].name: {_NAMES.message}")
    return parsed
