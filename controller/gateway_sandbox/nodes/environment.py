"""A container's environment and command line, in this machine's paths and ports.

The order is the kubelet's (kubernetes pkg/kubelet/kubelet_pods.go, makeEnvironmentVariables): `envFrom` first, `env`
over it, each value expanded with what stands above it. Nothing of the sandbox's own environment gets in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway_sandbox.nodes.downward import field_value
from gateway_sandbox.nodes.images import Image
from gateway_sandbox.nodes.ports import PodPorts
from gateway_sandbox.nodes.problems import ConfigProblem
from gateway_sandbox.nodes.rewriting import expand
from gateway_sandbox.nodes.sources import Sources

Rewrite = Callable[[str], str]
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Setting:
    """What turns a container's spec into this machine's terms."""

    image: Image
    rewrite: Rewrite
    """Text of the pod in this machine's paths and addresses."""
    ports: PodPorts
    given: Mapping[str, str] = field(default_factory=dict)
    """Variables that the node itself gives, in this machine's paths; image and pod may override them."""
    markers: Mapping[str, str] = field(default_factory=dict)
    """Variables that nothing may override."""


async def gather_environment(
    container: Mapping[str, Any], pod: dict[str, Any], setting: Setting, sources: Sources
) -> dict[str, str]:
    """The whole environment of the container's processes; raises ConfigProblem, KubeError."""
    image = setting.image
    result = {"PATH": DEFAULT_PATH, **image.host_env, **setting.given}
    result |= {name: setting.rewrite(value) for name, value in image.env.items()}
    for origin in container.get("envFrom") or []:
        result |= await _bundle(origin, setting.rewrite, sources)
    for variable in container.get("env") or []:
        name = variable["name"]
        if "valueFrom" in variable:
            value = await _referenced(variable["valueFrom"], pod, setting.rewrite, sources)
            if value is None:
                continue
        else:
            value = expand(setting.rewrite(variable.get("value") or ""), result)
        result[name] = setting.ports.rewrite_value(name, value)
    return result | dict(setting.markers)


def build_argv(container: Mapping[str, Any], setting: Setting, environment: Mapping[str, str]) -> list[str]:
    """The command line; the image's entrypoint is this machine's already. Raises ConfigProblem when there is none."""

    def local(words: list[str]) -> list[str]:
        return [expand(setting.rewrite(word), environment) for word in words]

    command = local(container["command"]) if container.get("command") else list(setting.image.command)
    argv = command + local(container.get("args") or [])
    if not argv:
        raise ConfigProblem("no command specified")
    return argv


async def _bundle(origin: Mapping[str, Any], rewrite: Rewrite, sources: Sources) -> dict[str, str]:
    prefix = origin.get("prefix") or ""
    if reference := origin.get("secretRef"):
        content = await sources.secret(reference["name"])
        kind = "secret"
    else:
        reference = origin["configMapRef"]
        content = await sources.config_map(reference["name"])
        kind = "configmap"
    if content is None and not reference.get("optional"):
        raise ConfigProblem(f'{kind} "{reference["name"]}" not found')
    values = {prefix + key: value.decode("utf-8", "replace") for key, value in (content or {}).items()}
    return values if kind == "secret" else {key: rewrite(value) for key, value in values.items()}


async def _referenced(origin: Mapping[str, Any], pod: dict[str, Any], rewrite: Rewrite, sources: Sources) -> str | None:
    if reference := origin.get("fieldRef"):
        return field_value(pod, reference["fieldPath"])
    namespace = pod["metadata"]["namespace"]
    if reference := origin.get("secretKeyRef"):
        return _keyed(reference, "secret", "Secret", namespace, await sources.secret(reference["name"]))
    reference = origin["configMapKeyRef"]
    value = _keyed(reference, "configmap", "ConfigMap", namespace, await sources.config_map(reference["name"]))
    return None if value is None else rewrite(value)


def _keyed(
    reference: Mapping[str, Any], kind: str, title: str, namespace: str, content: Mapping[str, bytes] | None
) -> str | None:
    name, key = reference["name"], reference["key"]
    if content is not None and key in content:
        return content[key].decode("utf-8", "replace")
    if reference.get("optional"):
        return None
    if content is None:
        raise ConfigProblem(f'{kind} "{name}" not found')
    raise ConfigProblem(f"couldn't find key {key} in {title} {namespace}/{name}")
