"""What a gateway's spec has to satisfy beyond its schema, and how a problem with it is told: field, value, way out."""

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from actions_gateway.api import labels
from actions_gateway.api.egress import EgressException
from actions_gateway.api.gateway import HOST_PATTERN, ActionsGatewaySpec, SecurityProfile
from actions_gateway.kube.client import Manifest
from actions_gateway.proxy.hosts import HTTPS_PORT

_SHOWN_CHARACTERS = 80
_USER_INFO = re.compile(r"//[^/]*@")
"""Where a URL would hold a password."""


def check_spec(namespace: Manifest, spec: ActionsGatewaySpec, exceptions: tuple[EgressException, ...]) -> None:
    """Raises ValueError that names field, value and way out; `exceptions` are the platform's for proxies."""
    _check_profile(namespace, spec)
    _check_port(spec, exceptions)
    for index, cidr in enumerate(spec.proxy.no_proxy_cidrs):
        try:
            ipaddress.ip_network(cidr, strict=False)
        except ValueError as problem:
            raise ValueError(
                f"spec.proxy.noProxyCIDRs.{index}: {cidr} is no range of addresses; write it like 10.0.0.0/8"
            ) from problem


def describe_problem(problem: ValueError) -> str:
    """The problem with the field it is in, and with a value that is short and no structure."""
    if not isinstance(problem, ValidationError):
        return str(problem)
    first = problem.errors(include_url=False)[0]
    path = ".".join(["spec", *(str(part) for part in first["loc"])])
    return f"{path}: {_shown(first['input'])}{first['msg']}"


def _shown(value: Any) -> str:
    if not isinstance(value, str | int | float):
        return ""
    text = _USER_INFO.sub("//…@", str(value))
    return f"{text[:_SHOWN_CHARACTERS]}{'…' if len(text) > _SHOWN_CHARACTERS else ''} is unusable: "


def _check_profile(namespace: Manifest, spec: ActionsGatewaySpec) -> None:
    permission = (namespace["metadata"].get("labels") or {}).get(labels.PRIVILEGED_PROFILE)
    if spec.security_profile is SecurityProfile.PRIVILEGED and permission != labels.PRIVILEGED_ALLOWED:
        name = namespace["metadata"]["name"]
        raise ValueError(
            f"spec.securityProfile: privileged is not allowed in namespace {name}; choose baseline or restricted, or "
            f"a platform owner allows it with 'kubectl label namespace {name} "
            f"{labels.PRIVILEGED_PROFILE}={labels.PRIVILEGED_ALLOWED}'"
        )


def _check_port(spec: ActionsGatewaySpec, exceptions: tuple[EgressException, ...]) -> None:
    """The proxies open port 443 alone, and what the platform excepts from that."""
    try:
        url = urlsplit(spec.git_hub_url)
        host, port = url.hostname or "", HTTPS_PORT if url.port is None else url.port
    except ValueError as problem:
        raise ValueError(f"spec.gitHubURL: {spec.git_hub_url}: {problem}") from problem
    if not re.fullmatch(HOST_PATTERN, host) or host.startswith("*"):
        raise ValueError(
            f"spec.gitHubURL: {spec.git_hub_url} names the host {host!r}, which the egress proxy opens to nobody; "
            "write a host name of letters, digits, hyphens and single dots, without a dot at its end"
        )
    if port != HTTPS_PORT and not any(_covers(exception, host, port) for exception in exceptions):
        raise ValueError(
            f"spec.gitHubURL: {spec.git_hub_url} names port {port}, and the egress proxy opens only {HTTPS_PORT}; "
            f"leave the port out, or a platform owner excepts it with 'gw install --proxy-exception {host}=CIDR:{port}'"
        )


def _covers(exception: EgressException, host: str, port: int) -> bool:
    is_host = host.endswith(exception.host[1:]) if exception.host.startswith("*.") else host == exception.host
    return is_host and port == exception.port
