"""What a Prometheus is given beside the rules: jobs, monitors and a whole configuration."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from gw_alerts import artefacts
from gw_alerts.values import EXAMPLE_FILE, load_values
from support.components import require_promtool

DISCOVERY = "kubernetes_sd_configs"
SERVERS = {"prometheus", "alertmanager"}


def jobs(text: str) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in yaml.safe_load(text)["scrape_configs"]}


def without_discovery(text: str, folder: Path) -> str:
    """Debian's Prometheus is built without kubernetes_sd: a file of targets stands for it, all else is as it ships."""
    configuration = yaml.safe_load(text)
    for job in configuration["scrape_configs"]:
        if job.pop(DISCOVERY, None):
            job["file_sd_configs"] = [{"files": [str(folder / "targets.json")]}]
    return yaml.safe_dump(configuration)


def test_prometheus_reads_both_forms(tmp_path: Path) -> None:
    values = load_values(EXAMPLE_FILE)
    (tmp_path / artefacts.RULES).write_text(artefacts.render_rules(values.links))
    (tmp_path / "targets.json").write_text("[]")
    names = []
    for name, text in (
        ("scrape-configs.yaml", artefacts.render_scrape_configs()),
        ("prometheus.yaml", artefacts.render_prometheus(values)),
    ):
        (tmp_path / name).write_text(without_discovery(text, tmp_path))
        names.append(str(tmp_path / name))
    result = subprocess.run(
        [require_promtool(), "check", "config", *names], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "rules found" in result.stdout


def test_pods_are_found_through_the_api_server_and_servers_at_their_addresses() -> None:
    found = jobs(artefacts.render_scrape_configs("alertmanager.example.com:9093"))
    assert {name for name, job in found.items() if job.get(DISCOVERY) == [{"role": "pod"}]} == found.keys() - SERVERS
    assert {name: job["static_configs"][0]["targets"] for name, job in found.items() if name in SERVERS} == {
        "prometheus": ["localhost:9090"],
        "alertmanager": ["alertmanager.example.com:9093"],
    }


def test_only_the_manager_names_the_namespace_that_its_series_are_about() -> None:
    found = jobs(artefacts.render_scrape_configs())
    assert [name for name, job in found.items() if job.get("honor_labels")] == ["actions-gateway-manager"]


def test_with_and_without_the_operator_the_jobs_have_the_same_names() -> None:
    monitors = [each for each in yaml.safe_load_all(artefacts.render_monitors()) if each["kind"].endswith("Monitor")]
    endpoints = [
        endpoint
        for monitor in monitors
        for endpoint in monitor["spec"].get("endpoints", []) + monitor["spec"].get("podMetricsEndpoints", [])
    ]
    named = {step["replacement"] for endpoint in endpoints for step in endpoint["relabelings"]}
    assert named == jobs(artefacts.render_scrape_configs()).keys() - SERVERS


def test_the_cluster_of_the_values_is_on_every_alert() -> None:
    configuration = yaml.safe_load(artefacts.render_prometheus(load_values(EXAMPLE_FILE)))
    assert configuration["global"]["external_labels"] == {"cluster": "production"}
    assert configuration["rule_files"] == [artefacts.RULES]
    (server,) = configuration["alerting"]["alertmanagers"]
    assert (
        server["static_configs"][0]["targets"]
        == jobs(yaml.safe_dump(configuration))["alertmanager"]["static_configs"][0]["targets"]
    )


def test_the_operator_s_object_has_the_groups_of_the_rule_file() -> None:
    rule = yaml.safe_load(artefacts.render_prometheus_rule(namespace="monitoring"))
    assert rule["spec"] == yaml.safe_load(artefacts.render_rules())
    assert (rule["kind"], rule["metadata"]["namespace"]) == ("PrometheusRule", "monitoring")
