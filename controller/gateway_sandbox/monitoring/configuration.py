"""The configuration files and flags of a sandbox's Prometheus and Alertmanager: pure functions.

Keys: Prometheus documentation, "Configuration"; Alertmanager documentation, "Configuration"; flags: `--help` of both.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from actions_gateway.installation.monitoring import PORT
from actions_gateway.installation.scraping import Relabeling, pod_annotation, scrape_configs
from gateway_sandbox.nodes.ports import ANNOTATION

INTERVAL = "5s"
"""A sandbox is watched by people: the 30 s of the operator's monitors belong to clusters with hours."""
HOST = "127.0.0.1"


def prometheus_configuration(*, targets: Path, rules: Path, alertmanager_url: str | None) -> dict[str, Any]:
    """Scrapes the pods that the file `targets` lists, loads what lies in the folder `rules`, and tells Alertmanager.

    The file stands for kubernetes_sd, which Debian's Prometheus is built without.
    """
    managers = [{"static_configs": [{"targets": [urlsplit(alertmanager_url).netloc]}]}] if alertmanager_url else []
    return {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [str(rules / "*.yaml")],
        "alerting": {"alertmanagers": managers},
        "scrape_configs": scrape_configs(
            discovery={"file_sd_configs": [{"files": [str(targets)]}]}, interval=INTERVAL, address=_real_address()
        ),
    }


def alertmanager_configuration() -> dict[str, Any]:
    """Keeps alerts for who asks, and tells nobody."""
    return {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}


def prometheus_flags(folder: Path, configuration: Path, port: int) -> list[str]:
    """The flags of a Prometheus whose data lie in `folder`."""
    return [
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'prometheus-data'}",
        "--storage.tsdb.retention.time=1d",
        f"--web.listen-address={HOST}:{port}",
        # Drills have it forget what they counted; it listens on loopback alone, and its data end with the sandbox.
        "--web.enable-admin-api",
        "--log.level=warn",
    ]


def alertmanager_flags(folder: Path, configuration: Path, port: int) -> list[str]:
    """The flags of an Alertmanager whose data lie in `folder`."""
    return [
        f"--config.file={configuration}",
        f"--storage.path={folder / 'alertmanager-data'}",
        f"--web.listen-address={HOST}:{port}",
        # Empty: no gossip, hence no second port.
        "--cluster.listen-address=",
        "--log.level=warn",
    ]


def render(configuration: dict[str, Any]) -> str:
    """The file's text: JSON, which both read as YAML."""
    return json.dumps(configuration, indent=1)


def _real_address() -> list[Relabeling]:
    """Pods share one network here; an annotation names the port that stands for a declared one."""
    published = pod_annotation(ANNOTATION)
    has_port = f'.*"{PORT}": ?([0-9]+).*'
    return [
        {"action": "keep", "source_labels": [published], "regex": has_port},
        {"source_labels": [published], "regex": has_port, "target_label": "__address__", "replacement": f"{HOST}:$1"},
    ]
