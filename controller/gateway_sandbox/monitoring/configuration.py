"""The configuration files and flags of a sandbox's Prometheus and Alertmanager: pure functions.

Keys: Prometheus documentation, "Configuration"; Alertmanager documentation, "Configuration"; flags: `--help` of both.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from actions_gateway.installation.monitoring import PORT
from actions_gateway.installation.scraping import Relabeling, pod_annotation, scrape_configs
from gateway_sandbox.nodes.ports import ANNOTATION

HOST = "127.0.0.1"
RESEND = "5s"


def prometheus_configuration(
    *, targets: Path, rules: Path, own_url: str, alertmanager_url: str | None, interval: str
) -> dict[str, Any]:
    """Scrapes the pods that the file `targets` lists and both programs, loads the folder `rules`, tells Alertmanager.

    The file stands for kubernetes_sd, which Debian's Prometheus is built without.
    """
    alertmanager = _static(alertmanager_url) if alertmanager_url else []
    watched = {"prometheus": _static(own_url), "alertmanager": alertmanager}
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(rules / "*.yaml")],
        "alerting": {"alertmanagers": [{"static_configs": alertmanager}] if alertmanager else []},
        "scrape_configs": [
            *scrape_configs(
                discovery={"file_sd_configs": [{"files": [str(targets)]}]}, interval=interval, address=_real_address()
            ),
            # Rules about the watching itself read what the two tell of themselves.
            *({"job_name": name, "static_configs": where} for name, where in watched.items() if where),
        ],
    }


def alertmanager_configuration(
    given: Mapping[str, Any] | None = None, *, address_of: Callable[[str], str] | None = None
) -> dict[str, Any]:
    """The routes and inhibitions of `given`, with every receiver that tells somebody at the address of its name.

    Without any it keeps alerts for who asks, and tells nobody.
    """
    if given is None or address_of is None:
        return {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    kept = {key: value for key, value in given.items() if key in ("route", "inhibit_rules", "time_intervals")}
    return {**kept, "receivers": [_told_here(receiver, address_of) for receiver in given["receivers"]]}


def _told_here(receiver: Mapping[str, Any], address_of: Callable[[str], str]) -> dict[str, Any]:
    name = receiver["name"]
    destinations = [each for ways in receiver.values() if isinstance(ways, list) for each in ways]
    if not destinations:
        return {"name": name}
    # A heartbeat that ends is no good news.
    send_resolved = any(each.get("send_resolved", True) for each in destinations)
    return {"name": name, "webhook_configs": [{"url": address_of(name), "send_resolved": send_resolved}]}


def prometheus_flags(folder: Path, configuration: Path, port: int) -> list[str]:
    """The flags of a Prometheus whose data lie in `folder`."""
    return [
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'prometheus-data'}",
        "--storage.tsdb.retention.time=1d",
        f"--web.listen-address={HOST}:{port}",
        # Drills have it forget what they counted; it listens on loopback alone, and its data end with the sandbox.
        "--web.enable-admin-api",
        # What an Alertmanager missed that started later is told again a minute later, if nobody says otherwise.
        f"--rules.alert.resend-delay={RESEND}",
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


def _static(url: str) -> list[dict[str, Any]]:
    return [{"targets": [urlsplit(url).netloc]}]


def _real_address() -> list[Relabeling]:
    """Pods share one network here; an annotation names the port that stands for a declared one."""
    published = pod_annotation(ANNOTATION)
    has_port = f'.*"{PORT}": ?([0-9]+).*'
    return [
        {"action": "keep", "source_labels": [published], "regex": has_port},
        {"source_labels": [published], "regex": has_port, "target_label": "__address__", "replacement": f"{HOST}:$1"},
    ]
