"""What a Prometheus without the operator is told to scrape."""

import re
from typing import Any

import pytest

from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.installation.manager import SELECTOR
from actions_gateway.installation.monitoring import AGENT_JOB, MANAGER_JOB, PROXY_JOB, monitoring_manifests
from actions_gateway.installation.scraping import pod_label, scrape_configs

DISCOVERY = {"kubernetes_sd_configs": [{"role": "pod"}]}
JOBS = {job["job_name"]: job for job in scrape_configs(discovery=DISCOVERY, interval="30s")}


def is_kept(job: dict[str, Any], meta: dict[str, str]) -> bool:
    """Whether Prometheus would keep a target (documentation, "relabel_config": anchored, absent is empty)."""
    for step in job["relabel_configs"]:
        matches = re.fullmatch(
            step.get("regex", "(.*)"), ";".join(meta.get(name, "") for name in step["source_labels"])
        )
        if step.get("action") == ("drop" if matches else "keep"):
            return False
    return True


def pod(port: str = "metrics", phase: str = "Running", **labels: str) -> dict[str, str]:
    shared = {"__meta_kubernetes_pod_container_port_name": port, "__meta_kubernetes_pod_phase": phase}
    return shared | {pod_label(key.replace("_", "-")): value for key, value in labels.items()}


MANAGER_POD = {pod_label(key): value for key, value in SELECTOR.items()} | pod()


@pytest.mark.parametrize(
    ("job", "target"),
    [(MANAGER_JOB, MANAGER_POD), (AGENT_JOB, pod(app=AGENT)), (PROXY_JOB, pod(app=PROXY))],
)
def test_a_job_takes_its_own_pods_metrics_port_and_nothing_else(job: str, target: dict[str, str]) -> None:
    assert [name for name, each in JOBS.items() if is_kept(each, target)] == [job]
    assert not is_kept(JOBS[job], target | pod(port="health"))
    assert not is_kept(JOBS[job], target | pod(phase="Succeeded"))


def test_jobs_paths_and_honoured_labels_are_those_of_the_operators_monitors() -> None:
    endpoints = [
        endpoint
        for manifest in monitoring_manifests()
        for endpoint in (manifest["spec"].get("endpoints") or manifest["spec"].get("podMetricsEndpoints") or [])
    ]
    theirs = {
        endpoint["relabelings"][0]["replacement"]: (endpoint.get("path", "/metrics"), endpoint["honorLabels"])
        for endpoint in endpoints
    }
    ours = {name: (job.get("metrics_path", "/metrics"), job.get("honor_labels", False)) for name, job in JOBS.items()}
    assert ours == theirs


def test_every_series_says_which_pod_it_is_of() -> None:
    for job in JOBS.values():
        targets = {step.get("target_label") for step in job["relabel_configs"]}
        assert {"namespace", "pod"} <= targets
        assert job["kubernetes_sd_configs"] == DISCOVERY["kubernetes_sd_configs"]
