"""How a Prometheus without the operator scrapes manager, agents and proxies: its `scrape_configs`, as data.

The jobs and labels are those that the operator makes of `monitoring`'s ServiceMonitor and PodMonitors, so that rules
and dashboards fit both. Keys and meta labels: Prometheus documentation, "Configuration" (kubernetes_sd_config, role
pod; relabel_config).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.installation.manager import SELECTOR
from actions_gateway.installation.monitoring import AGENT_JOB, MANAGER_JOB, PORT, PROXY_JOB, PROXY_PATH

ScrapeConfig = dict[str, Any]
Relabeling = dict[str, Any]

_POD = "__meta_kubernetes_pod_"


def scrape_configs(
    *, discovery: Mapping[str, Any], interval: str, address: Sequence[Relabeling] = ()
) -> list[ScrapeConfig]:
    """One job each for managers, agents and proxies.

    `discovery` is the part of a job that finds pods: `kubernetes_sd_configs` with the role pod, or what gives
    targets the same meta labels. `address` are relabelings of `__address__` where it is not the declared port at the
    pod's own address.
    """

    def job(name: str, selector: Mapping[str, str], **settings: Any) -> ScrapeConfig:
        return {
            "job_name": name,
            "scrape_interval": interval,
            **settings,
            **discovery,
            "relabel_configs": [
                *(_keep(pod_label(key), re.escape(value)) for key, value in selector.items()),
                _keep(f"{_POD}container_port_name", PORT),
                {"action": "drop", "source_labels": [f"{_POD}phase"], "regex": "Succeeded|Failed"},
                *address,
                _copy("__meta_kubernetes_namespace", "namespace"),
                _copy(f"{_POD}name", "pod"),
                _copy(f"{_POD}container_name", "container"),
            ],
        }

    return [
        # Its own `namespace` names the tenant that it reports on.
        job(MANAGER_JOB, SELECTOR, honor_labels=True),
        job(AGENT_JOB, {labels.APP: AGENT}),
        job(PROXY_JOB, {labels.APP: PROXY}, metrics_path=PROXY_PATH),
    ]


def server_scrape_configs(addresses: Mapping[str, str]) -> list[ScrapeConfig]:
    """One job each for servers at fixed addresses: the name of the job, and its host and port."""
    return [{"job_name": name, "static_configs": [{"targets": [address]}]} for name, address in addresses.items()]


def pod_label(name: str) -> str:
    """The meta label of a pod's label."""
    return f"{_POD}label_{_meta(name)}"


def pod_annotation(name: str) -> str:
    """The meta label of a pod's annotation."""
    return f"{_POD}annotation_{_meta(name)}"


def _meta(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


def _keep(source: str, regex: str) -> Relabeling:
    return {"action": "keep", "source_labels": [source], "regex": regex}


def _copy(source: str, target: str) -> Relabeling:
    return {"source_labels": [source], "target_label": target}
