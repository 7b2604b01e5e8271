"""Settings of the controllers: read from the environment once, validated with the variable's name, passed down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from actions_gateway.api.cidrs import parse_cidrs
from actions_gateway.api.egress import PUBLIC_ONLY, PlatformEgress, parse_dns_peers, parse_egress_exceptions
from actions_gateway.api.images import PROXY_IMAGE
from actions_gateway.api.names import AGENT, MANAGER, WORKER
from actions_gateway.api.runnergroup import RUNNER_IMAGE, RUNNER_RELEASED, RUNNER_VERSION

T = TypeVar("T")

Environment = Mapping[str, str]

PROXY_DRAIN_SECONDS = 45
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - a pod's listeners face the pod network


class SettingsError(ValueError):
    """A variable is missing or unusable; the text names it."""


class TenantNamespaces(StrEnum):
    """Which namespaces the manager serves."""

    ANY = "any"
    """Every namespace that is not reserved; the manager sets the tenant marker itself."""
    MARKED = "marked"
    """Only namespaces that a platform owner marked."""


def read(environment: Environment, name: str, parse: Callable[[str], T], default: T | None = None) -> T:
    """The parsed variable, or `default` when it is unset or empty; raises SettingsError."""
    text = environment.get(name, "")
    if not text:
        if default is None:
            raise SettingsError(f"the environment variable {name} is not set")
        return default
    try:
        return parse(text)
    except ValueError as problem:
        raise SettingsError(f"the environment variable {name} has an unusable value: {problem}") from problem


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError(f"{port} is no port")
    return port


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise ValueError(f"{share} is not above 0 and at most 1")
    return share


def _seconds(text: str) -> int:
    seconds = int(text)
    if not 0 <= seconds <= 3600:
        raise ValueError(f"{seconds} s is not between 0 and an hour")
    return seconds


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _version(text: str) -> str:
    if not all(part.isascii() and part.isdigit() for part in text.split(".")):
        raise ValueError(f"{text!r} is no version like {RUNNER_VERSION}")
    return text


def _released(environment: Environment, version: str) -> datetime | None:
    """When the version was released: as somebody says, or as is known of this release's own."""
    if environment.get("RUNNER_RELEASED"):
        return read(environment, "RUNNER_RELEASED", _moment)
    return RUNNER_RELEASED if version == RUNNER_VERSION else None


def _proxy(text: str) -> str:
    url = urlsplit(text)
    if url.scheme != "http" or not url.hostname or url.port is None or url.username is not None or url.path.strip("/"):
        # Not quoted: it may hold a password.
        raise ValueError("it must be http://HOST:PORT, without a user")
    return text.rstrip("/")


def _log_level(text: str) -> str:
    if text not in ("info", "debug"):
        raise ValueError(f"{text!r} is neither info nor debug")
    return text


@dataclass(frozen=True, slots=True)
class ManagerSettings:
    """Settings of the manager."""

    namespace: str
    pod_name: str
    controller_image: str
    """Image of manager, agent and the worker's wrapper."""
    worker_image: str = RUNNER_IMAGE
    proxy_image: str = PROXY_IMAGE
    """Envoy's own image."""
    egress: PlatformEgress = PUBLIC_ONLY
    proxy_drain_seconds: int = PROXY_DRAIN_SECONDS
    """How long a proxy that is to go still serves its open tunnels."""
    bind_address: str = ALL_ADDRESSES
    health_port: int = 8081
    metrics_port: int = 8080
    tenant_namespaces: TenantNamespaces = TenantNamespaces.ANY
    log_level: str = "info"
    workers: int = 16
    """Gateways reconciled at the same time: one slow tenant must not delay the others."""
    lease_seconds: float = 15.0
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0

    @classmethod
    def from_environment(cls, environment: Environment) -> "ManagerSettings":
        """Raises SettingsError."""
        return cls(
            namespace=read(environment, "POD_NAMESPACE", str),
            pod_name=read(environment, "POD_NAME", str, MANAGER),
            controller_image=read(environment, "CONTROLLER_IMAGE", str),
            worker_image=read(environment, "WORKER_IMAGE", str, RUNNER_IMAGE),
            proxy_image=read(environment, "PROXY_IMAGE", str, PROXY_IMAGE),
            egress=PlatformEgress(
                exceptions=read(environment, "PROXY_EXCEPTIONS", parse_egress_exceptions, ()),
                denied=read(environment, "PROXY_DENIED_CIDRS", parse_cidrs, ()),
                api_server=read(environment, "API_SERVER_CIDRS", parse_cidrs, ()),
                dns=read(environment, "DNS_PEERS", parse_dns_peers, ()),
            ),
            proxy_drain_seconds=read(environment, "PROXY_DRAIN_SECONDS", _seconds, PROXY_DRAIN_SECONDS),
            bind_address=read(environment, "BIND_ADDRESS", str, ALL_ADDRESSES),
            health_port=read(environment, "HEALTH_PORT", _port, 8081),
            metrics_port=read(environment, "METRICS_PORT", _port, 8080),
            tenant_namespaces=read(environment, "TENANT_NAMESPACES", TenantNamespaces, TenantNamespaces.ANY),
            log_level=read(environment, "LOG_LEVEL", _log_level, "info"),
        )


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Settings of the agent."""

    namespace: str
    gateway_name: str
    github_url: str
    github_app_path: Path
    """Folder with the files appId, installationId and privateKey."""
    wrapper_image: str
    pod_name: str = AGENT
    bind_address: str = ALL_ADDRESSES
    health_port: int = 8081
    metrics_port: int = 8080
    github_proxy: str | None = None
    """The egress proxy's URL; agent and workers reach GitHub through it. In a cluster there always is one."""
    worker_no_proxy: str = ""
    """The value of NO_PROXY that workers get."""
    ca_bundle_path: Path | None = None
    ca_bundle_configmap: str | None = None
    ca_bundle_key: str = "ca.crt"
    worker_service_account: str = WORKER
    worker_image: str = RUNNER_IMAGE
    runner_version: str = RUNNER_VERSION
    """What GitHub is told of every worker image; an image of one's own with another runner names it."""
    runner_released: datetime | None = RUNNER_RELEASED
    """When that version was; None when nobody says so."""
    github_budget_share: float = 1.0
    """The part of the installation's limits at GitHub that is this agent's, above 0 and at most 1."""
    security_profile: str = "baseline"
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environment: Environment) -> "AgentSettings":
        """Raises SettingsError."""
        ca_path = environment.get("CA_BUNDLE_PATH")
        version = read(environment, "RUNNER_VERSION", _version, RUNNER_VERSION)
        return cls(
            namespace=read(environment, "POD_NAMESPACE", str),
            gateway_name=read(environment, "GATEWAY_NAME", str),
            github_url=read(environment, "GITHUB_URL", str),
            github_app_path=read(environment, "GITHUB_APP_PATH", Path),
            wrapper_image=read(environment, "WRAPPER_IMAGE", str),
            pod_name=read(environment, "POD_NAME", str, AGENT),
            bind_address=read(environment, "BIND_ADDRESS", str, ALL_ADDRESSES),
            health_port=read(environment, "HEALTH_PORT", _port, 8081),
            metrics_port=read(environment, "METRICS_PORT", _port, 8080),
            github_proxy=read(environment, "GITHUB_PROXY", _proxy),
            worker_no_proxy=read(environment, "WORKER_NO_PROXY", str, ""),
            ca_bundle_path=Path(ca_path) if ca_path else None,
            ca_bundle_configmap=environment.get("CA_BUNDLE_CONFIGMAP") or None,
            ca_bundle_key=read(environment, "CA_BUNDLE_KEY", str, "ca.crt"),
            worker_service_account=read(environment, "WORKER_SERVICE_ACCOUNT", str, WORKER),
            worker_image=read(environment, "WORKER_IMAGE", str, RUNNER_IMAGE),
            runner_version=version,
            runner_released=_released(environment, version),
            github_budget_share=read(environment, "GITHUB_BUDGET_SHARE", _share, 1.0),
            security_profile=read(environment, "SECURITY_PROFILE", str, "baseline"),
            log_level=read(environment, "LOG_LEVEL", _log_level, "info"),
        )
