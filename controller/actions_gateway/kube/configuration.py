"""How to reach the API server: a kubeconfig, or the pod that we run in, as the kubernetes client reads them."""

import os
from pathlib import Path

import yaml
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration

from actions_gateway.kube.errors import ConfigurationError


async def load_configuration(kubeconfig: str | Path | None = None, context: str | None = None) -> Configuration:
    """The connection settings; see `connect` for the order of the sources."""
    configuration = Configuration()
    path = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "")
    if path and os.pathsep not in path and not _exists(path):
        raise ConfigurationError(f"the kubeconfig {path} does not exist")
    try:
        if not path and not context and os.environ.get("KUBERNETES_SERVICE_HOST"):
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=path or None, context=context, client_configuration=configuration, persist_config=False
            )
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError) as problem:
        source = path or "~/.kube/config"
        raise ConfigurationError(f"cannot use the kubeconfig {source}: {_first_line(problem)}") from problem
    return configuration


def _exists(path: str) -> bool:
    return Path(path).expanduser().is_file()


def _first_line(problem: Exception) -> str:
    """A parser's message shows the file's content on the lines that follow, and a kubeconfig holds credentials."""
    return (str(problem) or type(problem).__name__).splitlines()[0]
