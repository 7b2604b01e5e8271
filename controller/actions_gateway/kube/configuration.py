"""How to reach the API server: a kubeconfig, or the pod that we run in, as the kubernetes client reads them.

What the client library reads once and we read anew is the file of a token.
"""

import os
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import incluster_config

from actions_gateway.kube.errors import ConfigurationError
from actions_gateway.kube.tokenfile import TokenFile


class ConnectionSettings(Configuration):
    """The client library's settings, and where the token comes from."""

    token_file: TokenFile | None = None
    """None when the token stands in the settings, or there is none."""


async def load_configuration(kubeconfig: str | Path | None = None, context: str | None = None) -> ConnectionSettings:
    """The connection settings; see `connect` for the order of the sources."""
    configuration = ConnectionSettings()
    path = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "")
    if path and os.pathsep not in path and not _exists(path):
        raise ConfigurationError(f"the kubeconfig {path} does not exist")
    in_pod = not path and not context and bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
    try:
        if in_pod:
            config.load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration, try_refresh_token=False
            )
            configuration.token_file = TokenFile(Path(incluster_config.SERVICE_TOKEN_FILENAME))
        else:
            documents = _documents(path)
            context = context or _current_context(documents)
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=path or None, context=context, client_configuration=configuration, persist_config=False
            )
            configuration.token_file = _token_file(documents, context)
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError) as problem:
        source = "the pod's service account" if in_pod else f"the kubeconfig {path or '~/.kube/config'}"
        raise ConfigurationError(f"cannot use {source}: {_first_line(problem)}") from problem
    return configuration


def _documents(path: str) -> list[tuple[Path, dict[str, Any]]]:
    """The kubeconfigs that exist, in the order in which they were named."""
    named = (Path(part).expanduser() for part in (path or "~/.kube/config").split(os.pathsep) if part)
    found = ((source, yaml.safe_load(source.read_text(encoding="utf-8"))) for source in named if source.is_file())
    return [(source, document) for source, document in found if isinstance(document, dict)]


def _current_context(documents: list[tuple[Path, dict[str, Any]]]) -> str | None:
    """Of several files the first that names one decides, where the client library would take the last.

    Source: Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files".
    """
    return next((str(name) for _, document in documents if (name := document.get("current-context"))), None)


def _token_file(documents: list[tuple[Path, dict[str, Any]]], context: str | None) -> TokenFile | None:
    """The `tokenFile` of the context's user; relative to the folder of the kubeconfig that has the user."""
    chosen = next((each for _, document in documents if (each := _named(document, "context", context))), {})
    for source, document in documents:
        if user := _named(document, "user", chosen.get("user")):
            return TokenFile(source.parent / user["tokenFile"]) if user.get("tokenFile") else None
    return None


def _named(document: dict[str, Any], kind: str, name: str | None) -> dict[str, Any]:
    """The entry `name` of a kubeconfig's list of contexts or users; empty when there is none."""
    entries = document.get(f"{kind}s") or []
    found: dict[str, Any] = next((entry for entry in entries if entry["name"] == name), {})
    return found.get(kind) or {}


def _exists(path: str) -> bool:
    return Path(path).expanduser().is_file()


def _first_line(problem: Exception) -> str:
    """A parser's message shows the file's content on the lines that follow, and a kubeconfig holds credentials."""
    return (str(problem) or type(problem).__name__).splitlines()[0]
